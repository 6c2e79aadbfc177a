#!/usr/bin/env bats
# The gate says what it did: a line for each fetch and push, metrics, readiness.

bats_require_minimum_version 1.5.0
load lib

setup_file() {
    start_bed
    new_upstream app
    new_upstream strict
    new_upstream closed
    write_gitgate app strict closed absent -- '
        .spec.upstreams[2].push.policy = "Deny" |
        .spec.upstreams[0].push.refs = ["refs/heads/main", "refs/heads/agent/*"]'
    metrics_on_free_port
    start_gate
}

setup() {
    work=$BATS_TEST_TMPDIR/work
    wait_for 60 clients_are 0 # those of the test before have their lines
    LINES_BEFORE=$(wc -l <"$BED/gate.log")
}

ask() {
    curl -s --max-time 10 "http://127.0.0.1:$METRICS_PORT$1"
}

# metric SERIES : its value, 0 when there is none
metric() {
    ask /metrics | awk -v series="$1" '$1 == series { value = $2 } END { print value + 0 }'
}

# one_line JQ-FILTER : the only line of this test that it selects, once it is there
one_line() {
    wait_for 20 lines_are 1 "$1"
    tail -n +$((LINES_BEFORE + 1)) "$BED/gate.log" | jq -c "select($1)"
}

lines_are() {
    [ "$(tail -n +$((LINES_BEFORE + 1)) "$BED/gate.log" | jq -c "select($2)" | wc -l)" = "$1" ]
}

@test "a fetch is one line, with who, what and how long" {
    clone app "$work"
    line=$(one_line '.msg == "fetch"')
    echo "$line"
    jq -e '.repo == "app" and .client == "127.0.0.1" and .result == "ok" and .level == "info" and
        .ms.refresh > 0 and .ms.total >= .ms.refresh and (.shared | type) == "boolean"' <<<"$line"
}

@test "a push is one line, with its refs and its phases" {
    clone app "$work"
    old=$(git -C "$work" rev-parse HEAD)
    new=$(commit "$work" a)
    git -C "$work" push -q
    line=$(one_line '.msg == "push"')
    echo "$line"
    jq -e --arg old "$old" --arg new "$new" '.repo == "app" and .client == "127.0.0.1" and
        .result == "ok" and .refs == [{ref: "refs/heads/main", old: $old, new: $new}] and
        .refused_refs == 0 and .ms.refresh > 0 and .ms.scan > 0 and .ms.forward > 0 and
        .ms.total >= .ms.refresh + .ms.scan + .ms.forward' <<<"$line"
}

@test "a push with a secret names the rule and the ref, and not the secret" {
    clone app "$work"
    before=$(metric 'gitgate_gate_findings_total{rule="github-pat"}')
    token=$(secret)
    commit "$work" key "token = $token" >/dev/null
    run git -C "$work" push
    [ "$status" -ne 0 ]
    line=$(one_line '.msg == "push"')
    echo "$line"
    jq -e '.result == "secret" and .rules == ["github-pat"] and .level == "warn" and
        .refs[0].ref == "refs/heads/main" and .ms.forward == null' <<<"$line"
    [ "$(metric 'gitgate_gate_findings_total{rule="github-pat"}')" = $((before + 1)) ]
    [[ $(ask /metrics) != *"$token"* ]]
}

@test "what policy denies is told as that" {
    clone app "$work"
    commit "$work" b >/dev/null
    up app update-ref refs/heads/theirs main
    run git -C "$work" push origin HEAD:refs/heads/theirs
    jq -e '.result == "denied" and .refs[0].ref == "refs/heads/theirs"' <<<"$(one_line '.msg == "push"')"
    run git -C "$work" push "$(gate_url closed.git)" HEAD:refs/heads/main
    jq -e '.result == "denied" and (.reason | contains("push.policy is Deny"))' \
        <<<"$(one_line '.msg == "push" and .repo == "closed"')"
}

@test "the name of a new ref that was not let through is not in the log" {
    clone app "$work"
    new=$(commit "$work" b)
    name=$(secret)
    run git -C "$work" push origin "HEAD:refs/heads/$name" "HEAD:refs/heads/agent/$name"
    [ "$status" -ne 0 ]
    jq -e --arg new "$new" '.result == "denied" and .pushed_refs == 2 and
        .refs[1].new == $new and .refs[1].ref == null' <<<"$(one_line '.msg == "push"')"
    run ! grep -F "$name" "$BED/gate.log" "$BED/gate.err"
}

@test "what the upstream refuses is told with its words" {
    make_strict strict
    clone strict "$work"
    commit "$work" a >/dev/null
    run git -C "$work" push origin HEAD:refs/heads/yes HEAD:refs/heads/no
    jq -e '.result == "partial" and .refused_refs == 1 and (.refs | length) == 2 and
        .refused["refs/heads/no"] == "upstream: hook declined"' <<<"$(one_line '.msg == "push"')"
    run git -C "$work" push origin HEAD:refs/heads/no-2
    jq -e '.refused_refs == 1' <<<"$(one_line '.msg == "push" and .result == "upstream"')"
}

@test "a push with nothing to send is no failure" {
    clone app "$work"
    git -C "$work" push -q
    jq -e '.level == "info"' <<<"$(one_line '.msg == "push" and .result == "nothing"')"
}

@test "an upstream that can't be asked makes the fetch unavailable, with the reason" {
    run git ls-remote "$(gate_url absent.git)"
    [ "$status" -ne 0 ]
    jq -e '.result == "unavailable" and (.reason | contains("has no such repository"))' \
        <<<"$(one_line '.msg == "fetch"')"
    [ "$(metric 'gitgate_gate_mirror_up{repo="absent"}')" = 0 ]
    [ "$(metric 'gitgate_gate_mirror_up{repo="strict"}')" = 1 ]
}

@test "a push whose many refs do not fit a line hides none" {
    clone app "$work"
    long=$(printf '%0150d' 0)
    head=$(git -C "$work" rev-parse HEAD)
    for i in $(seq 100); do
        echo "create refs/heads/agent/$long-$i $head"
    done | git -C "$work" update-ref --stdin
    git -C "$work" push -q origin 'refs/heads/agent/*'
    wait_for 20 lines_are 1 '.msg == "push"'
    tail -n +$((LINES_BEFORE + 1)) "$BED/gate.log" |
        jq -r 'select(.msg == "push" or .msg == "push, more refs") | .refs[].ref' | sort -u >"$BATS_TEST_TMPDIR/refs"
    [ "$(grep -c "refs/heads/agent/$long-" "$BATS_TEST_TMPDIR/refs")" = 100 ]
}

@test "metrics count fetches, pushes, refreshes and connections" {
    fetches=$(metric 'gitgate_gate_fetches_total{repo="strict",result="ok"}')
    pushes=$(metric 'gitgate_gate_pushes_total{repo="strict",result="ok"}')
    clients=$(metric gitgate_gate_connections_total)
    refreshes=$(metric 'gitgate_gate_refreshes_total{repo="strict",result="ok"}')
    scans=$(metric 'gitgate_gate_push_phase_seconds_count{phase="scan"}')
    clone strict "$work"
    commit "$work" c >/dev/null
    git -C "$work" push -q
    wait_for 20 lines_are 1 '.msg == "push"'
    [ "$(metric 'gitgate_gate_fetches_total{repo="strict",result="ok"}')" = $((fetches + 1)) ]
    [ "$(metric 'gitgate_gate_pushes_total{repo="strict",result="ok"}')" = $((pushes + 1)) ]
    [ "$(metric gitgate_gate_connections_total)" = $((clients + 2)) ]
    [ "$(metric 'gitgate_gate_refreshes_total{repo="strict",result="ok"}')" = $((refreshes + 2)) ]
    [ "$(metric 'gitgate_gate_push_phase_seconds_count{phase="scan"}')" = $((scans + 1)) ]
    [ "$(metric 'gitgate_gate_refresh_seconds_count{repo="strict"}')" -ge 2 ]
    wait_for 10 no_connections
}

no_connections() {
    [ "$(metric gitgate_gate_connections)" = 0 ]
}

@test "what clients make up has no series" {
    for i in $(seq 20); do
        run git ls-remote "$(gate_url "made-up-$i.git")"
    done
    [[ $(ask /metrics) != *made-up* ]]
}

@test "refreshes that clients share are counted as shared" {
    before=$(metric 'gitgate_gate_refreshes_total{repo="app",result="shared"}')
    wait_for 20 clients_are 0
    hold_lock app
    for _ in $(seq 4); do
        git ls-remote "$(gate_url app.git)" >/dev/null 2>&1 3>&- 5>&- &
    done
    wait_for 60 clients_are 4
    release_lock
    wait
    wait_for 20 lines_are 4 '.msg == "fetch"'
    [ "$(metric 'gitgate_gate_refreshes_total{repo="app",result="shared"}')" = $((before + 3)) ]
}

@test "the gate is alive and ready, also with an upstream that has no repository" {
    [ "$(ask /healthz)" = ok ]
    wait_for 20 is_ready
    [[ $(ask /nothing) == *healthz* ]]
}

is_ready() {
    [ "$(ask /readyz)" = ok ]
}

@test "the gate is not ready while first mirrors are made, and serves all the same" {
    stop_gate
    hold_lock strict # its first mirror waits
    start_gate
    [ "$(ask /healthz)" = ok ]
    [ "$(ask /readyz)" != ok ]
    git ls-remote --exit-code "$(gate_url app.git)" refs/heads/main
    release_lock
    wait_for 20 is_ready
}

@test "metrics are where they were asked to be, or the gate does not start" {
    stop_gate
    exec 4<>"/dev/tcp/127.0.0.1/$SSH_PORT" # the port is in use
    GATE_PORT=$(free_port)
    run timeout 20 gitgate run -f "$BED/gitgate.yaml" --listen "127.0.0.1:$GATE_PORT" --state-dir "$BED/state" --metrics "127.0.0.1:$SSH_PORT"
    exec 4>&-
    start_gate
    [ "$status" = 1 ]
    [[ $output == *"GITGATE_METRICS: "*"in use"* ]]
}

@test "without --metrics nothing listens beside git" {
    stop_gate
    args=$GATE_ARGS
    GATE_ARGS=
    start_gate
    pid=$(server)
    ss -Hltnp | grep "pid=$pid," >"$BATS_TEST_TMPDIR/listening"
    stop_gate
    GATE_ARGS=$args
    start_gate
    [ "$(wc -l <"$BATS_TEST_TMPDIR/listening")" = 1 ]
}

logged_as() {
    [ "$(log_count ".client == \"$1\"")" = "$2" ]
}

@test "who a client says that it is does not matter to the log" {
    before=$(log_count '.client == "127.0.0.1"')
    python3 - "$GATE_PORT" 3>&- <<-'END'
	import socket, sys
	request = b"git-upload-pack /app.git\0host=192.0.2.1\0"
	client = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 60)
	client.sendall(b"%04x%s" % (len(request) + 4, request))
	client.recv(4)
	client.sendall(b"0000")
	END
    wait_for 20 logged_as 127.0.0.1 $((before + 1))
    logged_as 192.0.2.1 0
}
