#!/usr/bin/env bats
# shellcheck disable=SC2154
# gitgate-webhook by itself over TLS, and as a real API server asks it: with the configurations of
# manifests/webhook.yaml, each service replaced by this process's address.

load lib
load webhook

setup_file() {
	export work=$BATS_FILE_TMPDIR
	bed_up
	certificate
	service_account_config gitgate-webhook "$work/kubeconfig"
	start
	namespaces
	webhook_configurations
}

teardown() {
	[ "${BATS_TEST_COMPLETED:-}" = 1 ] || tail -n 20 "$work/log"
	[ "$work" = "$BATS_FILE_TMPDIR" ] || stop || : # one of the test's own
}

# ---- The bed

namespaces() {
	kubectl create namespace enabled
	for ns in team-a enabled; do
		kubectl -n "$ns" create serviceaccount default
		gate "$ns" agents '{"matchLabels": {"app": "coding-agent"}}' | kubectl create -f -
	done
	kubectl label namespace enabled gitgate.dev/injection=enabled
}

# ungated NAME LABELS [OPTION...] : in $ns, with no word of a gate
ungated() {
	kubectl create --namespace "${ns:-default}" "${@:3}" -f - <<-END
		apiVersion: v1
		kind: Pod
		metadata: {name: "$1", labels: $2}
		spec: {containers: [{name: web, image: web}]}
	END
}

# ---- By itself

@test "it is alive and ready, and other paths and methods get their answer" {
	[ "$(ask "$(url /healthz)")" = ok ]
	[ "$(ask "$(url /readyz)")" = ok ]
	[ "$(ask -w '%{http_code}' "$(url /nothing)")" = $'no such path\n404' ]
	[ "$(ask -w '%{http_code}' "$(url /mutate-pod)")" = $'POST only\n405' ]
	[ "$(ask -w '%{http_code}' -X DELETE "$(url /mutate-pod)")" = $'POST only\n405' ]
}

# Another one, with the certificate of the first, at every address.
start_at_every_address() {
	cp "$work"/{tls.crt,tls.key,kubeconfig} "$BATS_TEST_TMPDIR"
	work=$BATS_TEST_TMPDIR
	LD_PRELOAD=${1:-} ASAN_OPTIONS=verify_asan_link_order=0 start 0 --listen :0
}

@test "without a host it listens at every address, of IPv4 and of IPv6" {
	grep -qs . /proc/net/if_inet6 || skip "this kernel has no IPv6"
	start_at_every_address
	[ "$(ask "$(url /healthz)")" = ok ]
	[ "$(ask --connect-to '::[::1]:' "$(url /healthz)")" = ok ]
	stop
}

@test "without a host it listens at every address of IPv4 where the kernel has no IPv6" {
	"${CC:-cc}" -shared -fPIC -o "$BATS_TEST_TMPDIR/no_ipv6.so" "$GITGATE_SOURCE/tests/kube/no_ipv6.c"
	start_at_every_address "$BATS_TEST_TMPDIR/no_ipv6.so"
	[ "$(ask "$(url /healthz)")" = ok ]
	run ask --connect-to '::[::1]:' "$(url /healthz)"
	[ "$status" = 7 ]
	stop
}

@test "what is not an AdmissionReview is a 400 that says why" {
	for body in '{' '[]' '{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1beta1"}' \
		'{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1"}'; do
		run post /mutate-pod <<<"$body"
		[[ $output == *$'\n400' && $output == *[JA]* ]]
	done
	type='Content-Type: text/plain' run post /mutate-pod <<<'{}'
	[[ $output == *'must be application/json'*$'\n415' ]]
	run post /mutate-pod -H 'Transfer-Encoding: chunked' <<<'{}'
	[[ $output == *'needs a content-length'*$'\n411' ]]
}

@test "a body over 7 MiB is refused with a reason, not cut" {
	for size in 7340033 30000000; do
		run post /mutate-pod < <(head -c "$size" /dev/zero)
		[[ $output == 'the request is larger than 7 MiB'*$'\n413' ]]
	done
}

@test "a review of 2 MiB alone on its connection is answered, with its uid" {
	run post /mutate-pod < <(review 20 900)
	[[ $output == *'"uid":"the-uid","allowed":true'*$'\n200' ]]
}

@test "one connection carries many requests" {
	local body
	body=$(review 1 1)
	run ask -H 'Content-Type: application/json' -d "$body" -o /dev/null -o /dev/null -o /dev/null \
		-w '%{num_connects}' "$(url /mutate-pod)" "$(url /mutate-pod)" "$(url /mutate-pod)"
	[ "$output" = 100 ]
}

@test "clients that say nothing are let go, and delay nobody meanwhile" {
	local i started=$SECONDS
	for i in 7 8 9; do
		eval "exec $i<>/dev/tcp/127.0.0.1/$(cat "$work/port")"
	done
	[ "$(ask "$(url /healthz)")" = ok ]
	timeout 30 cat <&7
	timeout 30 cat <&8
	timeout 30 cat <&9
	[ $((SECONDS - started)) -ge 5 ]
	exec 7>&- 8>&- 9>&-
}

@test "a certificate that changes is used; one that is no use is not" {
	local serial other
	serial() { openssl s_client -connect "127.0.0.1:$(cat "$work/port")" </dev/null 2>/dev/null | openssl x509 -noout -serial; }
	serial=$(serial)
	cp "$work/tls.crt" "$work/old.crt"
	cp "$work/tls.key" "$work/old.key"
	echo nonsense >"$work/tls.crt"
	wait_for 10 grep -q 'certificate kept' "$work/log"
	[ "$(serial)" = "$serial" ]
	certificate
	other=$(openssl x509 -noout -serial -in "$work/tls.crt")
	wait_for 10 eval "[ \"\$(serial)\" = '$other' ]"
	cp "$work/old.crt" "$work/tls.crt" # the API server's caBundle is of it
	cp "$work/old.key" "$work/tls.key"
	wait_for 10 eval '[ "$(serial)" = "$serial" ]'
}

@test "a key that lies apart from its certificate and comes later is used, too" {
	local serial
	serial() { openssl s_client -connect "127.0.0.1:$(cat "$work/port")" </dev/null 2>/dev/null | openssl x509 -noout -serial; }
	cp "$work"/{tls.crt,tls.key,kubeconfig} "$BATS_TEST_TMPDIR"
	work=$BATS_TEST_TMPDIR
	mkdir "$work/certificates" "$work/keys"
	cp "$work/tls.crt" "$work/certificates"
	cp "$work/tls.key" "$work/keys"
	start 0 --tls-cert "$work/certificates/tls.crt" --tls-key "$work/keys/tls.key"
	certificate
	cp "$work/tls.crt" "$work/certificates"
	wait_for 10 grep -q 'certificate kept' "$work/log"
	cp "$work/tls.key" "$work/keys"
	serial=$(openssl x509 -noout -serial -in "$work/tls.crt")
	wait_for 10 eval '[ "$(serial)" = "$serial" ]'
	stop
}

# ---- As the API server asks it

@test "a pod that names its gate is injected, and the API server accepts it" {
	ns=team-a pod labelled agents
	run -0 kubectl -n team-a get pod labelled -o json
	[ "$(jq -r '.spec.initContainers | map(.name) | join(" ")' <<<"$output")" = 'gitgate-isolate gitgate' ]
	[ "$(jq -r '.spec.initContainers[1].image' <<<"$output")" = gate:test ]
	[ "$(jq -r '.spec.containers[0].env[] | select(.name == "GIT_CONFIG_VALUE_0").value' <<<"$output")" = /etc/git-gate-client/gitconfig ]
	[ "$(jq -r '.spec.hostAliases[0].hostnames[0]' <<<"$output")" = git-gate ]
}

@test "the gate's group is another in each pod, and the filter's; no other container may ask for it" {
	local i group groups=
	for i in 1 2; do
		ns=team-a pod "group-$i" agents
		run -0 kubectl -n team-a get pod "group-$i" -o json
		group=$(jq '.spec.initContainers[1].securityContext.runAsGroup' <<<"$output")
		[ "$(jq -c '.spec.initContainers[0].command' <<<"$output")" = "[\"gitgate-gate\",\"isolate\",\"--group\",\"$group\"]" ]
		[ "$group" -ge $((1 << 30)) ]
		groups+=" $group"
	done
	[ "$(printf '%s\n' $groups | sort -u | wc -l)" = 2 ]
	# The pod as it is, under another name, with a container in that group.
	run ! kubectl create -f - < <(jq --argjson group "$group" 'del(.metadata.uid, .metadata.resourceVersion, .metadata.creationTimestamp, .status) |
		.metadata.name = "in-the-group" | .spec.containers[0].securityContext.runAsGroup = $group' <<<"$output")
	[[ $output == *"spec.containers[0].securityContext.runAsGroup: choose another id: $group is the gate's own"* ]]
}

@test "the gate's containers hold no ServiceAccount token, the others theirs" {
	run -0 --separate-stderr env ns=team-a bash -c "$(declare -f pod); pod token agents --dry-run=server -o json"
	[ "$(jq '[.spec.initContainers[].volumeMounts[] | select(.name | startswith("kube-api-access"))] | length' <<<"$output")" = 0 ]
	[ "$(jq '[.spec.containers[].volumeMounts[] | select(.name | startswith("kube-api-access"))] | length' <<<"$output")" = 1 ]
}

@test "in an enabled namespace a podSelector gives the gate, and the label with it" {
	ns=enabled ungated selected '{app: coding-agent}'
	[ "$(kubectl -n enabled get pod selected -o 'jsonpath={.metadata.labels.gitgate\.dev/gate}')" = agents ]
	ns=enabled ungated other '{app: web}'
	[ -z "$(kubectl -n enabled get pod other -o 'jsonpath={.spec.initContainers}')" ]
}

@test "in kube-system and beside gitgate itself a pod gets a gate by naming it, and by nothing else" {
	# No gate passes the Pod Security that gitgate itself runs under.
	kubectl label --overwrite namespace gitgate-system pod-security.kubernetes.io/enforce=privileged
	for ns in kube-system gitgate-system; do
		kubectl -n "$ns" create serviceaccount default
		gate "$ns" agents '{"matchLabels": {"app": "coding-agent"}}' | kubectl create -f -
		for enabled in "" enabled; do
			kubectl label --overwrite namespace "$ns" "gitgate.dev/injection=$enabled"
			wait_for 20 eval "ns=$ns pod probe none --dry-run=server 2>&1 | grep -q 'no GitGate'"
			ns=$ns pod "named$enabled" agents
			[ "$(kubectl -n "$ns" get pod "named$enabled" -o json | jq -r '.spec.initContainers[1].name')" = gitgate ]
			ns=$ns ungated "selected$enabled" '{app: coding-agent}'
			[ -z "$(kubectl -n "$ns" get pod "selected$enabled" -o 'jsonpath={.spec.initContainers}')" ]
		done
		kubectl -n "$ns" delete pods --all --now
		kubectl -n "$ns" delete gitgate agents
		kubectl -n "$ns" delete serviceaccount default
		kubectl label namespace "$ns" gitgate.dev/injection-
	done
	kubectl label --overwrite namespace gitgate-system pod-security.kubernetes.io/enforce=restricted
}

@test "two gates for one pod are both named" {
	gate enabled second '{"matchExpressions": [{"key": "tier", "operator": "Exists"}]}' | kubectl create -f -
	ns=enabled run ! ungated both '{app: coding-agent, tier: a}' --dry-run=server
	[[ $output == *'"agents"'*'"second"'* ]]
	kubectl -n enabled delete gitgate second
}

@test "a GitGate made a moment before its pod is found" {
	local i
	for i in 1 2 3 4 5; do
		{ gate team-a "new-$i" null; echo ---; ns=team-a pod "new-$i" "new-$i" --dry-run=client -o yaml; } |
			kubectl -n team-a create -f -
	done
	kubectl -n team-a delete gitgate new-1 new-2 new-3 new-4 new-5
}

@test "nor does it matter that its pod was refused just before" {
	local n
	for n in 1 2 3 4 5; do
		ns=team-a run ! pod "late-$n" "late-$n" --dry-run=server
		{ gate team-a "late-$n" null; echo ---; ns=team-a pod "late-$n" "late-$n" --dry-run=client -o yaml; } |
			kubectl -n team-a create -f -
	done
	kubectl -n team-a delete gitgate late-1 late-2 late-3 late-4 late-5
}

# What the API server was asked for single GitGates and lists of them; its watches are not among these.
lookups() {
	kubectl get --raw /metrics | awk '/^apiserver_request_total.*resource="gitgates"/ &&
		/verb="(GET|LIST)"/ { sum += $NF } END { print sum + 0 }'
}

# crowd NAMESPACE GATE : adds to the reviews of a crowd a pod in that namespace that names that gate
crowd() {
	local n
	n=$(($(find "$work/crowd" -name '*.json' | wc -l) + 1))
	review 1 1 | jq --arg namespace "$1" --arg gate "$2" '.request.namespace = $namespace |
		.request.object.metadata.labels = {"gitgate.dev/gate": $gate}' >"$work/crowd/$n.json"
	printf 'next\nurl = "%s"\ndata = "@%s"\noutput = "%s"\nheader = "Content-Type: application/json"\ncacert = "%s"\n' \
		"$(url /mutate-pod)" "$work/crowd/$n.json" "$work/crowd/$n.out" "$work/tls.crt" >>"$work/crowd/config"
}

# crowd_refused : sends them, 30 at a time; each must be told that there is no such gate
crowd_refused() {
	sed -i 1d "$work/crowd/config"
	curl -sS --max-time 60 --parallel --parallel-max 30 --config "$work/crowd/config"
	jq -es --argjson n "$(find "$work/crowd" -name '*.json' | wc -l)" '
		map(select(.response.status.message | contains("there is no GitGate"))) | length == $n' "$work"/crowd/*.out
}

@test "pods that name gates which don't exist make few requests, and each is answered" {
	local before began asked took n
	mkdir "$work/crowd"
	for n in {1..150}; do crowd team-a "none-$n"; done
	before=$(lookups)
	began=$(date +%s%N)
	crowd_refused
	took=$((($(date +%s%N) - began) / 100000000)) # tenths of a second
	asked=$(($(lookups) - before))
	echo "$asked requests in $took tenths of a second"
	rm -r "$work/crowd"
	[ "$asked" -gt 0 ]
	[ "$asked" -le $((took + 2)) ]
}

@test "nor do made up namespaces, and none leads to another's gates" {
	local n
	mkdir "$work/crowd"
	for n in {1..100}; do crowd "made-up-$n" agents; done
	for n in {1..20}; do crowd .. agents; crowd .. "none-$n"; crowd ../../team-a agents; done
	crowd_refused
	rm -r "$work/crowd"
}

# verbs LIST : what the webhook may do with GitGates
verbs() {
	kubectl patch clusterrole gitgate-webhook --type=json \
		-p "[{\"op\": \"replace\", \"path\": \"/rules/0/verbs\", \"value\": [$1]}]"
}

@test "when the API server doesn't say whether there is such a GitGate, that is what the pod's maker reads" {
	verbs '"list", "watch"'
	wait_for 20 eval 'ns=team-a pod doubt none --dry-run=server 2>&1 | grep -q "the API server didn.t say"'
	verbs '"get", "list", "watch"'
	wait_for 20 eval 'ns=team-a pod doubt none --dry-run=server 2>&1 | grep -q "create it first, or correct the label$"'
}

@test "pods of a namespace whose GitGates are too much are told so; those of others get theirs" {
	local n
	kubectl create namespace heavy >/dev/null
	kubectl -n heavy create serviceaccount default >/dev/null
	for n in {0..45}; do ns=heavy heavy "$n"; done
	wait_for 20 eval 'ns=heavy pod too-much heavy-45 --dry-run=server 2>&1 | grep -q "of its namespace take more than the 32 MiB"'
	ns=heavy pod fits heavy-0 --dry-run=server
	ns=team-a pod other agents --dry-run=server
	kubectl delete namespace heavy --wait=false >/dev/null
}

@test "a pod that would get around the gate is refused with what to change" {
	ns=team-a spec=$'hostNetwork: true\n  containers: [{name: agent, image: agent}]' run ! pod refused agents
	[[ $output == *'spec.hostNetwork: remove it'* ]]
	ns=team-a spec='containers: [{name: agent, image: agent, securityContext: {capabilities: {add: [NET_ADMIN]}}}]' run ! pod refused agents
	[[ $output == *'remove NET_ADMIN'* ]]
}

@test "a running pod keeps its label and its gate's image" {
	ns=team-a pod keeps agents
	run ! kubectl -n team-a label pod keeps gitgate.dev/gate-
	[[ $output == *"can't be set, changed or removed"* ]]
	run ! kubectl -n team-a patch pod keeps --type=json \
		-p '[{"op": "replace", "path": "/spec/initContainers/1/image", "value": "other"}]'
	[[ $output == *'init container "gitgate" of a running pod'* ]]
	kubectl -n team-a label pod keeps other=label
}

@test "an ephemeral container gets its part, and none gets into the gate" {
	ns=team-a pod debugged agents
	kubectl -n team-a debug debugged --image=tools --profile=baseline --container=fine -q --attach=false
	run -0 kubectl -n team-a get pod debugged -o 'jsonpath={.spec.ephemeralContainers[0].securityContext.allowPrivilegeEscalation}'
	[ "$output" = false ]
	run ! kubectl -n team-a debug debugged --image=tools --profile=baseline --target=gitgate -q --attach=false
	[[ $output == *'choose another container'* ]]
	run ! kubectl -n team-a debug debugged --image=tools --profile=netadmin -q --attach=false
	[[ $output == *'remove NET_ADMIN'* ]]
}

@test "a label taken off by another webhook after injection does not pass" {
	run -0 --separate-stderr env ns=team-a bash -c "$(declare -f pod); pod stripped agents --dry-run=server -o json"
	run ! kubectl create -f - < <(jq 'del(.metadata.labels, .metadata.uid, .metadata.creationTimestamp, .status)' <<<"$output")
	[[ $output == *'the parts of a gate but no label'* ]]
}

@test "what is wrong with a GitGate is told, a line each" {
	run ! kubectl create -f - < <(gate team-a wrong null | sed 's|https://git.example.com|https://git@evil@git.example.com|')
	[[ $output == *'spec.upstreams[0].url'* ]]
}

@test "no object and no token stands in the log" {
	ns=team-a pod logged agents --dry-run=server
	run ! grep -E 'eyJ|volumeMounts"|kube-api-access|certificate-authority' "$work/log"
	jq -es 'map(select(.msg == "admission")) | last | .name == "logged" and .gate == "agents"' "$work/log"
}

@test "a plain container is what nodes without native sidecars get, and the API server takes it" {
	local port
	port=$(cat "$work/port")
	stop
	start "$port" --sidecar-mode=container
	ns=team-a spec=$'initContainers: [{name: first, image: i}]\n  containers: [{name: agent, image: agent}]' pod plain agents
	run -0 kubectl -n team-a get pod plain -o json
	stop
	start "$port"
	[ "$(jq -c '[.spec.initContainers, .spec.containers | map(.name)]' <<<"$output")" = '[["gitgate-isolate","first"],["gitgate","agent"]]' ]
	jq -e '.spec.containers[0].lifecycle.postStart.exec.command == ["gitgate-gate", "probe", "--wait"]' <<<"$output"
	jq -e '[.spec.containers[0].restartPolicy, .spec.initContainers[].restartPolicy] | all(. == null)' <<<"$output"
	# It keeps its image in this mode too.
	run ! kubectl -n team-a set image pod/plain gitgate=other
	[[ $output == *'container "gitgate" of a running pod'* ]]
}

@test "a webhook that is gone stops gated pods alone" {
	local port
	port=$(cat "$work/port")
	stop
	ns=team-a run ! pod gone agents
	[[ $output == *'failed calling webhook'* ]]
	ns=team-a ungated fine '{app: coding-agent}'
	kubectl -n team-a label pod fine other=label
	kubectl -n team-a delete pod fine --now
	start "$port"
	ns=team-a pod back agents
}
