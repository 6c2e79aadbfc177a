#!/usr/bin/env bats
# shellcheck disable=SC2154 # bed, log and controller_pid are lib.bash's
# A network between controller and API server that breaks in every way: after each, what happened meanwhile is caught up with, nothing is
# lost, and as many files are open as before.

load lib

setup_file() {
	bed_up
	service_account_config gitgate-controller "$BATS_FILE_TMPDIR/controller.kubeconfig"
}
teardown_file() { bed_down; }

setup() {
	controller_pid= proxy_pid= other_pid=
	ns=t$BATS_TEST_NUMBER
	kubectl create namespace "$ns" >/dev/null
	fault=$BATS_TEST_TMPDIR/fault
	echo none >"$fault"
	: >"$BATS_TEST_TMPDIR/proxy.log"
	"$GITGATE_SOURCE/tests/kube/faulty_proxy" "$(cat "$bed/port")" "$bed/ca.crt" "$fault" >"$BATS_TEST_TMPDIR/proxy.log" 3>&- &
	proxy_pid=$!
	timeout 20 tail -n +1 -f --pid="$proxy_pid" "$BATS_TEST_TMPDIR/proxy.log" | grep -qm1 .
	proxied=$BATS_TEST_TMPDIR/proxied.kubeconfig
	jq --arg server "http://127.0.0.1:$(head -n 1 "$BATS_TEST_TMPDIR/proxy.log")" \
		'.clusters[0].cluster = {server: $server}' "$BATS_FILE_TMPDIR/controller.kubeconfig" >"$proxied"
}

teardown() {
	controller_kill
	[ -z "${other_pid:-}" ] || kill -KILL "$other_pid" 2>/dev/null || :
	[ -z "${proxy_pid:-}" ] || kill "$proxy_pid" 2>/dev/null || :
	lease_free
}

descriptors() {
	find "/proc/$controller_pid/fd" -mindepth 1 | wc -l
}

# set_fault WORDS... : in one step, so that no half of it is ever read
set_fault() {
	echo "$*" >"$fault.new"
	mv "$fault.new" "$fault"
}

# faults COUNT : waits until the fault was made that often
faults() {
	timeout 60 tail -n +2 -f --pid="$proxy_pid" "$BATS_TEST_TMPDIR/proxy.log" | head -n "$1" | wc -l | grep -qx "$1" ||
		{ cat "$BATS_TEST_TMPDIR/proxy.log"; false; }
}

# start : the controller behind the proxy, with a gate that is right
start() {
	controller_start --kubeconfig "$proxied"
	secret app-key "$(key app)" >/dev/null
	gate agents "$(upstream app)"
	condition agents Ready True
	before=$(descriptors)
}

# change ROUND : of everything that is watched, something
change() {
	secret app-key "$(key "round$1")" >/dev/null
	kubectl -n "$ns" annotate secret app-key "test/word=$(printf 'caf\303\251 \342\202\254')" --overwrite >/dev/null
	kubectl -n "$ns" delete configmap agents-gitgate-hooks >/dev/null
	kubectl -n "$ns" patch networkpolicy agents-gitgate-egress --type merge -p '{"spec":{"egress":[{}]}}' >/dev/null
	gate "new$1" "$(upstream app)"
}

# put_right ROUND : what change did is answered
put_right() {
	kubectl -n "$ns" wait --for=create configmap/agents-gitgate-hooks --timeout=60s >/dev/null
	kubectl -n "$ns" wait --for=jsonpath='{.spec.egress[0].ports[0].port}'=2222 networkpolicy/agents-gitgate-egress --timeout=60s >/dev/null
	kubectl -n "$ns" wait "gitgate/new$1" --for=jsonpath='{.status.conditions[?(@.type=="Ready")].status}'=True --timeout=60s >/dev/null
	holds agents-gitgate-creds app-key "$(cat "$BATS_TEST_TMPDIR/round$1")"
}

# caught_up ROUND : the same, and no more is open than before
caught_up() {
	put_right "$1"
	# Connections that are kept idle come and go: one a worker, one a watch.
	[ "$(descriptors)" -le $((before + 8)) ] || { echo "open: $before, now $(descriptors)"; return 1; }
}

# breaks COUNT FAULT... : with the fault on while things change, and after
breaks() {
	local count=$1
	shift
	start
	for round in 1 2; do
		made=$(wc -l <"$BATS_TEST_TMPDIR/proxy.log")
		set_fault "$@"
		change "$round"
		faults $((made - 1 + count))
		set_fault none
		caught_up "$round"
	done
	controller_stop
}

@test "connections that are cut and refused" {
	breaks 3 refuse
}

@test "a watch that is cut in the middle of a character" {
	breaks 2 cut-character
}

@test "a watch that is cut in the middle of a chunk's length" {
	breaks 2 cut-chunk
}

@test "answers that come one byte at a time" {
	breaks 3 slow
}

@test "429 to every request" {
	breaks 3 status 429
}

@test "500 to every request" {
	breaks 3 status 500
}

@test "503 to every request" {
	breaks 3 status 503
}

@test "answers for a source that are cut off each time are no refusal: nothing is said or taken away, and the key comes after" {
	start
	set_fault cut-answer /secrets/app-key
	secret app-key "$(key new)" >/dev/null
	faults 9 # once more than a refusal is waited for before it is told, and this one was judged, too
	[ "$(kubectl -n "$ns" get gitgate agents -o jsonpath='{.status.conditions[?(@.type=="Ready")].reason}')" = Ready ]
	holds agents-gitgate-creds app-key "$(cat "$BATS_TEST_TMPDIR/app")"
	set_fault none
	holds agents-gitgate-creds app-key "$(cat "$BATS_TEST_TMPDIR/new")"
	controller_stop
}

@test "a version that is gone, told in the stream" {
	breaks 3 gone
}

@test "a server that ends its side of the watch alone" {
	breaks 3 half-close
}

@test "an object that was made and deleted before the watch told of either is made again" {
	start
	set_fault hold /configmaps
	gate late "$(upstream app)"
	condition late Ready True
	kubectl -n "$ns" delete configmap late-gitgate-hooks >/dev/null
	set_fault none
	kubectl -n "$ns" wait --for=create configmap/late-gitgate-hooks --timeout=30s >/dev/null
	controller_stop
}

@test "an object that is made between look and write is not taken over" {
	start
	set_fault hold /configmaps
	kubectl -n "$ns" create configmap late-gitgate-hooks --from-literal=mine=yes >/dev/null
	gate late "$(upstream app)"
	# It is seen to be there by the refusal alone, and nothing is said of it before the watch tells whose it is; nor is anything made that
	# comes after: the credentials would be for whoever wrote the hooks.
	logged '"gitgate":"late","writes":2'
	[ "$(kubectl -n "$ns" get networkpolicies,configmaps,secrets -l app.kubernetes.io/managed-by=gitgate -o name | grep -c late)" = 2 ]
	set_fault none
	condition late Rendered False NameCollision
	[ "$(kubectl -n "$ns" get secret late-gitgate-creds -o json --ignore-not-found | jq '.data | length')" = "" ]
	kubectl -n "$ns" get configmap late-gitgate-hooks -o json | jq -e '.data == {mine: "yes"} and (.metadata | has("ownerReferences") | not)'
	kubectl -n "$ns" delete configmap late-gitgate-hooks >/dev/null
	condition late Ready True
	controller_stop
}

# standby : another controller, with the clock of the machine and a way of its own
standby() {
	other_log=$BATS_TEST_TMPDIR/other.log
	: >"$other_log"
	"$GITGATE_BIN/gitgate-controller" --kubeconfig "$BATS_FILE_TMPDIR/controller.kubeconfig" 2>"$other_log" 3>&- &
	other_pid=$!
	timeout 30 tail -n +1 -f --pid="$other_pid" "$other_log" | grep -qm1 'all is listed'
}

@test "a leader that is cut off writes nothing after its deadline, and another takes over" {
	start
	standby
	set_fault hang
	change 1
	logged 'the lease is lost'
	put_right 1
	versions agents >"$BATS_TEST_TMPDIR/before"
	holder=$(lease)
	reconciled=$(grep -c '"reconciled"' "$log" || :)
	# It comes back, and sees all that it has missed; a watch that is new tells it.
	set_fault none
	gate marker "$(upstream app)"
	kubectl -n "$ns" wait gitgate/marker --for=jsonpath='{.status.conditions[?(@.type=="Ready")].status}'=True --timeout=60s >/dev/null
	[ "$(lease)" = "$holder" ]
	[ "$(grep -c '"reconciled"' "$log" || :)" = "$reconciled" ]
	versions agents | grep -v marker | diff "$BATS_TEST_TMPDIR/before" -
	controller_stop
	controller_pid=$other_pid log=$other_log other_pid=
	controller_stop
}

# clock REAL BOOT : seconds by which the controller's clocks are ahead, from now on
clock() {
	python3 -c 'import struct, sys; open(sys.argv[1], "r+b").write(struct.pack("=qq", *map(int, sys.argv[2:])))' "$MOVED_CLOCK" "$@"
}

# start_with_clock : as start, with clocks that can be moved. No TLS in between: the bed's certificate is younger than an hour.
start_with_clock() {
	export MOVED_CLOCK=$BATS_TEST_TMPDIR/clock
	truncate -s 16 "$MOVED_CLOCK"
	"${CC:-cc}" -shared -fPIC -o "$BATS_TEST_TMPDIR/moved_clock.so" "$GITGATE_SOURCE/tests/kube/moved_clock.c"
	LD_PRELOAD=$BATS_TEST_TMPDIR/moved_clock.so ASAN_OPTIONS=verify_asan_link_order=0 start
}

# renews_at OFFSET : waits for a renewal that is dated by a clock so many seconds ahead
renews_at() {
	timeout 60 bash -c 'until at=$(kubectl -n gitgate-system get lease gitgate-controller -o jsonpath="{.spec.renewTime}") &&
		off=$(($(date -d "$at" +%s) - $(date +%s) - $0)) && [ "${off#-}" -lt 600 ]; do sleep 0.2; done' "$1"
}

@test "a clock that is set an hour ahead and an hour back: the lease is kept, nothing is lost" {
	start_with_clock
	standby
	holder=$(lease)
	round=0
	for hours in 1 -1 0; do
		round=$((round + 1))
		clock $((hours * 3600)) 0
		change $round
		caught_up $round
		# It writes by the clock it has, and no one else's patience depends on that.
		renews_at $((hours * 3600))
		[ "$(lease)" = "$holder" ]
	done
	lacks 'the lease is lost' <"$log"
	lacks 'the lease is ours' <"$other_log"
	controller_stop
	controller_pid=$other_pid log=$other_log other_pid=
	logged 'the lease is ours'
	controller_stop
}

# As after an hour of a suspended machine: CLOCK_BOOTTIME has gone on, the clock of timers has not. The lease can't be renewed at once;
# what the watches tell before that may not be written then, and not be forgotten either.
@test "a machine that slept for an hour: what is told before the lease is renewed is caught up with after" {
	start_with_clock
	set_fault status 503
	faults 1
	clock 3600 3600
	secret app-key "$(key other)" >/dev/null
	kubectl -n "$ns" delete configmap agents-gitgate-hooks >/dev/null
	set_fault none
	logged 'the lease is lost'
	kubectl -n "$ns" wait --for=create configmap/agents-gitgate-hooks --timeout=60s >/dev/null
	holds agents-gitgate-creds app-key "$(cat "$BATS_TEST_TMPDIR/other")"
	gate more "$(upstream app)"
	condition more Ready True
	controller_stop
}

# streamed RESOURCE : lists that the API server has streamed whole since it was started, by its own count
streamed() {
	kubectl get --raw /metrics | awk -v resource="resource=\"$1\"" '
		/^apiserver_watch_list_duration_seconds_count\{/ && index($0, resource) { n += $NF } END { print n + 0 }'
}

has_streamed() { [ "$(streamed "$1")" -gt 0 ]; }

# in_pages RESOURCE : lists of it that came in pages so far
in_pages() { grep -c "\"the list comes in pages\".*\"resource\":\"$1\"" "$log" || :; }

has_come_in_pages() { [ "$(in_pages "$1")" -gt "$2" ]; }

# streaming_lists true|false : of the API server, from its next start on, which is now
streaming_lists() {
	echo "--feature-gates=WatchList=$1" >"$bed/flags"
	"$GITGATE_SOURCE/tests/cluster/apiserver" restart "$bed"
}

@test "lists are streamed, come in pages where the API server has no streams, and are streamed again once it has" {
	streaming_lists true
	start
	for resource in gitgates configmaps secrets networkpolicies; do
		has_streamed "$resource"
		[ "$(in_pages "$resource")" = 0 ]
	done

	streaming_lists false
	set_fault gone
	for resource in gitgates configmaps secrets networkpolicies; do wait_for 60 has_come_in_pages "$resource" 0; done
	change 1
	set_fault none
	caught_up 1
	[ "$(streamed configmaps)" = 0 ]
	[ "$(grep -c 'all is listed' "$log")" = 1 ] # a list in pages is no new beginning

	streaming_lists true
	set_fault gone
	for resource in gitgates configmaps secrets networkpolicies; do wait_for 60 has_streamed "$resource"; done
	change 2
	set_fault none
	caught_up 2
	controller_stop
}

# A minute of nothing: as long as a list may take.
@test "a list whose stream stays silent comes in pages" {
	set_fault hold /networkpolicies
	log=$BATS_TEST_TMPDIR/silent.log
	"$GITGATE_BIN/gitgate-controller" --kubeconfig "$proxied" --log-level debug 2>"$log" 3>&- &
	controller_pid=$!
	wait_for 120 has_come_in_pages networkpolicies 0
	set_fault none
	logged 'all is listed'
	secret app-key "$(key app)" >/dev/null
	gate agents "$(upstream app)"
	condition agents Ready True
	[ "$(in_pages configmaps)" = 0 ]
	controller_stop
}
