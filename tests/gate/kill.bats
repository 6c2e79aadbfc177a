#!/usr/bin/env bats
# Whatever breaks off while a push is on its way: the gate's ref is what the upstream's is, or the next
# fetch makes it so; nothing reaches the upstream unscanned; the client is told the truth, or nothing.

bats_require_minimum_version 1.5.0
load lib

setup_file() {
    start_bed
    new_upstream app
    new_upstream cut
    write_gitgate app cut -- '.spec.upstreams[1].push = {allowForce: true, allowDelete: true}'
    start_gate
}

teardown_file() {
    stop_bed
}

setup() {
    work=$BATS_TEST_TMPDIR/work
}

# upstream_hook REPO HOOK SCRIPT
upstream_hook() {
    printf '#!/bin/sh\nBED=%s\n%s\n' "$BED" "$3" >"$BED/srv/$1.git/hooks/$2"
    chmod 755 "$BED/srv/$1.git/hooks/$2"
}

no_upstream_hooks() {
    rm -f "$BED/srv/$1.git/hooks/pre-receive" "$BED/srv/$1.git/hooks/reference-transaction"
}

# once_taken COMMAND : for a reference-transaction hook: when a ref has moved, and nobody was told yet
# (receive-pack reports before it runs post-receive)
once_taken() {
    # shellcheck disable=SC2016 # the hook's
    printf '[ "$1" = committed ] || exit 0\n%s' "$1"
}

# ---- the connection to the upstream is lost

# In an upstream's hook: kills the server's end of the connection (sshd's session, which is receive-pack's
# parent; nginx' worker), and leaves receive-pack to go on.
# shellcheck disable=SC2016 # the hook's
case $upstreams in
ssh) cut='kill -9 $(ps -o ppid= -p $PPID)' ;;
https) cut='kill -9 $(ps -o pid= --ppid $(cat "$BED/nginx.pid"))' ;;
esac

@test "a push that the upstream took before the connection was lost has arrived" {
    clone cut "$work"
    git -C "$work" push -q origin HEAD:refs/heads/old
    new=$(commit "$work" a)
    upstream_hook cut reference-transaction "$(once_taken "$cut")"
    run git -C "$work" push --atomic origin HEAD:refs/heads/main HEAD:refs/heads/new :old
    no_upstream_hooks cut
    echo "$output"
    [ "$status" = 0 ]
    agree cut refs/heads/main "$new"
    agree cut refs/heads/new "$new"
    agree cut refs/heads/old ""
    jq -es 'map(select(.msg == "push" and .repo == "cut"))[-1].result == "ok"' "$BED/gate.log"
}

@test "a push that the upstream did not take before the connection was lost has not arrived" {
    clone cut "$work"
    old=$(git -C "$work" rev-parse HEAD)
    commit "$work" b >/dev/null
    upstream_hook cut pre-receive "$cut; exit 1"
    run git -C "$work" push
    no_upstream_hooks cut
    echo "$output"
    [ "$status" -ne 0 ]
    [[ $output == *"the upstream has not got this so far, but may yet: fetch, then push again"* ]]
    agree cut refs/heads/main "$old"
    git -C "$work" push -q
    agree cut refs/heads/main "$(git -C "$work" rev-parse HEAD)"
}

@test "a push that the upstream takes only after the connection was lost is not said to be refused for good" {
    clone cut "$work"
    new=$(commit "$work" c)
    mkfifo -m 666 "$BED/go"
    upstream_hook cut pre-receive "$cut; read -r _ <\"\$BED/go\""
    run git -C "$work" push
    no_upstream_hooks cut
    echo >"$BED/go"
    rm "$BED/go"
    [ "$status" -ne 0 ]
    [[ $output == *"has not got this so far, but may yet"* ]]
    has_moved() { [ "$(up cut rev-parse main)" = "$new" ]; }
    wait_for 20 has_moved
    git ls-remote "$(gate_url cut.git)" >/dev/null
    agree cut refs/heads/main "$new"
    run git -C "$work" push
    [[ $output == *"up-to-date"* ]]
}

@test "when the upstream is gone after a push, the client is told that nobody knows" {
    clone cut "$work"
    new=$(commit "$work" d)
    mkfifo -m 666 "$BED/go"
    # shellcheck disable=SC2016 # the hook's
    upstream_hook cut reference-transaction "$(once_taken 'echo reached >"$BED/go"; read -r _ <"$BED/go"')"
    git -C "$work" push >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
    push=$!
    read -r _ <"$BED/go"
    stop_server
    result=0
    wait "$push" || result=$?
    no_upstream_hooks cut
    start_server
    timeout 1 sh -c "echo >'$BED/go'" || true # the hook, if its server's end did not end it
    rm "$BED/go"
    cat "$BATS_TEST_TMPDIR/out"
    [ "$result" -ne 0 ]
    grep -q "whether the upstream has got this can't be told now: fetch, then push again" "$BATS_TEST_TMPDIR/out"
    git ls-remote "$(gate_url cut.git)" >/dev/null
    agree cut refs/heads/main "$new"
}
