#!/usr/bin/env bats
# What an upstream says is shown, or tells what is wrong with it; it tells nothing of the gate.

bats_require_minimum_version 1.5.0
load lib

setup_file() {
    start_bed
    new_upstream app
    write_gitgate app
    speak_when_asked
    start_gate
}

# The gate's ssh is an upstream's that says what is in $BED/say/out and $BED/say/err, while it is there. Which of
# git's commands the gate runs is in $BED/say/run.
speak_when_asked() {
    mkdir -p "$BED/say/bin"
    cat >"$BED/say/bin/ssh" <<-END
	#!/bin/sh
	if [ -e "$BED/say/err" ]; then cat "$BED/say/out"; cat "$BED/say/err" >&2; exit 128; fi
	exec "$(command -v ssh)" "\$@"
	END
    cat >"$BED/say/bin/git" <<-END
	#!/bin/sh
	echo "\$*" >>"$BED/say/run"
	exec "$(command -v git)" "\$@"
	END
    chmod 755 "$BED/say/bin/"*
    export GATE_PATH=$BED/say/bin:$PATH
}

# says OUT ERR COMMAND... : what a client is told meanwhile
says() {
    : >"$BED/say/run"
    printf "$1" >"$BED/say/out"
    printf "$2" >"$BED/say/err"
    shift 2
    run "$@"
    rm "$BED/say/err"
    echo "$output"
    [ "$status" -ne 0 ]
}

list() {
    git ls-remote "$(gate_url app.git)"
}

goes_on() {
    git ls-remote --exit-code "$(gate_url app.git)" refs/heads/main
}

@test "of its own disk, on its standard error" {
    list
    for words in "fatal: write error: No space left on device" "error: unable to write file x: Disk quota exceeded" \
        "fatal: x: Read-only file system" "fatal: x: Input/output error"; do
        says "" "$words\n" list
        [[ $output != *"the gate's disk"* && $output == *"127.0.0.1"* ]]
    done
    goes_on
}

@test "of its own repository, on its standard error or by the protocol" {
    list
    says "" "error: unable to read tree 1234\nfatal: bad object HEAD\nfatal: not a git repository: '.'\n" list
    says "0030ERR so it is\nerror: object file x/y is empty" "" list
    says "002fERR so it is\nerror: No space left on device" "" list
    [[ $output != *"the gate's disk"* && $output != *"damaged"* ]]
    [ "$(grep -c fsck "$BED/say/run")" = 0 ]
    goes_on
}

@test "of its own disk, when it is pushed to" {
    clone app "$work"
    commit "$work" a >/dev/null
    slow_hook proc-receive forward
    git -C "$work" push origin HEAD:refs/heads/pushed >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
    push=$!
    hook_waits
    : >"$BED/say/out"
    echo "fatal: No space left on device" >"$BED/say/err"
    let_hook_go
    wait "$push" && false
    rm "$BED/say/err"
    quick_hook proc-receive
    cat "$BATS_TEST_TMPDIR/out"
    run grep "the gate's disk" "$BATS_TEST_TMPDIR/out"
    [ "$status" -ne 0 ]
    goes_on
}
