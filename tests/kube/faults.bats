#!/usr/bin/env bats
# shellcheck disable=SC2154 # bed, log and controller_pid are lib.bash's
# What goes wrong around the controller, with a real API server: it converges and loses nothing.

load lib

setup_file() { bed_up; }
teardown_file() { bed_down; }

setup() {
	controller_pid=
	ns=t$BATS_TEST_NUMBER
	kubectl create namespace "$ns" >/dev/null
}

teardown() { controller_kill; }

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

@test "rights that are taken away and given back" {
	controller_start
	secret app-key "$(key app)" >/dev/null
	kubectl delete clusterrolebinding gitgate-controller
	gate agents "$(upstream app)"
	logged 'forbidden'
	kubectl apply --server-side -f "$GITGATE_SOURCE/manifests/rbac.yaml"
	condition agents Ready True
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
