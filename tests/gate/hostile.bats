#!/usr/bin/env bats
# Pushes that are made to exhaust the scan, against a gate that has 256 MB in all: each is answered, and the next
# one works.

bats_require_minimum_version 1.5.0
load lib

MEMORY=$((256 << 20))

# A memory cgroup of either version, in $group; without the right to make one there is nothing to test.
make_group() {
    local base=/sys/fs/cgroup
    group=$base/memory/gitgate-test.$$
    limit=memory.limit_in_bytes
    if [ ! -d $base/memory ]; then
        group=$base/gitgate-test.$$
        limit=memory.max
        grep -qw memory $base/cgroup.subtree_control 2>/dev/null || return 1
    fi
    mkdir "$group" 2>/dev/null || return 1
    echo $MEMORY >"$group/$limit" || { rmdir "$group"; return 1; }
}

remove_group() {
    [ -z "$group" ] || wait_for 20 rmdir "$group"
}

setup_file() {
    group=
    make_group || group=
    start_bed
    new_upstream app
    write_gitgate app -- '.spec.scan = {timeout: "600s"}' # what takes time takes five times as much on a busy machine
    GATE_PORT=$(free_port)
    export GATE_PORT group
    (
        [ -z "$group" ] || echo $BASHPID >"$group/cgroup.procs"
        start_gate
    )
}

teardown_file() {
    stop_bed
    remove_group
}

setup() {
    [ -n "$group" ] || skip "needs the right to make a memory cgroup"
    work=$BATS_TEST_TMPDIR/work
    clone app "$work"
    cd "$work"
}

# The gate goes on: what it works with is gone, and the next push arrives.
goes_on() {
    [ -z "$(find "$BED/state/git/.gitgate" -mindepth 1)" ]
    git checkout -q --orphan next
    git rm -rfq --cached .
    echo "$BATS_TEST_NAME" >next.txt
    git add next.txt
    git commit -qm "Next"
    git push -q origin "HEAD:refs/heads/next-$BATS_TEST_NUMBER"
    [ "$(up app rev-parse "next-$BATS_TEST_NUMBER")" = "$(git rev-parse HEAD)" ]
}

# pushed BRANCH : is answered, either way; in $output
pushed() {
    git add -A
    git commit -qm x
    run timeout 700 git push origin "HEAD:refs/heads/$1"
    echo "$output"
    [ "$status" -le 1 ]
}

# refused WORDS : and says why
refused() {
    [ "$status" = 1 ]
    [[ $output == *"gitgate: push refused: "*"$1"* ]]
}

@test "text that expressions are slow on" {
    python3 - <<-'END'
	n = 200000
	open("words", "w").write("api_key" * n)
	open("assign", "w").write("key = key = " * n)
	open("quotes", "w").write("secret" + "'" * n + "token" + "\"" * n)
	open("begin", "w").write("-----BEGIN PRIVATE KEY-----" * (n // 10))
	open("dots", "w").write(("a." * 25 + "password:" + " " * 20) * (n // 20))
	open("percent", "w").write("%41" * n)
	open("percents", "w").write("%4" * n + "\n" + "%41 x" * n)
	open("escapes", "w").write("\\u0041" * n + "\\" * n)
	open("base64", "w").write("QUFBQUFBQUFBQUFBQUFBQQ=" * n)
	END
    pushed slow
    goes_on
}

# gitleaks looks for the line of each finding from the chunk's start, and holds each against all rules' results.
@test "twenty thousand tokens in one file, and one in each of two thousand" {
    python3 - <<-'END'
	import random
	r = random.Random(1)
	token = lambda: "gh" + "p_" + "".join(r.choices("abcdefghijkmnopqrstuvwxyz0123456789", k=36))
	with open("tokens", "w") as f:
	    f.writelines("key%d = '%s'\n" % (i, token()) for i in range(20000))
	for i in range(2000):
	    with open("t%d" % i, "w") as f:
	        f.write("key = '%s'\n" % token())
	END
    pushed many
    [ "$status" = 1 ]
    [[ $output == *"gitgate: push refused: "* ]]
    goes_on
}

# gitleaks holds each finding of a generic rule against all others of its line, asks of each whether it overlaps
# one of the parts that were decoded, and its rule for Kubernetes' Secrets counts characters by hundreds.
@test "what gitleaks is slow on by itself" {
    python3 - <<-'END'
	import base64, random
	r = random.Random(1)
	word = lambda n: "".join(r.choices("abcdefghijkmnopqrstuvwxyz0123456789", k=n))
	open("generic", "w").write(" ".join("password=%s token=gh" "p_%s" % (word(20), word(36)) for i in range(4000)))
	open("decoded", "w").write(" ".join(base64.b64encode(b"secret = '%s'" % word(12).encode()).decode() for i in range(10000)))
	open("secrets", "w").write("kind: secret\n" + "data: x: %s\n" % word(9) * 20000)
	open("lines", "w").write("\n" * 300000 + "\n\n".join("key = '%s'" % word(24) for i in range(8000)))
	END
    pushed itself
    refused "it holds what reads like a secret"
    goes_on
}

# gitleaks keeps of each finding its line, and copies it to redact one.
@test "a megabyte of tokens in one line" {
    python3 - <<-'END'
	import random
	r = random.Random(1)
	token = lambda: "AK" + "IA" + "".join(r.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", k=16))
	with open("line", "w") as f:
	    f.write(" ".join(token() for _ in range(50000)))
	END
    pushed line
    refused "it holds what reads like a secret"
    goes_on
}

@test "more places that look like a token in one file than are told apart" {
    python3 - <<-'END'
	import random
	r = random.Random(1)
	token = lambda: "AK" + "IA" + "".join(r.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", k=16))
	with open("file", "w") as f:
	    f.write("".join(token() + " " * 66 for _ in range(20100)) + " ".join(token() for _ in range(100000)))
	END
    pushed places
    refused "it holds what reads like a secret"
    goes_on
}

@test "zip, gzip, bzip2 and xz bombs, one in another, and a file of ten million holes" {
    python3 - <<-'END'
	import bz2, gzip, io, lzma, tarfile, zipfile
	zeros = bytes(1 << 20)
	with zipfile.ZipFile("a.zip", "w", zipfile.ZIP_DEFLATED) as z:
	    for name in range(4):
	        with z.open(str(name), "w", force_zip64=True) as f:
	            for _ in range(300): f.write(zeros)
	with gzip.open("b.gz", "wb") as f:
	    for _ in range(1100): f.write(zeros)
	with lzma.open("c.xz", "wb", preset=0) as f:
	    for _ in range(300): f.write(zeros)
	data = bz2.compress(bytes(100 << 20))
	open("d.bz2", "wb").write(data)
	to = io.BytesIO()
	with zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED) as z:
	    for name in range(200): z.writestr(str(name), data)
	open("e.zip", "wb").write(to.getvalue())
	holes = b"10000000\n" + b"0\n0\n" * 10000000
	to = io.BytesIO()
	with tarfile.open(fileobj=to, mode="w", format=tarfile.PAX_FORMAT) as t:
	    file = tarfile.TarInfo("x")
	    file.size = len(holes)
	    file.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "x", "GNU.sparse.realsize": "0"}
	    t.addfile(file, io.BytesIO(holes))
	open("f.bz2", "wb").write(bz2.compress(to.getvalue()))
	END
    mkdir ../all
    mv ./?.* ../all
    for file in ../all/*; do
        cp "$file" .
        pushed bomb
        refused "unpack"
        rm "${file##*/}"
        git reset -q --hard origin/main
    done
    goes_on
}

@test "an archive that holds itself, eight times over" {
    python3 - <<-'END'
	import io, zipfile
	data = b"x"
	for n in range(12):
	    to = io.BytesIO()
	    with zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED) as z: z.writestr("x.zip", data)
	    data = to.getvalue()
	open("x.zip", "wb").write(data)
	END
    pushed nested
    refused "archives in archives"
    goes_on
}

@test "one object of two gigabytes" {
    head -c 2147483648 /dev/zero >zeros
    pushed large
    refused "unpacks to more than"
    rm zeros
    goes_on
}

@test "more objects than the gate scans" {
    {
        seq 500100 | awk '{ print "blob\nmark :" $1 "\ndata " length($1) "\n" $1 }'
        printf 'commit refs/heads/many\ncommitter A <a@example.com> 1700000000 +0000\ndata 1\nx\n'
        seq 500100 | awk '{ print "M 100644 :" $1 " d" $1 % 700 "/" $1 }'
    } | git fast-import --quiet
    run timeout 700 git push origin many
    echo "$output"
    refused "new objects"
    goes_on
}

@test "folders ten thousand deep" {
    {
        printf 'commit refs/heads/deep\ncommitter A <a@example.com> 1700000000 +0000\ndata 1\nx\nM 100644 inline '
        printf 'a/%.0s' {1..10000}
        printf 'f\ndata 1\nx\n'
    } | git fast-import --quiet
    run timeout 700 git push origin deep
    refused "too many new paths, or too long ones"
    goes_on
}

@test "a small pack whose deltas unpack to gigabytes" {
    git config core.bigFileThreshold 1g
    for n in $(seq 30); do
        { head -c 40000000 /dev/zero; echo "$n"; } >"f$n"
    done
    git add -A
    git commit -qm x
    rm f*
    git repack -qadf --window=2 --depth=50
    run timeout 700 git push origin HEAD:refs/heads/deltas
    echo "$output"
    refused "unpacks to more than"
    goes_on
}
