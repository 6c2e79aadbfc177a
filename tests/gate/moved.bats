#!/usr/bin/env bats
# An upstream whose URL is changed under its name: what the gate has of the one is nothing of the other's.

bats_require_minimum_version 1.5.0
load lib

setup_file() {
    start_bed
    new_upstream old
    new_upstream new
    new_upstream other
    empty_upstream empty
    commit_upstream new main >/dev/null
    make_private
    write_gitgate old other -- '.spec.upstreams[0].name = "app"'
    start_gate
}

# A branch of the old upstream alone, in whose history a secret was.
make_private() {
    local private=$BED/private
    git clone -q "$BED/srv/old.git" "$private"
    commit "$private" token "$(secret)" >/dev/null
    git -C "$private" rm -q token
    commit "$private" private >/dev/null
    git -C "$private" push -q "$BED/srv/old.git" HEAD:refs/heads/private
    [ "$(id -u)" != 0 ] || chown -R 64942:64942 "$BED/srv/old.git"
}

setup() {
    work=$BATS_TEST_TMPDIR/work
    private=$(up old rev-parse private)
}

# A test that failed may have left the server stopped, or a hook that waits.
teardown() {
    kill -CONT "$(server)"
    let_hook_go
    if [ -e "$BATS_TEST_TMPDIR/hook" ]; then quick_hook "$(cat "$BATS_TEST_TMPDIR/hook")"; fi
    go_back
}

go_back() {
    set_url "$(upstream_url old)"
    git ls-remote "$(gate_url app.git)" >/dev/null
    mirrors old
}

# set_url URL : as a ConfigMap's change makes it
set_url() {
    jq --arg url "$1" '.spec.upstreams[0].url = $url' "$BED/state/config/gate.json" >"$BED/state/config/new.json"
    mv "$BED/state/config/new.json" "$BED/state/config/gate.json"
}

# Where nobody listens.
dead_url() {
    upstream_url old | sed 's/127.0.0.1:[0-9]*/127.0.0.1:1/'
}

# mirrors NAME : the gate's repository has that upstream's refs, and no others
mirrors() {
    [ "$(gate_git app for-each-ref)" = "$(up "$1" for-each-ref)" ]
}

fails() {
    ! "$@" >/dev/null 2>&1
}

# Nothing of the old upstream's is to be had, by name or by its id.
serves_nothing_of_old() {
    fails grep "$private" <(git ls-remote "$(gate_url app.git)" 2>&1)
    git init -q "$BATS_TEST_TMPDIR/by-id"
    fails git -C "$BATS_TEST_TMPDIR/by-id" fetch -q "$(gate_url app.git)" "$private"
    fails git -C "$BATS_TEST_TMPDIR/by-id" cat-file -e "$private"
}

# begin_push STAGE REFSPEC : a push that waits before it sends its "commands", or before it is scanned or forwarded
begin_push() {
    case $1 in
    commands)
        printf '#!/bin/sh\ntouch %s\nuntil [ -e %s ]; do sleep 0.1; done\n' \
            "$BATS_TEST_TMPDIR/waiting" "$BATS_TEST_TMPDIR/go-on" >"$work/.git/hooks/pre-push"
        chmod 755 "$work/.git/hooks/pre-push"
        ;;
    scan) echo pre-receive >"$BATS_TEST_TMPDIR/hook" && slow_hook pre-receive scan ;;
    forward) echo proc-receive >"$BATS_TEST_TMPDIR/hook" && slow_hook proc-receive forward ;;
    esac
    git -C "$work" push origin "$2" >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
    push=$!
    hook_waits
}

# end_push : its status, output in $output
end_push() {
    let_hook_go
    status=0
    wait "$push" || status=$?
    output=$(cat "$BATS_TEST_TMPDIR/out")
    echo "$output"
}

# Neither a ref of it is anywhere upstream, nor what only the old one had at the new one.
went_nowhere() {
    [ "$status" -ne 0 ]
    for name in old new other; do fails up "$name" rev-parse -q --verify refs/heads/pushed; done
    fails up new cat-file -e "$private"
}

@test "a fetch after the change has what the new upstream has, and nothing of the old one's" {
    clone app "$work"
    set_url "$(upstream_url new)"
    [ "$(git ls-remote "$(gate_url app.git)" refs/heads/main | cut -f1)" = "$(up new rev-parse main)" ]
    mirrors new
    serves_nothing_of_old
    clone app "$work-new"
    [ "$(git -C "$work-new" rev-parse origin/main)" = "$(up new rev-parse main)" ]
}

@test "one that is empty is served as that" {
    clone app "$work"
    set_url "$(upstream_url empty)"
    [ -z "$(git ls-remote "$(gate_url app.git)")" ]
    serves_nothing_of_old
}

@test "while the new upstream can't be reached nothing is served, and the old one comes back whole" {
    clone app "$work"
    set_url "$(dead_url)"
    run git ls-remote "$(gate_url app.git)"
    [ "$status" -ne 0 ]
    [[ $output == *"127.0.0.1 "* ]]
    serves_nothing_of_old
    before=$(stat -c %i "$BED/state/git/app.git/objects")
    set_url "$(upstream_url old)"
    git ls-remote --exit-code "$(gate_url app.git)" refs/heads/private
    [ "$(stat -c %i "$BED/state/git/app.git/objects")" = "$before" ] # not fetched again
}

@test "what a push took away at the old upstream is not kept for the new one" {
    clone app "$work"
    gate_git app update-ref refs/gitgate/backup/1700000000-1/heads/gone "$private"
    set_url "$(upstream_url new)"
    git ls-remote "$(gate_url app.git)" >/dev/null
    [ -z "$(gate_git app for-each-ref refs/gitgate)" ]
    fails gate_git app cat-file -e "$private"
}

# git that is told to pack all of a mirror waits, and puts there what it had read before.
late_git() {
    mkdir "$BATS_TEST_TMPDIR/late"
    cp "$BED/state/git/app.git/objects/pack/"pack-*.{pack,idx} "$BATS_TEST_TMPDIR/late"
    cat >"$BATS_TEST_TMPDIR/late/git" <<-END
	#!/bin/sh
	case " \$* " in *" pack-objects "*"objects/pack/pack "*)
	    if mkdir "$BATS_TEST_TMPDIR/waiting"; then
	        until [ -e "$BATS_TEST_TMPDIR/go-on" ]; do sleep 0.1; done
	        cp "$BATS_TEST_TMPDIR/late/"pack-* objects/pack
	    fi ;;
	esac
	exec "$(command -v git)" "\$@"
	END
    chmod 755 "$BATS_TEST_TMPDIR/late/git"
}

@test "what upkeep was packing of the old upstream does not stay among what the new one has" {
    git ls-remote "$(gate_url app.git)" >/dev/null
    gate_git app repack -adq
    late_git
    PATH=$BATS_TEST_TMPDIR/late:$PATH maintain --collect app >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
    upkeep=$!
    hook_waits
    set_url "$(upstream_url new)"
    git ls-remote "$(gate_url app.git)" >/dev/null
    let_hook_go
    wait "$upkeep"
    fails gate_git app cat-file -e "$private"
    gate_git app fsck --no-progress
}

@test "a client that waited for its refresh when the URL changed is served by the new upstream" {
    clone app "$work"
    hold_lock app
    git ls-remote "$(gate_url app.git)" >"$BATS_TEST_TMPDIR/listed" 2>&1 3>&- 5>&- &
    client=$!
    wait_for 20 lock_is_waited_for
    set_url "$(upstream_url new)"
    git ls-remote "$(gate_url app.git)" >"$BATS_TEST_TMPDIR/listed-later" 2>&1 3>&- 5>&- &
    later=$!
    release_lock
    wait "$client"
    wait "$later"
    for file in listed listed-later; do
        [ "$(grep refs/heads/main "$BATS_TEST_TMPDIR/$file" | cut -f1)" = "$(up new rev-parse main)" ]
        fails grep "$private" "$BATS_TEST_TMPDIR/$file"
    done
}

# each_stage FUNCTION : for a push of what the old upstream has, and nobody scans, at each of its stages
each_stage() {
    local stage
    for stage in commands scan forward; do
        rm -rf "$work" "$BATS_TEST_TMPDIR/waiting" "$BATS_TEST_TMPDIR/go-on"
        go_back
        clone app "$work"
        begin_push "$stage" "$private:refs/heads/pushed"
        "$1"
        if [ -e "$BATS_TEST_TMPDIR/hook" ]; then quick_hook "$(cat "$BATS_TEST_TMPDIR/hook")" && rm "$BATS_TEST_TMPDIR/hook"; fi
    done
}

@test "a push under way when the URL changes goes nowhere" {
    changed() {
        kill -STOP "$(server)" # so that nothing is mirrored
        set_url "$(upstream_url new)"
        end_push
        kill -CONT "$(server)"
        went_nowhere
        [[ $output == *"push again"* ]]
    }
    each_stage changed
}

@test "a push under way when the new upstream has been mirrored goes nowhere" {
    mirrored() {
        set_url "$(upstream_url new)"
        wait_for 20 mirrors new
        end_push
        went_nowhere
    }
    each_stage mirrored
}

@test "a push under way when the URL was changed there and back goes nowhere" {
    there_and_back() {
        set_url "$(upstream_url new)"
        wait_for 20 mirrors new
        go_back
        end_push
        went_nowhere
        [[ $output == *"push again"* ]]
    }
    each_stage there_and_back
}

@test "a push under way when the new upstream can't be reached goes nowhere, and goes through when the URL is the old one again" {
    dead() {
        set_url "$(dead_url)"
        fails git ls-remote "$(gate_url app.git)"
        end_push
        went_nowhere
        [[ $output == *"push again"* ]]
    }
    each_stage dead
    dead_and_back() {
        set_url "$(dead_url)"
        fails git ls-remote "$(gate_url app.git)"
        go_back
        end_push
        [ "$status" = 0 ]
        up old update-ref -d refs/heads/pushed "$private"
    }
    each_stage dead_and_back
}

@test "a push that begins after the change goes to the new upstream, and is scanned for what that has not got" {
    clone app "$work"
    set_url "$(upstream_url new)"
    run git -C "$work" push origin "$private:refs/heads/pushed"
    [ "$status" -ne 0 ]
    [[ $output == *"github-pat"* ]]
    went_nowhere
    git -C "$work" fetch -q
    git -C "$work" checkout -q -B main origin/main
    pushed=$(commit "$work" harmless)
    git -C "$work" push -q origin main
    [ "$(up new rev-parse main)" = "$pushed" ]
    fails up old cat-file -e "$pushed"
}

@test "a push under way when the upstream is closed to pushes goes nowhere" {
    clone app "$work"
    begin_push forward "$private:refs/heads/pushed"
    cp "$BED/state/config/gate.json" "$BATS_TEST_TMPDIR/open.json"
    jq '.spec.upstreams[0].push.policy = "Deny"' "$BATS_TEST_TMPDIR/open.json" >"$BED/state/config/new.json"
    mv "$BED/state/config/new.json" "$BED/state/config/gate.json"
    end_push
    mv "$BATS_TEST_TMPDIR/open.json" "$BED/state/config/gate.json"
    went_nowhere
    [[ $output == *"push.policy is Deny"* ]]
}
