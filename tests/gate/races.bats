#!/usr/bin/env bats
# Who comes at the same time as others is told the truth: about refs that move, and about pushes that landed.

bats_require_minimum_version 1.5.0
load lib

setup_file() {
    start_bed
    new_upstream app
    new_upstream forced
    new_upstream strict
    write_gitgate app forced strict -- '.spec.upstreams[1].push = {allowForce: true, allowDelete: true}'
    make_strict strict
    stop_when_asked
    metrics_on_free_port
    start_gate
    wait_for 60 first_mirrors_are_made
}

first_mirrors_are_made() {
    [ "$(log_count '.msg == "mirror"')" = 3 ]
}

# The gate's ssh waits before it asks an upstream, while $BED/stop/armed is there: until something is written to
# $BED/stop/go.
stop_when_asked() {
    mkdir -p "$BED/stop"
    mkfifo "$BED/stop/go"
    cat >"$BED/stop/ssh" <<-END
	#!/bin/sh
	case " \$* " in *git-upload-pack*) mv "$BED/stop/armed" "$BED/stop/reached" 2>/dev/null && read -r _ <"$BED/stop/go" ;; esac
	exec "$(command -v ssh)" "\$@"
	END
    chmod 755 "$BED/stop/ssh"
    export GATE_PATH=$BED/stop:$PATH
}

teardown() {
    stop_listing
}

# start_listing REPO : three clients that list it in a loop
start_listing() {
    local url
    url=$(gate_url "$1.git")
    listers=()
    touch "$BATS_TEST_TMPDIR/go"
    : >"$BATS_TEST_TMPDIR/failed"
    for i in 1 2 3; do
        while [ -e "$BATS_TEST_TMPDIR/go" ]; do
            git ls-remote "$url" >"$BATS_TEST_TMPDIR/list-$i" 2>&1 || cat "$BATS_TEST_TMPDIR/list-$i" >>"$BATS_TEST_TMPDIR/failed"
            echo >>"$BATS_TEST_TMPDIR/listed"
        done 3>&- &
        listers+=($!)
    done
    wait_for 20 test -s "$BATS_TEST_TMPDIR/listed"
}

stop_listing() {
    rm -f "$BATS_TEST_TMPDIR/go"
    wait "${listers[@]}"
    listers=()
}

# Of all that was listed meanwhile nothing failed.
none_failed() {
    stop_listing
    cat "$BATS_TEST_TMPDIR/failed"
    [ ! -s "$BATS_TEST_TMPDIR/failed" ]
}

# lists REPO FILE : that listing is what the upstream has
lists() {
    [ "$(grep -v HEAD "$2")" = "$(up "$1" for-each-ref --format='%(objectname)%09%(refname)')" ]
}

# How often the upstream was asked anything.
sessions() {
    grep -c "Starting session" "$BED/sshd/log" || true
}

# list FROM TO REPO : a client each, in the background
list() {
    local i
    for i in $(seq "$1" "$2"); do
        git ls-remote "$(gate_url "$3.git")" >"$BATS_TEST_TMPDIR/out-$i" 2>&1 3>&- 5>&- &
        clients+=($!)
    done
}

# list_and_stop REPO : one client, for whom the upstream is being asked, until go_on
list_and_stop() {
    wait_for 60 clients_are 0
    clients=()
    touch "$BED/stop/armed"
    list 1 1 "$1"
    wait_for 60 test -e "$BED/stop/reached"
}

go_on() {
    rm "$BED/stop/reached"
    echo >"$BED/stop/go"
}

# at_once N REPO : that many clients, all of which wait when the upstream is asked for the first of them
at_once() {
    local i clients=()
    wait_for 60 clients_are 0
    hold_lock "$2"
    list 1 "$1" "$2"
    wait_for 60 clients_are "$1"
    ! type -t meanwhile >/dev/null || meanwhile
    release_lock
    for i in "${clients[@]}"; do wait "$i"; done
}

@test "20 pushes while three clients list are all told the truth" {
    clone app "$work"
    start_listing app
    for i in $(seq 20); do
        new=$(commit "$work" "a-$i")
        git -C "$work" push -q
        [ "$(up app rev-parse main)" = "$new" ]
    done
    none_failed
    agree app refs/heads/main "$new"
}

@test "8 refreshes at once after the upstream moved all have what it has" {
    for round in 1 2 3 4 5; do
        meanwhile() { commit_upstream app main >/dev/null; up app branch "moved-$round" main; }
        at_once 8 app
        for i in $(seq 8); do lists app "$BATS_TEST_TMPDIR/out-$i"; done
    done
}

@test "8 clients that come as they like after the upstream moved all have what it has" {
    for round in 1 2 3 4 5; do
        commit_upstream app main >/dev/null
        clients=()
        for i in $(seq 8); do
            git ls-remote "$(gate_url app.git)" >"$BATS_TEST_TMPDIR/out-$i" 2>&1 3>&- &
            clients+=($!)
        done
        for i in "${clients[@]}"; do wait "$i"; done
        for i in $(seq 8); do lists app "$BATS_TEST_TMPDIR/out-$i"; done
    done
}

@test "64 clients at once are served by one refresh" {
    before=$(sessions)
    at_once 64 app
    for i in $(seq 64); do lists app "$BATS_TEST_TMPDIR/out-$i"; done
    [ $(($(sessions) - before)) = 1 ]
}

@test "63 clients that come while the upstream is asked for one are served by one more refresh" {
    list_and_stop app
    before=$(sessions)
    list 2 64 app
    wait_for 60 clients_are 64
    go_on
    for i in "${clients[@]}"; do wait "$i"; done
    for i in $(seq 64); do lists app "$BATS_TEST_TMPDIR/out-$i"; done
    [ $(($(sessions) - before)) = 2 ] # the first one's began after it was stopped
}

@test "clients that come while the upstream is asked for one get what it has since" {
    list_and_stop app
    up app branch after-the-first main
    list 2 5 app
    wait_for 60 clients_are 5
    go_on
    for i in "${clients[@]}"; do wait "$i"; done
    for i in 2 3 4 5; do lists app "$BATS_TEST_TMPDIR/out-$i"; done
}

@test "the others go on when the one that asked for all of them is killed" {
    list_and_stop app
    list 2 8 app
    wait_for 60 clients_are 8
    kill -9 -- "-$(pgrep -o -P "$(server)" -f '^git daemon')" # with its access hook
    go_on
    for i in "${clients[@]:1}"; do wait "$i"; done
    for i in $(seq 2 8); do lists app "$BATS_TEST_TMPDIR/out-$i"; done
}

@test "a deletion while others list is done, and said to be" {
    clone forced "$work"
    start_listing forced
    for i in 1 2 3 4 5; do
        git -C "$work" push -q origin "HEAD:refs/heads/gone-$i"
        git -C "$work" push -q origin ":gone-$i"
        agree forced "refs/heads/gone-$i" ""
    done
    none_failed
}

@test "a deletion does not take away what somebody else pushed meanwhile" {
    clone forced "$work"
    git -C "$work" push -q origin HEAD:refs/heads/shared
    outrun forced shared :shared
    git ls-remote "$(gate_url forced.git)" >/dev/null
    agree forced refs/heads/shared "$theirs"
}

@test "a push with a lease goes through while others list, and not when the lease is broken" {
    clone forced "$work"
    git -C "$work" push -q origin HEAD:refs/heads/leased
    start_listing forced
    for i in 1 2 3 4 5; do
        git -C "$work" commit -q --amend -m "Rewritten $i"
        git -C "$work" push -q --force-with-lease origin HEAD:refs/heads/leased
        agree forced refs/heads/leased "$(git -C "$work" rev-parse HEAD)"
    done
    theirs=$(commit_upstream forced leased)
    git -C "$work" commit -q --amend -m "Rewritten in vain"
    run git -C "$work" push --force-with-lease origin HEAD:refs/heads/leased
    [ "$status" -ne 0 ]
    [[ $output == *"stale info"* ]]
    none_failed
    agree forced refs/heads/leased "$theirs"
}

@test "of two refs of which the upstream refuses one, each is told its own, while others list" {
    clone strict "$work"
    start_listing strict
    for i in 1 2 3 4 5; do
        new=$(commit "$work" "b-$i")
        run git -C "$work" push origin "HEAD:refs/heads/yes-$i" "HEAD:refs/heads/no-$i"
        [ "$status" -ne 0 ]
        [[ $output == *"[new branch]"*"HEAD -> yes-$i"* ]]
        [[ $output == *"[remote rejected]"*"HEAD -> no-$i (upstream: hook declined)"* ]]
        agree strict "refs/heads/yes-$i" "$new"
        agree strict "refs/heads/no-$i" ""
    done
    none_failed
}

@test "two pushes to one branch at once have one winner" {
    for round in 1 2 3 4 5; do
        clone app "$work-a-$round"
        clone app "$work-b-$round"
        a=$(commit "$work-a-$round" "c-$round")
        b=$(commit "$work-b-$round" "d-$round")
        git -C "$work-a-$round" push -q >/dev/null 2>&1 3>&- &
        first=$!
        git -C "$work-b-$round" push -q >/dev/null 2>&1 3>&- &
        second=$!
        won_a=0 won_b=0
        wait "$first" || won_a=$?
        wait "$second" || won_b=$?
        if [ "$won_a" = 0 ]; then
            [ "$won_b" != 0 ]
            agree app refs/heads/main "$a"
        else
            [ "$won_b" = 0 ]
            agree app refs/heads/main "$b"
        fi
    done
}
