#!/usr/bin/env bats
# shellcheck disable=SC2154
# What gitgate-webhook says to malformed, oversized and unfinished requests, and that it serves the others meanwhile.

load lib
load webhook

setup_file() {
	export work=$BATS_FILE_TMPDIR
	bed_up
	certificate
	service_account_config gitgate-webhook "$work/kubeconfig"
	gate team-a agents '{}' | kubectl create -f -
	start
	export REVIEW
	REVIEW=$(review 1 10 | jq -c '.request.object.metadata.labels = {"gitgate.dev/gate": "agents"}')
}

teardown() {
	[ -z "${client_pid:-}" ] || kill "$client_pid" 2>/dev/null || :
	[ "${BATS_TEST_COMPLETED:-}" = 1 ] || tail -n 20 "$work/log"
}

# answers STATUS TEXT [OPTION...] <body : the webhook says so, and still injects
answers() {
	run -0 post /mutate-pod "${@:3}"
	[[ $output == *"$2"*$'\n'"$1" ]] || { echo "wanted $1 with \"$2\", got: ${output: -400}"; return 1; }
	injects
}

injects() {
	[[ $(type='Content-Type: application/json' post /mutate-pod <<<"$REVIEW") == *'"uid":"the-uid","allowed":true,'*'"patch":"'*$'\n200' ]] || { echo "it injects no more"; return 1; }
}

# injects_within SECONDS
injects_within() { timeout "$1" bash -c "$(declare -f injects post ask url); injects"; }

# changed JQ-PATCH : the good review with it
changed() { jq -c "$1" <<<"$REVIEW"; }

# raw : sends standard input as it is, prints what comes until the server ends it
raw() {
	timeout 30 openssl s_client -quiet -connect "127.0.0.1:$(cat "$work/port")" 2>/dev/null || :
}

# restart OPTION... : at the same port
restart() {
	local port
	port=$(cat "$work/port")
	stop
	start "$port" "$@"
}

# stalls HOW N : begins; $client has "open" when all stand
stalls() {
	client=$(mktemp "$BATS_TEST_TMPDIR/client.XXXXXX")
	"$GITGATE_SOURCE/tests/kube/slow_client" "$(cat "$work/port")" /mutate-pod "$1" "$2" >"$client" 2>&1 3>&- &
	client_pid=$!
	wait_for 60 grep -q '^open' "$client"
}

# closed N FIRST LAST : all are closed by the server, none before FIRST seconds, all by LAST
closed() {
	wait_for 90 grep -q '^closed' "$client" || { cat "$client"; return 1; }
	awk -v n="$1" -v first="$2" -v last="$3" '/^closed/ {exit !($2 == n && $3 >= first && $4 <= last)}' "$client" || { cat "$client"; return 1; }
	client_pid=
}

@test "a review that is right is answered, also with a charset" {
	answers 200 '"patch":"' <<<"$REVIEW"
	type='Content-Type: application/json; charset=utf-8' answers 200 '"patch":"' <<<"$REVIEW"
}

@test "what is no JSON gets a 400 that says where" {
	answers 400 'the request has no body' </dev/null
	answers 400 'not JSON: byte 0' <<<'hello, this is no JSON'
	answers 400 'not JSON' <<<"${REVIEW:0:${#REVIEW} / 2}"
	answers 400 'not JSON' <<<"$REVIEW}}junk"
	answers 400 'not JSON' < <(head -c 65536 /dev/urandom | tr -d '[:space:]{}[]"0-9')
}

@test "what two readers could understand differently gets a 400" {
	answers 400 'UTF-8' < <(printf '%s' "$REVIEW" | sed 's/xxxx/x\xff\xfexx/')
	answers 400 'cannot be read' < <(sed 's/xxxx/x\\u0000xx/' <<<"$REVIEW")
	answers 400 'cannot be read' < <(sed 's/xxxx/x\\ud800xx/' <<<"$REVIEW")
	answers 400 'stands twice' < <(sed 's/"uid":/"uid":"another","uid":/' <<<"$REVIEW")
	answers 400 'stands twice' < <(sed 's/"hostNetwork":true/&/; s/"spec":{/"spec":{"hostNetwork":false,"hostNetwork":true,/' <<<"$REVIEW")
}

@test "depth is refused, not followed" {
	for depth in 10000 100000; do
		answers 400 'cannot be read' < <(printf '{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":%s%s}' \
			"$(printf "%${depth}s" | tr ' ' '[')" "$(printf "%${depth}s" | tr ' ' ']')")
	done
}

@test "huge numbers are nobody's business" {
	for number in 1e999999 "$(printf '%0400d' 1 | tr 0 9)" -0.000000000000000000000000000001e-400; do
		answers 200 '"patch":"' < <(sed "s/\"spec\":{/\"spec\":{\"terminationGracePeriodSeconds\":$number,/" <<<"$REVIEW")
	done
}

@test "other JSON than a review of v1 gets a 400 that says what is missing" {
	answers 400 'not an AdmissionReview' <<<'[]'
	answers 400 'not an AdmissionReview' <<<null
	answers 400 'not an AdmissionReview' < <(changed '.kind = "Gadget"')
	answers 400 'v1' < <(changed '.apiVersion = "admission.k8s.io/v9"')
	answers 400 'admissionReviewVersions: [v1]' < <(changed '.apiVersion = "admission.k8s.io/v1beta1"')
	answers 400 'has no request' < <(changed 'del(.request)')
	answers 400 'has no request' < <(changed '.request = null')
	answers 400 'has no uid' < <(changed 'del(.request.uid)')
}

@test "a review that asks what can't be answered is denied, with its uid" {
	for change in 'del(.request.object)' '.request.object = null' '.request.object = "x"' '.request.object = []' \
		'.request.object.spec = "x"' '.request.kind.kind = "Deployment"'; do
		answers 200 '"uid":"the-uid","allowed":false' < <(changed "$change")
	done
	answers 200 '"uid":"the-uid","allowed":false' < <(changed '.request.object.metadata.labels["gitgate.dev/gate"] = "none"')
	answers 200 '"uid":"the-uid","allowed":false' < <(changed '.request.object.spec.hostNetwork = true')
}

@test "the lists of a pod may be anything" {
	for change in '.request.object.spec.containers = null' '.request.object.spec.containers = "x"' '.request.object.spec.containers = [1, null, "x", []]' \
		'.request.object.spec.initContainers = {}' '.request.object.spec.volumes = [[]]' '.request.object.metadata.annotations = 7'; do
		run -0 post /mutate-pod < <(changed "$change")
		[[ $output == *'"uid":"the-uid","allowed":'*$'\n200' ]]
		injects
	done
}

@test "an update of a running pod changes nothing" {
	run -0 post /mutate-pod < <(changed '.request.operation = "UPDATE"')
	[[ $output == *'"uid":"the-uid","allowed":true}'* ]]
}

@test "bodies over 7 MiB are read to their end and refused with a reason" {
	answers 413 'larger than 7 MiB' < <(head -c 10485760 /dev/zero | tr '\0' ' ')
	answers 413 'larger than 7 MiB' < <(sed "s/xxxx/$(head -c 100000 /dev/zero | tr '\0' y)/" <<<"$REVIEW" | head -c 1000; head -c 8000000 /dev/zero)
	answers 413 'larger than 7 MiB' < <(head -c 104857600 /dev/zero | tr '\0' x)
}

@test "what is no request for it gets its status" {
	type='Content-Type: text/plain' answers 415 'application/json' <<<"$REVIEW"
	type='Content-Type:' answers 415 'application/json' <<<"$REVIEW"
	answers 415 'application/json' -H 'Content-Type: text/plain' <<<"$REVIEW" # beside the right one
	answers 411 'content-length' -H 'Transfer-Encoding: chunked' <<<"$REVIEW"
	run -0 ask -w '\n%{http_code}' "$(url /mutate-pod)"
	[ "$output" = $'POST only\n\n405' ]
	run -0 ask -w '\n%{http_code}' -d '{}' -H 'Content-Type: application/json' "$(url /no/such/path)"
	[ "$output" = $'no such path\n\n404' ]
	[[ $(printf 'POST /mutate-pod HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: -5\r\n\r\n' | raw) == 'HTTP/1.1 411 '* ]]
	injects
}

@test "what is no HTTP, or a header without end, ends its connection and no other" {
	run raw < <(printf '\0\1\2\3 junk\r\n\r\n')
	[[ $output != *' 200 '* ]]
	injects
	run raw < <(printf 'POST /mutate-pod HTTP/1.1\r\nHost: x\r\nX: '; head -c 2097152 /dev/zero | tr '\0' a; printf '\r\n\r\n')
	[[ $output != *' 200 '* ]]
	injects
}

@test "half a request and then nothing harms nobody" {
	stalls body 1
	kill "$client_pid"
	client_pid=
	injects
}

@test "a hundred connections that don't go on are let go in time, each kind, and delay nobody" {
	local how
	restart --network-timeout 3 --request-timeout 6 --idle-timeout 4
	for how in silent header body; do
		stalls $how 100
		injects_within 5
		closed 100 1 30
	done
	stalls answered 100
	injects_within 5
	closed 100 2 30
	stalls idle 100
	injects_within 5
	closed 100 1 30
	stalls trickle 1 # each byte in time, but not the whole
	closed 1 4 30
	restart
}

@test "large requests that don't go on keep no smaller one out" {
	stalls large 20
	injects
	kill "$client_pid"
	client_pid=
}

# large : a review whose answer is as large as they come
large() { review 1000 0 | jq -c '.request.object.metadata.labels = {"gitgate.dev/gate": "agents"}'; }

@test "a large answer comes whole, also to who reads it slowly" {
	local rate operations
	for rate in 1G 1M; do
		run -0 post /mutate-pod --limit-rate $rate < <(large)
		operations=$(head -n 1 <<<"$output" | jq -r .response.patch | base64 -d | jq length)
		[ "$operations" -gt 3000 ]
	done
}

# peak : the most that the webhook ever had resident, in MiB
peak() { awk '/^VmHWM/ {print int($2 / 1024)}' "/proc/$(cat "$work/pid")/status"; }

# unsent : what the kernel keeps for its clients, in MiB
unsent() { ss -Htn "sport = :$(cat "$work/port")" | awk '{sum += $3} END {print int(sum / 1048576)}'; }

@test "answers that nobody reads take a bounded memory, and keep no review from its answer" {
	restart --network-timeout 5
	REVIEW=$(large) stalls unread 250
	injects
	# AddressSanitizer keeps what was freed.
	grep -qa __asan_init "$GITGATE_BIN/gitgate-webhook" || [ "$(peak)" -lt 100 ] || { echo "it took $(peak) MiB"; return 1; }
	[ "$(unsent)" -lt 30 ] || { echo "its kernel keeps $(unsent) MiB"; return 1; }
	closed 250 0 40
	injects
	restart
}

@test "whoever holds all connections there may be, of each kind, keeps no review out" {
	local how
	restart --max-connections 30 --network-timeout 60 --request-timeout 60 --idle-timeout 60
	for how in silent idle header body answered unread; do
		stalls $how 100
		injects_within 10 || { echo "those that are $how keep it out"; return 1; }
		kill "$client_pid"
	done
	client_pid=
	restart
}

@test "who has asked keeps a connection longer than who never did" {
	local kept
	restart --max-connections 30 --network-timeout 60 --idle-timeout 60
	stalls answered 1
	kept=$client kept_pid=$client_pid
	stalls silent 100
	injects_within 10
	kill "$client_pid"
	client_pid=$kept_pid
	run ! grep closed "$kept"
	kill "$client_pid"
	client_pid=
	restart
}

@test "a termination takes no new connection, and finishes what is under way" {
	local answer in port
	port=$(cat "$work/port")
	answer=$BATS_TEST_TMPDIR/answer in=$BATS_TEST_TMPDIR/in
	mkfifo "$in"
	"$GITGATE_SOURCE/tests/kube/slow_client" "$port" /mutate-pod finish 1 <"$in" >"$answer" 2>&1 3>&- &
	client_pid=$!
	exec 7>"$in"
	wait_for 30 grep -q '^open' "$answer"
	rm -f "$work/status"
	: >"$work/log"
	kill -TERM "$(cat "$work/pid")"
	wait_for 20 grep -q '"msg":"stopping"' "$work/log"
	run ! ask "$(url /healthz)"
	[ ! -s "$work/status" ]
	echo go >&7
	exec 7>&-
	wait_for 20 grep -q '^closed' "$answer"
	client_pid=
	grep -qi '^connection: close' "$answer"
	grep -q '"uid":"the-uid","allowed":true' "$answer"
	wait_for 20 test -s "$work/status"
	[ "$(cat "$work/status")" = 0 ]
	rm -f "$work/pid"
	start "$port"
	injects
}

@test "what it did is counted: by verb and result, refusals by reason, and its time" {
	local health
	restart --health-addr 127.0.0.1:0
	health=$(jq -es 'map(select(.msg == "listening")) | last.health_port' "$work/log")
	injects
	answers 200 '"allowed":false' < <(changed '.request.object.spec.hostNetwork = true')
	answers 200 '"allowed":false' < <(changed '.request.object.metadata.labels["gitgate.dev/gate"] = "none"')
	answers 400 'JSON' <<<'{'
	run -0 curl -sS "http://127.0.0.1:$health/metrics"
	grep -qx 'gitgate_webhook_admission_requests_total{verb="mutate-pod",result="patched"} 4' <<<"$output"
	grep -qx 'gitgate_webhook_admission_requests_total{verb="mutate-pod",result="refused"} 2' <<<"$output"
	grep -qx 'gitgate_webhook_admission_requests_total{verb="mutate-pod",result="bad-request"} 1' <<<"$output"
	grep -qx 'gitgate_webhook_admission_refusals_total{reason="pod"} 1' <<<"$output"
	grep -qx 'gitgate_webhook_admission_refusals_total{reason="no-gate"} 1' <<<"$output"
	grep -qx 'gitgate_webhook_admission_duration_seconds_count{verb="mutate-pod"} 6' <<<"$output"
}
