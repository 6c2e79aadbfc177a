#!/usr/bin/env bats
# A first mirror: short histories come at once, long ones in steps; what has come is kept, whoever is
# killed, and is served once all is there.

bats_require_minimum_version 1.5.0
load lib

COMMITS=2500 # steps to 1000, 2000 and 3000, so to all of them

setup_file() {
    start_bed
    new_upstream app
    long_upstream long
    shallow_upstream cut
    count_packs
    write_gitgate app long cut
    start_gate
    wait_for 60 mirrored 3
}

# long_history NAME BRANCH : that many commits, as a branch that shares none with another
long_history() {
    local i
    for i in $(seq "$COMMITS"); do
        printf 'commit refs/heads/%s\ncommitter A <a@example.com> %d +0000\ndata 2\nm\n' "$2" $((1700000000 + i))
        printf 'M 100644 inline f%d\ndata <<END\n%s\nEND\n\n' $((i % 50)) "$RANDOM $RANDOM $RANDOM $RANDOM $RANDOM"
    done | git -C "$BED/srv/$1.git" fast-import --quiet
    own "$1"
}

long_upstream() {
    empty_upstream "$1"
    long_history "$1" main
}

shallow_upstream() {
    git clone -q --bare --depth 1 "file://$BED/srv/long.git" "$BED/srv/$1.git"
    own "$1"
}

# Each pack that the upstream sends of a repository lies in $BED/packs/<name> first; of number
# <name>/stop half is sent, and nothing more.
count_packs() {
    local name
    for name in app long cut; do
        mkdir -p "$BED/packs/$name"
        echo 0 >"$BED/packs/$name/stop"
    done
    mkfifo -m 666 "$BED/packs/never"
    chmod -R a+rwX "$BED/packs"
    cat >"$BED/pack" <<-END
	#!/bin/sh
	dir=$BED/packs/\$(basename "\$PWD" .git)
	pack=\$dir/pack-\$((\$(ls "\$dir" | grep -c '^pack-') + 1))
	"\$@" >"\$pack" || exit
	[ "\$pack" = "\$dir/pack-\$(cat "\$dir/stop")" ] || exec cat "\$pack"
	head -c \$((\$(stat -c %s "\$pack") / 2)) "\$pack"
	touch "\$dir/reached"
	read -r _ <$BED/packs/never
	END
    chmod 755 "$BED/pack"
    stop_sshd
    echo "SetEnv GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=uploadpack.packObjectsHook GIT_CONFIG_VALUE_0=$BED/pack" >>"$BED/sshd/config"
    start_sshd
}

# begin_anew NAME [STOP] : the gate is to make the mirror again; the upstream stops in that pack
begin_anew() {
    stop_gate
    rm -rf "$BED/state/git/$1.git" "$BED/packs/$1/"pack-*
    echo "${2:-0}" >"$BED/packs/$1/stop"
}

packs() {
    find "$BED/packs/$1" -name 'pack-*' | wc -l
}

# mirrored N : that many first mirrors have ended
mirrored() {
    [ "$(log_count '.msg == "mirror"')" = "$1" ]
}

kill_gate() {
    # shellcheck disable=SC2046 # a list
    kill -9 $(below "$(cat "$BED/gate.pid")")
    wait_for 20 gone "$(cat "$BED/gate.pid")"
    rm "$BED/gate.pid"
}

@test "a history that fits in the first step comes in one request" {
    begin_anew app
    start_gate
    git ls-remote --exit-code "$(gate_url app.git)" refs/heads/main
    clone app "$BATS_TEST_TMPDIR/work"
    [ "$(packs app)" = 1 ]
}

@test "a long history comes in steps, and is whole" {
    begin_anew long
    start_gate
    clone long "$BATS_TEST_TMPDIR/work"
    [ "$(git -C "$BATS_TEST_TMPDIR/work" rev-list --count HEAD)" = "$COMMITS" ]
    [ "$(packs long)" = 3 ]
    [ "$(gate_git long rev-parse --is-shallow-repository)" = false ]
}

# size N : of that pack of the long one
size() {
    stat -c %s "$BED/packs/long/pack-$1"
}

# In the midst of the pack that begin_anew names.
kill_on_the_way() {
    start_gate
    wait_for 60 test -e "$BED/packs/long/reached"
    kill_gate
    rm "$BED/packs/long/reached"
    echo 0 >"$BED/packs/long/stop"
    exec 6<>"$BED/packs/never" && echo >&6
    exec 6>&-
}

@test "a first mirror that is killed on the way goes on from what it has" {
    begin_anew long 3
    kill_on_the_way

    stop_sshd # nothing is served of what is half there
    start_gate
    run ! git ls-remote "$(gate_url long.git)"
    start_sshd

    rm "$BED/packs/long/"pack-*
    clone long "$BATS_TEST_TMPDIR/work"
    [ "$(git -C "$BATS_TEST_TMPDIR/work" rev-list --count HEAD)" = "$COMMITS" ]
    git -C "$BATS_TEST_TMPDIR/work" fsck --full
    [ "$(gate_git long rev-parse --is-shallow-repository)" = false ]
    whole=$(git -C "$BED/srv/long.git" pack-objects --all --stdout --quiet </dev/null | wc -c)
    again=$(cat "$BED/packs/long/"pack-* | wc -c)
    echo "$again bytes of $whole came after the kill"
    [ "$again" -lt $((whole * 3 / 4)) ]
}

@test "after a first step that was killed comes a smaller one" {
    begin_anew long 1
    kill_on_the_way
    first=$(size 1)
    rm "$BED/packs/long/"pack-*
    start_gate
    clone long "$BATS_TEST_TMPDIR/work"
    [ "$(git -C "$BATS_TEST_TMPDIR/work" rev-list --count HEAD)" = "$COMMITS" ]
    echo "$first bytes, then $(size 1)"
    [ "$(size 1)" -lt $((first / 2)) ]
}

# As a kernel does again and again where a container's memory is too small for so much at once.
@test "a later step that is killed again and again becomes smaller each time, and what came before is kept" {
    begin_anew long 2
    kill_on_the_way
    for try in 3 4; do
        echo "$try" >"$BED/packs/long/stop"
        kill_on_the_way
    done
    start_gate
    clone long "$BATS_TEST_TMPDIR/work"
    [ "$(git -C "$BATS_TEST_TMPDIR/work" rev-list --count HEAD)" = "$COMMITS" ]
    [ "$(gate_git long rev-parse --is-shallow-repository)" = false ]
    stat -c '%n: %s bytes' "$BED/packs/long/"pack-*
    [ "$(size 3)" -lt $(($(size 2) / 2)) ]
    [ "$(size 4)" -lt $(($(size 3) / 2)) ]
    [ "$(size 5)" -le "$(size 4)" ]
}

# Where the first step cut that branch off, the upstream has nothing any more that could go on from there.
@test "a branch that goes from the upstream in the midst of a first mirror does not end it" {
    long_history long aside
    begin_anew long 2
    kill_on_the_way
    git -C "$BED/srv/long.git" update-ref -d refs/heads/aside
    git -C "$BED/srv/long.git" gc -q --prune=now
    own long
    start_gate
    clone long "$BATS_TEST_TMPDIR/work"
    [ "$(git -C "$BATS_TEST_TMPDIR/work" rev-list --count --all)" = "$COMMITS" ]
    [ "$(gate_git long rev-parse --is-shallow-repository)" = false ]
}

@test "an upstream that is a shallow clone itself is refused, and told so" {
    run git ls-remote "$(gate_url cut.git)"
    echo "$output"
    [ "$status" -ne 0 ]
    [[ $output == *"the upstream is a shallow clone itself"* ]]
}

# git fetch rejects such refs with a warning, and exits with 0.
@test "an upstream that becomes a shallow clone is refused, and nothing old is served, until it is whole" {
    git ls-remote --exit-code "$(gate_url app.git)" refs/heads/main
    for _ in 1 2 3; do commit_upstream app main >/dev/null; done
    mv "$BED/srv/app.git" "$BED/srv/whole.git"
    git clone -q --bare --depth 2 "file://$BED/srv/whole.git" "$BED/srv/app.git"
    own app
    for _ in 1 2; do
        run git ls-remote "$(gate_url app.git)"
        echo "$output"
        [ "$status" -ne 0 ]
        [[ $output == *"git does not fetch all that the upstream has"* ]]
    done
    rm -rf "$BED/srv/app.git"
    mv "$BED/srv/whole.git" "$BED/srv/app.git"
    [ "$(git ls-remote "$(gate_url app.git)" refs/heads/main | cut -f1)" = "$(up app rev-parse main)" ]
}
