# shellcheck shell=bash disable=SC2154
# What the tests of the scan share: a gate, unless a file has its own; a clone of app's to push from, and a secret.

setup_file() {
    start_bed
    new_upstream app
    write_gitgate app -- '.spec.scan = {timeout: "60s"}'
    start_gate
}

setup() {
    work=$BATS_TEST_TMPDIR/work
    clone app "$work"
    cd "$work" || return
    before=$(up app for-each-ref)
    secret=$(secret)
}

# Nothing moved, and the secret is in no output and no log.
unharmed() {
    [ "$(up app for-each-ref)" = "$before" ]
    git ls-remote "$(gate_url app.git)" >/dev/null
    [ "$(gate_git app for-each-ref --format='%(objectname) %(objecttype)%09%(refname)')" = "$before" ]
    [[ $output != *"$secret"* ]]
    run ! grep -F "$secret" "$BED/gate.log" "$BED/gate.err"
}

# refused ARGS... : the push is refused for a secret
refused() {
    run git push origin "$@"
    echo "$output"
    [ "$status" -ne 0 ]
    [[ $output == *"it holds what reads like a secret"* ]]
}

# passes BRANCH : the push arrives
passes() {
    git push -q origin "HEAD:refs/heads/$1"
    [ "$(up app rev-parse "$1")" = "$(git rev-parse HEAD)" ]
}
