#!/usr/bin/env bats
# A gate without a cluster: one file, one command, Ctrl-C.

bats_require_minimum_version 1.5.0
load lib

setup_file() {
    start_bed
    new_upstream app
    new_upstream upper
    write_gitgate app named upper -- '
        .spec.upstreams[2].url |= sub("127.0.0.1"; "Git.Example.COM") |
        .spec.upstreams[1].url |= (sub("127.0.0.1"; "git.example.com") | sub("named"; "app")) |
        .spec.upstreams[0].extraHosts = {"git.example.com": "127.0.0.1"}'
    start_gate
}

teardown() {
    [ -e "$BED/gate.pid" ] || start_gate
}

@test "a host that extraHosts alone know is reached, by another upstream's too" {
    clone named "$work"
    new=$(commit "$work" a)
    git -C "$work" push -q
    [ "$(up app rev-parse main)" = "$new" ]
    [ "$(gate_git named rev-parse main)" = "$new" ]
}

@test "so is one that the URL writes in upper case" {
    git ls-remote "$(gate_url upper.git)"
}

@test "a host key is looked up by the host's name, not by the address" {
    ssh_only
    grep -q "^\[git.example.com\]:$SSH_PORT " "$BED/state/creds/named-known_hosts"
    ssh-keygen -q -t ed25519 -N '' -f "$BATS_TEST_TMPDIR/other"
    cp "$BED/state/creds/named-known_hosts" "$BATS_TEST_TMPDIR/keep"
    echo "127.0.0.1,[127.0.0.1]:$SSH_PORT $(cut -d' ' -f1,2 "$BED/sshd/host_key.pub")" >"$BED/state/creds/named-known_hosts"
    run git ls-remote "$(gate_url named.git)"
    cp "$BATS_TEST_TMPDIR/keep" "$BED/state/creds/named-known_hosts"
    [[ $output == *"the host key of git.example.com is not among spec.upstreams[1].ssh.knownHostKeys"* ]]
}

@test "an address that changes takes effect in the running gate" {
    git ls-remote "$(gate_url named.git)" >/dev/null # an ssh connection is kept
    cp "$BED/state/config/gate.json" "$BATS_TEST_TMPDIR/keep"
    jq '.spec.upstreams[0].extraHosts = {"git.example.com": "127.0.0.77"} |
        .spec.upstreams[1].url |= sub(":[0-9]+/"; ":1/")' "$BATS_TEST_TMPDIR/keep" >"$BED/state/config/gate.json"
    wait_for 20 not_served
    cp "$BATS_TEST_TMPDIR/keep" "$BED/state/config/gate.json"
    wait_for 20 git ls-remote "$(gate_url named.git)"
}

not_served() {
    [[ $(git ls-remote "$(gate_url named.git)" 2>&1) == *"git.example.com refused the connection"* ||
        $(git ls-remote "$(gate_url named.git)" 2>&1) == *"git.example.com can't be reached"* ]]
}

@test "two gates over one folder are told apart, and the first is none the worse" {
    before=$(sha256sum "$BED/state/config/gate.json")
    sed 's/"named"/"renamed"/' "$BED/gitgate.yaml" >"$BED/second.yaml"
    run timeout 20 gitgate run -f "$BED/second.yaml" --listen "127.0.0.1:$(free_port)" --state-dir "$BED/state"
    echo "$output"
    [ "$status" -eq 1 ]
    [[ $output == *"$BED/state is in use by another gitgate run, process $(cat "$BED/gate.pid"); "*"--state-dir"* ]]
    [ "$(sha256sum "$BED/state/config/gate.json")" = "$before" ]
    git ls-remote --exit-code "$(gate_url app.git)" refs/heads/main
}

@test "what run prints points git at the gate, by the upstream's own URL" {
    grep -qF "git clone $(gate_url app.git)" "$BED/gate.err"
    main=$(up app rev-parse main)
    eval "$(sed -n 's/^  export /export /p' "$BED/gate.err" | tail -n 1)"
    [ "$GIT_CONFIG_COUNT" = 1 ]
    GIT_SSH_COMMAND=false git clone -q "$(upstream_url app)" "$work"
    [ "$(git -C "$work" rev-parse HEAD)" = "$main" ]
}

@test "rules of the agent's own for the same URLs lead neither fetch nor push elsewhere" {
    eval "$(sed -n 's/^  export /export /p' "$BED/gate.err" | tail -n 1)"
    url=$(upstream_url app)
    git config --global url.https://elsewhere.invalid/.insteadOf git://
    git config --global url.https://elsewhere.invalid/.pushInsteadOf "${url%%/*}//"
    GIT_SSH_COMMAND=false git clone -q "$url" "$work"
    commit "$work" own
    [ "$(git -C "$work" remote get-url --push origin)" = "$(git -C "$work" remote get-url origin)" ]
    GIT_SSH_COMMAND=false git -C "$work" push -q
    git ls-remote "$(gate_url app.git)"
    git config --global --remove-section url.https://elsewhere.invalid/
}

# interrupt SIGNAL : as a terminal does it, to all of the foreground at once
interrupt() {
    stop_gate
    start_gate
    pid=$(cat "$BED/gate.pid")
    git ls-remote "$(gate_url app.git)" >/dev/null
    exec 4<>"/dev/tcp/127.0.0.1/$GATE_PORT" # a client that is in the middle of something
    printf '002cgit-upload-pack /app.git\0host=127.0.0.1\0' >&4
    exec 6<>"/dev/tcp/127.0.0.1/$GATE_PORT" # one that has said nothing yet
    wait_for 20 serves "$pid"
    all=$(descendants "$pid")
    stopped=$(grep -c '"stopping"' "$BED/gate.log" || true)
    kill -"$1" -- "-$pid"
    rm "$BED/gate.pid"
    status=0
    wait "$pid" || status=$?
    exec 4>&- 6>&-
    [ "$status" = 0 ]
    [ "$(grep -c '"stopping"' "$BED/gate.log")" = $((stopped + 1)) ]
    for process in $all; do
        gone "$process"
    done
    [ -z "$(find "$BED/state" -type s)" ]
}

serves() {
    descendants "$1" | xargs -r ps -o args= -p | grep -q "^git daemon"
}

descendants() {
    local child
    for child in $(pgrep -P "$1"); do
        echo "$child"
        descendants "$child"
    done
}

@test "Ctrl-C ends the gate and all that it started" {
    interrupt INT
}

@test "so does the end of its terminal" {
    interrupt HUP
}
