#!/usr/bin/env bats
# Upstreams by https: every way to prove who the gate is, every way in which TLS and HTTP go wrong,
# and nowhere else a credential.

bats_require_minimum_version 1.5.0
load lib

setup_file() {
    export GITGATE_UPSTREAMS=https
    # shellcheck disable=SC2034 # lib's
    upstreams=https
    start_bed
    for name in app token open; do
        new_upstream "$name"
    done
    start_listeners
    write_gitgate app token open stranger asks distrusted public expired misnamed plaintext absent moved elsewhere \
        plain throttled broken silent full -- "
        def at(\$prefix): .url |= sub(\"(?<server>https://[^/]*)\"; \"\\(.server)\" + \$prefix);
        def server(authority): .url |= sub(\"//[^/]*\"; \"//\" + authority);
        .spec.upstreams |= map(
            if .name == \"token\" then .http.secretRef.name = \"token\"
            elif .name == \"open\" then at(\"/open\") | del(.http.secretRef)
            elif .name == \"stranger\" then .http.secretRef.name = \"wrong\"
            elif .name == \"asks\" then del(.http.secretRef)
            elif .name == \"distrusted\" then .http.caBundle.configMapRef.key = \"other.crt\"
            elif .name == \"public\" then del(.http.caBundle)
            elif .name == \"expired\" then server(\"127.0.0.1:$EXPIRED_PORT\")
            elif .name == \"misnamed\" then server(\"localhost:$HTTPS_PORT\")
            elif .name == \"plaintext\" then server(\"127.0.0.1:$PLAIN_PORT\")
            elif .name == \"silent\" then server(\"127.0.0.1:$SILENT_PORT\")
            elif .name == \"full\" then server(\"127.0.0.1:$FULL_PORT\")
            elif IN(.name; \"moved\", \"elsewhere\", \"plain\", \"throttled\", \"broken\") then at(\"/\" + .name)
            else . end)"
    {
        echo ---
        jq -n '{apiVersion: "v1", kind: "Secret", metadata: {name: "wrong"}, type: "kubernetes.io/basic-auth",
            stringData: {username: "agent", password: "not this one"}}'
    } >>"$BED/gitgate.yaml"
    start_gate
}

# refused REPO TEXT : listing it fails with that text, in one line of ours without a path or credential
refused() {
    run git ls-remote "$(gate_url "$1.git")"
    echo "$output"
    [ "$status" -ne 0 ]
    [[ $output == *"$2"* ]]
    [ "$(grep -c 'access denied\|remote error' <<<"$output")" = 1 ]
    [[ $output != *"$BED"* && $output != *"$PASSWORD"* && $output != *"$TOKEN"* ]]
}

@test "a user and a password, a token, and nobody at all get what is theirs" {
    for name in app token open; do
        clone "$name" "$work-$name"
        [ "$(git -C "$work-$name" rev-parse HEAD)" = "$(up "$name" rev-parse main)" ]
    done
    for name in app token; do
        new=$(commit "$work-$name" a)
        git -C "$work-$name" push -q
        agree "$name" refs/heads/main "$new"
    done
    grep -q " - agent .*git-receive-pack.* 200 " "$BED/nginx/access.log"
    grep -q " - x-access-token .*git-receive-pack.* 200 " "$BED/nginx/access.log"
    grep -q " - - .*open.*git-upload-pack.* 200 " "$BED/nginx/access.log"
}

@test "a push for which nobody is not enough is refused, and the client reads why" {
    clone open "$work"
    old=$(git -C "$work" rev-parse HEAD)
    commit "$work" a >/dev/null
    run git -C "$work" push
    [ "$status" -ne 0 ]
    [[ $output == *"[remote rejected]"*"127.0.0.1 denies access to this repository"* ]]
    agree open refs/heads/main "$old"
}

@test "a refused credential and a missing one are told apart" {
    refused stranger "127.0.0.1 refused the credential of spec.upstreams[3].http.secretRef"
    refused asks "127.0.0.1 asks for a credential: name one in spec.upstreams[4].http.secretRef"
}

@test "a certificate that the caBundle does not vouch for is refused" {
    refused distrusted "the certificate of 127.0.0.1 is not trusted, or has expired (spec.upstreams[5].http.caBundle)"
    refused public "the certificate of 127.0.0.1 is not trusted"
}

# on_host COMMAND... : on a host that trusts the server's authority
on_host() {
    local host=$BATS_TEST_TMPDIR/host
    mkdir -p "$host"
    cp "$BED/ca/ours.crt" "$host/$(openssl x509 -noout -hash -in "$BED/ca/ours.crt").0"
    cp "$BED/ca/ours.crt" "$host/ours.pem"
    unshare --mount sh -c 'mount --bind "$0" /etc/ssl/certs; exec env -i "PATH=$PATH" "$@"' "$host" "$@"
}

@test "an authority that the host trusts counts only where the GitGate names none" {
    { [ "$(id -u)" = 0 ] && unshare --mount true; } 2>/dev/null || skip "needs a mount namespace"
    run git ls-remote "$(gate_url public.git)" # makes the gate's repository
    run git ls-remote "$(gate_url distrusted.git)"
    run -128 on_host git -C "$BED/state/git/public.git" ls-remote origin
    [[ $output == *"not found"* ]] # it is asked
    run -128 on_host git -C "$BED/state/git/distrusted.git" ls-remote origin
    [[ $output == *"certificate verification failed"* ]]
    run -0 git ls-remote "$(gate_url app.git)"
}

@test "an expired certificate, and one for another host, are refused" {
    refused expired "the certificate of 127.0.0.1 is not trusted, or has expired"
    refused misnamed "the certificate of localhost is for another host"
}

# Whether another server than the upstream's was asked for anything. (The one that has no TLS also
# logs what it could not read: the hello that the gate's own start sends to the plaintext upstream.)
asked_others() {
    grep "HTTP/\|uthorization\|Basic" "$BED/nginx/others.log"
}

@test "a server without TLS gets no request at all" {
    : >"$BED/nginx/others.log"
    refused plaintext "127.0.0.1 does not speak TLS there"
    run ! asked_others
}

@test "a repository that is not there is told apart" {
    refused absent "127.0.0.1 has no such repository"
}

@test "a redirect is not followed, and no credential goes with it" {
    : >"$BED/nginx/others.log"
    for name in moved elsewhere plain; do
        refused "$name" "127.0.0.1 redirects this repository, which the gate does not follow"
    done
    run ! asked_others
}

@test "an upstream that asks for patience, and one that is out of order, are told apart" {
    refused throttled "127.0.0.1 asks for fewer requests (429)"
    refused broken "127.0.0.1 is out of order"
}

@test "an upstream that takes no connection, or says nothing, is given up in time" {
    started=$SECONDS
    git ls-remote "$(gate_url full.git)" >"$BATS_TEST_TMPDIR/full" 2>&1 3>&- &
    refused silent "127.0.0.1 did not answer in time"
    wait $! || true
    grep -q "127.0.0.1 did not answer in time" "$BATS_TEST_TMPDIR/full"
    # Behind the one that runs since the start, and then its own; libcurl alone would wait five minutes.
    [ $((SECONDS - started)) -lt 240 ]
}

# basic USER PASSWORD : as it stands in a header
basic() {
    printf '%s:%s' "$1" "$2" | base64 -w0
}

@test "a changed password takes effect at once, and one that is taken away opens nothing" {
    creds=$BED/state/creds/app-gitconfig
    git ls-remote "$(gate_url app.git)" >/dev/null
    cp -p "$creds" "$BATS_TEST_TMPDIR/keep"
    sed "s|$(basic agent "$PASSWORD")|$(basic agent other)|" "$BATS_TEST_TMPDIR/keep" >"$creds"
    refused app "127.0.0.1 refused the credential of spec.upstreams[0].http.secretRef"
    rm "$creds"
    refused app "the gate has no credential for 127.0.0.1: see spec.upstreams[0].http.secretRef"
    cp -p "$BATS_TEST_TMPDIR/keep" "$creds"
    git ls-remote "$(gate_url app.git)" >/dev/null
}

@test "a caBundle that is taken away is not replaced by the system's" {
    cp -p "$BED/state/creds/app-ca.crt" "$BATS_TEST_TMPDIR/keep"
    rm "$BED/state/creds/app-ca.crt"
    refused app "the gate has no certificates for 127.0.0.1: see spec.upstreams[0].http.caBundle"
    echo "no certificate" >"$BED/state/creds/app-ca.crt"
    refused app "spec.upstreams[0].http.caBundle"
    cp -p "$BATS_TEST_TMPDIR/keep" "$BED/state/creds/app-ca.crt"
    git ls-remote "$(gate_url app.git)" >/dev/null
}

@test "no environment of the caller's changes what git trusts or follows" {
    stop_gate
    : >"$BED/nginx/others.log"
    GIT_SSL_NO_VERIFY=1 GIT_SSL_CAINFO=$BED/ca/ours.crt GIT_CURL_VERBOSE=1 GIT_TRACE_CURL=$BATS_TEST_TMPDIR/trace \
        https_proxy=http://127.0.0.1:$PLAIN_PORT SSL_CERT_FILE=$BED/ca/ours.crt start_gate
    refused distrusted "the certificate of 127.0.0.1 is not trusted"
    refused public "the certificate of 127.0.0.1 is not trusted"
    git ls-remote --exit-code "$(gate_url app.git)" refs/heads/main
    [ ! -e "$BATS_TEST_TMPDIR/trace" ]
    run ! asked_others
    stop_gate
    start_gate
}

@test "a slow hook of the upstream does not break a push off" {
    printf '#!/bin/sh\nread -r line <%s\n' "$BED/gate-of-hook" >"$BED/srv/token.git/hooks/pre-receive"
    chmod 755 "$BED/srv/token.git/hooks/pre-receive"
    mkfifo -m 666 "$BED/gate-of-hook"
    clone token "$work"
    new=$(commit "$work" b)
    git -C "$work" push >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
    push=$!
    exec 4>"$BED/gate-of-hook" # waits for the hook
    # Longer than the 30 s that libcurl was once told to bear, and no keepalive of git's gets through.
    sleep 35
    echo go >&4
    exec 4>&-
    wait "$push" || { cat "$BATS_TEST_TMPDIR/out"; false; }
    rm "$BED/srv/token.git/hooks/pre-receive"
    agree token refs/heads/main "$new"
}

@test "no credential lies anywhere but in the gate's folder of credentials" {
    clone app "$work"
    commit "$work" c >/dev/null
    git -C "$work" push -q
    for word in "$PASSWORD" "$TOKEN" "$(basic agent "$PASSWORD")" "$(basic x-access-token "$TOKEN")"; do
        run ! grep -rF -- "$word" "$BED/state/git" "$BED/state/config" "$BED/state/client" "$BED/gate.log" \
            "$BED/gate.err" "$work"
    done
    grep -qrF -- "$(basic agent "$PASSWORD")" "$BED/state/creds"
    for file in "$BED"/state/creds/*; do
        [ "$(stat -c %a "$file")" = 600 ]
    done
}
