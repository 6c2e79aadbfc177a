#!/usr/bin/env bats
# After every push gate and upstream agree, and the client was told the truth.

bats_require_minimum_version 1.5.0
load lib

setup_file() {
    start_bed
    new_upstream app
    new_upstream strict
    new_upstream forced
    new_upstream named
    new_upstream closed
    new_upstream chosen
    write_gitgate app strict forced named closed chosen -- '
        .spec.upstreams[1].push.options = [] |
        .spec.upstreams[5].push.options = ["ci.skip", "pod=$(POD_NAME)", "note=*"] |
        .spec.upstreams[2].push = {allowForce: true, allowDelete: true} |
        .spec.upstreams[3].push.refs = ["refs/heads/agent/$(POD_NAME)/*", "refs/heads/$(SERVICE_ACCOUNT)"] |
        .spec.upstreams[4].push.policy = "Deny" |
        .spec.scan.maxPushSize = "1Mi"'
    # The upstream's own judgement: no branch that is called no*.
    hook strict '! grep " refs/heads/no" || { echo "no such names here"; exit 1; }'
    export POD_NAME=pod-1
    start_gate
}

# hook REPO SCRIPT : the upstream's pre-receive
hook() {
    printf '#!/bin/sh\n%s\n' "$2" >"$BED/srv/$1.git/hooks/pre-receive"
    chmod 755 "$BED/srv/$1.git/hooks/pre-receive"
}

@test "a push arrives" {
    clone app "$work"
    new=$(commit "$work" a)
    git -C "$work" push -q
    agree app refs/heads/main "$new"
}

@test "a new branch and a tag arrive" {
    clone app "$work"
    new=$(commit "$work" b)
    git -C "$work" tag -a v1 -m "The first"
    git -C "$work" push -q origin HEAD:refs/heads/feature v1
    agree app refs/heads/feature "$new"
    agree app refs/tags/v1 "$(git -C "$work" rev-parse v1)"
}

@test "a push that landed already is up to date" {
    clone app "$work"
    new=$(commit "$work" c)
    git -C "$work" push -q
    git -C "$work" update-ref -d refs/remotes/origin/main
    run git -C "$work" push
    [ "$status" = 0 ]
    [[ $output == *"Everything up-to-date"* ]]
    agree app refs/heads/main "$new"
}

@test "a shallow clone can push" {
    clone app "$work" --depth 1
    new=$(commit "$work" d)
    git -C "$work" push -q
    agree app refs/heads/main "$new"
}

@test "a push over git's limit is refused by size" {
    clone app "$work"
    old=$(git -C "$work" rev-parse HEAD)
    head -c 2000000 /dev/urandom >"$work/large"
    commit "$work" e >/dev/null
    run git -C "$work" push
    [ "$status" -ne 0 ]
    [[ $output == *"maximum allowed size"* ]]
    agree app refs/heads/main "$old"
}

@test "a push that the upstream outran is refused" {
    clone app "$work"
    commit "$work" f >/dev/null
    theirs=$(commit_upstream app main)
    run git -C "$work" push
    [ "$status" -ne 0 ]
    agree app refs/heads/main "$theirs"
}

@test "an upstream that moves while a push is on its way is not overwritten" {
    clone app "$work"
    commit "$work" g >/dev/null
    outrun app main HEAD:refs/heads/main
    [ "$(up app rev-parse main)" = "$theirs" ]
    git ls-remote "$(gate_url app.git)" >/dev/null
    agree app refs/heads/main "$theirs"
}

@test "a forced push is refused by name" {
    clone app "$work"
    old=$(git -C "$work" rev-parse HEAD)
    git -C "$work" push -q origin HEAD:refs/heads/topic
    git -C "$work" commit -q --amend -m "Rewritten"
    run git -C "$work" push -f origin HEAD:refs/heads/topic
    [ "$status" -ne 0 ]
    [[ $output == *"refs/heads/topic: is not a fast-forward and may not be forced (push.allowForce is false)"* ]]
    agree app refs/heads/topic "$old"
}

@test "a forced push goes through where it is allowed" {
    clone forced "$work"
    commit "$work" a >/dev/null
    git -C "$work" push -q origin HEAD:refs/heads/topic
    git -C "$work" commit -q --amend -m "Rewritten"
    git -C "$work" push -q -f origin HEAD:refs/heads/topic
    agree forced refs/heads/topic "$(git -C "$work" rev-parse HEAD)"
}

@test "the default branch is never forced, and never deleted" {
    clone forced "$work"
    old=$(git -C "$work" rev-parse HEAD)
    git -C "$work" commit -q --amend -m "Rewritten"
    run git -C "$work" push -f
    [ "$status" -ne 0 ]
    [[ $output == *"default branch, which is never forced"* ]]
    run git -C "$work" push origin :main
    [ "$status" -ne 0 ]
    [[ $output == *"default branch, which is never deleted"* ]]
    agree forced refs/heads/main "$old"
}

@test "a forced push does not take away what somebody else pushed meanwhile" {
    clone forced "$work"
    commit "$work" h >/dev/null
    git -C "$work" push -q origin HEAD:refs/heads/shared
    git -C "$work" commit -q --amend -m "Rewritten"
    outrun forced shared -f HEAD:refs/heads/shared
    [ "$(up forced rev-parse shared)" = "$theirs" ]
}

@test "a branch is deleted where that is allowed, and the client is told so" {
    clone forced "$work"
    git -C "$work" push -q origin HEAD:refs/heads/old
    run git -C "$work" push origin :old
    [ "$status" = 0 ]
    agree forced refs/heads/old ""
    clone app "$work-app"
    git -C "$work-app" push -q origin HEAD:refs/heads/old
    run git -C "$work-app" push origin :old
    [ "$status" -ne 0 ]
    [[ $output == *"push.allowDelete is false"* ]]
    agree app refs/heads/old "$(git -C "$work-app" rev-parse HEAD)"
}

@test "a tag is not moved" {
    clone app "$work"
    old=$(git -C "$work" rev-parse HEAD)
    git -C "$work" tag fixed
    git -C "$work" push -q origin fixed
    commit "$work" i >/dev/null
    git -C "$work" tag -f fixed
    run git -C "$work" push -f origin fixed
    [ "$status" -ne 0 ]
    [[ $output == *"refs/tags/fixed: exists already and may not be moved"* ]]
    agree app refs/tags/fixed "$old"
}

@test "of two refs the one that the upstream refuses fails, and the other arrives" {
    clone strict "$work"
    new=$(commit "$work" a)
    run git -C "$work" push origin HEAD:refs/heads/yes HEAD:refs/heads/no
    [ "$status" -ne 0 ]
    # pre-receive judges all refs at once; the update hook judges each.
    agree strict refs/heads/yes ""
    make_strict strict
    rm "$BED/srv/strict.git/hooks/pre-receive"
    run git -C "$work" push origin HEAD:refs/heads/yes HEAD:refs/heads/no
    [ "$status" -ne 0 ]
    [[ $output == *"remote: not this one"* ]]
    [[ $output == *"[new branch]"*"HEAD -> yes"* ]]
    [[ $output == *"[remote rejected]"*"HEAD -> no (upstream: hook declined)"* ]]
    agree strict refs/heads/yes "$new"
    agree strict refs/heads/no ""
}

@test "an atomic push of two refs of which the upstream refuses one moves neither" {
    clone strict "$work"
    commit "$work" b >/dev/null
    run git -C "$work" push --atomic origin HEAD:refs/heads/yes-2 HEAD:refs/heads/no-2
    [ "$status" -ne 0 ]
    agree strict refs/heads/yes-2 ""
    agree strict refs/heads/no-2 ""
}

@test "an atomic push that the upstream agrees with moves all refs" {
    clone forced "$work"
    git -C "$work" push -q origin HEAD:refs/heads/leaves
    new=$(commit "$work" m)
    git -C "$work" tag together
    git -C "$work" push -q --atomic origin HEAD:refs/heads/main HEAD:refs/heads/comes together :leaves
    for ref in refs/heads/main refs/heads/comes refs/tags/together; do agree forced "$ref" "$new"; done
    agree forced refs/heads/leaves ""
}

@test "a push without an object of its own arrives" {
    clone app "$work"
    old=$(git -C "$work" rev-parse HEAD)
    git -C "$work" push -q origin HEAD:refs/heads/empty-pack
    agree app refs/heads/empty-pack "$old"
}

@test "a shallow clone can push a branch of its own" {
    clone app "$work" --depth 1
    new=$(commit "$work" n)
    git -C "$work" push -q origin HEAD:refs/heads/from-shallow
    agree app refs/heads/from-shallow "$new"
    up app fsck --connectivity-only
}

@test "push options reach the upstream" {
    hook app 'env | grep ^GIT_PUSH_OPTION >&2'
    clone app "$work"
    commit "$work" j >/dev/null
    run git -C "$work" push -o ci.skip -o "a b"
    rm "$BED/srv/app.git/hooks/pre-receive"
    [ "$status" = 0 ]
    [[ $output == *GIT_PUSH_OPTION_0=ci.skip* && $output == *"GIT_PUSH_OPTION_1=a b"* ]]
}

@test "a push option that push.options does not name is refused, with what is allowed" {
    hook chosen 'env | grep ^GIT_PUSH_OPTION >&2'
    clone chosen "$work"
    commit "$work" k >/dev/null
    git -C "$work" push -q -o ci.skip -o pod=pod-1 -o "note=any thing"
    new=$(commit "$work" l)
    run git -C "$work" push -o ci.skip -o merge_request.merge_when_pipeline_succeeds -o pod=pod-2 -o ci.skipper
    [ "$status" != 0 ]
    [[ $output == *"merge_request.merge_when_pipeline_succeeds: is a push option that push.options does not name; allowed are ci.skip, pod=pod-1, note=*"* ]]
    [[ $output == *"pod=pod-2: is a push option"* && $output == *"ci.skipper: is a push option"* ]]
    [ "$(up chosen rev-parse refs/heads/main)" != "$new" ]
}

@test "where push.options is empty, no push option is handed on" {
    clone strict "$work"
    new=$(commit "$work" m)
    run git -C "$work" push -o ci.skip
    [ "$status" != 0 ]
    [[ $output == *"ci.skip: is a push option, and push.options is empty: none is handed on"* ]]
    git -C "$work" push -q
    agree strict refs/heads/main "$new"
}

@test "a ref that push.refs does not name is refused, with what is allowed" {
    clone named "$work"
    new=$(commit "$work" a)
    run git -C "$work" push origin HEAD:refs/heads/main HEAD:refs/heads/agent/pod-1/x
    [ "$status" -ne 0 ]
    [[ $output == *"refs/heads/main: may not be pushed to; allowed are refs/heads/agent/pod-1/*"* ]]
    agree named refs/heads/agent/pod-1/x "" # all or nothing
    git -C "$work" push -q origin HEAD:refs/heads/agent/pod-1/x
    agree named refs/heads/agent/pod-1/x "$new"
    run git -C "$work" push origin HEAD:refs/heads/agent/pod-2/x
    [ "$status" -ne 0 ]
}

@test "refs outside branches and tags are refused" {
    clone app "$work"
    for ref in refs/notes/commits refs/for/main refs/replace/"$(git -C "$work" rev-parse HEAD)" refs/gitgate/backup/x; do
        run git -C "$work" push origin "HEAD:$ref"
        [ "$status" -ne 0 ]
        [ -z "$(up app for-each-ref "$ref")" ]
    done
}

@test "an upstream with push.policy Deny says so before anything is sent" {
    clone closed "$work"
    commit "$work" a >/dev/null
    run git -C "$work" push
    [ "$status" -ne 0 ]
    [[ $output == *"read-only here (push.policy is Deny)"* ]]
}

@test "a branch named like a commit does not lead the gate astray" {
    clone app "$work"
    old=$(git -C "$work" rev-parse HEAD)
    new=$(commit "$work" k)
    git -C "$work" push -q origin "$old:refs/heads/$new"
    git -C "$work" push -q origin "HEAD:refs/heads/straight"
    agree app refs/heads/straight "$new"
}

# A process of this gate has its folder as its own. Between scan and forward there is receive-pack alone.
# intake is there from before the refresh to the end of all that it started.
no_push_runs() {
    ! pgrep -P "$(server)" -f "intake git daemon"
}

@test "a client that is killed leaves gate and upstream in agreement" {
    clone app "$work"
    for delay in 0.02 0.1 0.2 0.3 0.5; do
        head -c 60000 /dev/urandom | base64 >"$work/text-$delay"
        commit "$work" "m-$delay" >/dev/null
        setsid git -C "$work" push -q >/dev/null 2>&1 3>&- &
        push=$!
        sleep "$delay" # anywhere in the push, that is the point
        kill -9 -- "-$push" 2>/dev/null || true
        wait "$push" 2>/dev/null || true
        wait_for 30 no_push_runs
        git ls-remote "$(gate_url app.git)" >/dev/null
        agree app refs/heads/main "$(up app rev-parse main)"
    done
    [ -z "$(find "$BED/state/git/.gitgate" -mindepth 1)" ]
    git -C "$work" pull -q --rebase
    git -C "$work" push -q
}
