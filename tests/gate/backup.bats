#!/usr/bin/env bats
# What a push takes away upstream can be had back from the gate.

bats_require_minimum_version 1.5.0
load lib

setup_file() {
    start_bed
    new_upstream app
    new_upstream strict
    write_gitgate app strict -- '.spec.upstreams[].push |= {allowForce: true, allowDelete: true}'
    make_strict strict
    start_gate
}

# backups REPO [OID] : "<oid> <name>" of what is kept, a line each
backups() {
    gate_git "$1" for-each-ref --format='%(objectname) %(refname)' refs/gitgate/backup
}

count_backups() {
    backups "$1" | wc -l
}

kept() {
    backups "$1" | grep -q "^$2 refs/gitgate/backup/[0-9]*-[0-9]*/$3\$"
}

@test "a commit that was forced away and a branch that was deleted are kept, and can be pushed back" {
    clone app "$work"
    git -C "$work" push -q origin HEAD:refs/heads/forced
    old=$(commit "$work" a)
    git -C "$work" push -q origin HEAD:refs/heads/forced HEAD:refs/heads/deleted
    [ "$(count_backups app)" = 0 ] # what goes forward takes nothing away
    git -C "$work" reset -q --hard HEAD~1
    git -C "$work" push -q -f origin HEAD:refs/heads/forced
    git -C "$work" push -q origin :refs/heads/deleted
    kept app "$old" heads/forced
    kept app "$old" heads/deleted
    maintain --collect app
    # Who looks after the gate has the upstream at hand there.
    gate_git app push -q origin "$(backups app | cut -d' ' -f2 | grep /heads/deleted):refs/heads/back"
    [ "$(git ls-remote "$(gate_url app.git)" refs/heads/back | cut -f1)" = "$old" ]
}

@test "what is kept is neither listed nor changed by clients" {
    clone app "$work"
    [ "$(count_backups app)" -ge 1 ]
    run git ls-remote "$(gate_url app.git)"
    [[ $output != *gitgate* ]]
    name=$(backups app | head -n 1 | cut -d' ' -f2)
    run git -C "$work" push origin ":$name"
    [ "$status" -ne 0 ]
    run git -C "$work" push -f origin "HEAD:$name"
    [ "$status" -ne 0 ]
    backups app | grep -q "$name"
    run up app for-each-ref refs/gitgate
    [ -z "$output" ]
}

@test "the same is not kept twice, however often it is asked for" {
    up strict branch no-way main
    clone strict "$work"
    for _ in 1 2 3; do
        run git -C "$work" push origin :refs/heads/no-way
        [ "$status" -ne 0 ]
    done
    [ "$(count_backups strict)" = 1 ]
    agree strict refs/heads/no-way "$(up strict rev-parse main)"
}

@test "a push that breaks off has its backup, whatever became of it" {
    clone strict "$work"
    old=$(commit "$work" a)
    git -C "$work" push -q origin HEAD:refs/heads/breaking
    # The upstream has taken it when the connection ends.
    printf '#!/bin/sh\nkill -9 $PPID\n' >"$BED/srv/strict.git/hooks/post-receive"
    chmod 755 "$BED/srv/strict.git/hooks/post-receive"
    run git -C "$work" push origin :refs/heads/breaking
    rm "$BED/srv/strict.git/hooks/post-receive"
    git ls-remote "$(gate_url strict.git)" >/dev/null
    agree strict refs/heads/breaking ""
    kept strict "$old" heads/breaking
}

@test "a tag object that is deleted is kept whole" {
    clone app "$work"
    git -C "$work" tag -a v1 -m "A tag"
    tag=$(git -C "$work" rev-parse v1)
    git -C "$work" push -q origin v1
    git -C "$work" push -q origin :refs/tags/v1
    kept app "$tag" tags/v1
    maintain --collect app
    [ "$(gate_git app cat-file -t "$tag")" = tag ]
}

@test "what is older than a month goes, and of the rest the oldest" {
    oid=$(gate_git app rev-parse main)
    now=$(date +%s)
    old=$(printf 'refs/gitgate/backup/%010d-1/heads/old' $((now - 31 * 24 * 3600)))
    young=$(printf 'refs/gitgate/backup/%010d-1/heads/young' $((now - 29 * 24 * 3600)))
    {
        echo "create $old $oid"
        echo "create $young $oid"
    } | gate_git app update-ref --stdin
    maintain app
    run ! gate_git app rev-parse -q --verify "$old"
    gate_git app rev-parse -q --verify "$young"
    for i in $(seq 1100); do
        printf 'create refs/gitgate/backup/%010d-2/heads/many %s\n' $((now - 2000 + i)) "$oid"
    done | gate_git app update-ref --stdin
    maintain app
    [ "$(count_backups app)" = 1000 ]
    run ! gate_git app rev-parse -q --verify "$young"
    gate_git app rev-parse -q --verify "$(printf 'refs/gitgate/backup/%010d-2/heads/many' $((now - 900)))"
}
