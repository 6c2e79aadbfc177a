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
    make_stops
    GATE_PATH=$BED/stop/bin:$PATH
    export GATE_PATH
    start_gate
    stop_when_refs_move
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

# ---- stops on the way

# $BED/stop/halt STEP, by whoever gets there, once for each time that the step was asked for: waits until
# it may go on. gitleaks, the gate's repository and the upstream's have it built in.
make_stops() {
    local stop=$BED/stop hook
    mkdir -p "$stop/bin"
    chmod 777 "$stop"
    mkfifo -m 666 "$stop/go"
    printf '#!/bin/sh\ncd "%s" && mv "$1" reached 2>/dev/null || exit 0\nread -r _ <go\n' "$stop" >"$stop/halt"
    printf '#!/bin/sh\n"%s" scan\nexec "%s" "$@"\n' "$stop/halt" "$(command -v gitleaks)" >"$stop/bin/gitleaks"
    printf '#!/bin/sh\n"%s" taking\n' "$stop/halt" >"$BED/srv/app.git/hooks/pre-receive"
    printf '#!/bin/sh\n[ "$1" != committed ] || "%s" taken\n' "$stop/halt" >"$BED/srv/app.git/hooks/reference-transaction"
    printf '#!/bin/bash\nexec 7<>"/dev/tcp/$1/$2"\ncat <&7 &\n{ dd bs=1 count=2000 status=none; "%s" quarantine; cat; } >&7\n' "$stop/halt" >"$stop/proxy"
    chmod 755 "$stop/halt" "$stop/proxy" "$stop/bin/gitleaks"
    for hook in pre-receive reference-transaction; do chmod 755 "$BED/srv/app.git/hooks/$hook"; done
}

# The gate's hooks are where its configuration is.
stop_when_refs_move() {
    local hook=$BED/state/config/reference-transaction
    printf '#!/bin/sh\ncase $1 in prepared) "%s" moving ;; committed) "%s" moved ;; esac\n' "$BED/stop/halt" "$BED/stop/halt" >"$hook"
    chmod 755 "$hook"
}

# stop_at STEP : starts a push, and returns when it has got there
stop_at() {
    case $1 in
    refresh | forward) hold_lock app ;;
    *) rm -f "$BED/stop/reached" && touch "$BED/stop/$1" && chmod 666 "$BED/stop/$1" ;;
    esac
    [ "$1" != quarantine ] || git -C "$work" config core.gitProxy "$BED/stop/proxy"
    git -C "$work" push origin HEAD:refs/heads/main >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- 5>&- &
    push=$!
    case $1 in
    refresh) wait_for 60 lock_is_waited_for ;;
    forward) pass_lock && wait_for 60 lock_is_waited_for ;;
    *) wait_for 60 test -e "$BED/stop/reached" ;;
    esac
}

# go_on STEP : also if nobody is left there
go_on() {
    case $1 in
    refresh | forward) release_lock ;;
    *) exec 6<>"$BED/stop/go" && echo >&6 ;;
    esac
}

at_rest() {
    local pid
    ! gone "$push" || ! pgrep -f "$BED/stop/halt" || return 1
    ! pgrep -f "receive-pack .*$BED/srv/" || return 1 # the upstream's, which may yet take what was sent
    for pid in $(below "$(server)"); do
        case $(tr '\0' ' ' <"/proc/$pid/cmdline") in git\ * | "gitgate-gate "[!s]* | "gitgate-gate scan"*) return 1 ;; esac
    done
}

# ---- who is killed

# The verb of this push that runs, if one does.
hook() {
    local pid
    for pid in $(below "$(server)"); do
        case $(tr '\0' ' ' <"/proc/$pid/cmdline") in "gitgate-gate refresh "* | "gitgate-gate scan"* | "gitgate-gate forward"*) echo "$pid" && break ;; esac
    done
}

kill_hook() {
    kill -9 "$(hook)"
}

# The verb and all that it runs.
kill_hook_and_below() {
    # shellcheck disable=SC2046 # a list
    kill -9 $(below "$(hook)")
}

# git daemon of this client, with receive-pack and the hook; what the hook runs lives on.
kill_daemon() {
    # The newest: that of a client before may be about to end.
    kill -9 -- "-$(pgrep -P "$(server)" -n -f 'git daemon')"
}

kill_gate() {
    kill -9 "$(server)"
    wait_for 30 gone "$(cat "$BED/gate.pid")"
    rm "$BED/gate.pid"
}

# ---- what holds whatever was killed

# has_only_told_the_truth RESULT COMMIT : the client whose output that is
has_only_told_the_truth() {
    local there
    there=$(up app rev-parse main)
    cat "$BATS_TEST_TMPDIR/out"
    if [ "$1" = 0 ]; then
        [ "$there" = "$2" ]
    elif grep -q "can't be told now\|but may yet" "$BATS_TEST_TMPDIR/out"; then
        :
    elif grep -q "rejected\]" "$BATS_TEST_TMPDIR/out"; then
        [ "$there" != "$2" ]
    else
        grep -qi "hung up\|disconnect\|early EOF\|reset by peer\|could not read from remote\|broken pipe\|remote error" "$BATS_TEST_TMPDIR/out"
    fi
}

# never_arrived COMMIT
never_arrived() {
    ! up app cat-file -e "$1" 2>/dev/null
}

# survives STEP KILL...
survives() {
    local step=$1 how new result
    shift
    for how; do
        echo "$how while: $step"
        rm -rf "$work"
        clone app "$work"
        head -c 20000 /dev/urandom >"$work/data"
        new=$(commit "$work" text "ghp_$(printf 'a%.0s' $(seq 36))") # gitleaks is asked, and lets it pass
        stop_at "$step"
        "kill_$how"
        go_on "$step"
        result=0
        wait "$push" || result=$?
        exec 6>&-
        [ -e "$BED/gate.pid" ] || { start_gate && stop_when_refs_move; }
        wait_for 30 at_rest
        has_only_told_the_truth "$result" "$new"
        case $step in refresh | quarantine | scan | forward) never_arrived "$new" ;; esac
        git ls-remote "$(gate_url app.git)" >/dev/null
        agree app refs/heads/main "$(up app rev-parse main)"
        git -C "$work" config --unset core.gitProxy || true
        git -C "$work" pull -q --rebase
        git -C "$work" push -q
        agree app refs/heads/main "$(git -C "$work" rev-parse HEAD)"
    done
}

@test "killed while the gate asks the upstream" {
    survives refresh hook hook_and_below daemon gate
}

@test "killed while the pack arrives" {
    survives quarantine daemon gate
}

@test "killed while the scan runs" {
    survives scan hook hook_and_below daemon gate
}

@test "killed before the push is forwarded" {
    survives forward hook hook_and_below daemon gate
}

@test "killed while the upstream makes up its mind" {
    survives taking hook hook_and_below daemon gate
}

@test "killed when the upstream has taken the push and not said so" {
    survives taken hook hook_and_below daemon gate
}

@test "killed while the gate's ref moves" {
    survives moving hook hook_and_below daemon gate
}

@test "killed when the gate's ref has moved and the client is not told yet" {
    survives moved hook hook_and_below daemon gate
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
