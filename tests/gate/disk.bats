#!/usr/bin/env bats
# A disk that is full is said to be full, costs nobody the truth, and nothing when there is room again.

bats_require_minimum_version 1.5.0
load lib

# The gate's folder is a small disk that only the gate sees, and we below its /proc; with GITGATE_DISK=quota it is a
# larger one of which no more may be taken than that.
small_disk() {
    mkdir -p "$1" && mount -t tmpfs -o size=12m,mode=700 tmpfs "$1"
}

quota_disk() {
    mkdir -p "$1" && mount -o loop "$2" "$1" && btrfs -q quota enable "$1" && btrfs -q qgroup limit 16m "$1"
}

# Makes the image, and tries it in a namespace that goes with it.
can_make_disk() {
    [ "$disk" = quota_disk ] || return 0
    truncate -s 200M "$BED/image" && mkfs.btrfs -q "$BED/image" &&
        unshare --mount sh -c "$(declare -f quota_disk)"'; quota_disk "$@"' sh "$BED/try" "$BED/image"
}

disk=${GITGATE_DISK:-small}_disk

setup_file() {
    if ! { [ "$(id -u)" = 0 ] && unshare --mount true; } 2>/dev/null; then
        export NO_DISK="needs root, for a disk of its own"
        return
    fi
    start_bed
    if ! can_make_disk >/dev/null 2>&1; then
        export NO_DISK="needs btrfs with quotas, and a loop device"
        return
    fi
    new_upstream app
    new_upstream large
    # shellcheck disable=SC2016 # the inner shell's
    ENTER_GATE=(unshare --mount sh -c "$(declare -f "$disk")
        $disk \"\$0\" \"\$1\" && shift && exec \"\$@\"" "$BED/state" "$BED/image")
    write_gitgate app large
    start_gate
    export DISK=/proc/$(cat "$BED/gate.pid")/root$BED/state
}

setup() {
    [ -z "${NO_DISK:-}" ] || skip "$NO_DISK"
    work=$BATS_TEST_TMPDIR/work
}

teardown() {
    [ -n "${NO_DISK:-}" ] || free_disk
}

# fill_disk [BYTES-LEFT] : to the last byte, or nearly so. (A full quota doesn't even let a file be cut off.)
fill_disk() {
    local size
    dd if=/dev/zero of="$DISK/filler" bs=4096 2>/dev/null || true
    if [ -n "${1:-}" ]; then
        size=$(stat -c %s "$DISK/filler")
        free_disk
        head -c $((size - $1)) /dev/zero >"$DISK/filler"
    fi
    sync -f "$DISK" # a quota counts what is on the disk
}

free_disk() {
    rm -f "$DISK/filler"
    sync -f "$DISK"
}

mirror_git() {
    nsenter -t "$(cat "$BED/gate.pid")" -m git -C "$BED/state/git/$1.git" "${@:2}"
}

# As maintain, on the gate's disk.
maintain_here() {
    nsenter -t "$(cat "$BED/gate.pid")" -m bash -c "$(declare -f maintain); maintain $1"
}

agrees() {
    [ "$(mirror_git "$1" rev-parse main)" = "$2" ]
    [ "$(up "$1" rev-parse main)" = "$2" ]
}

@test "what is there already is served from a full disk" {
    clone app "$work"
    fill_disk
    [ "$(git ls-remote "$(gate_url app.git)" refs/heads/main | cut -f1)" = "$(up app rev-parse main)" ]
    clone app "$work-again"
}

@test "a fetch that needs room is refused for that, and works again when there is room" {
    git ls-remote "$(gate_url app.git)" >/dev/null
    commit=$(commit_upstream app main)
    fill_disk
    run git ls-remote "$(gate_url app.git)"
    echo "$output"
    [ "$status" -ne 0 ]
    [[ $output == *"the gate's disk is full"* && $output != *"$BED"* ]]
    free_disk
    [ "$(git ls-remote "$(gate_url app.git)" refs/heads/main | cut -f1)" = "$commit" ]
    [ ! -e "$DISK/git/app.git/gitgate/damaged" ]
}

@test "a push that needs room is refused for that, reaches nobody, and goes through when there is room" {
    clone app "$work"
    old=$(up app rev-parse main)
    head -c 2000000 /dev/urandom | base64 >"$work/file"
    new=$(commit "$work" other)
    fill_disk
    run git -C "$work" push
    echo "$output"
    [ "$status" -ne 0 ]
    [[ $output == *"No space left on device"* || $output == *"Disk quota exceeded"* || $output == *"disk is full"* ]]
    agrees app "$old"
    free_disk
    git -C "$work" push -q
    agrees app "$new"
}

@test "a push that fits while its scan does not is refused for that" {
    clone app "$work"
    old=$(up app rev-parse main)
    # Much in little: the pack is small, what the scan unpacks is not.
    head -c 30000000 /dev/zero | tr '\0' 'x' >"$work/wide"
    commit "$work" other >/dev/null
    fill_disk 2000000
    run git -C "$work" push
    echo "$output"
    [ "$status" -ne 0 ]
    [[ $output == *"the gate's disk is full"* ]]
    agrees app "$old"
    free_disk
    git -C "$work" reset -q --hard origin/main
    new=$(commit "$work" other)
    git -C "$work" push -q
    agrees app "$new"
}

# Neither does a pusher who forces and deletes fill it for good: such backups are fewer then.
@test "that room is short is seen before there is none, and what only was kept in case goes" {
    git ls-remote "$(gate_url app.git)" >/dev/null
    mkdir "$DISK/git/app.git/gitgate/damaged"
    maintain_here app
    [ -e "$DISK/git/app.git/gitgate/damaged" ]
    fill_disk 1000000
    maintain_here app
    [ ! -e "$DISK/git/app.git/gitgate/damaged" ]
}

@test "an upstream that is larger than the disk takes no room from the others for long" {
    head -c 30000000 /dev/urandom >"$BED/seed-large/file"
    git -C "$BED/seed-large" add -A
    git -C "$BED/seed-large" commit -qm "Large"
    git -C "$BED/seed-large" push -q "$BED/srv/large.git" HEAD:refs/heads/main
    own large
    run git ls-remote "$(gate_url large.git)"
    echo "$output"
    [ "$status" -ne 0 ]
    [[ $output == *"the gate's disk is full"* ]]
    # What the broken fetch left is swept.
    roomy() {
        [ "$(du -s "$DISK/git/large.git" | cut -f1)" -lt 1000 ]
    }
    wait_for 60 roomy
    clone app "$work"
    new=$(commit "$work" other)
    git -C "$work" push -q
    agrees app "$new"
}
