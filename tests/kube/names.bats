#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2034 # bed, controller_pid are lib.bash's
# Names that are looked up at a name server of the test's own, which doesn't answer all of them.

load lib

setup_file() {
	[ "$(id -u)" = 0 ] || skip "needs root: a resolv.conf of its own, port 53"
	bed_up
	# The program as lib.bash starts it, where names are asked for elsewhere.
	mkdir "$BATS_FILE_TMPDIR/bin"
	cat >"$BATS_FILE_TMPDIR/bin/gitgate-controller" <<-END
		#!/bin/sh
		exec unshare --mount sh -c 'mount --bind "\$0" "\$(readlink -f /etc/resolv.conf)" && exec "\$@"' \
			"$BATS_FILE_TMPDIR/resolv.conf" "$GITGATE_BIN/gitgate-controller" "\$@"
	END
	chmod +x "$BATS_FILE_TMPDIR/bin/gitgate-controller"
	export GITGATE_BIN=$BATS_FILE_TMPDIR/bin
}
teardown_file() { [ ! -e "$BATS_FILE_TMPDIR/bed" ] || bed_down; }

# A minute for a name that is never answered, as the C library counts it.
setup() {
	controller_pid="" server_pid=""
	ns=t$BATS_TEST_NUMBER
	kubectl create namespace "$ns" >/dev/null
	kubectl create namespace "never$BATS_TEST_NUMBER" >/dev/null
	asked=$BATS_TEST_TMPDIR/asked
	address=127.53.$((SRANDOM % 250 + 1)).$BATS_TEST_NUMBER
	printf 'nameserver %s\noptions timeout:30 attempts:2\n' "$address" >"$BATS_FILE_TMPDIR/resolv.conf"
	"$GITGATE_SOURCE/tests/kube/name_server" "$address" >"$asked" 3>&- &
	server_pid=$!
	wait_for 20 grep -qx ready "$asked"
}

teardown() {
	controller_kill
	[ -z "${server_pid:-}" ] || kill "$server_pid" 2>/dev/null || :
	lease_free
}

# on_hosts NAME HOST... : a GitGate in $ns with an upstream on each
on_hosts() {
	local name=$1 upstreams
	shift
	mapfile -t upstreams < <(printf '%s\n' "$@" | jq -Rc '{name: "u\(input_line_number)", url: "https://\(.)/team/app.git"}')
	gate "$name" "${upstreams[@]}" >/dev/null
}

never_asked() { [ "$(grep -c '\.never\.test$' "$asked")" -ge "$1" ]; }

@test "hosts of one namespace whose names are never answered don't keep another namespace's from their addresses" {
	controller_start
	mine=$ns ns=never$BATS_TEST_NUMBER
	on_hosts one h{1..60}.never.test shared.good.test
	on_hosts two h{61..120}.never.test
	wait_for 30 never_asked 2
	ns=$mine
	# One that both name is looked up with whoever has a turn first.
	on_hosts agents {1..10}.good.test shared.good.test
	condition agents UpstreamsResolved True
	kubectl -n "$ns" get gitgate agents -o json | jq -e '[.status.upstreams[].addresses[]] == [range(11) | "127.0.0.9"]'
	controller_stop
}

@test "look-ups that are never answered don't keep the controller from ending" {
	controller_start
	on_hosts agents h{1..5}.never.test
	wait_for 30 never_asked 2
	controller_stop
}
