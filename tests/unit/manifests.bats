#!/usr/bin/env bats
# `gitgate inject` and `gitgate uninject`. A golden case is a folder of cases/manifests: in.yaml, out.yaml
# (or err, when it is refused), options when it has some.

bats_require_minimum_version 1.5.0

setup() {
    gitgate=$GITGATE_BIN/gitgate
    cases=$GITGATE_SOURCE/tests/cases/manifests
    tmp=$BATS_TEST_TMPDIR
}

# inject CASE [ARGUMENT...] : as the case says
inject() { inject_again "$1" "$cases/$1/in.yaml" "${@:2}"; }

# inject_again CASE FILE [ARGUMENT...] : the same with another file
inject_again() {
    local options=()
    [ ! -e "$cases/$1/options" ] || mapfile -t options <"$cases/$1/options"
    "$gitgate" inject -f "$2" -f "$cases/gate.yaml" "${options[@]}" "${@:3}"
}

# The gate's group is drawn: 2^30 and more.
without_group() { sed -E 's/("?)\b(1[0-9]{9}|2[0-9]{9})\b("?)/GROUP/'; }

# canonical FILE : the same objects print the same
canonical() { sed 's/^ *#.*//' "$1" >"$tmp/in.yaml" && "$gitgate" uninject -f "$tmp/in.yaml"; }

# expect CASE NAME : standard input is the case's file of this name; with GITGATE_UPDATE=1 it is written
expect() {
    if [ -n "${GITGATE_UPDATE:-}" ]; then
        cat >"$cases/$1/$2"
    else
        diff -u "$cases/$1/$2" -
    fi
}

injectable=(existing-parts list selected-job several-documents workloads)

@test "every case gets its gate, in the order of its fields" {
    for case in "${injectable[@]}"; do
        inject "$case" 2>"$tmp/err" >"$tmp/out"
        without_group <"$tmp/out" | expect "$case" out.yaml
    done
}

@test "what is injected already is left as it is" {
    for case in "${injectable[@]}"; do
        inject "$case" >"$tmp/once.yaml" 2>"$tmp/err"
        inject_again "$case" "$tmp/once.yaml" >"$tmp/twice.yaml" 2>"$tmp/err"
        diff -u "$tmp/once.yaml" "$tmp/twice.yaml"
    done
}

@test "uninject gives back what inject was given, to the last byte" {
    for case in "${injectable[@]}"; do
        inject "$case" >"$tmp/injected.yaml" 2>"$tmp/err"
        [ "$(grep -c 'name: gitgate-isolate' "$tmp/injected.yaml")" -gt 0 ]
        "$gitgate" uninject -f "$tmp/injected.yaml" >"$tmp/back.yaml"
        canonical "$cases/$case/in.yaml" | diff -u - "$tmp/back.yaml"
    done
}

@test "a gate that was changed is put in place of the older one, and both go with one uninject" {
    inject workloads >"$tmp/older.yaml"
    sed 's/100.64.0.7/100.64.0.8/; s/gate:0.1.0/gate:0.2.0/' "$cases/gate.yaml" >"$tmp/gate.yaml"
    "$gitgate" inject -f "$tmp/older.yaml" -f "$tmp/gate.yaml" >"$tmp/newer.yaml"
    [ "$(grep -c 'image: "\?registry.example/gitgate-gate:0.2.0' "$tmp/newer.yaml")" = 18 ]
    run -1 grep 'image: "\?registry.example/gitgate-gate:0.1.0' "$tmp/newer.yaml"
    "$gitgate" uninject -f "$tmp/newer.yaml" >"$tmp/back.yaml"
    canonical "$cases/workloads/in.yaml" | diff -u - "$tmp/back.yaml"
}

@test "each pod's gate has a group of its own" {
    inject workloads >"$tmp/out.yaml"
    [ "$(grep -oE 'runAsGroup: [0-9]{10}' "$tmp/out.yaml" | sort -u | wc -l)" = 9 ]
}

@test "all that stands against a pod is told with its place, and nothing is printed" {
    run -1 --separate-stderr inject refused
    [ -z "$output" ]
    # shellcheck disable=SC2154  # set by run
    sed "s|^$cases/||" <<<"$stderr" | expect refused err
}

@test "without a GitGate it is told where one could come from" {
    run -1 --separate-stderr "$gitgate" inject -f "$cases/workloads/in.yaml"
    [ -z "$output" ]
    [[ $stderr == *'no file holds a GitGate: give the one that does with another -f'* ]]
    [[ $stderr == *'workloads/in.yaml:3:'*'there is no GitGate "agents" in namespace "team-a"'* ]]
}

@test "GitGates as kubectl prints them do, and those of another namespace don't" {
    { printf 'apiVersion: v1\nkind: List\nitems:\n-\n'; sed 's/^/  /' "$cases/gate.yaml"; } >"$tmp/gates.yaml"
    "$gitgate" inject -f "$cases/workloads/in.yaml" -f "$tmp/gates.yaml" >"$tmp/out.yaml"
    sed 's/team-a/team-b/' "$cases/gate.yaml" >"$tmp/gate.yaml"
    run -1 --separate-stderr "$gitgate" inject -f "$cases/workloads/in.yaml" -f "$tmp/gate.yaml"
    [[ $stderr == *'there is no GitGate "agents" in namespace "team-a"'* ]]
}

@test "objects without a namespace lie in that of -n" {
    sed 's/, namespace: team-a//' "$cases/list/in.yaml" >"$tmp/in.yaml"
    "$gitgate" inject -n team-a -f "$tmp/in.yaml" -f "$cases/gate.yaml" 2>"$tmp/err" | grep -q 'name: gitgate-creds'
    run -1 "$gitgate" inject -n team-b -f "$tmp/in.yaml" -f "$cases/gate.yaml"
}

@test "a GitGate that is wrong, twice there or has no image is refused at its place" {
    sed 's/git.example.com: 100.64.0.7/git.example.com: nowhere/' "$cases/gate.yaml" >"$tmp/gate.yaml"
    run -1 --separate-stderr "$gitgate" inject -f "$cases/list/in.yaml" -f "$tmp/gate.yaml"
    [[ $stderr == *'gate.yaml:10:'*': spec.upstreams[0].extraHosts'* ]]
    cp "$cases/gate.yaml" "$tmp/gate.yaml"
    run -1 --separate-stderr "$gitgate" inject -f "$cases/list/in.yaml" -f "$cases/gate.yaml" -f "$tmp/gate.yaml"
    [[ $stderr == *'gate.yaml:3:'*': metadata.name: a GitGate of this name stands before'* ]]
    sed 's/^  gate: .*//' "$cases/gate.yaml" >"$tmp/gate.yaml"
    run -1 --separate-stderr "$gitgate" inject -f "$cases/list/in.yaml" -f "$tmp/gate.yaml"
    [[ $stderr == *'spec.gate.image: names no image: set it, or give --gate-image'* ]]
    "$gitgate" inject -f "$cases/list/in.yaml" -f "$tmp/gate.yaml" --gate-image gate:3 2>"$tmp/err" | grep -q 'image: "\?gate:3'
}

@test "as an ordinary container, for nodes without native sidecars" {
    inject list --sidecar-mode=container >"$tmp/out.yaml" 2>"$tmp/err"
    grep -q 'postStart' "$tmp/out.yaml"
    run -2 inject list --sidecar-mode=other
}

@test "a file of GitGates and Secrets alone is not printed, and a file of no pod is told" {
    inject workloads >"$tmp/out.yaml"
    run -1 grep 'kind: GitGate' "$tmp/out.yaml"
    run -1 --separate-stderr "$gitgate" inject -f "$cases/gate.yaml"
    [[ $stderr == *'no file holds a pod, or a Deployment'* ]]
    run -2 "$gitgate" inject
    run -2 "$gitgate" inject -f "$cases/gate.yaml" more
    run -1 "$gitgate" inject -f "$tmp/missing.yaml"
    run -1 "$gitgate" inject -f "$cases/gate.yaml" -f "$cases/gate.yaml"
}

@test "standard input is a file too, and what is not YAML is told with its place" {
    "$gitgate" inject -f - -f "$cases/gate.yaml" <"$cases/list/in.yaml" >"$tmp/out.yaml" 2>"$tmp/err"
    grep -q 'name: gitgate-creds' "$tmp/out.yaml"
    run -1 --separate-stderr "$gitgate" inject -f - <<<'a: [b'
    [[ $stderr == 'standard input:2:1: '* ]]
    run -1 --separate-stderr "$gitgate" inject -f - <<<'[a]'
    [[ $stderr == 'standard input:1:1: must be a Kubernetes object'* ]]
}

@test "uninject takes nothing out that was changed meanwhile, or that the webhook put there" {
    inject workloads >"$tmp/out.yaml"
    sed '0,/- name: GIT_CONFIG_COUNT/s//- name: MINE/' "$tmp/out.yaml" >"$tmp/changed.yaml"
    run -1 --separate-stderr "$gitgate" uninject -f "$tmp/changed.yaml"
    [ -z "$output" ]
    [[ $stderr == "$tmp/changed.yaml:1:1: "*'was changed after `gitgate inject`'*'/spec/containers/0/env/2/name'* ]]
    inject list >"$tmp/list.yaml"
    sed '/- name: GIT_CONFIG_COUNT/{n;s/^\( *\)  .*/&\n\1- {name: MINE, value: mine}/}' "$tmp/list.yaml" >"$tmp/changed.yaml"
    grep -q MINE "$tmp/changed.yaml"
    run -1 --separate-stderr "$gitgate" uninject -f "$tmp/changed.yaml"
    [ -z "$output" ]
    [[ $stderr == *'was changed after `gitgate inject`'*'test at "/spec/containers/0/env"'* ]]
    grep -v 'gitgate.dev/undo' "$tmp/out.yaml" >"$tmp/webhook.yaml"
    run -1 --separate-stderr "$gitgate" uninject -f "$tmp/webhook.yaml"
    [[ $stderr == *'has a gate that `gitgate inject` did not put there'* ]]
    sed 's|gitgate.dev/undo: .*|gitgate.dev/undo: nonsense|' "$tmp/out.yaml" >"$tmp/nonsense.yaml"
    run -1 --separate-stderr "$gitgate" uninject -f "$tmp/nonsense.yaml"
    [[ $stderr == *'annotation gitgate.dev/undo can'* ]]
}
