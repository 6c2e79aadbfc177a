#!/usr/bin/env bats
# A mirror that is damaged is told from one that is whole, set aside, and made anew.

bats_require_minimum_version 1.5.0
load lib

setup_file() {
    start_bed
    git init -q "$BED" # a gate's folder may lie in somebody's repository
    git -C "$BED" commit -q --allow-empty -m "Not the gate's"
    for name in app heads refs loose pack push whole theirs named; do
        new_upstream "$name"
    done
    write_gitgate app heads refs loose pack push whole theirs named
    start_gate
}

setup() {
    work=$BATS_TEST_TMPDIR/work
    BED_REFS=$(git -C "$BED" show-ref --head)
}

teardown() {
    [ "$(git -C "$BED" show-ref --head)" = "$BED_REFS" ]
}

# check REPO : as serve has it done
check() {
    GITGATE_CONFIG_DIR=$BED/state/config GITGATE_CREDS_DIR=$BED/state/creds GITGATE_REPOS_DIR=$BED/state/git \
        gitgate-gate maintain --check "$BED/state/git/$1.git"
}

mirror() {
    echo "$BED/state/git/$1.git"
}

# whole REPO : it is what the upstream is, and nothing is missing
whole() {
    [ "$(git ls-remote "$(gate_url "$1.git")" refs/heads/main | cut -f1)" = "$(up "$1" rev-parse main)" ]
    wait_for 60 gate_git "$1" fsck --full --no-dangling --no-progress # beside a maintenance
    git clone -q "$(gate_url "$1.git")" "$BATS_TEST_TMPDIR/whole-$RANDOM"
}

was_set_aside() {
    [ -d "$(mirror "$1")/gitgate/damaged/objects" ]
    [ "$(log_count ".msg == \"a damaged mirror was set aside and is made anew\" and .repo == \"$1\"")" -ge 1 ]
}

# spoil FILE : as a disk does
spoil() {
    chmod u+w "$1"
    printf 'spoilt' | dd of="$1" bs=1 seek="$(($(stat -c %s "$1") / 2))" conv=notrunc status=none
}

# loose REPO REV : the file of that object
loose() {
    local oid
    oid=$(gate_git "$1" rev-parse "$2")
    echo "$(mirror "$1")/objects/${oid:0:2}/${oid:2}"
}

can_clone() {
    rm -rf "$BATS_TEST_TMPDIR/try"
    clone "$1" "$BATS_TEST_TMPDIR/try"
}

@test "a mirror that is no repository any more is made anew when the gate starts" {
    for what in HEAD objects refs config; do
        git ls-remote --exit-code "$(gate_url heads.git)" refs/heads/main
        stop_gate
        if [ -d "$(mirror heads)/$what" ]; then
            rm -r "$(mirror heads)/${what:?}"
        else
            : >"$(mirror heads)/$what" # what a crash makes of a file that was not synced
        fi
        start_gate
        wait_for 60 can_clone heads
        whole heads
    done
    was_set_aside heads
}

@test "an end of the history that is none is no longer believed" {
    git ls-remote "$(gate_url refs.git)" >/dev/null
    head -c 82 /dev/zero >"$(mirror refs)/shallow"
    whole refs
    was_set_aside refs
}

@test "a ref that holds no object's name is no longer believed" {
    git ls-remote "$(gate_url refs.git)" >/dev/null
    mkdir -p "$(mirror refs)/refs/heads"
    : >"$(mirror refs)/refs/heads/main"
    [ "$(git ls-remote "$(gate_url refs.git)" refs/heads/main | cut -f1)" = "$(up refs rev-parse main)" ]
    was_set_aside refs
    whole refs
    echo 'no line of a list of refs' >"$(mirror refs)/packed-refs"
    [ "$(git ls-remote "$(gate_url refs.git)" refs/heads/main | cut -f1)" = "$(up refs rev-parse main)" ]
    whole refs
}

@test "an object that is empty, gone or spoilt is found when a clone fails of it" {
    git ls-remote "$(gate_url loose.git)" >/dev/null
    file=$(loose loose main:README)
    [ -e "$file" ]
    rm "$file"
    run clone loose "$work"
    [ "$status" -ne 0 ]
    wait_for 60 can_clone loose
    whole loose
    was_set_aside loose
}

@test "a damaged pack is found by the check" {
    for i in $(seq 5); do
        head -c 5000 /dev/urandom >"$BED/seed-pack/file-$i"
    done
    git -C "$BED/seed-pack" add -A
    git -C "$BED/seed-pack" commit -qm "More"
    git -C "$BED/seed-pack" push -q "$BED/srv/pack.git" HEAD:refs/heads/main
    own pack
    git ls-remote "$(gate_url pack.git)" >/dev/null
    gate_git pack repack -adq
    spoil "$(find "$(mirror pack)/objects/pack" -name '*.pack')"
    run ! gate_git pack fsck --full
    run check pack
    echo "$output"
    [ "$status" = 0 ]
    [[ $output == *'"result":"anew"'* ]]
    [ -d "$(mirror pack)/gitgate/damaged/objects" ]
    whole pack
}

@test "a push into a damaged mirror tells the truth, and the next one goes through" {
    clone push "$work"
    commit "$work" a >/dev/null
    rm "$(loose push "main^{tree}")"
    run git -C "$work" push
    if [ "$status" = 0 ]; then
        [ "$(up push rev-parse main)" = "$(git -C "$work" rev-parse HEAD)" ]
    else
        [ "$(up push rev-parse main)" = "$(git -C "$work" rev-parse HEAD~1)" ]
    fi
    can_push() {
        git -C "$work" push -q
    }
    wait_for 60 can_push
    agree push refs/heads/main "$(git -C "$work" rev-parse HEAD)"
}

@test "a mirror that is whole is left as it is, whatever its clients do" {
    git ls-remote "$(gate_url whole.git)" >/dev/null
    exec 4<>"/dev/tcp/127.0.0.1/$GATE_PORT"
    printf '002egit-upload-pack /whole.git\0host=127.0.0.1\0' >&4
    head -c 4 <&4 >/dev/null
    printf '0032want 0000000000000000000000000000000000000001\n0000' >&4
    exec 4>&-
    checked() {
        [ "$(log_count '.msg == "maintenance" and .repo == "whole"')" -ge 2 ]
    }
    wait_for 60 checked
    before=$(find "$(mirror whole)/objects" -type f | sort)
    run check whole
    [[ $output == *'"result":"ok"'* ]]
    [ "$(find "$(mirror whole)/objects" -type f | sort)" = "$before" ]
    [ ! -e "$(mirror whole)/gitgate/damaged" ]
}

@test "a damaged mirror is found beside a tag that is called as a machine that is short of something" {
    tag=$(printf 'object %s\ntype commit\ntag Permission denied\ntagger A <a@example.com> 1700000000 +0000\n\nx\n' \
        "$(up named rev-parse main)" | git -C "$BED/seed-named" hash-object --literally -t tag -w --stdin)
    git -C "$BED/seed-named" push -q "$BED/srv/named.git" "$tag:refs/tags/named"
    own named
    git ls-remote --exit-code "$(gate_url named.git)" refs/tags/named
    rm "$(loose named main:README)"
    run check named
    [[ $output == *'"result":"anew"'* ]]
    whole named
}

@test "what older programs wrote wrongly is no damage" {
    # A commit in a time zone that there is not, as real histories have it.
    old=$(printf 'tree %s\nauthor A <a@example.com> 1200000000 +051800\ncommitter A <a@example.com> 1200000000 +051800\n\nOld\n' \
        "$(up whole rev-parse "main^{tree}")" | git -C "$BED/seed-whole" hash-object --literally -t commit -w --stdin)
    git -C "$BED/seed-whole" push -q "$BED/srv/whole.git" "$old:refs/heads/old"
    own whole
    git ls-remote --exit-code "$(gate_url whole.git)" refs/heads/old
    run ! gate_git whole fsck
    run check whole
    [[ $output == *'"result":"ok"'* ]]
    [ ! -e "$(mirror whole)/gitgate/damaged" ]
}

@test "an upstream that is damaged itself costs no mirror" {
    git ls-remote "$(gate_url theirs.git)" >/dev/null
    commit_upstream theirs main >/dev/null
    oid=$(up theirs rev-parse main:other)
    rm -f "$BED/srv/theirs.git/objects/${oid:0:2}/${oid:2}"
    run git ls-remote "$(gate_url theirs.git)"
    echo "$output"
    [ "$status" -ne 0 ]
    [ ! -e "$(mirror theirs)/gitgate/damaged" ]
}
