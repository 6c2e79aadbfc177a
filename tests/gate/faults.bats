#!/usr/bin/env bats
# What goes wrong is told as what it is, bounded in time, and nothing stale or secret comes of it.

bats_require_minimum_version 1.5.0
load lib

setup_file() {
    start_bed
    new_upstream app
    new_upstream spare
    start_listeners
    write_gitgate app spare absent unresolved full nokeys -- "
        def server(authority): .url |= sub(\"127.0.0.1:[0-9]+\"; authority);
        .spec.upstreams |= map(
            if .name == \"unresolved\" then server(\"no-such-host.invalid\")
            elif .name == \"full\" then server(\"127.0.0.1:$FULL_PORT\")
            elif .name == \"nokeys\" then del(.ssh.knownHostKeys)
            else . end)"
    start_gate
}

teardown() {
    rm -f "$BATS_TEST_TMPDIR/go" # ends what loops while it is there
    start_server
    [ -e "$BED/gate.pid" ] || start_gate
}

# refused REPO TEXT : listing it fails with that text, in one line without a path of the gate's
refused() {
    run git ls-remote "$(gate_url "$1.git")"
    echo "$output"
    [ "$status" -ne 0 ]
    [[ $output == *"$2"* ]]
    [[ $output != *"$BED/state"* && $output != *"PRIVATE"* ]]
}

@test "an upstream that is down is said to be, and nothing stale is served" {
    clone app "$work"
    stop_server
    # The kept connection ends with its server's session: before it is used, or while it is.
    refused app "127.0.0.1 "
    [[ $output == *"refused the connection"* || $output == *"can't be reached"* || $output == *"ended the connection"* ]]
    run git -C "$work" fetch
    [ "$status" -ne 0 ]
    commit "$work" a >/dev/null
    run git -C "$work" push
    [ "$status" -ne 0 ]
    start_server
    git -C "$work" push -q
    agree app refs/heads/main "$(git -C "$work" rev-parse HEAD)"
}

@test "another host key than the pinned one is said to be, by field" {
    ssh_only
    git ls-remote "$(gate_url spare.git)" >/dev/null
    ssh-keygen -q -t ed25519 -N '' -f "$BATS_TEST_TMPDIR/other"
    cp "$BED/state/creds/spare-known_hosts" "$BATS_TEST_TMPDIR/keep"
    echo "[127.0.0.1]:$SSH_PORT $(cut -d' ' -f1,2 "$BATS_TEST_TMPDIR/other.pub")" >"$BED/state/creds/spare-known_hosts"
    refused spare "host key of 127.0.0.1 is not among spec.upstreams[1].ssh.knownHostKeys"
    cp "$BATS_TEST_TMPDIR/keep" "$BED/state/creds/spare-known_hosts"
    git ls-remote "$(gate_url spare.git)" >/dev/null
}

@test "a key that is taken away, or that the upstream does not know, opens nothing" {
    ssh_only
    git ls-remote "$(gate_url spare.git)" >/dev/null # a kept connection is there
    ssh-keygen -q -t ed25519 -N '' -f "$BATS_TEST_TMPDIR/other"
    cp -p "$BED/state/creds/spare-key" "$BATS_TEST_TMPDIR/keep"
    cat "$BATS_TEST_TMPDIR/other" >"$BED/state/creds/spare-key"
    refused spare "127.0.0.1 refused the key of spec.upstreams[1].ssh.secretRef"
    rm "$BED/state/creds/spare-key"
    refused spare "no key for 127.0.0.1: see spec.upstreams[1].ssh.secretRef"
    mv "$BED/state/creds/spare-known_hosts" "$BATS_TEST_TMPDIR/hosts" # as where there is no Secret at all
    refused spare "no key for 127.0.0.1: see spec.upstreams[1].ssh.secretRef"
    mv "$BATS_TEST_TMPDIR/hosts" "$BED/state/creds/spare-known_hosts"
    cp -p "$BATS_TEST_TMPDIR/keep" "$BED/state/creds/spare-key"
    git ls-remote "$(gate_url spare.git)" >/dev/null
}

@test "a connection that the old key opened is ended when the key changes" {
    ssh_only
    git ls-remote "$(gate_url spare.git)" >/dev/null
    before=$(find "$BED/state/git/spare.git/gitgate" -type s)
    ssh-keygen -q -t ed25519 -N '' -f "$BATS_TEST_TMPDIR/other"
    cp -p "$BED/state/creds/spare-key" "$BATS_TEST_TMPDIR/keep"
    cat "$BATS_TEST_TMPDIR/other" >"$BED/state/creds/spare-key"
    run git ls-remote "$(gate_url spare.git)"
    [ ! -e "$before" ]
    cp -p "$BATS_TEST_TMPDIR/keep" "$BED/state/creds/spare-key"
    git ls-remote "$(gate_url spare.git)" >/dev/null
}

@test "a missing host key is said with the field to fill in" {
    ssh_only
    refused nokeys "spec.upstreams[5].ssh.knownHostKeys"
}

@test "a repository that the upstream has not got is told apart" {
    refused absent "127.0.0.1 has no such repository"
}

@test "a name that does not resolve is told apart" {
    refused unresolved "the name no-such-host.invalid can't be resolved"
}

@test "an upstream that does not answer is given up within seconds" {
    started=$SECONDS
    for i in 1 2 3 4; do
        git ls-remote "$(gate_url full.git)" >"$BATS_TEST_TMPDIR/out-$i" 2>&1 3>&- &
    done
    wait
    # Two time-outs, of 10 s for ssh and 30 for https: the others share. Without them TCP's own: two minutes.
    [ $((SECONDS - started)) -lt 120 ]
    for i in 1 2 3 4; do
        grep -q "127.0.0.1 \(does not answer\|did not answer in time\)" "$BATS_TEST_TMPDIR/out-$i"
    done
}

@test "a hook whose configuration is broken refuses" {
    cp "$BED/state/config/gate.json" "$BATS_TEST_TMPDIR/keep"
    echo '{"kind": "GitGate"' >"$BED/state/config/gate.json"
    refused app "configuration is not valid"
    cp "$BATS_TEST_TMPDIR/keep" "$BED/state/config/gate.json"
    git ls-remote "$(gate_url app.git)" >/dev/null
}

# git takes a hook that it can't look at for one that agrees.
@test "a hook that git can't see lets no push through" {
    clone app "$work"
    commit "$work" unseen >/dev/null
    for hook in access-hook pre-receive proc-receive; do
        chmod -x "$BED/state/config/$hook"
        run git -C "$work" push origin HEAD:refs/heads/unseen
        chmod +x "$BED/state/config/$hook"
        echo "$hook: $output"
        [ "$status" -ne 0 ]
        [ $hook != pre-receive ] || [[ $output == *"has not scanned this push"* ]]
        agree app refs/heads/unseen ""
    done
    git -C "$work" push -q origin HEAD:refs/heads/unseen
}

@test "an upstream that is taken out is no longer served" {
    cp "$BED/state/config/gate.json" "$BATS_TEST_TMPDIR/keep"
    jq 'del(.spec.upstreams[0])' "$BATS_TEST_TMPDIR/keep" >"$BED/state/config/gate.json"
    refused app ""
    [[ $output == *"no longer an upstream"* || $output == *"no such repository"* ]] # once its mirror is removed
    cp "$BATS_TEST_TMPDIR/keep" "$BED/state/config/gate.json"
    wait_for 20 git ls-remote "$(gate_url app.git)"
}

# More than there are places; the last ones are in the listener's queue. Ends when the gate has given up all of them.
connect_and_say_nothing() {
    python3 - "$GATE_PORT" "$BATS_TEST_TMPDIR/connected" 3>&- <<-'END' &
	import socket, sys
	clients = [socket.create_connection(("127.0.0.1", int(sys.argv[1]))) for _ in range(300)]
	clients[0].sendall(b"003") # half of something
	open(sys.argv[2], "w").close()
	for client in clients:
	    client.settimeout(60)
	    try:
	        assert client.recv(1) == b""
	    except ConnectionResetError:
	        pass
	END
    silent=$!
    wait_for 60 test -e "$BATS_TEST_TMPDIR/connected"
}

@test "clients that connect and say nothing do not keep others out" {
    connect_and_say_nothing
    git ls-remote --exit-code "$(gate_url app.git)" refs/heads/main
    [ "$(pgrep -c -P "$(server)" -f '^git daemon')" -lt 5 ] # they have no process
    wait "$silent"
    [ "$(log_count '.msg == "a client was lost"')" = 0 ] # nor does a place that gets free bring what isn't there
}

# More than there are places push to the repository: each says what it wants, waits for the gate's answer and sends a
# byte now and then, of a packet that would be 64 kB long. Returns when all places are taken but the one that somebody
# has already.
push_in_drops() {
    python3 - "$GATE_PORT" "$BATS_TEST_TMPDIR/full" "/$1.git" 3>&- 5>&- <<-'END' &
	import selectors, socket, sys, time
	words = b"git-receive-pack %s\0host=x\0" % sys.argv[3].encode()
	clients = [socket.create_connection(("127.0.0.1", int(sys.argv[1]))) for _ in range(300)]
	waiting = selectors.DefaultSelector()
	for client in clients:
	    client.sendall(b"%04x%s" % (len(words) + 4, words))
	    waiting.register(client, selectors.EVENT_READ)
	served = 0
	while served < 255:
	    for key, _ in waiting.select():
	        waiting.unregister(key.fileobj)
	        key.fileobj.recv(4)
	        served += 1
	for client in clients:
	    client.sendall(b"fff0")
	open(sys.argv[2], "w").close()
	while clients:
	    for client in list(clients):
	        try:
	            client.sendall(b"0")
	        except OSError: # it had to go
	            clients.remove(client)
	    time.sleep(0.2)
	END
    slow=$!
    wait_for 120 test -e "$BATS_TEST_TMPDIR/full"
}

@test "pushes that hardly go on do not keep others out, nor does their number end one that the gate is at work for" {
    clone spare "$work"
    new=$(commit "$work" a)
    hold_lock spare
    git -C "$work" push -q 3>&- 5>&- &
    push=$!
    pass_lock # now it has come, is scanned, and waits until it may go upstream: the longest of all
    wait_for 60 lock_is_waited_for
    push_in_drops app
    git ls-remote --exit-code "$(gate_url app.git)" refs/heads/main
    git ls-remote --exit-code "$(gate_url app.git)" refs/heads/main
    release_lock
    wait "$push"
    agree spare refs/heads/main "$new"
    kill "$slow"
    wait "$slow" || true
}

@test "a client that goes away in the midst of its first word is given up at once" {
    before=$(cut -d' ' -f14,15 "/proc/$(server)/stat" | awk '{print $1 + $2}')
    # What it has sent can be read for ever, and will never be more.
    python3 - "$GATE_PORT" 3>&- <<-'END'
	import socket, sys
	for word in b"", b"003", b"002cgit-upload-pack /app":
	    client = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
	    client.sendall(word)
	    client.shutdown(socket.SHUT_WR)
	    client.settimeout(60)
	    try:
	        assert client.recv(1) == b""
	    except ConnectionResetError: # of what nobody has read
	        pass
	END
    after=$(cut -d' ' -f14,15 "/proc/$(server)/stat" | awk '{print $1 + $2}')
    [ $((after - before)) -lt 200 ] # hundredths of a second; it was ten seconds
}

@test "noise instead of git is survived" {
    for noise in '' 'GET / HTTP/1.0\r\n\r\n' '0000' 'ffff' '0032git-upload-pack /app.git\0host=x\0' \
        '0023git-upload-archive /app.git\0h=x\0' '\377\377\377\377'; do
        # shellcheck disable=SC2059
        printf "$noise" 2>/dev/null | timeout 20 bash -c "exec 4<>/dev/tcp/127.0.0.1/$GATE_PORT; cat >&4; head -c 200 <&4" >/dev/null || true
    done
    git ls-remote --exit-code "$(gate_url app.git)" refs/heads/main
}

@test "no credential is in any argument, environment, output or log while the gate works" {
    [ "$(id -u)" = 0 ] && command -v strace >/dev/null || skip "needs root and strace"
    clone app "$work"
    commit "$work" b >/dev/null
    stop_gate
    : >"$BED/gate.log"
    start_gate
    server=$(server)
    # All that the gate starts, with its whole environment.
    strace -f -v -s 1000000 -e trace=execve -e signal=none -o "$BATS_TEST_TMPDIR/seen" -p "$server" 3>&- &
    trace=$!
    wait_for 20 grep -q "^TracerPid:[[:space:]]*[1-9]" "/proc/$server/status"
    for _ in 1 2 3; do
        commit "$work" c >/dev/null
        git -C "$work" push >"$BATS_TEST_TMPDIR/out" 2>&1
        git -C "$work" fetch >>"$BATS_TEST_TMPDIR/out" 2>&1
    done
    kill "$trace"
    wait "$trace" || true
    for pid in "$(cat "$BED/gate.pid")" "$server"; do
        cat "/proc/$pid/cmdline" "/proc/$pid/environ"
    done | tr '\0' '\n' >>"$BATS_TEST_TMPDIR/seen"
    grep -q 'execve("[^"]*gitgate-gate", .*"GITGATE_[A-Z_]*=' "$BATS_TEST_TMPDIR/seen"
    grep -q 'execve("[^"]*git", .*"push", ' "$BATS_TEST_TMPDIR/seen" # the gate's own
    while read -r secret; do
        [ ${#secret} -ge 20 ]
        run ! grep -rF -- "$secret" "$BATS_TEST_TMPDIR/seen" "$BATS_TEST_TMPDIR/out" "$BED/gate.log" "$BED/gate.err"
        # and where it may be, it is for the gate's user alone
        run ! grep -rF -- "$secret" "$BED/state/git" "$BED/state/config" "$BED/state/client"
    done < <(server_secrets)
    for file in "$BED"/state/creds/app-*; do
        [ "$(stat -c %a "$file")" = 600 ]
    done
}

@test "every line of the gate is JSON" {
    jq -e . "$BED/gate.log" >/dev/null
    # Standard error has what `gitgate run` says to a person, and git daemon's own complaints.
    run grep -v '^gate \|git clone\|^$\|^or, to reach\|export GIT_CONFIG\|^fatal: \|^error: git-daemon\|^warning: ' "$BED/gate.err"
    [ -z "$output" ]
}

# unreaped : children of the gate that have ended, and that nobody has asked about
unreaped() {
    ps -o stat= --ppid "$(server)" | grep -c ^Z || true
}

none_unreaped() {
    [ "$(unreaped)" = 0 ]
}

@test "what git and ssh leave behind is reaped" {
    ssh_only
    for _ in 1 2 3; do
        git ls-remote "$(gate_url app.git)" >/dev/null
        for i in 1 2 3 4; do git ls-remote "$(gate_url app.git)" >/dev/null 3>&- & done
        end_kept app # while git daemons end, too
        wait
        wait_for 10 none_unreaped
    done
    git ls-remote --exit-code "$(gate_url app.git)" refs/heads/main
}

# end_kept REPO : its kept connections
end_kept() {
    local pid
    for pid in $(pgrep -P "$(server)" -x ssh); do
        [ "$(readlink "/proc/$pid/cwd")" != "$BED/state/git/$1.git" ] || kill "$pid"
    done
}

all_gone() {
    local pid
    for pid; do gone "$pid" || return 1; done
}

# At work: a client that is being served and, with ssh, a kept connection that was orphaned.
put_to_work() {
    git ls-remote "$(gate_url app.git)" >/dev/null
    exec 4<>"/dev/tcp/127.0.0.1/$GATE_PORT"
    printf '002dgit-receive-pack /app.git\0host=127.0.0.1\0' >&4
    head -c 4 <&4 >/dev/null # its answer begins
    working=$(below "$(cat "$BED/gate.pid")")
    [ "$(echo "$working" | wc -l)" -ge 5 ] # gitgate run, gate, git, git daemon, receive-pack
    [ "$upstreams" != ssh ] || pgrep -P "$(server)" -x ssh >/dev/null
}

serves_again() {
    exec 4>&-
    start_gate
    git ls-remote --exit-code "$(gate_url app.git)" refs/heads/main
}

@test "the end of the gate is the end of all that it started" {
    put_to_work
    stop_gate
    # shellcheck disable=SC2086 # a list
    all_gone $working
    [ -z "$(find "$BED/state/git" -path '*gitgate/ssh-*' -type s)" ]
    serves_again
}

@test "a gate that is killed takes with it all that it started" {
    put_to_work
    kill -9 "$(server)"
    # shellcheck disable=SC2086 # a list
    wait_for 20 all_gone $working
    rm "$BED/gate.pid"
    serves_again
}

@test "when gitgate run is killed the gate ends, and all that it started" {
    put_to_work
    kill -9 "$(cat "$BED/gate.pid")"
    # shellcheck disable=SC2086 # a list
    wait_for 20 all_gone $working
    rm "$BED/gate.pid"
    serves_again
}

@test "in a PID namespace of its own, as in a pod, a killed gate leaves nothing" {
    [ "$(id -u)" = 0 ] || skip "needs root"
    stop_gate
    setsid unshare --pid --fork --mount-proc --kill-child env "GITGATE_LISTEN=127.0.0.1:$GATE_PORT" GITGATE_METRICS=off \
        "GITGATE_CONFIG_DIR=$BED/state/config" "GITGATE_CREDS_DIR=$BED/state/creds" "GITGATE_REPOS_DIR=$BED/state/git" \
        "$BED/state/config/entrypoint" >>"$BED/gate.log" 2>>"$BED/gate.err" 3>&- &
    echo $! >"$BED/gate.pid"
    GITGATE_LISTEN="127.0.0.1:$GATE_PORT" timeout 20 gitgate-gate probe --wait
    put_to_work
    kill -9 "$(server)"
    # shellcheck disable=SC2086 # a list
    wait_for 20 all_gone $working
    rm "$BED/gate.pid"
    serves_again
}

@test "a gate that was killed starts again and serves" {
    clone app "$work"
    commit "$work" d >/dev/null
    killed=$(server)
    kill -9 "$(cat "$BED/gate.pid")"
    wait_for 10 gone "$killed"
    start_gate
    git -C "$work" push -q
    agree app refs/heads/main "$(git -C "$work" rev-parse HEAD)"
}
