#!/usr/bin/env bats
# gitgate check: each fault on the way to an upstream is told from the others, with what to do.

bats_require_minimum_version 1.5.0
load lib

setup_file() {
    make_bed
    make_ssh_server
    make_https_server
    start_listeners
    new_upstream app
    new_upstream web
    # A forced command of authorized_keys needs a shell.
    if [ "$(id -u)" = 0 ]; then
        sed 's|/usr/bin/git-shell|/bin/sh|' "$BED/sshd/passwd" >"$BED/sshd/passwd.new"
        cat "$BED/sshd/passwd.new" >"$BED/sshd/passwd"
    fi
}

setup() {
    file=$BATS_TEST_TMPDIR/gitgate.yaml
    export XDG_RUNTIME_DIR=$BATS_TEST_TMPDIR/run
    mkdir "$XDG_RUNTIME_DIR"
}

teardown() {
    rm -f "$BATS_TEST_TMPDIR/go" # ends what loops while it is there
    [ -z "$(ls -A "$XDG_RUNTIME_DIR")" ] # the credentials were there
}

# entry ssh|https NAME [PATCH] : an upstream, PATCH (jq) applied to it
entry() {
    upstreams=$1 "$1_entry" "$2" | jq "${3:-.}"
}

# write_file : a GitGate with the upstreams on standard input, and the Secrets and ConfigMaps
write_file() {
    jq -s '{apiVersion: "gitgate.dev/v1alpha1", kind: "GitGate", metadata: {name: "gate"}, spec: {upstreams: .}}' >"$file"
    { ssh_sources; https_sources; } >>"$file"
}

# wrong ssh|https PATCH TEXT... : one upstream, patched, is found to be wrong, in these words; no secret is
# among them
wrong() {
    [ -s "$file" ] || entry "$1" app "$2" | write_file
    shift 2
    run gitgate check -f "$file"
    rm "$file"
    echo "$output"
    [ "$status" -eq 1 ]
    [[ ${lines[0]} == "WRONG  app: "* && ${lines[1]} == "       to do: "* && ${#lines[@]} = 2 ]]
    for text in "$@"; do
        [[ $output == *"$text"* ]]
    done
    while read -r word; do
        [[ $output != *"$word"* ]]
    done < <(upstreams=ssh server_secrets; upstreams=https server_secrets)
    [[ $output != *"$XDG_RUNTIME_DIR"* ]]
}

# fingerprint FILE : of a public key
fingerprint() {
    echo "$(cut -d' ' -f1 "$1") $(ssh-keygen -lf "$1" | cut -d' ' -f2)"
}

@test "upstreams that are right are said to be, with what was looked at" {
    {
        entry ssh app
        entry https web
        entry https web '.name = "read" | .push.policy = "Deny" | del(.http.secretRef) | .url |= sub("/tmp"; "/open/tmp")'
        entry ssh app '.name = "named" | .url |= sub("127.0.0.1"; "git.example.com") | .extraHosts = {"git.example.com": "127.0.0.1"}'
    } | write_file
    run --separate-stderr gitgate check -f "$file"
    echo "$output"
    [ "$status" -eq 0 ]
    key="key $(fingerprint "$BED/key.pub")"
    [ "${lines[0]}" = "ok     app: $key, 127.0.0.1 port $SSH_PORT, host key, repository (1 refs), a push may begin" ]
    [ "${lines[1]}" = "ok     web: 127.0.0.1 port $HTTPS_PORT, certificate, repository (1 refs), a push may begin" ]
    [ "${lines[2]}" = "ok     read: 127.0.0.1 port $HTTPS_PORT, certificate, repository (1 refs)" ]
    [ "${lines[3]}" = "ok     named: $key, 127.0.0.1 port $SSH_PORT (extraHosts), host key, repository (1 refs), a push may begin" ]
    [ "${#lines[@]}" = 4 ]
    # shellcheck disable=SC2154 # set by run --separate-stderr
    [ -z "$stderr" ]
    [ "$(up app for-each-ref --format='%(refname)')" = refs/heads/main ]
}

@test "a Secret that is missing is said with the place of its name" {
    wrong ssh '.ssh.secretRef.name = "gone"' 'ssh.secretRef.name: Secret "gone" does not exist' "see $file:"
    wrong ssh 'del(.ssh.knownHostKeys)' 'spec.upstreams[0].ssh.knownHostKeys: is empty'
}

@test "rules of the scan that can't be used are said with their place and the reason" {
    entry ssh app | write_file
    cp "$file" "$BATS_TEST_TMPDIR/right"
    sed -i 's/"spec": {/&"scan": {"rules": [{"id": "acme", "regex": "acme_(?=[a-z])"}]}, /' "$file"
    run gitgate check -f "$file"
    echo "$output"
    [ "$status" -eq 1 ]
    [[ $output == *"spec.scan.rules[0].regex: has a group \"(?\" that gitleaks does not know (it can't look ahead)"* ]]
    cp "$BATS_TEST_TMPDIR/right" "$file"
    sed -i 's/"spec": {/&"scan": {"configMapRef": {"name": "rules"}}, /' "$file"
    run gitgate check -f "$file"
    echo "$output"
    [ "$status" -eq 1 ]
    [[ $output == *"ok     app: "* && $output == *'spec.scan.configMapRef.name: ConfigMap "rules" does not exist'* ]]
}

@test "a name that does not resolve" {
    for kind in ssh https; do
        wrong $kind '.url |= sub("127.0.0.1"; "no-such-host.invalid")' "the name no-such-host.invalid can't be resolved" \
            "spec.upstreams[0].extraHosts (no-such-host.invalid: ADDRESS)"
    done
}

@test "a port that refuses" {
    for kind in ssh https; do
        wrong $kind '.url |= sub(":[0-9]+/"; ":1/")' "127.0.0.1 refused the connection" "tried: 127.0.0.1 port 1"
    done
    wrong ssh '.url |= sub("127.0.0.1:[0-9]+"; "git.example.com:1") | .extraHosts = {"git.example.com": "127.0.0.1"}' \
        "git.example.com refused the connection" "tried: 127.0.0.1 port 1, from extraHosts"
}

@test "a port that does not answer, within seconds, and however many there are" {
    wrong https ".url |= sub(\":[0-9]+/\"; \":$FULL_PORT/\")" "127.0.0.1 does not answer" "tried for 10 s: 127.0.0.1 port $FULL_PORT"
    for i in $(seq 20); do
        entry ssh "app$i" ".url |= sub(\":[0-9]+/\"; \":$FULL_PORT/\")"
    done | write_file
    started=$SECONDS
    run gitgate check -f "$file"
    [ $((SECONDS - started)) -lt 100 ] # one after the other it would be 200
    [ "$(grep -c "127.0.0.1 does not answer" <<<"$output")" = 20 ]
    [ "$(grep -o ' app[0-9]*:' <<<"$output" | tr -d '\n')" = "$(seq -f ' app%g:' 20 | tr -d '\n')" ]
}

@test "a server that takes the connection and says nothing" {
    wrong ssh ".url |= sub(\":[0-9]+/\"; \":$SILENT_PORT/\")" "127.0.0.1 does not answer"
    wrong https ".url |= sub(\":[0-9]+/\"; \":$SILENT_PORT/\")" "127.0.0.1 does not answer"
}

@test "another host key than the pinned one: both are shown" {
    ssh-keygen -q -t ed25519 -N '' -f "$BATS_TEST_TMPDIR/other"
    wrong ssh ".ssh.knownHostKeys = [\"$(cut -d' ' -f1,2 "$BATS_TEST_TMPDIR/other.pub")\"]" \
        "the host key of 127.0.0.1 is not among spec.upstreams[0].ssh.knownHostKeys" \
        "it shows $(fingerprint "$BED/sshd/host_key.pub"); pinned is $(fingerprint "$BATS_TEST_TMPDIR/other.pub")"
}

@test "another host key than in the Secret's known_hosts is said to be missing there" {
    ssh-keygen -q -t ed25519 -N '' -f "$BATS_TEST_TMPDIR/other"
    entry ssh app '.ssh = {secretRef: {name: "mine"}}' | write_file
    echo --- >>"$file"
    jq -n --rawfile key "$BED/key" --arg hosts "127.0.0.1 $(cut -d' ' -f1,2 "$BATS_TEST_TMPDIR/other.pub")" '{apiVersion: "v1", kind: "Secret",
        metadata: {name: "mine"}, type: "kubernetes.io/ssh-auth", stringData: {"ssh-privatekey": $key, known_hosts: $hosts}}' >>"$file"
    wrong ssh . "the host key of 127.0.0.1 is not among the known_hosts of spec.upstreams[0].ssh.secretRef" \
        "put it into the known_hosts of spec.upstreams[0].ssh.secretRef"
}

@test "a host key of a type that is not pinned" {
    ssh-keygen -q -t rsa -b 2048 -N '' -f "$BATS_TEST_TMPDIR/other"
    wrong ssh ".ssh.knownHostKeys = [\"$(cut -d' ' -f1,2 "$BATS_TEST_TMPDIR/other.pub")\"]" "knownHostKeys" \
        "it shows $(fingerprint "$BED/sshd/host_key.pub")"
}

# with_key FILE : that is the Secret's
with_key() {
    entry ssh app '.ssh.secretRef.name = "mine"' | write_file
    source_secret mine kubernetes.io/ssh-auth ssh-privatekey "$1" >>"$file"
}

@test "a key with a passphrase, a damaged one, one with Windows line ends" {
    key=$BATS_TEST_TMPDIR/key
    ssh-keygen -q -t ed25519 -N "$(random_word)" -f "$key"
    with_key "$key"
    wrong ssh . "spec.upstreams[0].ssh.secretRef.name: the key ssh-privatekey of Secret \"mine\" is locked with a passphrase" "see $file:"
    sed 's/$/\r/' "$BED/key" >"$key"
    with_key "$key"
    wrong ssh . "the key ssh-privatekey of Secret \"mine\"" "CR LF"
    sed '3s/^..../AAAA/' "$BED/key" >"$key"
    with_key "$key"
    wrong ssh . "ssh can't read the key of spec.upstreams[0].ssh.secretRef"
}

@test "a key that the upstream does not know" {
    ssh-keygen -q -t ed25519 -N '' -f "$BATS_TEST_TMPDIR/key"
    with_key "$BATS_TEST_TMPDIR/key"
    wrong ssh . "127.0.0.1 refused the key of spec.upstreams[0].ssh.secretRef" "right so far: key $(fingerprint "$BATS_TEST_TMPDIR/key.pub")"
}

@test "a certificate that nobody vouches for, an expired one, one for another host" {
    wrong https '.http.caBundle.configMapRef.key = "other.crt"' "the certificate of 127.0.0.1 is from nobody whom the gate trusts" \
        "it was issued by CN = ours" "spec.upstreams[0].http.caBundle"
    wrong https 'del(.http.caBundle)' "the certificate of 127.0.0.1 is from nobody whom the gate trusts"
    wrong https ".url |= sub(\":[0-9]+/\"; \":$EXPIRED_PORT/\")" "the certificate of 127.0.0.1 has expired" "its last day was "
    wrong https '.url |= sub("127.0.0.1"; "localhost")' "the certificate of localhost is for another host" "it is for IP Address:127.0.0.1, DNS:git.example.com"
}

@test "a server that speaks no TLS" {
    wrong https ".url |= sub(\":[0-9]+/\"; \":$PLAIN_PORT/\")" "127.0.0.1 does not speak TLS there"
}

@test "a credential that is refused, and one that is asked for" {
    entry https app '.http.secretRef.name = "mine"' | write_file
    source_secret mine Opaque token <(random_word) >>"$file"
    wrong https . "127.0.0.1 refused the credential of spec.upstreams[0].http.secretRef"
    wrong https 'del(.http.secretRef)' "127.0.0.1 asks for a credential"
}

@test "a repository that is not there" {
    for kind in ssh https; do
        wrong $kind '.url |= sub("app"; "absent")' "127.0.0.1 has no such repository" "compare the path in spec.upstreams[0].url"
    done
}

@test "no right to push" {
    wrong https 'del(.http.secretRef) | .url |= sub("/tmp"; "/open/tmp")' "127.0.0.1 lets nobody push without a credential"
    ssh-keygen -q -t ed25519 -N '' -f "$BATS_TEST_TMPDIR/key"
    cat >"$BED/reader" <<-'END'
	#!/bin/sh
	case $SSH_ORIGINAL_COMMAND in
	git-upload-pack*) exec git-shell -c "$SSH_ORIGINAL_COMMAND" ;;
	esac
	echo "ERROR: no." >&2
	exit 1
	END
    chmod 755 "$BED/reader"
    echo "command=\"$BED/reader\" $(cat "$BATS_TEST_TMPDIR/key.pub")" >>"$BED/sshd/authorized_keys"
    with_key "$BATS_TEST_TMPDIR/key"
    wrong ssh . "127.0.0.1 lets this credential read the repository, but not push to it" "spec.upstreams[0].push.policy: Deny"
}

@test "programs read JSON" {
    { entry ssh app; entry https absent; } | write_file
    run --separate-stderr gitgate check -f "$file" -o json
    [ "$status" -eq 1 ]
    [ "$(jq -c '[.gate, (.upstreams[] | .name, .ok, (.checked | length), .fault.kind)]' <<<"$output")" = \
        '["gate","app",true,5,null,"absent",false,2,"repository"]' ]
}

@test "no credential is in any argument or environment of what check starts" {
    command -v strace >/dev/null || skip "needs strace"
    { entry ssh app; entry https web; } | write_file
    # -v: the whole environment of each, too.
    strace -f -v -s 1000000 -e trace=execve -e signal=none -o "$BATS_TEST_TMPDIR/seen" \
        gitgate check -f "$file" >"$BATS_TEST_TMPDIR/out" 2>&1 3>&-
    grep -q '"ls-remote"' "$BATS_TEST_TMPDIR/seen" # git, and what it starts
    grep -q 'execve("[^"]*ssh", .*"GIT_[A-Z_]*=' "$BATS_TEST_TMPDIR/seen"
    grep -q 'execve("[^"]*git-remote-https", ' "$BATS_TEST_TMPDIR/seen"
    while read -r secret; do
        run ! grep -F -- "$secret" "$BATS_TEST_TMPDIR/seen" "$BATS_TEST_TMPDIR/out"
    done < <(upstreams=ssh server_secrets; upstreams=https server_secrets)
}

started_ssh() {
    pgrep -f "ssh .*-p $SILENT_PORT " >"$BATS_TEST_TMPDIR/ssh"
}

@test "Ctrl-C and the end of the terminal leave nothing behind" {
    for signal in INT HUP TERM; do
        entry ssh app ".url |= sub(\":[0-9]+/\"; \":$SILENT_PORT/\")" | write_file
        setsid gitgate check -f "$file" >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
        pid=$!
        wait_for 20 started_ssh
        [ "$(stat -c %a "$XDG_RUNTIME_DIR"/gitgate-check.*)" = 700 ]
        kill -$signal -- "-$pid"
        status=0
        wait "$pid" || status=$?
        [ "$status" -ne 0 ]
        while read -r ssh; do
            gone "$ssh"
        done <"$BATS_TEST_TMPDIR/ssh"
        [ -z "$(ls -A "$XDG_RUNTIME_DIR")" ]
    done
}
