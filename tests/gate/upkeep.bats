#!/usr/bin/env bats
# A gate that is used stays quick and small, and what keeps it so takes nothing away that is needed.

bats_require_minimum_version 1.5.0
load lib

setup_file() {
    start_bed
    new_upstream app
    new_upstream busy
    new_upstream strict
    write_gitgate app busy strict -- '.spec.upstreams[].push.allowForce = true | .spec.upstreams[].push.allowDelete = true'
    make_strict strict
    start_gate
}

teardown() {
    rm -f "$BATS_TEST_TMPDIR/go" # ends what loops while it is there
    let_hook_go
    wait
}

objects() {
    find "$BED/state/git/$1.git/objects" "${@:2}"
}

packs() {
    objects "$1" -name '*.pack' | wc -l
}

loose() {
    objects "$1" -type f -path '*/objects/??/*' | wc -l
}

has() {
    gate_git "$1" cat-file -e "$2" 2>/dev/null
}

quarantines() {
    objects "$1" -name 'tmp_objdir*' | wc -l
}

no_quarantine() {
    [ "$(quarantines "$1")" = 0 ]
}

# sound REPO : nothing that a ref needs is missing. A maintenance takes loose objects away while fsck reads them:
# then it looks again.
sound() {
    wait_for 60 gate_git "$1" fsck --full --no-dangling --no-progress
}

# Without maintenance there would be 600 loose objects and 121 loose refs.
small() {
    [ "$(packs busy)" -le 17 ] && [ "$(loose busy)" -le 500 ] &&
        [ "$(find "$BED/state/git/busy.git/refs" -type f | wc -l)" -le 100 ]
}

@test "many pushes leave few packs, few loose objects and few loose refs" {
    clone busy "$work"
    for i in $(seq 60); do
        for file in 1 2 3 4 5 6 7 8; do
            echo "$i $file" >"$work/file-$file"
        done
        git -C "$work" add -A
        git -C "$work" commit -qm "$i"
        git -C "$work" push -q origin "HEAD:refs/heads/b-$i" "HEAD:refs/heads/c-$i" HEAD:refs/heads/main
    done
    # It is looked at after some pushes, and then not for a while.
    until small; do
        [ "$i" -lt 200 ]
        i=$((i + 1))
        git -C "$work" commit -q --allow-empty -m "$i"
        git -C "$work" push -q origin HEAD:refs/heads/main
    done
    sound busy
    agree busy refs/heads/main "$(git -C "$work" rev-parse HEAD)"
    [ "$(git ls-remote "$(gate_url busy.git)" 'refs/heads/[bc]-*' | wc -l)" = 120 ]
    [ "$(log_count '.msg == "maintenance" and .repo == "busy" and .result == "failed"')" = 0 ]
}

@test "objects that no ref reaches go, and those that one reaches stay" {
    clone strict "$work"
    head -c 300000 /dev/urandom >"$work/refused"
    commit "$work" f >/dev/null
    refused=$(git -C "$work" rev-parse HEAD:refused)
    run git -C "$work" push origin HEAD:refs/heads/no
    [ "$status" -ne 0 ]
    has strict "$refused" # receive-pack had let it in before the upstream was asked
    git -C "$work" reset -q --hard origin/main
    kept=$(commit "$work" kept)
    git -C "$work" tag -a v1 -m "A tag" HEAD
    git -C "$work" tag blob "$(git -C "$work" rev-parse HEAD:kept)"
    git -C "$work" push -q origin HEAD:refs/heads/main v1 blob
    maintain --collect strict
    run ! has strict "$refused"
    has strict "$kept"
    has strict "$(git -C "$work" rev-parse v1)"
    sound strict
    clone strict "$work-again"
    # It can come again.
    git -C "$work" fetch -q
    maintain --collect strict
    sound strict
}

@test "what a push has brought and not yet moved refs to is not taken away" {
    clone app "$work"
    new=$(commit "$work" during)
    slow_hook proc-receive forward
    git -C "$work" push -q >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
    push=$!
    hook_waits
    has app "$new" # out of quarantine, and no ref has it
    maintain --collect app >"$BATS_TEST_TMPDIR/maintained" 2>&1 3>&- &
    maintenance=$!
    wait_for 20 presence_is_asked
    let_hook_go
    wait "$push"
    quick_hook proc-receive
    agree app refs/heads/main "$new"
    wait "$maintenance"
    sound app
}

# The maintenance has its new pack, and asks whether it is alone.
presence_is_asked() {
    pgrep -f "^gitgate-gate maintain --collect $BED/state" | while read -r pid; do
        readlink "/proc/$pid/fd/"* || true
    done | grep -q "$BED/state/git/.presence"
}

@test "collecting again and again while others push and fetch harms nobody" {
    touch "$BATS_TEST_TMPDIR/go"
    while [ -e "$BATS_TEST_TMPDIR/go" ]; do
        maintain --collect app || true
    done >"$BATS_TEST_TMPDIR/maintained" 2>&1 3>&- &
    maintenance=$!
    for i in $(seq 8); do
        clone app "$work-$i"
        commit "$work-$i" "file-$i" >/dev/null
        git -C "$work-$i" push -q
        git -C "$work-$i" push -q origin "HEAD:refs/heads/passing-$i"
        git -C "$work-$i" push -q origin ":passing-$i"
    done
    rm "$BATS_TEST_TMPDIR/go"
    wait "$maintenance"
    grep -q '"result":"ok"' "$BATS_TEST_TMPDIR/maintained" # it did something meanwhile
    sound app
    agree app refs/heads/main "$(git -C "$work-8" rev-parse HEAD)"
}

@test "the quarantine that a killed client leaves is swept" {
    clone app "$work"
    before=$(quarantines app)
    mkdir "$BED/state/git/app.git/objects/tmp_objdir-incoming-killed"
    : >"$BED/state/git/app.git/objects/tmp_objdir-incoming-killed/tmp_pack_x"
    [ "$(quarantines app)" -gt "$before" ]
    head -c 3000000 /dev/urandom >"$work/large"
    commit "$work" g >/dev/null
    # Killed while it sends.
    (
        timeout -s KILL 0.4 git -C "$work" -c pack.compression=0 push origin HEAD:refs/heads/killed >/dev/null 2>&1
    ) 3>&- || true
    # A push that breaks off is what has the gate look; this one surely does.
    broken_push
    wait_for 60 no_quarantine app
    git -C "$work" push -q origin HEAD:refs/heads/main
}

# A push whose connection ends in the middle.
broken_push() {
    local zero new
    zero=$(printf '%040d' 0)
    new=$(printf '%040d' 1)
    exec 4<>"/dev/tcp/127.0.0.1/$GATE_PORT"
    printf '002dgit-receive-pack /app.git\0host=127.0.0.1\0' >&4
    head -c 4 <&4 >/dev/null
    printf '007c%s %s refs/heads/broken\0 report-status' "$zero" "$new" >&4
    exec 4>&-
}

# leave_push HOW : a client that goes away when it has sent a megabyte of an object of 500, as a program does that ends
# ("close"), or a machine ("reset")
leave_push() {
    timeout -s KILL 60 python3 - "$GATE_PORT" "$1" <<-'END'
	import os, socket, struct, sys, zlib
	def packet(data): return b"%04x" % (len(data) + 4) + data
	s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
	s.sendall(packet(b"git-receive-pack /app.git\0host=127.0.0.1\0"))
	answer = s.makefile("rb")
	while (n := int(answer.read(4), 16)): answer.read(n - 4)
	s.sendall(packet(b"0" * 40 + b" " + b"1" * 40 + b" refs/heads/left\0report-status side-band-64k") + b"0000")
	size = b"\xb0\x80\x80\xfa\x01"  # of a blob; of many objects, so that index-pack keeps them as they come
	s.sendall(b"PACK" + struct.pack(">II", 2, 200) + size + zlib.compress(os.urandom(1 << 20), 0))
	if sys.argv[2] == "reset": s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
	answer.close()
	s.close()
	END
}

receiving() {
    pgrep -f '^/[^ ]*git receive-pack [.]$' -s "$(pgrep -d, -P "$(server)")" -c || true
}

receive() {
    [ "$(receiving)" = "$1" ]
}

# With somebody at work all the time nothing is swept.
@test "a client that goes away in the midst of its push leaves nothing on the disk" {
    clone app "$work"
    slow_hook pre-receive scan
    commit "$work" beside >/dev/null
    git -C "$work" push -q >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
    push=$!
    hook_waits
    there=$(quarantines app)
    for how in close reset; do
        leave_push $how
        wait_for 20 receive 1
        [ "$(quarantines app)" = "$there" ]
    done
    let_hook_go
    wait "$push"
    quick_hook pre-receive
    agree app refs/heads/main "$(git -C "$work" rev-parse HEAD)"
}

@test "the quarantine of a push that is on its way is not swept" {
    clone app "$work"
    slow_hook pre-receive scan
    commit "$work" slow >/dev/null
    git -C "$work" push -q >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
    push=$!
    hook_waits
    [ "$(quarantines app)" -ge 1 ]
    : >"$BED/state/git/app.git/shallow_Ab12Cd" # as receive-pack has one for a shallow client
    maintain app
    [ "$(quarantines app)" -ge 1 ]
    [ -e "$BED/state/git/app.git/shallow_Ab12Cd" ]
    let_hook_go
    wait "$push"
    agree app refs/heads/main "$(git -C "$work" rev-parse HEAD)"
    quick_hook pre-receive
    swept() { maintain app && [ ! -e "$BED/state/git/app.git/shallow_Ab12Cd" ]; }
    wait_for 60 swept # once nobody is at work
}

@test "maintenance that is killed anywhere leaves a sound repository, and the next one cleans up" {
    clone app "$work"
    commit "$work" h >/dev/null
    git -C "$work" push -q
    for delay in 0.02 0.05 0.08 0.12 0.2; do
        setsid env GITGATE_CONFIG_DIR="$BED/state/config" GITGATE_CREDS_DIR="$BED/state/creds" GITGATE_REPOS_DIR="$BED/state/git" \
            gitgate-gate maintain --collect "$BED/state/git/app.git" >/dev/null 2>&1 3>&- &
        maintenance=$!
        sleep "$delay" # anywhere in it, that is the point
        for child in $(pgrep -P "$maintenance" || true); do
            kill -9 "$child" 2>/dev/null || true
        done
        kill -9 "$maintenance" 2>/dev/null || true
        wait "$maintenance" 2>/dev/null || true
        sound app
        git ls-remote --exit-code "$(gate_url app.git)" refs/heads/main
    done
    : >"$BED/state/git/app.git/objects/pack/tmp_pack_left"
    : >"$BED/state/git/app.git/packed-refs.lock"
    : >"$BED/state/git/app.git/objects/info/commit-graph.lock"
    : >"$BED/state/git/app.git/objects/pack/pack-$(printf %040d 1).idx"
    maintain --collect app
    [ "$(packs app)" = 1 ]
    [ ! -e "$BED/state/git/app.git/objects/pack/tmp_pack_left" ]
    [ -e "$BED/state/git/app.git/objects/info/commit-graph" ]
    [ ! -e "$BED/state/git/app.git/objects/info/commit-graph.lock" ]
    [ ! -e "$BED/state/git/app.git/objects/pack/pack-$(printf %040d 1).idx" ]
    [ ! -e "$BED/state/git/app.git/packed-refs.lock" ]
    [ ! -e "$BED/state/git/app.git/gitgate/view" ]
}

@test "a lock that a killed git left does not stop refreshes" {
    git ls-remote "$(gate_url app.git)" >/dev/null
    up app branch locked main
    git ls-remote "$(gate_url app.git)" >/dev/null
    up app branch -D locked
    : >"$BED/state/git/app.git/packed-refs.lock"
    mkdir -p "$BED/state/git/app.git/refs/heads"
    : >"$BED/state/git/app.git/refs/heads/main.lock"
    theirs=$(commit_upstream app main)
    run git ls-remote "$(gate_url app.git)"
    echo "$output"
    [ "$status" = 0 ]
    [[ $output == *"$theirs"*refs/heads/main* && $output != *locked* ]]
}

@test "a lock that a killed git left on HEAD keeps no refresh out" {
    up app branch trunk main
    git ls-remote "$(gate_url app.git)" >/dev/null
    : >"$BED/state/git/app.git/HEAD.lock"
    up app symbolic-ref HEAD refs/heads/trunk
    [[ $(git ls-remote --symref "$(gate_url app.git)" HEAD) == "ref: refs/heads/trunk"* ]]
    up app symbolic-ref HEAD refs/heads/main
}

@test "a lock that a killed git left on the packed refs keeps no push out" {
    up strict branch no-way main
    clone strict "$work"
    for _ in 1 2; do
        run git -C "$work" push origin :refs/heads/no-way
        echo "$output"
        [[ $output == *"(upstream: "* ]]
        : >"$BED/state/git/strict.git/packed-refs.lock"
    done
}
