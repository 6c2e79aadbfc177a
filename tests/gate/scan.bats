#!/usr/bin/env bats
# No secret leaves in a push, wherever in it it sits, and a refusal says where without saying what.

bats_require_minimum_version 1.5.0
load lib
load scan

setup_file() {
    start_bed
    new_upstream app
    write_gitgate app -- '.spec.scan = {
        timeout: "60s",
        rules: [{id: "acme-token", regex: "acme_[a-z0-9]{20}", keywords: ["acme_"]},
                {id: "acme-line", regex: "^acme-login: [a-z]{12}(?:;x^)?$"},
                {id: "acme-star", regex: "star_[a-z0-9]{20}", keywords: ["\u00c9toile"]}],
        allow: [{rule: "github-pat", path: "^testdata/"}]}'
    start_gate
}

@test "a secret in a file is refused with rule, file, line and commit" {
    printf 'one\ntwo\ntoken = "%s"\n' "$secret" >config.txt
    bad=$(commit . config.txt four)
    commit . later >/dev/null
    refused main
    [[ $output == *"rule github-pat: config.txt, line 3, in commit ${bad:0:12}; byte 17; fingerprint "* ]]
    unharmed
}

# byte_of TEXT : where it stands in the input
byte_of() {
    grep -Fabo -- "$1" | head -n1 | cut -d: -f1
}

@test "a finding names its byte: of a file, of a member, of a commit and a tag, of what was decoded" {
    git commit -q --allow-empty -m "Use it" -m "see $secret"
    refused main
    [[ $output == *"in commit $(git rev-parse HEAD | cut -c1-12); byte $(git cat-file commit HEAD | byte_of "$secret"); "* ]]
    git reset -q --hard origin/main
    git tag -a v1 -m "See $secret"
    refused v1
    [[ $output == *"the tag object "*"; byte $(git cat-file tag v1 | byte_of "$secret"); "* ]]
    seq 100 >file
    gzip -c <<<"four $secret" >file.gz
    git add file.gz
    git commit -qm x
    refused main
    [[ $output == *"file.gz!data, line 1"*"; byte 5; "* ]]
    git reset -q --hard origin/main
    # A match in the text around what was decoded, and one in that itself.
    encoded=$(printf 'nothing at all is in here' | base64 -w0)
    { seq 1000; printf 'x %s\nsee %s\n' "$encoded" "$secret"; } >near
    encoded=$(printf 'see %s .' "$secret" | base64 -w0)
    { seq 1000; printf 'x\ny %s\n' "$encoded"; } >in
    iconv -t utf-16le near >wide
    git add near in wide
    git commit -qm x
    refused main
    [[ $output == *"near, line 1002, in commit "*"; byte $(byte_of "$secret" <near); "* ]]
    [[ $output == *"in, line 1002, in commit "*"; what begins at byte $(byte_of "$encoded" <in) (decoded); "* ]]
    [[ $output =~ wide,\ line\ 1002,\ in\ commit\ [0-9a-f]{12}\ \(UTF-16\)\; ]]
    unharmed
}

@test "a secret that a later commit removes is refused" {
    bad=$(commit . config.txt "$secret")
    git rm -q config.txt
    git commit -qm "Remove"
    refused main
    [[ $output == *"config.txt, line 1, in commit ${bad:0:12}"* ]]
    unharmed
}

@test "a secret in a commit message is refused" {
    git commit -q --allow-empty -m "Use $secret"
    refused main
    [[ $output == *"the message or a header, in commit $(git rev-parse HEAD | cut -c1-12)"* ]]
    unharmed
}

@test "a secret in an author's name is refused" {
    git -c user.name="$secret" commit -q --allow-empty -m x
    refused main
    unharmed
}

@test "a secret in a header that git does not know is refused" {
    new=$({ git cat-file commit HEAD | sed "/^committer /a note $secret"; } | git hash-object -t commit -w --stdin --literally)
    refused "$new:refs/heads/x"
    unharmed
}

@test "a secret in a tag's message is refused, also in a tag of a tag" {
    git tag -a v1 -m "See $secret"
    refused v1
    [[ $output == *"the tag object"* ]]
    unharmed
    git -c advice.nestedTag=false tag -a v2 -m outer v1
    refused v2
    unharmed
}

@test "a secret in a blob or tree that only a tag points at is refused" {
    git tag blob "$(echo "$secret" | git hash-object -w --stdin)"
    refused blob
    unharmed
    git tag tree "$(printf '100644 blob %s\tx\n' "$(git rev-parse blob)" | git mktree)"
    refused tree
    unharmed
}

@test "a secret in the name of a file or a folder is refused" {
    commit . "$secret.txt" x >/dev/null
    refused main
    [[ $output == *"the name of a file or folder, in commit"* ]]
    unharmed
    git reset -q --hard origin/main
    commit . "$secret/x" "also $secret" >/dev/null
    refused main
    unharmed
}

@test "a secret in the name of a branch is refused" {
    run git push -q origin "HEAD:refs/heads/$secret"
    [ "$status" -ne 0 ]
    [[ $output == *"the name of a ref"* ]]
    [ "$(up app for-each-ref)" = "$before" ]
    run ! grep -F "$secret" "$BED/gate.log" "$BED/gate.err"
}

@test "a secret in a push option is refused" {
    commit . a >/dev/null
    refused -o "token=$secret" main
    unharmed
}

@test "a secret in a merge's own change is refused" {
    git checkout -q -b side
    commit . side >/dev/null
    git checkout -q main
    commit . mine >/dev/null
    git merge -q --no-commit side
    echo "$secret" >evil.txt
    git add evil.txt
    git commit -qm "Merge"
    refused main
    [[ $output == *"evil.txt, line 1"* ]]
    unharmed
}

@test "no path is left out" {
    for path in node_modules/x.js package-lock.json logo.png vendor/github.com/a/b.go a.gem \
        .gitleaks.toml .gitleaksignore 'back\' 'a b' -rf; do
        git reset -q --hard origin/main
        mkdir -p -- "$(dirname -- "$path")"
        printf '%s\n' "$secret" >"./$path"
        git add -A
        git commit -qm x
        refused main
    done
    unharmed
}

@test "a rename out of a path that scanners skip hides nothing" {
    commit . node_modules/x.js "$secret" >/dev/null
    git mv node_modules/x.js x.js
    git commit -qm x
    refused main
    unharmed
}

@test "no comment, ignore file, configuration or attribute of the pushed content turns the scan off" {
    commit . a.txt "token = \"$secret\" # gitleaks""":allow"" >/dev/null
    printf '[allowlist]\npaths = [".*"]\n' >.gitleaks.toml
    echo "* -diff binary" >.gitattributes
    printf 'a.txt:github-pat:1\n' >.gitleaksignore
    mkdir .mailmap && touch .mailmap/x
    git add -A
    git commit -qm x
    refused main
    unharmed
}

@test "a replace ref hides nothing" {
    bad=$(commit . a.txt "$secret")
    git replace "$bad" origin/main
    GIT_NO_REPLACE_OBJECTS=1 refused "$bad:refs/heads/x"
    unharmed
}

@test "NUL bytes, UTF-16 and UTF-32 hide nothing" {
    # shellcheck disable=SC2059
    for how in nul utf-16 utf-16le utf-16be utf-32le utf-32be; do
        git reset -q --hard origin/main
        case $how in
        nul) printf 'x\0\0y\n%s\n\0' "$secret" >file ;;
        *) printf 'token\n%s\n' "$secret" | iconv -t "$how" >file ;;
        esac
        git add file
        git commit -qm x
        refused main
        [[ $output == *"file, line 2"* ]]
    done
    unharmed
}

@test "the first bytes of a program, an archive or a picture hide nothing" {
    for magic in '\x7fELF\x02\x01\x01\x00' 'PK\x03\x04' '\x1f\x8b\x08' 'BZh9' '%%PDF-1.4' 'MZ' '\x89PNG\r\n\x1a\n' '\xca\xfe\xba\xbe'; do
        git reset -q --hard origin/main
        # shellcheck disable=SC2059
        printf "$magic" >file
        printf '\n%s\n' "$secret" >>file
        git add file
        git commit -qm x
        refused main
    done
    unharmed
}

@test "a file that the scanner takes for an archive nevertheless is not let through" {
    # A tar archive's mark, moved by the byte that the gate puts in front.
    { head -c 256 /dev/zero | tr '\0' a; printf 'ustar\n%s\n' "$secret"; } >file
    git add file
    git commit -qm x
    run git push origin main
    [ "$status" -ne 0 ]
    unharmed
}

@test "base64 and hex hide nothing" {
    commit . a.txt "token: $(printf 'x %s x' "$secret" | base64 -w0)" >/dev/null
    refused main
    git reset -q --hard origin/main
    commit . a.txt "token: $(printf 'x %s x' "$secret" | od -An -tx1 | tr -d ' \n')" >/dev/null
    refused main
    unharmed
}

@test "one line of two megabytes hides nothing" {
    { head -c 2000000 /dev/zero | tr '\0' 'x'; printf ' %s ' "$secret"; head -c 100000 /dev/zero | tr '\0' 'y'; } >file
    git add file
    git commit -qm x
    refused main
    unharmed
}

@test "a symbolic link's target is looked at" {
    ln -s "$secret" link
    git add link
    git commit -qm x
    refused main
    unharmed
}

@test "an orphan branch is looked at whole" {
    git checkout -q --orphan other
    commit . a.txt "$secret" >/dev/null
    commit . b.txt >/dev/null
    refused other
    unharmed
}

@test "a branch named like a hash does not blind the scan" {
    old=$(git rev-parse HEAD)
    git push -q origin "HEAD:refs/heads/$old"
    before=$(up app for-each-ref)
    commit . a.txt "$secret" >/dev/null
    refused main
    unharmed
}

@test "two refs of which one holds a secret are both refused" {
    git checkout -q -b clean
    commit . fine >/dev/null
    git checkout -q -b dirty
    commit . a.txt "$secret" >/dev/null
    refused clean dirty
    unharmed
}

@test "the GitGate's own rules count" {
    commit . a.txt "acme""_0123456789abcdefghij" >/dev/null
    refused main
    [[ $output == *"rule acme-token: a.txt, line 1"* ]]
    unharmed
}

@test "a rule with a keyword beyond ASCII counts, whatever its letters' case" {
    for word in Étoile étoile ÉTOILE; do
        commit . a.txt "$word: star""_0123456789abcdefghij" >/dev/null
        refused main
        [[ $output == *"rule acme-star: a.txt, line 1"* ]]
        git reset -q --hard HEAD~1
    done
    unharmed
}

# with_rules TOML : the gate goes by this configuration, as a ConfigMap of the file that it is started from
with_rules() {
    [ -e "$BED/keep.yaml" ] || cp "$BED/gitgate.yaml" "$BED/keep.yaml"
    {
        jq '.spec.scan = {configMapRef: {name: "rules"}}' "$BED/gate.json"
        sed -n '/^---$/,$p' "$BED/keep.yaml"
        echo ---
        jq -n --arg toml "$1" '{apiVersion: "v1", kind: "ConfigMap", metadata: {name: "rules"}, data: {"gitleaks.toml": $toml}}'
    } >"$BED/gitgate.yaml"
    stop_gate
    start_gate
}

@test "a gitleaks configuration of the GitGate's own stands for gitleaks', with its allow lists, and without it nothing passes" {
    own=$'[[rules]]\nid = "team-token"\nregex = "team_[a-z0-9]{20}"\nkeywords = ["team_"]\n[allowlist]\nregexes = ["team_0000000000"]\n'
    with_rules "$own"
    commit . a.txt "team_""0123456789abcdefghij" >/dev/null
    refused main
    [[ $output == *"rule team-token: a.txt, line 1"* ]]
    git reset -q --hard HEAD~1
    commit . a.txt "team_""0000000000abcdefghij $secret" >/dev/null # allowed there, and no rule of gitleaks' is used
    git push -q origin HEAD:refs/heads/configured

    # What is allowed for one rule is so for no other, in the older spelling neither.
    with_rules $'[extend]\nuseDefault = true\n[allowlist]\ntargetRules = ["team-token"]\nregexes = ["_"]\n'"${own%%'[allowlist]'*}"
    commit . b.txt "$(secret)" >/dev/null
    refused main
    [[ $output == *"rule github-pat: b.txt, line 1"* ]]

    with_rules $'[extend]\nuseDefault = true\ndisabledRules = ["github-pat"]\n[[rules]]\nid = "private-key"\n[rules.allowlist]\nregexes = ["x x"]\n'
    passes disabled
    commit . key.pem "-----BEGIN"" PRIVATE KEY-----$(seq -s x 100)-----END"" PRIVATE KEY-----" >/dev/null
    refused main
    [[ $output == *"rule private-key: key.pem, line 1"* ]]
    git reset -q --hard HEAD~1

    # A rule that nothing can be found by sends everything to gitleaks.
    with_rules $'[[rules]]\nid = "slow"\nregex = "^(?i)\\\\x{e9}tat_[a-z]{20}"\n'
    commit . c.txt "État_abcdefghijklmnopqrst" >/dev/null
    refused main
    [[ $output == *"rule slow: c.txt, line 1"* ]]

    rm "$BED/state/creds/gitleaks.toml"
    commit . d.txt harmless >/dev/null
    run git push origin HEAD:refs/heads/harmless
    [ "$status" -ne 0 ]
    [[ $output == *"the scanner failed"* ]]
    grep -q 'spec.scan.configMapRef: the configuration is not here' "$BED/gate.err" "$BED/gate.log"
    mv "$BED/keep.yaml" "$BED/gitgate.yaml"
    stop_gate
    start_gate
}

@test "a rule's ^ and \$ are the ends of a line, wherever it stands" {
    for text in 'acme-login: abcdefghijkl' $'one\nacme-login: abcdefghijkl\nthree' "$(seq 300000)"$'\nacme-login: abcdefghijkl\n'; do
        commit . a.txt "$text" >/dev/null
        refused main
        [[ $output == *"rule acme-line: a.txt, line "* ]]
        git reset -q --hard HEAD~1
    done
    commit . a.txt ' acme-login: abcdefghijkl' >/dev/null
    passes lines
}

@test "a finding's fingerprint, as the refusal prints it, allows that finding and no other" {
    commit . src/a.txt "token = $secret" >/dev/null
    refused main
    print=$(sed -n 's/.*rule github-pat: .*; fingerprint \([0-9a-f]\{16\}\) *$/\1/p' <<<"$output")
    [ -n "$print" ]
    cp "$BED/gitgate.yaml" "$BED/keep.yaml"
    { jq --arg print "$print" '.spec.scan.allow += [{fingerprint: $print}]' "$BED/gate.json"; sed -n '/^---$/,$p' "$BED/keep.yaml"; } >"$BED/gitgate.yaml"
    stop_gate
    start_gate
    git push -q origin HEAD:refs/heads/fingerprint
    commit . src/b.txt "token = $(secret)" >/dev/null
    run git push origin HEAD:refs/heads/fingerprint
    [ "$status" -ne 0 ]
    [[ $output == *"rule github-pat: src/b.txt, line 1"* ]]
    mv "$BED/keep.yaml" "$BED/gitgate.yaml"
    stop_gate
    start_gate
}

@test "what the GitGate allows passes, and only that" {
    commit . testdata/a.txt "$secret" >/dev/null
    git push -q origin HEAD:refs/heads/allowed
    [ "$(up app rev-parse allowed)" = "$(git rev-parse HEAD)" ]
    before=$(up app for-each-ref)
    commit . src/testdata/a.txt "$(secret)" >/dev/null
    refused main
    unharmed
}

@test "a secret that the upstream has already does not block what builds on it" {
    up app update-ref refs/heads/leaked "$(commit_upstream app leaked "x")"
    other=$BED/other-app
    git -C "$other" checkout -q leaked
    commit "$other" leaked.txt "$secret" >/dev/null
    git -C "$other" push -q -f "$BED/srv/app.git" leaked
    own app
    git fetch -q
    git checkout -q -b next origin/leaked
    commit . clean >/dev/null
    git push -q origin next
    [ "$(up app rev-parse next)" = "$(git rev-parse HEAD)" ]
}

@test "a terminal is safe from the names in a refusal" {
    name=$(printf 'a\033[2Jb')
    commit . "$name" "$secret" >/dev/null
    refused main
    [[ $output == *"a?[2Jb, line 1"* ]]
    [[ $output != *$'\033[2J'* ]]
}

@test "a line \"false\" inside of a private key does not let it pass" {
    ssh-keygen -q -t rsa -b 2048 -m PEM -N '' -f "$BATS_TEST_TMPDIR/key"
    sed '5i false' "$BATS_TEST_TMPDIR/key" >server.key
    git add server.key
    git commit -qm x
    refused main
    [[ $output == *"rule private-key: server.key, line 1"* ]]
    unharmed
}

@test "a shallow clone's push is looked at" {
    clone app "$BATS_TEST_TMPDIR/shallow" --depth=1
    cd "$BATS_TEST_TMPDIR/shallow"
    commit . a.txt "$secret" >/dev/null
    refused main
    unharmed
}

@test "a graft hides no commit" {
    bad=$(commit . a.txt "$secret")
    git rm -q a.txt
    git commit -qm "Remove"
    printf '%s %s\n' "$(git rev-parse HEAD)" "$(git rev-parse origin/main)" >.git/info/grafts
    run git push origin main
    echo "$output"
    [ "$status" -ne 0 ]
    run ! up app cat-file -e "$bad"
    unharmed
}

# The same bytes each time: what passes today must pass tomorrow.
@test "clean pushes pass: lock files, pictures, fonts, minified text, uuids, test vectors" {
    python3 - <<-'END'
	import base64, json, random, uuid
	r = random.Random(1)
	words = "parse utils core types react node stream buffer color lodash string path glob merge yargs web pack loader test".split()
	names = sorted({"-".join(r.choices(words, k=2)) for _ in range(150)})
	data = lambda n: r.getrandbits(8 * n).to_bytes(n, "big")
	b64 = lambda n: base64.b64encode(data(n)).decode()
	version = lambda: "%d.%d.%d" % (r.randrange(9), r.randrange(20), r.randrange(20))
	with open("package-lock.json", "w") as f:
	    json.dump({"name": "app", "lockfileVersion": 3, "packages": {"node_modules/" + n: {"version": version(),
	        "resolved": "https://registry.example.com/%s/-/%s.tgz" % (n, n), "integrity": "sha512-" + b64(64)} for n in names}}, f, indent=2)
	with open("yarn.lock", "w") as f:
	    f.writelines('%s@^1.0.0:\n  version "%s"\n  resolved "https://registry.example.com/%s.tgz#%s"\n  integrity sha512-%s\n\n'
	                 % (n, version(), n, data(20).hex(), b64(64)) for n in names)
	with open("Cargo.lock", "w") as f:
	    f.writelines('[[package]]\nname = "%s"\nversion = "%s"\nchecksum = "%s"\n\n' % (n, version(), data(32).hex()) for n in names)
	with open("go.sum", "w") as f:
	    f.writelines("example.com/%s v%s h1:%s\nexample.com/%s v1.0.0/go.mod h1:%s\n" % (n, version(), b64(32), n, b64(32)) for n in names)
	with open("poetry.lock", "w") as f:
	    f.writelines('    {file = "%s.whl", hash = "sha256:%s"},\n' % (n, data(32).hex()) for n in names)
	for name, magic in {"a.png": b"\x89PNG\r\n\x1a\n", "b.jpg": b"\xff\xd8\xff\xe0\0\x10JFIF\0", "c.woff2": b"wOF2\0\1\0\0", "d.ttf": b"\0\1\0\0\0\x12",
	                    "e.gif": b"GIF89a", "f.ico": b"\0\0\1\0", "g.pdf": b"%PDF-1.7\n", "h.wasm": b"\0asm\1\0\0\0", "i.so": b"\x7fELF\2\1\1\0"}.items():
	    open(name, "wb").write(magic + data(300000))
	with open("app.min.js", "w") as f:
	    f.write("!function(e,t){" + ";".join("function %s(e,t,n){var r=e.%s,o=t[%d]||n;return r&&o?%s(r):void 0}" % (
	        r.choice("abcdefg") + str(i), r.choice(words), r.randrange(999), r.choice("abcdefg") + str(i)) for i in range(8000)) + "}(this);\n")
	with open("ids.txt", "w") as f:
	    f.writelines("%s\n" % uuid.UUID(bytes=data(16)) for _ in range(500))
	with open("vectors.rsp", "w") as f:
	    f.writelines("Len = %d\nMsg = %s\nMD = %s\n\n" % (8 * n, data(n).hex(), data(32).hex()) for n in range(1, 200))
	with open("picture.svg", "w") as f:
	    f.write('<svg><image href="data:image/png;base64,%s"/></svg>\n' % b64(100000))
	END
    git add -A
    git commit -qm "Clean"
    passes clean-push
}

@test "a clean history of two thousand commits passes" {
    for n in $(seq 2000); do
        text="line $n of a text that says nothing that matters"
        printf 'commit refs/heads/history\ncommitter A <a@example.com> %s +0000\ndata 7\nChange\n%bM 100644 inline d%s/f%s\ndata %s\n%s\n' \
            $((1700000000 + n)) "$([ "$n" != 1 ] || echo "from $(git rev-parse HEAD)\\n")" $((n % 7)) $((n % 50)) ${#text} "$text"
    done | git fast-import --quiet
    git checkout -q history
    passes history
    [ "$(up app rev-list --count history)" -gt 2000 ]
}
