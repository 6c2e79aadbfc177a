#!/usr/bin/env bats
# What a fetch through the gate gives is what the upstream has at that moment, or a reason.

bats_require_minimum_version 1.5.0
load lib

setup_file() {
    start_bed
    new_upstream app
    new_upstream other
    new_upstream many
    empty_upstream empty
    new_upstream closed
    git init -q --object-format=sha256 "$BED/seed-sha256"
    git -C "$BED/seed-sha256" commit -q --allow-empty -m "Begin"
    git clone -q --bare "$BED/seed-sha256" "$BED/srv/sha256.git"
    own sha256
    write_gitgate app other empty closed sha256 many -- '.spec.upstreams[3].fetch.policy = "Deny"'
    metrics_on_free_port
    start_gate
}

@test "a clone has what the upstream has" {
    clone app "$work"
    [ "$(git -C "$work" rev-parse HEAD)" = "$(up app rev-parse main)" ]
    [ "$(cat "$work/README")" = "an application" ]
}

@test "a repository is reached by name and by host and path, with and without .git" {
    for path in app.git app "127.0.0.1$BED/srv/app.git" "127.0.0.1$BED/srv/app"; do
        [ "$(git ls-remote "$(gate_url "$path")" refs/heads/main | cut -f1)" = "$(up app rev-parse main)" ]
    done
}

@test "a clone by the upstream's own URL is led to the gate" {
    GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=include.path GIT_CONFIG_VALUE_0=$BED/state/client/gitconfig \
        git clone -q "$(upstream_url app)" "$work"
    [ "$(git -C "$work" rev-parse HEAD)" = "$(up app rev-parse main)" ]
}

@test "submodules are led to the gate, by relative and by whole URLs" {
    local super=$BED/seed-super
    git clone -q "$BED/srv/app.git" "$super"
    git -C "$super" -c protocol.file.allow=always submodule --quiet add -b main "$BED/srv/other.git" whole
    git -C "$super" -c protocol.file.allow=always submodule --quiet add -b main "$BED/srv/other.git" relative
    git -C "$super" config -f .gitmodules submodule.whole.url "$(upstream_url other)"
    git -C "$super" config -f .gitmodules submodule.relative.url ../other.git
    git -C "$super" commit -qam "Add submodules"
    git -C "$super" push -q "$BED/srv/app.git" HEAD:refs/heads/with-submodules
    own app
    GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=include.path GIT_CONFIG_VALUE_0=$BED/state/client/gitconfig GIT_SSH_COMMAND=false \
        git clone -q -b with-submodules --recurse-submodules "$(upstream_url app)" "$work"
    [ "$(git -C "$work/whole" rev-parse HEAD)" = "$(up other rev-parse main)" ]
    [ "$(git -C "$work/relative" rev-parse HEAD)" = "$(up other rev-parse main)" ]
}

@test "every protocol version is served" {
    for version in 0 1 2; do
        git -c protocol.version=$version clone -q "$(gate_url app.git)" "$work-$version"
    done
}

@test "shallow, partial and single-branch clones work" {
    commit_upstream app main
    clone app "$work-shallow" --depth 1
    [ "$(git -C "$work-shallow" rev-list --count HEAD)" = 1 ]
    clone app "$work-partial" --filter=blob:none
    clone app "$work-single" --single-branch
}

@test "what somebody pushed upstream is there at once" {
    clone app "$work"
    for _ in 1 2 3; do
        commit=$(commit_upstream app main)
        git -C "$work" pull -q
        [ "$(git -C "$work" rev-parse HEAD)" = "$commit" ]
    done
}

@test "tags and notes are at their own places" {
    up other tag v1 main
    up other update-ref refs/notes/commits "$(up other rev-parse main)"
    run git ls-remote "$(gate_url other.git)"
    [[ $output == *refs/tags/v1* && $output == *refs/notes/commits* ]]
}

@test "a branch deleted upstream is gone, and its name can be a folder" {
    up app branch feature main
    git ls-remote --exit-code "$(gate_url app.git)" refs/heads/feature
    up app branch -D feature
    up app branch feature/one main
    run git ls-remote "$(gate_url app.git)"
    [[ $output == *refs/heads/feature/one* && $output != *refs/heads/feature$'\n'* ]]
}

@test "a branch rewound upstream is rewound" {
    up app branch moving "$(commit_upstream app main)"
    git ls-remote "$(gate_url app.git)" >/dev/null
    up app branch -f moving main~1
    [ "$(git ls-remote "$(gate_url app.git)" refs/heads/moving | cut -f1)" = "$(up app rev-parse main~1)" ]
}

@test "a folder of branches can become a branch, packed or not" {
    for pack in true false; do
        up app branch topic/one main
        up app branch topic/two main
        git ls-remote --exit-code "$(gate_url app.git)" refs/heads/topic/one
        [ $pack = false ] || gate_git app pack-refs --all
        up app branch -D topic/one topic/two
        up app branch topic main
        run git ls-remote "$(gate_url app.git)"
        [[ $output == *refs/heads/topic* && $output != *refs/heads/topic/* ]]
        up app branch -D topic
    done
}

@test "a mirror clone has each ref of the upstream, and no other" {
    up app tag -f mirrored main
    up app update-ref refs/notes/commits main
    clone app "$work" --mirror
    [ "$(git -C "$work" show-ref)" = "$(up app show-ref)" ]
}

@test "what a partial clone left out is had later" {
    echo "left out" >"$BED/seed-app/late"
    late=$(git -C "$BED/seed-app" hash-object late)
    clone app "$work-seed"
    cp "$BED/seed-app/late" "$work-seed/late"
    commit "$work-seed" other >/dev/null
    git -C "$work-seed" push -q
    clone app "$work" --filter=blob:none --no-checkout
    run ! env GIT_NO_LAZY_FETCH=1 git -C "$work" rev-list --objects --missing=error HEAD
    [ "$(git -C "$work" cat-file -p "$late")" = "left out" ]
    clone app "$work-trees" --filter=tree:0
    [ "$(cat "$work-trees/late")" = "left out" ]
}

@test "a shallow clone is deepened" {
    commit_upstream app main
    commit_upstream app main
    clone app "$work" --depth 1
    git -C "$work" fetch -q --deepen 1
    [ "$(git -C "$work" rev-list --count HEAD)" = 2 ]
    git -C "$work" fetch -q --unshallow
    [ "$(git -C "$work" rev-list --count HEAD)" = "$(up app rev-list --count main)" ]
}

@test "HEAD follows a renamed default branch, whatever the protocol" {
    for version in 0 1 2; do
        up other branch "trunk-$version" main
        up other symbolic-ref HEAD "refs/heads/trunk-$version"
        git -c protocol.version=$version clone -q "$(gate_url other.git)" "$work-$version"
        [ "$(git -C "$work-$version" symbolic-ref HEAD)" = "refs/heads/trunk-$version" ]
        up other symbolic-ref HEAD refs/heads/main
        up other branch -D "trunk-$version"
    done
    git ls-remote "$(gate_url other.git)" >/dev/null
}

@test "an upstream with SHA-256 object ids is refused, and said to be that" {
    run git ls-remote "$(gate_url sha256.git)"
    echo "$output"
    [ "$status" -ne 0 ]
    [[ $output == *"SHA-256 object ids, which the gate can't mirror"* ]]
}

@test "HEAD follows the upstream's" {
    up other branch trunk main
    up other symbolic-ref HEAD refs/heads/trunk
    [[ $(git ls-remote --symref "$(gate_url other.git)" HEAD) == "ref: refs/heads/trunk"* ]]
    up other branch -m trunk stem
    up other symbolic-ref HEAD refs/heads/stem
    clone other "$work"
    [ "$(git -C "$work" symbolic-ref HEAD)" = refs/heads/stem ]
    up other symbolic-ref HEAD refs/heads/main
    up other branch -D stem
}

@test "a HEAD that no ref leads to is had, too" {
    git ls-remote "$(gate_url other.git)" >/dev/null
    for message in one two; do
        head=$(up other -c user.name=x -c user.email=x commit-tree -p main -m "$message" "main^{tree}")
        up other update-ref --no-deref HEAD "$head"
        clone other "$work-$message"
        [ "$(git -C "$work-$message" rev-parse HEAD)" = "$head" ]
    done
    maintain --collect other
    [ "$(git ls-remote "$(gate_url other.git)" HEAD | cut -f1)" = "$head" ]
    up other symbolic-ref HEAD refs/heads/main
    [[ $(git ls-remote --symref "$(gate_url other.git)" HEAD) == "ref: refs/heads/main"* ]]
}

@test "an empty upstream is empty, until it isn't" {
    clone empty "$work"
    [ -z "$(git ls-remote "$(gate_url empty.git)")" ]
    commit "$work" README
    git -C "$work" push -q origin HEAD:refs/heads/main
    [ "$(git ls-remote "$(gate_url empty.git)" HEAD | cut -f1)" = "$(git -C "$work" rev-parse HEAD)" ]
}

@test "a repository that no upstream names is told apart" {
    run git ls-remote "$(gate_url nope.git)"
    [ "$status" -ne 0 ]
    [[ $output == *"no such repository"* ]]
}

@test "no path leads out of the gate's folder" {
    for path in ../etc app.git/../../creds /etc app.git/gitgate .gitgate; do
        run git ls-remote "$(gate_url "$path")"
        [ "$status" -ne 0 ]
        [[ $output != *"$BED/state"* ]]
    done
}

@test "an upstream with fetch.policy Deny says so" {
    run git ls-remote "$(gate_url closed.git)"
    [ "$status" -ne 0 ]
    [[ $output == *"fetch.policy is Deny"* ]]
}

# many_refs FROM TO : the upstream gets that many branches and tags more, packed, as a server would have them
many_refs() {
    local commit
    commit=$(up many rev-parse main)
    up many pack-refs --all
    seq "$1" "$2" | sed "s,.*,$commit refs/heads/many/b& \n$commit refs/tags/t&," | cut -d' ' -f1,2 |
        LC_ALL=C sort -k2 - <(grep -v '^[#^]' "$BED/srv/many.git/packed-refs") >"$BED/packed"
    { echo "# pack-refs with: sorted "; cat "$BED/packed"; } >"$BED/srv/many.git/packed-refs"
}

# less_refs N : every branch of many_refs up to N goes
fewer_refs() {
    awk -v last="$1" '$2 !~ /^refs\/heads\/many\// || substr($2, 18) + 0 > last' "$BED/srv/many.git/packed-refs" >"$BED/packed"
    cp "$BED/packed" "$BED/srv/many.git/packed-refs"
}

@test "10,000 refs come, and half of them go, in one step each" {
    many_refs 1 5000
    [ "$(git ls-remote "$(gate_url many.git)" | sort)" = "$(git ls-remote "$BED/srv/many.git" | sort)" ]
    gate_git many pack-refs --all
    fewer_refs 4000
    server=$(server)
    [ "$(git ls-remote "$(gate_url many.git)" | sort)" = "$(git ls-remote "$BED/srv/many.git" | sort)" ]
    [ "$(gate_git many for-each-ref refs/heads/many | wc -l)" = 1000 ]
}

@test "internal refs are hidden" {
    gate_git app update-ref refs/gitgate/backup/1 refs/heads/main
    run git ls-remote "$(gate_url app.git)"
    [[ $output != *gitgate* ]]
    commit_upstream app main # a fetch that prunes
    git ls-remote "$(gate_url app.git)" >/dev/null
    gate_git app rev-parse -q --verify refs/gitgate/backup/1
    gate_git app update-ref -d refs/gitgate/backup/1
}

@test "an upstream's ref of the gate's own name is in nobody's way" {
    git ls-remote "$(gate_url app.git)" >/dev/null
    gate_git app update-ref refs/gitgate/backup/1 refs/heads/main
    up app update-ref refs/gitgate refs/heads/main
    run git ls-remote --exit-code "$(gate_url app.git)" refs/heads/main
    echo "$output"
    [ "$status" = 0 ]
    gate_git app update-ref -d refs/gitgate/backup/1
    commit_upstream app main
    git ls-remote "$(gate_url app.git)" >/dev/null
    run ! gate_git app rev-parse -q --verify refs/gitgate
    up app update-ref -d refs/gitgate
}

# count_fetches [FILTER] : a fetch has its line once its connection has ended, soon after the client
count_fetches() {
    log_count ".msg == \"fetch\" and (${1:-true})"
}

# fetched N : that many fetches have ended
fetched() {
    [ "$(count_fetches)" = "$1" ]
}

# count_refreshes: how often the gate asked the upstream
count_refreshes() {
    count_fetches '.shared == false'
}

@test "64 clients at once are all served, by few refreshes" {
    wait_for 60 clients_are 0 # so that each has its line
    all=$(count_fetches)
    before=$(count_refreshes)
    hold_lock app # on a slow machine the first would be through before the last has come
    for i in $(seq 64); do
        git ls-remote "$(gate_url app.git)" refs/heads/main >"$BATS_TEST_TMPDIR/out-$i" 2>&1 3>&- 5>&- &
    done
    wait_for 60 clients_are 64
    release_lock
    wait
    for i in $(seq 64); do
        [ "$(cut -f1 "$BATS_TEST_TMPDIR/out-$i")" = "$(up app rev-parse main)" ]
    done
    wait_for 20 fetched $((all + 64))
    echo "refreshes: $(($(count_refreshes) - before))"
    [ $(($(count_refreshes) - before)) -le 32 ]
}

@test "clients that wait for a refresh share the next one" {
    # A refresh that takes its time: the lock is held as if one was running.
    wait_for 60 clients_are 0 # so that each has its line
    all=$(count_fetches)
    before=$(count_refreshes)
    hold_lock app
    for i in $(seq 8); do
        git ls-remote "$(gate_url app.git)" refs/heads/main >"$BATS_TEST_TMPDIR/out-$i" 2>&1 3>&- 5>&- &
    done
    wait_for 60 clients_are 8
    commit=$(commit_upstream app main)
    release_lock
    wait
    for i in $(seq 8); do
        [ "$(cut -f1 "$BATS_TEST_TMPDIR/out-$i")" = "$commit" ]
    done
    wait_for 20 fetched $((all + 8))
    [ $(($(count_refreshes) - before)) = 1 ]
}

@test "one connection serves many fetches" {
    ssh_only
    git ls-remote "$(gate_url app.git)" >/dev/null
    before=$(grep -c "Accepted publickey" "$BED/sshd/log")
    for _ in 1 2 3; do
        git ls-remote "$(gate_url app.git)" >/dev/null
    done
    [ "$(grep -c "Accepted publickey" "$BED/sshd/log")" = "$before" ]
}

@test "a new upstream is served without a restart" {
    new_upstream later
    for file in "$BED"/state/creds/app-*; do
        cp "$file" "${file/app-/later-}"
    done
    jq --arg url "$(upstream_url later)" \
        '.spec.upstreams += [.spec.upstreams[0] + {name: "later", url: $url}]' \
        "$BED/state/config/gate.json" >"$BED/new.json"
    mv "$BED/new.json" "$BED/state/config/gate.json"
    wait_for 10 git ls-remote "$(gate_url later.git)"
    [ "$(git ls-remote "$(gate_url later.git)" refs/heads/main | cut -f1)" = "$(up later rev-parse main)" ]
}

@test "a client can't make the gate ask for names" {
    [ "$(id -u)" = 0 ] && command -v strace >/dev/null || skip "needs root and strace"
    server=$(server)
    strace -f -e trace=connect,sendto,sendmmsg,sendmsg -o "$BATS_TEST_TMPDIR/trace" -p "$server" 3>&- &
    trace=$!
    wait_for 20 grep -q "^TracerPid:[[:space:]]*[1-9]" "/proc/$server/status"
    exec 4<>"/dev/tcp/127.0.0.1/$GATE_PORT"
    printf '0045git-upload-pack /app.git\0host=stolen.data.example.com\0\0version=2\0' >&4
    head -c 4 <&4 >/dev/null
    exec 4>&-
    kill "$trace"
    wait "$trace" || true
    grep -q 'app.git\|AF_UNIX' "$BATS_TEST_TMPDIR/trace"
    run ! grep -q 'sin_port=htons(53)\|stolen' "$BATS_TEST_TMPDIR/trace"
}
