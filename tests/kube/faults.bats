#!/usr/bin/env bats
# shellcheck disable=SC2154 # bed, log and controller_pid are lib.bash's
# What goes wrong around the controller, with a real API server: it converges and loses nothing.

load lib

setup_file() {
	bed_up
	service_account_config gitgate-controller "$BATS_FILE_TMPDIR/controller.kubeconfig"
}
teardown_file() { bed_down; }

setup() {
	controller_pid= other_pid=
	ns=t$BATS_TEST_NUMBER
	kubectl create namespace "$ns" >/dev/null
}

teardown() {
	controller_kill
	[ -z "${other_pid:-}" ] || kill -KILL "$other_pid" 2>/dev/null || :
	lease_free # whoever held it was killed, or is about to be
}

descriptors() {
	find "/proc/$controller_pid/fd" -mindepth 1 | wc -l
}

@test "an API server that is killed and comes back: what happened meanwhile is caught up with" {
	controller_start
	secret app-key "$(key app)" >/dev/null
	gate agents "$(upstream app)"
	condition agents Ready True
	before=$(descriptors)
	for round in 1 2; do
		"$GITGATE_SOURCE/tests/cluster/apiserver" restart "$bed"
		# Not waited for: changes come while the watches are still down.
		secret app-key "$(key "round$round")" >/dev/null
		kubectl -n "$ns" delete configmap agents-gitgate-hooks
		gate "new$round" "$(upstream app)"
		condition "new$round" Ready True
		kubectl -n "$ns" wait --for=create configmap/agents-gitgate-hooks --timeout=30s
		holds agents-gitgate-creds app-key "$(cat "$BATS_TEST_TMPDIR/round$round")"
	done
	[ "$(descriptors)" -le $((before + 4)) ]
	controller_stop
}

@test "a controller that starts before the CRD waits for it" {
	kubectl delete crd gitgates.gitgate.dev
	log=$BATS_TEST_TMPDIR/early.log
	"$GITGATE_BIN/gitgate-controller" --kubeconfig "$BATS_FILE_TMPDIR/controller.kubeconfig" 2>"$log" 3>&- &
	controller_pid=$!
	logged '"resource":"gitgates"'
	kubectl apply --server-side -f "$GITGATE_SOURCE/manifests/crd.yaml"
	logged 'all is listed'
	secret app-key "$(key app)" >/dev/null
	gate agents "$(upstream app)"
	condition agents Ready True
	controller_stop
}

@test "a CRD that is deleted and made again under a running controller" {
	controller_start
	secret app-key "$(key app)" >/dev/null
	gate agents "$(upstream app)"
	condition agents Ready True
	before=$(descriptors)
	for round in 1 2; do
		kubectl delete crd gitgates.gitgate.dev --timeout=60s >/dev/null
		failed=$(grep -c '"resource":"gitgates"' "$log" || :)
		timeout 60 bash -c 'until [ "$(grep -c "\"resource\":\"gitgates\"" "$0")" -gt "$1" ]; do sleep 0.2; done' "$log" "$failed"
		kubectl apply --server-side -f "$GITGATE_SOURCE/manifests/crd.yaml" >/dev/null
		kubectl wait --for=condition=Established crd/gitgates.gitgate.dev --timeout=30s >/dev/null
		timeout 60 bash -c 'until kubectl -n "$0" get gitgates >/dev/null 2>&1; do sleep 0.2; done' "$ns"
		gate "again$round" "$(upstream app)"
		kubectl -n "$ns" wait "gitgate/again$round" --for=jsonpath='{.status.conditions[?(@.type=="Ready")].status}'=True --timeout=60s >/dev/null
	done
	[ "$(descriptors)" -le $((before + 8)) ]
	controller_stop
}

@test "etcd that is killed and comes back" {
	controller_start
	secret app-key "$(key app)" >/dev/null
	gate agents "$(upstream app)"
	condition agents Ready True
	before=$(descriptors)
	"$GITGATE_SOURCE/tests/cluster/apiserver" restart-etcd "$bed"
	secret app-key "$(key other)" >/dev/null
	kubectl -n "$ns" delete configmap agents-gitgate-hooks >/dev/null
	gate more "$(upstream app)"
	kubectl -n "$ns" wait gitgate/more --for=jsonpath='{.status.conditions[?(@.type=="Ready")].status}'=True --timeout=60s >/dev/null
	kubectl -n "$ns" wait --for=create configmap/agents-gitgate-hooks --timeout=60s >/dev/null
	holds agents-gitgate-creds app-key "$(cat "$BATS_TEST_TMPDIR/other")"
	[ "$(descriptors)" -le $((before + 8)) ]
	controller_stop
}

@test "1,000 GitGates that were made while it was away" {
	secret app-key "$(key app)" >/dev/null
	gates 1000 "$(upstream app)"
	controller_start
	before=$(descriptors)
	kubectl -n "$ns" wait gitgates --all --for=jsonpath='{.status.conditions[?(@.type=="Ready")].status}'=True --timeout=900s >/dev/null
	[ "$(kubectl -n "$ns" get configmaps,secrets,networkpolicies -l app.kubernetes.io/managed-by=gitgate -o name | wc -l)" = 5000 ]
	# Each once: five objects and the status.
	wait_for 10 written_in 6 1000
	[ "$(descriptors)" -le $((before + 8)) ]
	controller_stop
}

@test "what comes to GitGates while their statuses wait for others' objects is in their statuses" {
	secret app-key "$(key app)" >/dev/null
	gates 300 "$(upstream app)"
	controller_start
	kubectl -n "$ns" wait --for=create configmap/gate-10-gitgate-client --timeout=30s >/dev/null
	# Of those whose objects are there already: one asks for what isn't there, one loses an object, one is another GitGate of its name.
	kubectl -n "$ns" patch gitgate gate-1 --type=json -p '[{"op": "replace", "path": "/spec/upstreams/0/ssh/secretRef/name", "value": "gone"}]' >/dev/null
	kubectl -n "$ns" delete configmap gate-10-gitgate-hooks >/dev/null
	kubectl -n "$ns" delete gitgate gate-100 --wait >/dev/null
	gate gate-100 "$(upstream app)" "$(upstream other)" >/dev/null
	condition gate-1 CredentialsResolved False SecretNotFound
	condition gate-100 Rendered False NameCollision # nothing collects what the one before it owned
	[ "$(kubectl -n "$ns" get gitgate gate-1 -o jsonpath='{.status.observedGeneration}')" = 2 ]
	[ "$(kubectl -n "$ns" get gitgate gate-100 -o jsonpath='{.status.upstreams[*].name}')" = 'app other' ]
	kubectl -n "$ns" get gitgates -o name | grep -vxF -e gitgate.gitgate.dev/gate-1 -e gitgate.gitgate.dev/gate-100 |
		xargs kubectl -n "$ns" wait --for=jsonpath='{.status.conditions[?(@.type=="Ready")].status}'=True --timeout=300s >/dev/null
	kubectl -n "$ns" get configmap gate-10-gitgate-hooks >/dev/null
	controller_stop
}

@test "rights that are taken away and given back" {
	controller_start
	secret app-key "$(key app)" >/dev/null
	kubectl delete clusterrolebinding gitgate-controller
	# The API server itself hears of it by a watch.
	timeout 30 bash -c 'while kubectl -n "$0" auth can-i create secrets --quiet \
		--as system:serviceaccount:gitgate-system:gitgate-controller; do sleep 0.2; done' "$ns"
	gate agents "$(upstream app)"
	logged 'forbidden'
	kubectl apply --server-side -f "$GITGATE_SOURCE/manifests/rbac.yaml"
	condition agents Ready True
	controller_stop
}

@test "a NUL character in somebody's annotation stops nothing, at start and while it runs" {
	kubectl create --raw "/api/v1/namespaces/$ns/configmaps" -f - >/dev/null <<-'END'
		{"metadata": {"name": "before", "annotations": {"a": "x\u0000y"}}}
	END
	controller_start
	kubectl create --raw "/api/v1/namespaces/$ns/configmaps" -f - >/dev/null <<-'END'
		{"metadata": {"name": "while", "annotations": {"a": "\u0000"}}}
	END
	secret app-key "$(key app)" >/dev/null
	gate agents "$(upstream app)"
	condition agents Ready True
	lacks 'watch failed' <"$log"
	controller_stop
}

@test "a NUL character in a source Secret: in an annotation it is none's business, in the key it is told" {
	controller_start
	secret app-key "$(key app)" >/dev/null
	kubectl -n "$ns" get secret app-key -o json |
		jq '{apiVersion, kind, type, data, metadata: {name: "app-key", annotations: {"test/nul": "x\u0000y"}}}' >"$BATS_TEST_TMPDIR/secret.json"
	kubectl -n "$ns" delete secret app-key >/dev/null
	kubectl create --raw "/api/v1/namespaces/$ns/secrets" -f "$BATS_TEST_TMPDIR/secret.json" >/dev/null
	gate agents "$(upstream app)"
	condition agents Ready True
	{ cat "$BATS_TEST_TMPDIR/app"; head -c 1 /dev/zero; } >"$BATS_TEST_TMPDIR/nul"
	secret app-key "$BATS_TEST_TMPDIR/nul" >/dev/null
	condition agents Ready False CredentialUnusable
	kubectl -n "$ns" get gitgate agents -o json | jq -e '.status.conditions[] | select(.type == "CredentialsResolved").message |
		contains("the key ssh-privatekey of Secret \"app-key\" is empty or not text")'
	lacks 'memory is short' <"$log"
	controller_stop
}

@test "a kubeconfig that asks for a program is refused by name" {
	kubectl config view --raw --minify -o json |
		jq '.users[0].user = {exec: {command: "id"}}' >"$BATS_TEST_TMPDIR/exec.kubeconfig"
	run -1 "$GITGATE_BIN/gitgate-controller" --kubeconfig "$BATS_TEST_TMPDIR/exec.kubeconfig"
	[[ $output == *"exec is not supported"* ]]
}

@test "an API server that an unknown authority signed is not talked to" {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /dev/null \
		-out "$BATS_TEST_TMPDIR/other.crt" -subj /CN=other -days 1 2>/dev/null
	kubectl config view --raw --minify -o json |
		jq --arg ca "$(base64 -w0 "$BATS_TEST_TMPDIR/other.crt")" \
			'.clusters[0].cluster."certificate-authority-data" = $ca' >"$BATS_TEST_TMPDIR/other.kubeconfig"
	log=$BATS_TEST_TMPDIR/other.log
	"$GITGATE_BIN/gitgate-controller" --kubeconfig "$BATS_TEST_TMPDIR/other.kubeconfig" 2>"$log" 3>&- &
	controller_pid=$!
	logged 'certificate'
	lacks 'all is listed' <"$log"
	controller_stop
}

# start_on_host KUBECONFIG LOG : a controller on a host that trusts the API server's authority
start_on_host() {
	log=$2
	LD_PRELOAD=$BATS_TEST_TMPDIR/host.so HOST_AUTHORITIES=$BATS_TEST_TMPDIR/host ASAN_OPTIONS=verify_asan_link_order=0 \
		"$GITGATE_BIN/gitgate-controller" --kubeconfig "$1" 2>"$log" 3>&- &
	controller_pid=$!
}

@test "an authority that the host trusts counts only where the kubeconfig names none" {
	mkdir "$BATS_TEST_TMPDIR/host"
	cp "$bed/ca.crt" "$BATS_TEST_TMPDIR/host/ca-certificates.crt"
	cp "$bed/ca.crt" "$BATS_TEST_TMPDIR/host/$(openssl x509 -noout -hash -in "$bed/ca.crt").0"
	"${CC:-cc}" -shared -fPIC -o "$BATS_TEST_TMPDIR/host.so" "$GITGATE_SOURCE/tests/kube/host_authorities.c"
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /dev/null \
		-out "$BATS_TEST_TMPDIR/other.crt" -subj /CN=other -days 1 2>/dev/null
	jq 'del(.clusters[0].cluster."certificate-authority-data")' \
		"$BATS_FILE_TMPDIR/controller.kubeconfig" >"$BATS_TEST_TMPDIR/none.kubeconfig"
	jq --arg ca "$(base64 -w0 "$BATS_TEST_TMPDIR/other.crt")" '.clusters[0].cluster."certificate-authority-data" = $ca' \
		"$BATS_FILE_TMPDIR/controller.kubeconfig" >"$BATS_TEST_TMPDIR/other.kubeconfig"
	start_on_host "$BATS_TEST_TMPDIR/none.kubeconfig" "$BATS_TEST_TMPDIR/none.log"
	logged 'all is listed'
	controller_stop
	start_on_host "$BATS_TEST_TMPDIR/other.kubeconfig" "$BATS_TEST_TMPDIR/other.log"
	logged 'certificate'
	lacks 'all is listed' <"$log"
	controller_stop
}

# lease_time FIELD : of the lease, in seconds
lease_time() {
	date -d "$(kubectl -n gitgate-system get lease gitgate-controller -o jsonpath="{.spec.$1}")" +%s
}

# standby : a second controller, $other_pid, its log in $other_log; returns when it has listed all
standby() {
	local first=$controller_pid first_log=$log
	log=$BATS_TEST_TMPDIR/standby.log
	"$GITGATE_BIN/gitgate-controller" --kubeconfig "$BATS_FILE_TMPDIR/controller.kubeconfig" 2>"$log" 3>&- &
	controller_pid=$!
	logged 'all is listed'
	other_pid=$controller_pid other_log=$log controller_pid=$first log=$first_log
}

@test "two replicas: the leader is killed; the other takes over within the lease time, and no object flaps" {
	controller_start
	secret app-key "$(key app)" >/dev/null
	gate agents "$(upstream app)"
	condition agents Ready True
	standby
	versions agents >"$BATS_TEST_TMPDIR/before"
	renewed=$(lease_time renewTime)
	kill -KILL "$controller_pid"
	kubectl -n "$ns" delete configmap agents-gitgate-hooks
	kubectl -n "$ns" wait --for=create configmap/agents-gitgate-hooks --timeout=60s
	# Not before the lease has run out, which is all that keeps two from writing.
	[ $(($(lease_time acquireTime) - renewed)) -ge 15 ]
	grep -q 'the lease is ours' "$other_log"
	versions agents | grep -v agents-gitgate-hooks | diff <(grep -v agents-gitgate-hooks "$BATS_TEST_TMPDIR/before") -
	lacks '"writes":' < <(grep reconciled "$other_log" | grep -v '"writes":1')
	wait "$controller_pid" || :
	controller_pid=$other_pid log=$other_log other_pid=
	controller_stop
}

@test "a leader that stood still for longer than its lease writes nothing when it goes on" {
	controller_start
	secret app-key "$(key app)" >/dev/null
	gate agents "$(upstream app)"
	condition agents Ready True
	standby
	kill -STOP "$controller_pid"
	# Work that waits for it in its sockets, and that the other does meanwhile.
	kubectl -n "$ns" delete configmap agents-gitgate-hooks
	kubectl -n "$ns" wait --for=create configmap/agents-gitgate-hooks --timeout=60s
	versions agents >"$BATS_TEST_TMPDIR/before"
	holder=$(lease)
	reconciled=$(grep -c '"reconciled"' "$log")
	kill -CONT "$controller_pid"
	logged 'the lease is lost'
	[ "$(lease)" = "$holder" ]
	[ "$(grep -c '"reconciled"' "$log")" = "$reconciled" ]
	versions agents | diff "$BATS_TEST_TMPDIR/before" -
	controller_stop
	controller_pid=$other_pid log=$other_log other_pid=
	controller_stop
}
