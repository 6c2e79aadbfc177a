#!/usr/bin/env bats
# An upstream that is no longer one leaves nothing behind, and takes nothing away from whom is at work.

bats_require_minimum_version 1.5.0
load lib

setup_file() {
    start_bed
    for name in app gone used back down; do
        new_upstream "$name"
    done
    write_gitgate app gone used back down
    start_gate
    cp "$BED/state/config/gate.json" "$BED/all.json"
}

teardown() {
    set_upstreams .
    wait_for 20 has_all
}

# set_upstreams FILTER : the gate's configuration, as a ConfigMap's change makes it
set_upstreams() {
    jq "$1" "$BED/all.json" >"$BED/state/config/new.json"
    mv "$BED/state/config/new.json" "$BED/state/config/gate.json"
}

without() {
    echo ".spec.upstreams |= map(select(.name != \"$1\"))"
}

mirror() {
    echo "$BED/state/git/$1.git"
}

link_to() {
    echo "$BED/state/git/127.0.0.1$BED/srv/$1.git"
}

is_gone() {
    [ ! -e "$(mirror "$1")" ]
}

# was_removed NAME : it says so when all of it has gone
was_removed() {
    [ "$(log_count ".msg == \"a repository that is no upstream's was removed\" and .repo == \"$1\"")" -ge 1 ]
}

has_all() {
    for name in app gone used back down; do
        git ls-remote --exit-code "$(gate_url "$name.git")" refs/heads/main >/dev/null || return 1
    done
}

@test "its folder goes, with its link and its connection, and the others' stay" {
    has_all
    [ -L "$(link_to gone)" ]
    set_upstreams "$(without gone)"
    wait_for 20 was_removed gone
    is_gone gone
    [ ! -L "$(link_to gone)" ]
    [ -z "$(find "$BED/state/git/.gitgate" -name 'removed-*' 2>/dev/null)" ]
    run git ls-remote "$(gate_url gone.git)"
    [ "$status" -ne 0 ]
    [ "$(git ls-remote "$(gate_url "127.0.0.1$BED/srv/app.git")" refs/heads/main | cut -f1)" = "$(up app rev-parse main)" ]
    run pgrep -f "$(mirror gone)"
    [ -z "$output" ]
}

# Whether the one who removes has looked for clients.
asks_for_clients() {
    pgrep -f '^gitgate-gate forget$' | while read -r pid; do
        readlink "/proc/$pid/fd/"* || true
    done | grep -q "$BED/state/git/.presence"
}

@test "not while a client is at work in it" {
    exec 4<>"/dev/tcp/127.0.0.1/$GATE_PORT"
    printf '002dgit-upload-pack /used.git\0host=127.0.0.1\0' >&4
    [ "$(head -c 4 <&4 | wc -c)" = 4 ] # it is being served
    set_upstreams "$(without used)"
    wait_for 20 asks_for_clients
    [ -d "$(mirror used)" ]
    gate_git used fsck --no-progress
    exec 4>&-
    wait_for 20 is_gone used
}

@test "an upstream that comes back is served, and mirrored anew" {
    set_upstreams "$(without back)"
    wait_for 20 is_gone back
    set_upstreams .
    wait_for 20 git ls-remote --exit-code "$(gate_url back.git)" refs/heads/main
    clone back "$work"
    commit "$work" a >/dev/null
    git -C "$work" push -q
    agree back refs/heads/main "$(git -C "$work" rev-parse HEAD)"
}

@test "one that comes and goes quickly is what it was last" {
    for _ in 1 2 3 4 5 6 7 8; do
        set_upstreams "$(without back)"
        set_upstreams .
    done
    wait_for 20 git ls-remote --exit-code "$(gate_url back.git)" refs/heads/main
    [ -L "$(link_to back)" ]
}

@test "one that went while the gate was down goes when it starts" {
    has_all
    stop_gate
    cp "$BED/gitgate.yaml" "$BED/keep.yaml"
    write_gitgate app gone used back
    start_gate
    wait_for 20 is_gone down
    cp "$BED/keep.yaml" "$BED/gitgate.yaml"
    stop_gate
    start_gate
}

@test "a folder that the gate did not make stays" {
    mkdir -p "$BED/state/git/notes.git/objects"
    set_upstreams "$(without gone)"
    wait_for 20 is_gone gone
    [ -d "$BED/state/git/notes.git/objects" ]
}
