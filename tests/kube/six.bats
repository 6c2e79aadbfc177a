#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2034 # bed, log and controller_pid are lib.bash's
# Where there is no IPv4: a network namespace whose loopback has ::1 alone, in which controller and webhook run, and through
# which the API server is at [::1].

load lib

setup_file() {
	[ "$(id -u)" = 0 ] || skip "needs root for a network namespace"
	grep -qs . /proc/net/if_inet6 || skip "this kernel has no IPv6"
	bed_up
	export six=gg-six-$$
	ip netns add "$six"
	ip -n "$six" link set lo up
	ip -n "$six" addr del 127.0.0.1/8 dev lo
	# A socket of the file system is the same in both namespaces.
	socat UNIX-LISTEN:"$BATS_FILE_TMPDIR/api.sock",fork "TCP:127.0.0.1:$(cat "$bed/port")" 3>&- &
	echo $! >"$BATS_FILE_TMPDIR/pids"
	ip netns exec "$six" socat "TCP6-LISTEN:6443,bind=[::1],fork" UNIX-CONNECT:"$BATS_FILE_TMPDIR/api.sock" 3>&- &
	echo $! >>"$BATS_FILE_TMPDIR/pids"
	# What manifests/rbac.yaml gives, at that address.
	for who in gitgate-controller gitgate-webhook; do
		service_account_config "$who" "$BATS_FILE_TMPDIR/four"
		jq '.clusters[0].cluster.server = "https://[::1]:6443"' "$BATS_FILE_TMPDIR/four" >"$BATS_FILE_TMPDIR/$who"
	done
}

teardown_file() {
	[ -n "${six:-}" ] || return 0
	# shellcheck disable=SC2046 # a list
	kill $(cat "$BATS_FILE_TMPDIR/pids") || :
	ip netns del "$six"
	bed_down
}

setup() {
	pid=
	ns=t$BATS_TEST_NUMBER
	kubectl create namespace "$ns" >/dev/null
}

teardown() {
	[ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null || :
}

# in_six COMMAND... : $pid, its log in $log
in_six() {
	log=$BATS_TEST_TMPDIR/log
	ip netns exec "$six" "$@" 2>"$log" 3>&- &
	pid=$!
}

# answers URL [OPTION...] : 200, asked from there
answers() { [ "$(ip netns exec "$six" curl -gsS -o "$BATS_TEST_TMPDIR/out" -w '%{http_code}' "${@:2}" "$1")" = 200 ]; }

@test "the controller works with an API server at [::1], and answers probes and Prometheus" {
	in_six "$GITGATE_BIN/gitgate-controller" --kubeconfig "$BATS_FILE_TMPDIR/gitgate-controller" --health-addr :8080
	wait_for 30 answers 'http://[::1]:8080/readyz'
	wait_for 30 answers 'http://[::1]:8080/metrics'
	secret app-key "$(key app)" >/dev/null
	gate agents "$(upstream app fd00::7 | jq -c '.url = "ssh://git@[fd00::7]:2222/team/app.git"')"
	condition agents Ready True
	grep -q 'host="\[::1\]:6443"' <(ip netns exec "$six" curl -gsS 'http://[::1]:8080/metrics')
	kubectl -n "$ns" get networkpolicy agents-gitgate-egress -o json |
		jq -e '.spec.egress == [{to: [{ipBlock: {cidr: "fd00::7/128"}}], ports: [{protocol: "TCP", port: 2222}]}]'
}

@test "the webhook listens where there is no IPv4, and reads its GitGates" {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=webhook \
		-addext subjectAltName=IP:::1 -keyout "$BATS_TEST_TMPDIR/key" -out "$BATS_TEST_TMPDIR/crt" 2>/dev/null
	for listen in :8443 '[::]:8443' '[::1]:8443'; do
		in_six "$GITGATE_BIN/gitgate-webhook" --kubeconfig "$BATS_FILE_TMPDIR/gitgate-webhook" --gate-image gate:test \
			--tls-cert "$BATS_TEST_TMPDIR/crt" --tls-key "$BATS_TEST_TMPDIR/key" --listen "$listen" --health-addr :8081
		wait_for 30 answers 'https://[::1]:8443/readyz' --cacert "$BATS_TEST_TMPDIR/crt"
		answers 'http://[::1]:8081/readyz'
		kill -TERM "$pid"
		wait "$pid"
		pid=
	done
}
