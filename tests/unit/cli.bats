#!/usr/bin/env bats
# shellcheck disable=SC2030,SC2031  # each test is a process of its own
# The command line: what `gitgate render` prints and what `gitgate run` lays down for its gate.

bats_require_minimum_version 1.5.0

setup() {
    gitgate=$GITGATE_BIN/gitgate
    cases=$GITGATE_SOURCE/tests/cases
    tmp=$BATS_TEST_TMPDIR
    export HOME=$tmp/home
    unset "${!GITGATE_CACHE@}" # who sets where builds are kept has set nothing for the gate
}

# Without the end of its last line.
private_key() {
    [ -e "$tmp/key" ] || ssh-keygen -q -t ed25519 -N '' -C test -f "$tmp/key"
    printf %s "$(cat "$tmp/key")"
}

# gate.yaml with an ssh upstream and its Secret; the key's last line has no end.
write_gate() {
    cp "$cases/render/ssh/gate.yaml" "$tmp/gate.yaml"
    cat >>"$tmp/gate.yaml" <<YAML
---
apiVersion: v1
kind: Secret
metadata: {name: app-deploy-key}
type: kubernetes.io/ssh-auth
data:
  ssh-privatekey: $(private_key | base64 -w0)
YAML
}

# A folder of programs with the real gitgate, and a gate that only shows how it was started.
stub_gate() {
    mkdir "$tmp/bin"
    cp "$gitgate" "$tmp/bin/"
    cat >"$tmp/bin/gitgate-gate" <<'SH'
#!/bin/sh
echo "verb $*"
env | grep '^GIT' | grep -v -e '^GITGATE_BIN=' -e '^GITGATE_SOURCE=' -e '^GITGATE_UPDATE=' | sort
SH
    chmod +x "$tmp/bin/gitgate-gate"
}

# With GITGATE_UPDATE=1 the expected objects are written instead: read the diff.
expect_rendered() {
    "$gitgate" render --show-secrets -f "$cases/render/$1/gate.yaml" 2>"$tmp/err" >"$tmp/out"
    if [ -n "${GITGATE_UPDATE:-}" ]; then
        cp "$tmp/out" "$cases/render/$1/expected.yaml"
    fi
    diff -u "$cases/render/$1/expected.yaml" "$tmp/out"
}

@test "render prints the objects of the golden cases" {
    expect_rendered ssh
    expect_rendered everything
}

@test "render says which Secret is missing, with its place, and prints the rest" {
    run "$gitgate" render -f "$cases/render/ssh/gate.yaml"
    [ "$status" -eq 0 ]
    [[ "${lines[0]}" == "warning: "*"/gate.yaml:12:9: spec.upstreams[0].ssh.secretRef.name: Secret \"app-deploy-key\" does not exist" ]]
}

@test "render shows no secret unless asked" {
    write_gate
    run "$gitgate" render -f "$tmp/gate.yaml"
    [ "$status" -eq 0 ]
    [[ "$output" == *'app-key: "<'*' bytes>"'* ]]
    [[ "$output" != *"$(private_key | base64 -w0 | cut -c1-40)"* ]]
    run "$gitgate" render --show-secrets -f "$tmp/gate.yaml"
    [[ "$output" == *"$(private_key | base64 -w0 | cut -c1-40)"* ]]
}

@test "every problem of a file is printed with line and column, and nothing is rendered" {
    run "$gitgate" render -f "$cases/validate/invalid/several-at-once.yaml"
    [ "$status" -eq 1 ]
    [ "${#lines[@]}" -eq 5 ]
    [[ "${lines[0]}" == *"several-at-once.yaml:9:5: spec.upstreams[0].name: must be "* ]]
}

@test "problems of a Secret are told with their place too" {
    cp "$cases/render/ssh/gate.yaml" "$tmp/gate.yaml"
    printf -- '---\napiVersion: v1\nkind: Secret\nmetadata:\n  name: s\nstringdata: {}\ndata:\n  n: 5\n' >>"$tmp/gate.yaml"
    run "$gitgate" render -f "$tmp/gate.yaml"
    [ "$status" -eq 1 ]
    [[ "$output" == *'gate.yaml:22:3: data[n]: must be a string, not a number'* ]]
    [[ "$output" == *'gate.yaml:20:1: stringdata: unknown field; did you mean "stringData"?'* ]]
}

@test "what is wrong with the GitGate and with its Secrets is told at once" {
    sed 's/^spec:/spec:\n  upstream: []/' "$cases/render/ssh/gate.yaml" >"$tmp/gate.yaml"
    printf -- '---\napiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringdata: {}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {}\n' >>"$tmp/gate.yaml"
    run "$gitgate" render -f "$tmp/gate.yaml"
    [ "$status" -eq 1 ]
    [ "${#lines[@]}" -eq 3 ]
    [[ "${lines[0]}" == *'gate.yaml:'*': spec.upstream: unknown field; did you mean "upstreams"?' ]]
    [[ "${lines[1]}" == *'gate.yaml:'*': stringdata: unknown field; did you mean "stringData"?' ]]
    [[ "${lines[2]}" == *'gate.yaml:'*': metadata.name: is required' ]]
}

# refused_yaml TEXT MESSAGE : behind a GitGate that is right
refused_yaml() {
    { cat "$cases/render/ssh/gate.yaml"; printf -- '---\n%b' "$1"; } >"$tmp/gate.yaml"
    run "$gitgate" render -f "$tmp/gate.yaml"
    [ "$status" -eq 1 ]
    [ "$output" = "$tmp/gate.yaml:$2" ]
}

@test "YAML that surprises or explodes is refused with its place" {
    first=$(($(wc -l <"$cases/render/ssh/gate.yaml") + 2))
    refused_yaml 'a: 1\nb: 2\na: 3\n' "$((first + 2)):1: this key stands here a second time"
    refused_yaml 'a: &x [1, 2]\n' "$first:4: anchors (&name) are not allowed"
    refused_yaml 'b: *x\n' "$first:4: aliases (*name) are not allowed"
    refused_yaml 'a: !!binary x\n' "$first:4: tags (!name) are not allowed; quote a string instead"
    refused_yaml '<<: {a: 1}\n' "$first:1: merge keys (<<) are not allowed"
    refused_yaml "$(printf '[%.0s' $(seq 100))" "$first:66: too deeply nested"
    run "$gitgate" render -f /dev/zero # without an end
    [ "$status" -eq 1 ]
    [ "$output" = "/dev/zero is larger than 4194304 bytes" ]
}

@test "what is no YAML keeps nothing from being told that is wrong with the rest" {
    {
        printf 'kind: Secret\nkind: Secret\nmetadata: &m {name: "broken}\n---\n'
        sed 's/upstreams:/upstream:/' "$cases/render/ssh/gate.yaml"
        printf -- '---\n: [\n--- \napiVersion: v1\nkind: ConfigMap\nmetadata: {}\nmetadata: {}\n'
    } >"$tmp/all.yaml"
    run "$gitgate" render -f "$tmp/all.yaml"
    echo "$output"
    [ "$status" -eq 1 ]
    last=$(wc -l <"$tmp/all.yaml")
    [[ "${lines[0]}" == "$tmp/all.yaml:2:1: this key stands here a second time" ]]
    [[ "${lines[1]}" == "$tmp/all.yaml:3:11: anchors (&name) are not allowed" ]]
    [[ "${lines[2]}" == "$tmp/all.yaml:4:1: found unexpected document indicator" ]]
    [[ $output == *"$tmp/all.yaml:$((last - 5)):1: "* ]]
    [[ $output == *"$tmp/all.yaml:$last:1: this key stands here a second time"* ]]
    [[ $output == *': spec.upstream: unknown field; did you mean "upstreams"?'* ]]
    [[ $output == *"$tmp/all.yaml:$((last - 1)):1: metadata.name: is required"* ]]
    [[ $output != *"holds no object"* ]]
}

@test "a second GitGate in a file is refused at its place" {
    { cat "$cases/render/ssh/gate.yaml"; echo ---; cat "$cases/render/ssh/gate.yaml"; } >"$tmp/two.yaml"
    run "$gitgate" render -f "$tmp/two.yaml"
    [ "$status" -eq 1 ]
    [ "$output" = "$tmp/two.yaml:$(($(wc -l <"$cases/render/ssh/gate.yaml") + 2)):1: a second GitGate; give each a file of its own, and run it with a --listen and a --state-dir of its own" ]
}

@test "a file without a GitGate, with two, or that is no YAML is refused" {
    printf 'kind: Secret\n' >"$tmp/none.yaml"
    cat "$cases/render/ssh/gate.yaml" <(echo ---) "$cases/render/ssh/gate.yaml" >"$tmp/two.yaml"
    printf 'a: [\n' >"$tmp/broken.yaml"
    for file in none two broken missing; do
        run "$gitgate" render -f "$tmp/$file.yaml"
        [ "$status" -eq 1 ]
        [[ "$output" == *"$file.yaml"* ]]
    done
}

@test "a Secret of another namespace is not the gate's" {
    write_gate
    sed -i 's/metadata: {name: app-deploy-key}/metadata: {name: app-deploy-key, namespace: team-b}/' "$tmp/gate.yaml"
    run "$gitgate" render -f "$tmp/gate.yaml"
    [ "$status" -eq 0 ]
    [[ "$output" == *'Secret "app-deploy-key" does not exist'* ]]
}

@test "run lays down what a pod would mount and becomes the entrypoint" {
    write_gate
    stub_gate
    GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=a.b GIT_CONFIG_VALUE_0=c GIT_DIR=/x \
        run --separate-stderr "$tmp/bin/gitgate" run -f "$tmp/gate.yaml" --listen 127.0.0.1:9999 --state-dir "$tmp/state"
    [ "$status" -eq 0 ]
    [ "$output" = "verb serve
GITGATE_CONFIG_DIR=$tmp/state/config
GITGATE_CREDS_DIR=$tmp/state/creds
GITGATE_LISTEN=127.0.0.1:9999
GITGATE_METRICS=off
GITGATE_REPOS_DIR=$tmp/state/git" ]
    # shellcheck disable=SC2154 # set by run --separate-stderr
    [[ "$stderr" == *"git clone git://127.0.0.1:9999/app.git"* ]]
    [ "$(stat -c %a "$tmp/state")" = 700 ]
    [ "$(stat -c %a "$tmp/state/creds")" = 700 ]
    [ "$(stat -c %a "$tmp/state/creds/app-key")" = 600 ]
    [ "$(cat "$tmp/state/creds/app-key")" = "$(private_key)" ]
    [ "$(tail -c1 "$tmp/state/creds/app-key" | od -An -tx1)" = " 0a" ]
    grep -q '^\[git.example.com\]:2222 ssh-ed25519 ' "$tmp/state/creds/app-known_hosts"
    for script in entrypoint access-hook pre-receive proc-receive; do
        [ -x "$tmp/state/config/$script" ]
    done
    [ ! -x "$tmp/state/config/gate.json" ]
    [ "$(git config -f "$tmp/state/client/gitconfig" --get-all url.git://127.0.0.1:9999/git.example.com/team/.insteadOf | head -1)" = "ssh://git@git.example.com:2222/team/" ]
}

@test "run warns of a program that is not there" {
    write_gate
    stub_gate
    mkdir "$tmp/few"
    for program in env grep sort git; do
        ln -s "$(command -v "$program")" "$tmp/few/"
    done
    PATH=$tmp/few run -0 "$tmp/bin/gitgate" run -f "$tmp/gate.yaml"
    [[ "$output" == *"warning: there is no ssh on the PATH: "* ]]
    [[ "$output" == *"warning: there is no gitleaks on the PATH: "* ]]
    [[ "$output" != *"there is no git on the PATH"* ]]
}

@test "run keeps its files in the home folder unless told otherwise" {
    write_gate
    stub_gate
    run "$tmp/bin/gitgate" run -f "$tmp/gate.yaml"
    [ "$status" -eq 0 ]
    [ -f "$HOME/.local/state/gitgate/agents/config/gate.json" ]
    XDG_STATE_HOME=$tmp/xdg run "$tmp/bin/gitgate" run -f "$tmp/gate.yaml"
    [ -f "$tmp/xdg/gitgate/agents/config/gate.json" ]
}

@test "run removes the credentials of an upstream that is gone" {
    write_gate
    stub_gate
    mkdir -m 700 "$tmp/state" "$tmp/state/creds"
    touch "$tmp/state/creds/gone-key"
    run "$tmp/bin/gitgate" run -f "$tmp/gate.yaml" --state-dir "$tmp/state"
    [ "$status" -eq 0 ]
    [ ! -e "$tmp/state/creds/gone-key" ]
    [ -e "$tmp/state/creds/app-key" ]
}

@test "run refuses a folder that others can write to" {
    write_gate
    stub_gate
    mkdir -m 777 "$tmp/open"
    chmod 777 "$tmp/open"
    run "$tmp/bin/gitgate" run -f "$tmp/gate.yaml" --state-dir "$tmp/open"
    [ "$status" -eq 1 ]
    [[ "$output" == *"can be written by others"* ]]
    [ ! -e "$tmp/open/creds" ]
}

@test "run takes only an address and a port to listen on, and warns of what others can reach" {
    write_gate
    stub_gate
    for listen in localhost:9418 127.0.0.1 127.0.0.1:0 127.0.0.1:65536 :9418 ::1:9418x; do
        run "$tmp/bin/gitgate" run -f "$tmp/gate.yaml" --listen "$listen" --state-dir "$tmp/state"
        [ "$status" -eq 2 ]
    done
    run "$tmp/bin/gitgate" run -f "$tmp/gate.yaml" --listen 0.0.0.0:9418 --state-dir "$tmp/state"
    [[ "$output" == *"warning: whoever reaches 0.0.0.0:9418"* ]]
    [[ "$output" == *"git clone git://127.0.0.1/app.git"* ]]
    run "$tmp/bin/gitgate" run -f "$tmp/gate.yaml" --listen '[::1]:9419' --state-dir "$tmp/state"
    [[ "$output" == *"git clone git://[::1]:9419/app.git"* ]]
}

@test "wrong usage is told and exits with 2" {
    run "$gitgate"
    [ "$status" -eq 2 ]
    run "$gitgate" fly
    [ "$status" -eq 2 ]
    run "$gitgate" render
    [ "$status" -eq 2 ]
    run "$gitgate" run -f a b
    [ "$status" -eq 2 ]
    run "$gitgate" version
    [ "$status" -eq 0 ]
    run -2 "$gitgate" render --fly
    [ "$output" = "gitgate render: unrecognized option '--fly'" ]
    run -2 "$gitgate" check --fly
    [ "$output" = "gitgate check: unrecognized option '--fly'" ]
}

@test "help is had by every way of asking for it" {
    for arguments in help --help -h "run --help" "check -h" "uninject --help" "inject -f x --help"; do
        # shellcheck disable=SC2086 # a list
        run -0 "$gitgate" $arguments
        [[ "$output" == "usage: gitgate <command> [options]"* ]]
    done
}

@test "output that goes nowhere is told, and nothing else gets it" {
    write_gate
    while read -ra arguments; do
        run -1 bash -c '"$@" 2>&1 >/dev/full' bash "$gitgate" "${arguments[@]}"
        [[ $output == *"gitgate: standard output: No space left on device" ]]
        run -1 bash -c '"$@" 2>&1 >&-' bash "$gitgate" "${arguments[@]}"
        [[ $output == *"gitgate: standard output: Bad file descriptor" ]]
        run -1 bash -c '"$@" <&- >&- 2>&-' bash "$gitgate" "${arguments[@]}"
    done <<-END
	help
	version
	render -f $tmp/gate.yaml
	check -f $tmp/gate.yaml
	END
}

@test "the rendered scripts are what shellcheck agrees with" {
    command -v shellcheck >/dev/null || skip "no shellcheck here"
    write_gate
    stub_gate
    "$tmp/bin/gitgate" run -f "$tmp/gate.yaml" --state-dir "$tmp/state" >/dev/null 2>&1
    for script in entrypoint access-hook pre-receive proc-receive; do
        shellcheck "$tmp/state/config/$script"
    done
}

@test "check says what is wrong with a file, and how it is to be called" {
    for arguments in "" "-f a b" "-f a -o yaml" "-x"; do
        # shellcheck disable=SC2086 # a list
        run "$gitgate" check $arguments
        [ "$status" -eq 2 ]
    done
    run "$gitgate" check -f "$cases/validate/invalid/several-at-once.yaml"
    [ "$status" -eq 1 ]
    [ "${#lines[@]}" -eq 5 ]
    [[ "${lines[0]}" == *"several-at-once.yaml:9:5: spec.upstreams[0].name: must be "* ]]
}
