#!/usr/bin/env bats
# shellcheck disable=SC2154 # bed, log and controller_pid are lib.bash's
# The controller against a real API server, with no more rights than manifests/rbac.yaml gives.

load lib
load controller

five_children() {
	printf '%s\n' ConfigMap/"$1"-gitgate-client ConfigMap/"$1"-gitgate-hooks \
		NetworkPolicy/"$1"-gitgate-egress NetworkPolicy/"$1"-gitgate-internal Secret/"$1"-gitgate-creds
}

data_keys() {
	kubectl -n "$ns" get secret "$1-gitgate-creds" -o json | jq -r '.data // {} | keys[]'
}

# arrives SECONDS COMMAND... : the command changes app-key; the next change of the gate's creds Secret must come within that, by the clock
# of one watch that tells of both.  The machine may stand still for a moment, so of five tries one must be in time.
arrives() {
	local limit=$1 seen=$BATS_TEST_TMPDIR/seen watcher took=
	shift
	: >"$seen"
	kubectl -n "$ns" get secrets --watch-only -o name 3>&- \
		> >(while read -r name; do echo "${EPOCHREALTIME/./} ${name#secret/}"; done >>"$seen") &
	watcher=$!
	# --watch-only gives no sign when it is open: touch the object until one comes back.
	until [ -s "$seen" ]; do
		kubectl -n "$ns" annotate secret agents-gitgate-creds test/touch="$RANDOM" --overwrite >/dev/null
	done
	for _ in 1 2 3 4 5; do
		: >"$seen"
		"$@" >/dev/null
		took=$(lag "$seen")
		echo "after $took ms" >&3
		[ "$took" -ge $((limit * 1000)) ] || break
	done
	kill "$watcher"
	wait "$watcher" || :
	[ "$took" -lt $((limit * 1000)) ]
}

# lag FILE : milliseconds from the first change of app-key in it to the next one of the gate's Secret
lag() {
	local at name from=''
	while read -r at name; do
		case $name in
		app-key) from=${from:-$at} ;;
		agents-gitgate-creds) [ -z "$from" ] || { echo $(((at - from) / 1000)); return; } ;;
		esac
	done < <(timeout 30 tail -n +1 -f "$1")
	return 1
}

# new_key : another key in app-key, in the file $BATS_TEST_TMPDIR/app too
new_key() {
	secret app-key "$(key app)"
}

# key_comes : app-key, which was missing
key_comes() {
	kubectl -n "$ns" delete secret app-key --ignore-not-found
	new_key
}

@test "a GitGate becomes ConfigMaps, a Secret and two NetworkPolicies, all its own" {
	controller_start
	secret app-key "$(key app)" >/dev/null
	gate agents "$(upstream app)"
	condition agents Ready True Ready
	diff <(children agents) <(five_children agents)
	[ "$(data_keys agents | paste -sd' ')" = "app-key app-known_hosts" ]
	uid=$(kubectl -n "$ns" get gitgate agents -o jsonpath='{.metadata.uid}')
	kubectl -n "$ns" get configmaps,secrets,networkpolicies -l gitgate.dev/gate=agents -o json |
		jq -e --arg uid "$uid" '.items | length == 5 and all(.metadata.ownerReferences | length == 1 and
			all(.uid == $uid and .controller and .kind == "GitGate" and .name == "agents"))'
	# The egress policy names the upstream's address and port, and nothing else is open.
	kubectl -n "$ns" get networkpolicy agents-gitgate-egress -o json |
		jq -e '[.spec.egress[].to[].ipBlock.cidr] == ["127.0.0.1/32"] and .spec.egress[0].ports[0].port == 2222'
	run -0 kubectl -n "$ns" get gitgate agents
	[[ $output == *Sidecar*1/1*0*True* ]]
	controller_stop
}

@test "deleting the GitGate takes its objects with it, and its Secret's source stays" {
	controller_start
	secret app-key "$(key app)" >/dev/null
	gate agents "$(upstream app)"
	condition agents Ready True
	kubectl -n "$ns" delete gitgate agents
	kubectl -n "$ns" wait --for=delete --timeout=60s secret/agents-gitgate-creds \
		configmap/agents-gitgate-hooks configmap/agents-gitgate-client \
		networkpolicy/agents-gitgate-internal networkpolicy/agents-gitgate-egress
	kubectl -n "$ns" get secret app-key
	# The same name again is another GitGate.
	gate agents "$(upstream app)"
	condition agents Ready True
	controller_stop
}

@test "a missing Secret is a condition that names it; when it comes, the gate is ready within a second" {
	controller_start
	gate agents "$(upstream app)"
	condition agents Ready False SecretNotFound
	kubectl -n "$ns" get gitgate agents -o json |
		jq -e '.status.conditions[] | select(.type == "CredentialsResolved").message | contains("app-key")'
	five_children agents | diff <(children agents) -
	arrives 1 key_comes
	condition agents Ready True
	[ "$(data_keys agents | paste -sd' ')" = "app-key app-known_hosts" ]
	controller_stop
}

@test "a scan's configuration reaches the gate; a condition says why it doesn't, and of which rule it is slow" {
	controller_start
	secret app-key "$(key app)" >/dev/null
	gate agents "$(upstream app)"
	kubectl -n "$ns" patch gitgate agents --type=merge -p '{"spec": {"scan": {"configMapRef": {"name": "rules"}}}}' >/dev/null
	condition agents CredentialsResolved False ConfigMapNotFound
	[ "$(data_keys agents | paste -sd' ')" = "app-key app-known_hosts" ]
	printf '[[rules]]\nid = "a"\nregex = "b{2}"\n' >"$BATS_TEST_TMPDIR/gitleaks.toml"
	kubectl -n "$ns" create configmap rules --from-file="$BATS_TEST_TMPDIR/gitleaks.toml" >/dev/null
	condition agents CredentialsResolved True
	kubectl -n "$ns" get secret agents-gitgate-creds -o jsonpath='{.data.gitleaks\.toml}' | base64 -d | diff - "$BATS_TEST_TMPDIR/gitleaks.toml"
	kubectl -n "$ns" patch configmap rules -p '{"data": {"gitleaks.toml": "[[rules]]\nid = \"slow\"\nregex = \"b*\"\n"}}' >/dev/null
	condition agents CredentialsResolved False CredentialUnusable
	kubectl -n "$ns" get gitgate agents -o json |
		jq -e '.status.conditions[] | select(.type == "CredentialsResolved").message | contains("rule \"slow\"")'
	controller_stop
}

@test "a rotated key reaches the credentials within a second; nothing else is written" {
	controller_start
	secret app-key "$(key app)" >/dev/null
	gate agents "$(upstream app)"
	condition agents Ready True
	versions agents | grep -v Secret/ >"$BATS_TEST_TMPDIR/before"
	arrives 1 new_key
	kubectl -n "$ns" get secret agents-gitgate-creds -o jsonpath='{.data.app-key}' | base64 -d | diff - "$BATS_TEST_TMPDIR/app"
	versions agents | grep -v Secret/ | diff "$BATS_TEST_TMPDIR/before" -
	controller_stop
}

@test "a Secret that turns unusable takes its credential away; the other upstream goes on" {
	controller_start
	secret app-key "$(key app)" >/dev/null
	secret lib-key "$(key lib)" >/dev/null
	gate agents "$(upstream app)" "$(upstream lib)"
	condition agents Ready True
	printf 'no key at all\n' >"$BATS_TEST_TMPDIR/broken"
	secret lib-key "$BATS_TEST_TMPDIR/broken" >/dev/null
	condition agents Ready False CredentialUnusable
	[ "$(data_keys agents | paste -sd' ')" = "app-key app-known_hosts" ]
	kubectl -n "$ns" wait gitgate/agents --for=jsonpath='{.status.upstreamsReady}'=1/2 --timeout=30s
	kubectl -n "$ns" get gitgate agents -o json | lacks 'no key at all'
	controller_stop
}

@test "a key that OpenSSH can't read is told with the reason; the other upstream goes on" {
	controller_start
	secret app-key "$(key app)" >/dev/null
	secret lib-key "$(key lib)" >/dev/null
	gate agents "$(upstream app)" "$(upstream lib)"
	condition agents Ready True
	bad=$BATS_TEST_TMPDIR/bad
	# refused REASON-TEXT : of the file $bad as the key
	refused() {
		secret lib-key "$bad" >/dev/null
		condition agents CredentialsResolved False CredentialUnusable
		timeout 20 bash -c 'until kubectl -n "$0" get gitgate agents -o json | jq -e --arg text "$1" ".status.conditions[] |
			select(.type == \"CredentialsResolved\").message | startswith(\"lib: \") and contains(\$text)" >/dev/null; do sleep 0.2; done' "$ns" "$1"
		[ "$(data_keys agents | paste -sd' ')" = "app-key app-known_hosts" ]
		ssh-keygen -y -P '' -f "$bad" >/dev/null 2>&1 && { echo "ssh-keygen reads it"; return 1; }
		secret lib-key "$BATS_TEST_TMPDIR/lib" >/dev/null
		condition agents Ready True
	}
	for type in ed25519 ecdsa rsa; do
		rm -f "$bad"*
		ssh-keygen -q -t "$type" -N 'a passphrase' -f "$bad"
		refused passphrase
		rm -f "$bad"*
		ssh-keygen -q -t "$type" -N 'a passphrase' -m PEM -f "$bad"
		refused passphrase
	done
	install -m 600 "$BATS_TEST_TMPDIR/lib" "$bad"
	sed -i 's/$/\r/' "$bad"
	refused 'CR LF'
	head -c 200 "$BATS_TEST_TMPDIR/lib" >"$bad"
	refused damaged
	sed '3s/^...../AAAAA/' "$BATS_TEST_TMPDIR/lib" | sed '2d' >"$bad"
	refused damaged
	# What it does read is taken: the other formats.
	for type in ecdsa rsa; do
		rm -f "$BATS_TEST_TMPDIR/good"*
		ssh-keygen -q -t "$type" -N '' -m PEM -f "$BATS_TEST_TMPDIR/good"
		secret lib-key "$BATS_TEST_TMPDIR/good" >/dev/null
		holds agents-gitgate-creds lib-key "$(cat "$BATS_TEST_TMPDIR/good")"
	done
	condition agents Ready True
	controller_stop
}

@test "what is deleted, edited or stripped of its labels is put right again" {
	controller_start
	secret app-key "$(key app)" >/dev/null
	gate agents "$(upstream app)"
	condition agents Ready True
	get() { kubectl -n "$ns" get "$@"; }
	hooks=$(get configmap agents-gitgate-hooks -o json | jq -S .data)
	egress=$(get networkpolicy agents-gitgate-egress -o json | jq -S .spec)

	kubectl -n "$ns" delete configmap agents-gitgate-hooks
	kubectl -n "$ns" wait --for=create configmap/agents-gitgate-hooks --timeout=30s
	[ "$(get configmap agents-gitgate-hooks -o json | jq -S .data)" = "$hooks" ]

	version=$(get configmap agents-gitgate-hooks -o jsonpath='{.metadata.resourceVersion}')
	kubectl -n "$ns" patch configmap agents-gitgate-hooks --type merge -p '{"data":{"pre-receive":"#!/bin/sh\nexit 0\n"}}'
	kubectl -n "$ns" wait configmap/agents-gitgate-hooks --timeout=30s \
		--for=jsonpath='{.data.pre-receive}'="$(jq -r '."pre-receive"' <<<"$hooks")"
	[ "$(get configmap agents-gitgate-hooks -o json | jq -S .data)" = "$hooks" ]
	[ "$(get configmap agents-gitgate-hooks -o jsonpath='{.metadata.resourceVersion}')" != "$version" ]

	kubectl -n "$ns" patch networkpolicy agents-gitgate-egress --type merge -p '{"spec":{"egress":[{}]}}'
	kubectl -n "$ns" wait networkpolicy/agents-gitgate-egress --timeout=30s \
		--for=jsonpath='{.spec.egress[0].ports[0].port}'=2222
	[ "$(get networkpolicy agents-gitgate-egress -o json | jq -S .spec)" = "$egress" ]

	kubectl -n "$ns" patch secret agents-gitgate-creds --type merge -p '{"data":{"app-known_hosts":"eA=="}}'
	holds agents-gitgate-creds app-known_hosts "[127.0.0.1]:2222 $(upstream app | jq -r '.ssh.knownHostKeys[0]')"

	kubectl -n "$ns" label configmap agents-gitgate-client gitgate.dev/gate-
	kubectl -n "$ns" wait configmap/agents-gitgate-client --timeout=30s \
		--for=jsonpath='{.metadata.labels.gitgate\.dev/gate}'=agents
	kubectl -n "$ns" annotate configmap agents-gitgate-client gitgate.dev/applied-
	kubectl -n "$ns" wait configmap/agents-gitgate-client --timeout=30s \
		--for=jsonpath='{.metadata.annotations.gitgate\.dev/applied}'
	controller_stop
}

# data CONFIGMAP
data() {
	kubectl -n "$ns" get configmap "$1" -o json | jq -S '[.data, .binaryData]'
}

data_equals() { [ "$(data "$1")" = "$2" ]; }

# data_is CONFIGMAP JSON : waits until data says so
data_is() {
	wait_for 30 data_equals "$@" || { kubectl -n "$ns" get configmap "$1" -o yaml --show-managed-fields; false; }
}

@test "an edit that names no other manager is put right too: a key taken away, a write under our name" {
	controller_start
	secret app-key "$(key app)" >/dev/null
	gate agents "$(upstream app)"
	condition agents Ready True
	hooks=$(data agents-gitgate-hooks)
	as_we=(--field-manager gitgate-controller)
	# Once as it was created, once as it was applied since.
	for _ in 1 2; do
		kubectl -n "$ns" patch configmap agents-gitgate-hooks --type merge -p '{"data":{"pre-receive":null}}' >/dev/null
		data_is agents-gitgate-hooks "$hooks"
		kubectl -n "$ns" patch configmap agents-gitgate-hooks --type merge "${as_we[@]}" -p '{"data":{"pre-receive":"x","more":"y"}}' >/dev/null
		data_is agents-gitgate-hooks "$hooks"
		kubectl -n "$ns" get configmap agents-gitgate-hooks -o json | jq '.data += {"pre-receive": "#!/bin/sh\n", more: "y"} |
			.metadata |= {name, labels, annotations, ownerReferences}' | kubectl -n "$ns" apply --server-side --force-conflicts "${as_we[@]}" -f - >/dev/null
		data_is agents-gitgate-hooks "$hooks"
	done
	kubectl -n "$ns" annotate configmap agents-gitgate-hooks test.invalid/somebody=else >/dev/null
	versions agents >"$BATS_TEST_TMPDIR/before"
	gate marker "$(upstream app)"
	condition marker Ready True
	versions agents | grep -v marker | diff "$BATS_TEST_TMPDIR/before" -
	controller_stop
}

# is_older_than OBJECT SECONDS
is_older_than() {
	[ $(($(date +%s) - $(date -d "$(kubectl -n "$ns" get "$1" -o jsonpath='{.metadata.creationTimestamp}')" +%s))) -gt "$2" ]
}

@test "a write under our name while no controller runs is put right by the next start, and the start after that writes nothing" {
	controller_start
	secret app-key "$(key app)" >/dev/null
	gate agents "$(upstream app)"
	condition agents Ready True
	controller_stop
	hooks=$(data agents-gitgate-hooks)
	wait_for 10 is_older_than configmap/agents-gitgate-hooks 2
	kubectl -n "$ns" patch configmap agents-gitgate-hooks --type merge --field-manager gitgate-controller -p '{"data":{"pre-receive":"x"}}' >/dev/null
	controller_start
	data_is agents-gitgate-hooks "$hooks"
	controller_stop
	versions agents >"$BATS_TEST_TMPDIR/before"
	controller_start
	gate marker "$(upstream app)"
	condition marker Ready True
	versions agents | grep -v marker | diff "$BATS_TEST_TMPDIR/before" -
	controller_stop
}

# In most of these the answer to a write comes after the watch has told of it; in some before. What was
# remembered of the write must not outlive what the watch tells, or the deletion would not be seen.
@test "of many that are deleted once they are there each is made again" {
	controller_start
	secret app-key "$(key app)" >/dev/null
	for i in {1..40}; do gate "gate-$i" "$(upstream app)"; done >/dev/null
	kubectl -n "$ns" wait gitgate --all --timeout=30s --for=condition=Ready >/dev/null
	for kind in configmap networkpolicy; do
		kubectl -n "$ns" get "$kind" -l gitgate.dev/gate -o name >"$BATS_TEST_TMPDIR/$kind"
		[ "$(wc -l <"$BATS_TEST_TMPDIR/$kind")" = 80 ]
		kubectl -n "$ns" delete "$kind" -l gitgate.dev/gate >/dev/null
	done
	for kind in configmap networkpolicy; do
		# shellcheck disable=SC2046 # a list
		kubectl -n "$ns" wait --for=create $(cat "$BATS_TEST_TMPDIR/$kind") --timeout=60s >/dev/null
	done
	controller_stop
}

@test "what others put beside our fields goes again: keys, and labels that narrow a policy" {
	controller_start
	secret app-key "$(key app)" >/dev/null
	gate agents "$(upstream app)"
	condition agents Ready True
	get() { kubectl -n "$ns" get "$@"; }
	hooks=$(get configmap agents-gitgate-hooks -o json | jq -S '[.data, .binaryData]')
	creds=$(get secret agents-gitgate-creds -o json | jq -S .data)
	internal=$(get networkpolicy agents-gitgate-internal -o json | jq -S .spec)
	# is KIND NAME FILTER TEXT : waits until the object is so again
	is() {
		timeout 30 bash -c 'until [ "$(kubectl -n "$0" get "$1" "$2" -o json | jq -S "$3")" = "$4" ]; do sleep 0.2; done' "$ns" "$@" ||
			{ get "$1" "$2" -o yaml --show-managed-fields; false; }
	}
	kubectl -n "$ns" patch configmap agents-gitgate-hooks --type merge -p '{"data":{"post-receive":"#!/bin/sh\n"},"binaryData":{"x":"eA=="}}' >/dev/null
	is configmap agents-gitgate-hooks '[.data, .binaryData]' "$hooks"
	kubectl -n "$ns" patch secret agents-gitgate-creds --type merge -p '{"data":{"other-key":"eA=="}}' >/dev/null
	is secret agents-gitgate-creds .data "$creds"
	kubectl -n "$ns" patch networkpolicy agents-gitgate-internal --type merge \
		-p '{"spec":{"podSelector":{"matchLabels":{"nobody":"has-it"}}}}' >/dev/null
	is networkpolicy agents-gitgate-internal .spec "$internal"
	# By server-side apply it is another manager's field, and goes too.
	printf '%s' '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "agents-gitgate-client"}, "data": {"more": "x"}}' |
		kubectl -n "$ns" apply --server-side --field-manager other -f - >/dev/null
	is configmap agents-gitgate-client '.data | keys | map(select(. == "more"))' '[]'
	versions agents >"$BATS_TEST_TMPDIR/before"
	gate marker "$(upstream app)"
	condition marker Ready True
	versions agents | grep -v marker | diff "$BATS_TEST_TMPDIR/before" -
	controller_stop
}

@test "a namespace that is being deleted: no warning, and no write again and again" {
	controller_start
	secret app-key "$(key app)" >/dev/null
	gate agents "$(upstream app)"
	condition agents Ready True
	# Something holds the namespace; its GitGate stays too, and its objects go.
	kubectl -n "$ns" create configmap held >/dev/null
	kubectl -n "$ns" patch configmap held --type merge -p '{"metadata":{"finalizers":["test.invalid/hold"]}}' >/dev/null
	kubectl -n "$ns" patch gitgate agents --type merge -p '{"metadata":{"finalizers":["test.invalid/hold"]}}' >/dev/null
	# The namespace's controller goes through the kinds in any order, and a GitGate that is marked first
	# is not looked at any more. So it waits until an object has gone.
	cluster_controllers STOP
	kubectl delete namespace "$ns" --wait=false >/dev/null
	kubectl -n "$ns" delete configmap agents-gitgate-hooks >/dev/null
	logged 'the namespace is being deleted'
	cluster_controllers CONT
	kubectl -n "$ns" wait --for=delete configmap/agents-gitgate-hooks secret/agents-gitgate-creds --timeout=60s
	kubectl -n "$ns" patch gitgate agents --type merge -p '{"metadata":{"finalizers":null}}' >/dev/null
	kubectl -n "$ns" patch configmap held --type merge -p '{"metadata":{"finalizers":null}}' >/dev/null
	kubectl wait --for=delete "namespace/$ns" --timeout=60s
	lacks '"warn"' <"$log"
	[ "$(grep -c 'the namespace is being deleted' "$log")" -le 40 ]
	controller_stop
}

@test "an object of that name that is not ours is left alone and named; gone, ours is made" {
	controller_start
	kubectl -n "$ns" create configmap agents-gitgate-hooks --from-literal=mine=yes
	kubectl -n "$ns" create secret generic agents-gitgate-creds --from-literal=mine=yes
	secret app-key "$(key app)" >/dev/null
	gate agents "$(upstream app)"
	condition agents Rendered False NameCollision
	message=$(kubectl -n "$ns" get gitgate agents -o jsonpath='{.status.conditions[?(@.type=="Rendered")].message}')
	[[ $message == *"ConfigMap agents-gitgate-hooks"* && $message == *"Secret agents-gitgate-creds"* ]]
	kubectl -n "$ns" get configmap agents-gitgate-hooks -o json |
		jq -e '.data == {mine: "yes"} and (.metadata | has("ownerReferences") or has("labels") | not)'
	kubectl -n "$ns" get secret agents-gitgate-creds -o json | jq -e '.data | keys == ["mine"]'
	kubectl -n "$ns" delete configmap/agents-gitgate-hooks secret/agents-gitgate-creds
	condition agents Ready True
	controller_stop
}

@test "a removed upstream's credentials go" {
	controller_start
	secret app-key "$(key app)" >/dev/null
	secret lib-key "$(key lib)" >/dev/null
	gate agents "$(upstream app)" "$(upstream lib)"
	condition agents Ready True
	[ "$(data_keys agents | paste -sd' ')" = "app-key app-known_hosts lib-key lib-known_hosts" ]
	gate agents "$(upstream app)"
	kubectl -n "$ns" wait gitgate/agents --for=jsonpath='{.status.observedGeneration}'=2 --timeout=30s
	[ "$(data_keys agents | paste -sd' ')" = "app-key app-known_hosts" ]
	kubectl -n "$ns" get gitgate agents -o json | jq -e '[.status.upstreams[].name] == ["app"]'
	# And no second manager is left from its creation, which would keep them another time.
	kubectl -n "$ns" get secret agents-gitgate-creds -o json --show-managed-fields |
		jq -e '[.metadata.managedFields[] | .manager + " " + .operation] == ["gitgate-controller Apply"]'
	controller_stop
}

@test "without network policy the policies go" {
	controller_start
	secret app-key "$(key app)" >/dev/null
	gate agents "$(upstream app)"
	condition agents Ready True
	kubectl -n "$ns" patch gitgate agents --type merge -p '{"spec":{"network":{"policy":"None"}}}'
	kubectl -n "$ns" wait --for=delete networkpolicy/agents-gitgate-egress networkpolicy/agents-gitgate-internal --timeout=30s
	condition agents Ready True
	controller_stop
}

@test "a host that has no address closes its way and says so; the other objects are there" {
	controller_start
	secret app-key "$(key app)" >/dev/null
	gate agents "$(upstream app nowhere.invalid)"
	condition agents UpstreamsResolved False NotResolved
	five_children agents | diff <(children agents) -
	kubectl -n "$ns" get networkpolicy agents-gitgate-egress -o json |
		jq -e '[.spec.egress[]? | select(any(.to[]?; has("ipBlock")))] == []'
	controller_stop
}

@test "after a restart with nothing changed nothing is written" {
	controller_start
	secret app-key "$(key app)" >/dev/null
	gate agents "$(upstream app)"
	gate others "$(upstream app)" "$(upstream missing)"
	condition agents Ready True
	condition others Ready False SecretNotFound
	controller_stop
	versions agents >"$BATS_TEST_TMPDIR/before"
	controller_start
	# The first thing that is written after the restart is the new gate: all before it was right.
	gate marker "$(upstream app)"
	condition marker Ready True
	grep '"reconciled"' "$log" | grep -v '"gitgate":"marker"' | lacks "\"$ns\""
	versions agents | grep -v marker | diff "$BATS_TEST_TMPDIR/before" -
	controller_stop
}

@test "what changed while it was away is put right at its start" {
	controller_start
	secret app-key "$(key app)" >/dev/null
	gate agents "$(upstream app)"
	condition agents Ready True
	controller_stop
	second=$(key second)
	secret app-key "$second" >/dev/null
	kubectl -n "$ns" delete networkpolicy agents-gitgate-internal
	kubectl -n "$ns" patch networkpolicy agents-gitgate-egress --type merge -p '{"spec":{"egress":[{}]}}'
	hooks=$(data agents-gitgate-hooks)
	kubectl -n "$ns" patch configmap agents-gitgate-hooks --type merge -p '{"data":{"pre-receive":null}}'
	controller_start
	data_is agents-gitgate-hooks "$hooks"
	kubectl -n "$ns" wait --for=create networkpolicy/agents-gitgate-internal --timeout=30s
	kubectl -n "$ns" wait networkpolicy/agents-gitgate-egress --for=jsonpath='{.spec.egress[0].ports[0].port}'=2222 --timeout=30s
	holds agents-gitgate-creds app-key "$(cat "$second")"
	controller_stop
}
