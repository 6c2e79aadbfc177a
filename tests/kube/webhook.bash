# shellcheck shell=bash disable=SC2154
# A gitgate-webhook with a certificate from files, and a client of it. $work is its folder, which the test sets; its end
# is the same for all, unless a file has its own.

certificate() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=webhook \
		-addext subjectAltName=IP:127.0.0.1 -keyout "$work/tls.key" -out "$work/tls.crt"
}

# start [PORT [OPTION...]] : returns when the webhook is ready
start() {
	{
		"$GITGATE_BIN/gitgate-webhook" --kubeconfig "$work/kubeconfig" --gate-image gate:test \
			--tls-cert "$work/tls.crt" --tls-key "$work/tls.key" --listen "127.0.0.1:${1:-0}" "${@:2}" &
		echo $! >"$work/pid"
		wait $! && echo 0 >"$work/status" || echo $? >"$work/status"
	} >>"$work/log" 2>&1 3>&- &
	wait_for 15 ready
}

ready() {
	jq -es 'map(select(.msg == "listening")) | last.port' "$work/log" >"$work/port" &&
		[ "$(ask -o /dev/null -w '%{http_code}' "$(url /readyz)")" = 200 ]
}

# stop : must end by itself, with 0
stop() {
	local pid
	pid=$(cat "$work/pid") || return 0
	rm -f "$work/pid" "$work/status"
	kill -TERM "$pid"
	wait_for 20 test -s "$work/status" || { kill -KILL "$pid"; false; }
	[ "$(cat "$work/status")" = 0 ]
}

teardown_file() {
	stop || :
	bed_down
}

teardown() {
	[ "${BATS_TEST_COMPLETED:-}" = 1 ] || tail -n 20 "$work/log"
}

# gate NAMESPACE NAME SELECTOR : to standard output
gate() {
	cat <<-END
		apiVersion: gitgate.dev/v1alpha1
		kind: GitGate
		metadata: {name: "$2", namespace: "$1"}
		spec:
		  podSelector: $3
		  upstreams:
		  - {name: app, url: "https://git.example.com/team/app.git"}
	END
}

# ---- As a real API server asks it

# webhook_configurations : those of manifests/webhook.yaml, each service replaced by this process's address
webhook_configurations() {
	kubectl create --dry-run=client -o json -f "$GITGATE_SOURCE/manifests/webhook.yaml" |
		jq --arg url "$(url)" --arg ca "$(base64 -w0 "$work/tls.crt")" '
			(.items? // [.])[] | .webhooks |=
			map(.clientConfig = {url: ($url + .clientConfig.service.path), caBundle: $ca})' |
		kubectl apply --server-side --force-conflicts -f -
	wait_for 20 eval 'ns=team-a pod probe none --dry-run=server 2>&1 | grep -q "no GitGate"'
}

# pod NAME GATE [OPTION...] : in $ns, with $spec if it is set
pod() {
	local default='containers: [{name: agent, image: agent}]'
	kubectl create --namespace "${ns:-default}" "${@:3}" -f - <<-END
		apiVersion: v1
		kind: Pod
		metadata: {name: "$1", labels: {gitgate.dev/gate: "$2"}}
		spec:
		  ${spec:-$default}
	END
}

# ---- The webhook's own client

url() { echo "https://127.0.0.1:$(cat "$work/port")${1:-}"; }
ask() { curl -sS --max-time 60 --cacert "$work/tls.crt" "$@"; }
# post PATH [OPTION...] <body : $type is its Content-Type header
post() { ask -H "${type-Content-Type: application/json}" -w '\n%{http_code}' --data-binary @- "${@:2}" "$(url "$1")"; }

# review CONTAINERS VARIABLES : an ungated pod's, as large as asked
review() {
	jq -cn --argjson containers "$1" --argjson variables "$2" '
		{kind: "AdmissionReview", apiVersion: "admission.k8s.io/v1", request: {uid: "the-uid", operation: "CREATE",
		 kind: {group: "", version: "v1", kind: "Pod"}, namespace: "team-a",
		 object: {metadata: {name: "x"}, spec: {containers: [range($containers) | {name: "c\(.)", image: "i",
		 env: [range($variables) | {name: "VARIABLE_\(.)", value: ("x" * 100)}]}]}}}}'
}
