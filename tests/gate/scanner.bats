#!/usr/bin/env bats
# gitleaks itself: when it is run and on what, and that a push is refused when it does not do its work.

bats_require_minimum_version 1.5.0
load lib
load scan

# with_scanner SCRIPT : a gate whose gitleaks is this script
with_scanner() {
    mkdir -p "$BATS_TEST_TMPDIR/fake"
    printf '#!/bin/sh\n%s\n' "$1" >"$BATS_TEST_TMPDIR/fake/gitleaks"
    chmod 755 "$BATS_TEST_TMPDIR/fake/gitleaks"
    stop_gate
    GATE_PATH=$BATS_TEST_TMPDIR/fake:$PATH start_gate
}

scanner_failed() {
    run git push origin main
    echo "$output"
    [ "$status" -ne 0 ]
    [[ $output == *"the scanner failed"* && $output == *"does not mean that a secret was found"* ]]
    [[ $output != *"reads like a secret"* ]]
    [ "$(up app for-each-ref)" = "$before" ]
    [ -z "$(find "$BED/state/git/.gitgate" -mindepth 1)" ]
}

@test "a clean push starts no scanner at all" {
    with_scanner 'echo started >"'"$BATS_TEST_TMPDIR"'/started"; exit 1'
    commit . clean "package main, and nothing that reads like a password" >/dev/null
    git push -q origin HEAD:refs/heads/no-scanner
    [ "$(up app rev-parse no-scanner)" = "$(git rev-parse HEAD)" ]
    [ ! -e "$BATS_TEST_TMPDIR/started" ]
    stop_gate
    start_gate
}

# A gate whose scanner also writes down how many files it is given.
with_counting_scanner() {
    with_scanner "find . -type f | wc -l >>'$BATS_TEST_TMPDIR/runs'; exec '$(command -v gitleaks)' \"\$@\""
}

@test "all of a push that may be a secret goes to one run of the scanner" {
    with_counting_scanner
    for n in 1 2 3; do commit . "f$n.txt" "token: $(secret)" >/dev/null; done
    git commit -q --allow-empty -m "Use $secret"
    refused main
    [ "$(cat "$BATS_TEST_TMPDIR/runs")" = 5 ] # four, and the canary
    unharmed
    stop_gate
    start_gate
}

@test "much that may be a secret goes to the scanner in parts, and each has to be proven" {
    with_counting_scanner
    runs=$BATS_TEST_TMPDIR/runs
    python3 -c 'for i in range(20000): print("api_key%d = \"aaaaaaaaaaaaaaaaaaaaaaaaaaaa\"" % i)' >may-be.txt
    git add may-be.txt
    git commit -qm "Add what may be a secret"
    passes in-parts
    before=$(up app for-each-ref)
    [ "$(wc -l <"$runs")" -gt 1 ]
    { sort -r may-be.txt; echo "token: $secret"; } >sorted.txt
    git add sorted.txt
    git commit -qm "Add a secret behind it"
    refused main
    [[ $output == *"rule github-pat: sorted.txt, line 20001"* ]]
    for fails in 1 2; do
        with_scanner "find . -type f | wc -l >>'$runs.$fails'; [ \$(wc -l <'$runs.$fails') != $fails ] || rm -f [0-9]*; exec '$(command -v gitleaks)' \"\$@\""
        scanner_failed
    done
    unharmed
    stop_gate
    start_gate
}

@test "what was found clean is not looked at again, until the rules change" {
    with_counting_scanner
    runs=$BATS_TEST_TMPDIR/runs
    commit . hit.txt 'api_key = "aaaaaaaaaaaaaaaaaaaaaaaaa1"' >/dev/null # like a secret, and none
    commit . a.txt "$secret" >/dev/null
    refused main
    [ "$(cat "$runs")" = 3 ] # with the canary
    git reset -q --hard HEAD~1
    commit . b.txt "$(secret)" >/dev/null
    refused main
    [[ $output == *"rule github-pat: b.txt, line 1"* && $output != *a.txt* ]]
    [ "$(tail -1 "$runs")" = 2 ]
    # A secret is never forgotten to be one, however often it is pushed.
    refused main
    [ "$(tail -1 "$runs")" = 2 ]
    # Nor is the same content taken for clean where other rules may apply to it.
    git reset -q --hard origin/main
    commit . moved.txt 'api_key = "aaaaaaaaaaaaaaaaaaaaaaaaa1"' >/dev/null
    commit . a.txt "$secret" >/dev/null
    refused main
    [ "$(tail -1 "$runs")" = 3 ]
    # Whatever is pushed, it takes no more room.
    [ "$(stat -c %s "$BED/state/git/.gitgate-clean")" = 4194304 ]
    cp "$BED/gitgate.yaml" "$BED/keep.yaml"
    { jq '.spec.scan.rules += [{id: "other", regex: "other_[a-z]{20}"}]' "$BED/gate.json"; sed -n '/^---$/,$p' "$BED/keep.yaml"; } >"$BED/gitgate.yaml"
    with_counting_scanner
    refused main
    [ "$(tail -1 "$runs")" = 3 ]
    mv "$BED/keep.yaml" "$BED/gitgate.yaml"
    stop_gate
    start_gate
    git reset -q --hard HEAD~1
    passes remembered
}

@test "a scanner that is missing, crashes, lies or is silent lets nothing through" {
    real=$(command -v gitleaks)
    commit . hit.txt "$secret" >/dev/null # so that there is something to judge
    for fake in 'exit 0' 'exit 1' 'exit 77' 'exit 127' 'kill -SEGV $$' \
        'echo "INF scanned ~1 bytes (1) in 1ms" >&2; exit 0' \
        'echo "[]" >../judged.0.json; exit 77' \
        'rm -f ./*; exec '"$real"' "$@"' \
        ''"$real"' "$@"; echo "[]" >../judged.0.json; exit 77' \
        ''"$real"' "$@"; exit 0'; do
        echo "fake: $fake"
        with_scanner "$fake"
        scanner_failed
    done
    rm "$BATS_TEST_TMPDIR/fake/gitleaks"
    mkdir "$BATS_TEST_TMPDIR/fake/bin"
    stop_gate
    for tool in git ssh sh env setsid; do ln -s "$(command -v "$tool")" "$BATS_TEST_TMPDIR/fake/bin/$tool"; done
    GATE_PATH=$bin:$BATS_TEST_TMPDIR/fake/bin start_gate
    scanner_failed
    stop_gate
    start_gate
}

@test "a scanner that hangs is given up in time" {
    jq '.spec.scan.timeout = "2s"' "$BED/gate.json" >"$BED/gitgate.yaml.new"
    { cat "$BED/gitgate.yaml.new"; sed -n '/^---$/,$p' "$BED/gitgate.yaml"; } >"$BED/hang.yaml"
    mv "$BED/gitgate.yaml" "$BED/keep.yaml"
    mv "$BED/hang.yaml" "$BED/gitgate.yaml"
    with_scanner 'sleep 1000'
    commit . hit.txt "$secret" >/dev/null # so that there is something to judge
    started=$SECONDS
    scanner_failed
    [ $((SECONDS - started)) -lt 60 ]
    [[ $output == *"longer than spec.scan.timeout"* ]]
    mv "$BED/keep.yaml" "$BED/gitgate.yaml"
    stop_gate
    start_gate
}
