#!/usr/bin/env bats
# Where and how a secret can be hidden in a push: each place is looked at, and the refusal names the
# rule and the place, never the secret.

bats_require_minimum_version 1.5.0
load lib
load scan

rule=github-pat # that refused_at expects

# refused_at PLACE ARGS... : the push is refused for what lies at PLACE; nothing moved, nothing shown
refused_at() {
    local place=$1
    shift
    refused "$@"
    [[ $output == *"rule $rule: $place"* ]]
    unharmed
}

# add FILE : commits it on top of what the upstream has
add() {
    git add -A
    git commit -qm "Add $1"
}

again() {
    git reset -q --hard origin/main
    git clean -qfdx
}

# shellcheck disable=SC2120 # arguments are the script's own
python() {
    python3 - "$secret" "$@"
}

# ---- encodings of text

@test "UTF-16 and UTF-32, with and without a byte order mark, among other scripts and at odd offsets" {
    for how in utf-16 utf-16le utf-16be utf-32 utf-32le utf-32be; do
        printf 'Пароль\n%sж\n' "$secret" | iconv -f utf-8 -t "$how" >file
        add file
        refused_at "file, line 2"
        again
        { printf x; printf 'one\n\n%s\n' "$secret" | iconv -f utf-8 -t "$how"; } >file
        add file
        refused_at "file, line 3"
        again
    done
}

@test "a token with NUL bytes in it" {
    python >file <<-'END'
	import sys
	sys.stdout.buffer.write(b"one\ntwo " + b"\0\0".join(bytes([c]) for c in sys.argv[1].encode()) + b"\n")
	END
    add file
    refused_at "file, line 2" main
}

@test "NUL bytes in a few bytes of text, among what is no text" {
    rule=curl-auth-user
    printf 'one\n\377curl\377\377 -u b:s3\0c%s\n\377' ret9 >file
    add file
    refused_at "file, line 2" main
    again
    rule=generic-api-key
    printf 'key=a1\0b2c3%s' d4e5f6 >file
    add file
    refused_at "file, line 1" main
    again
    rule=curl-auth-user
    # Far behind others of the kind.
    python >file <<-'END'
	import sys
	sys.stdout.buffer.write((b"\xff" * 3000 + b"ten letter\0\n") * 500 + b"\xffcurl\xff -u b:s3\0c" + b"ret9\n\xff")
	END
    add file
    refused_at "file, line 501" main
}

@test "carriage returns alone, and line ends of all kinds" {
    printf 'one\rtwo\r%s\rthree\r' "$secret" >file
    add file
    refused_at "file, line 1" main
    again
    printf 'one\r\ntwo\rtwo\n\n%s\v\f\rfour' "$secret" >file
    add file
    refused_at "file, line 4" main
}

@test "one line of 50 megabytes" {
    { head -c 30000000 /dev/zero | tr '\0' 'x'; printf ' %s ' "$secret"; head -c 20000000 /dev/zero | tr '\0' 'y'; } >file
    add file
    refused_at "file, line 1" main
}

@test "the places where scanners cut content into chunks" {
    for at in 99980 100000 124990 125000 1048560 4194290 3932150; do
        { head -c "$at" /dev/zero | tr '\0' '\n'; printf '%s\n' "$secret"; head -c 200000 /dev/zero | tr '\0' a; } >file
        add file
        refused_at "file, line $((at + 1))" main
        again
        { head -c "$at" /dev/zero | tr '\0' 'a '; printf ' %s ' "$secret"; head -c 200000 /dev/zero | tr '\0' a; } >file
        add file
        refused_at "file, line 1" main
        again
    done
}

# ---- encoded parts

@test "base64, for URLs too, in one line and broken over lines" {
    python <<-'END'
	import base64, sys
	text = ("the token is %s, as you know" % sys.argv[1]).encode()
	open("std", "wb").write(b"one\nkey: " + base64.b64encode(text) + b"\n")
	open("url", "wb").write(b"one\nkey=" + base64.urlsafe_b64encode(text).rstrip(b"=") + b"\n")
	END
    for file in std url; do
        git add $file
        git commit -qm x
        refused_at "$file, line 2" main
        git reset -q --mixed origin/main
    done
    rm std url
    { seq 20; printf '%s' "$secret"; seq 20; } | tr '\n' , | base64 >mime
    add mime
    refused_at "mime, line 1" main
}

@test "base64 of UTF-16, as PowerShell takes a command" {
    printf 'powershell -EncodedCommand %s\n' "$(printf '$t = "%s"' "$secret" | iconv -t utf-16le | base64 -w0)" >run.cmd
    add run.cmd
    refused_at "run.cmd, line 1" main
}

@test "base64 and hex that are longer than what is looked at at once, wherever they begin, also in each other" {
    for how in 0 1 2 3 hex nested; do
        python "$how" >file <<-'END'
	import base64, sys
	data = b"".join(b"line %d of plain words\n" % i for i in range(50000)) + sys.argv[1].encode() + b"\n" + b"and more\n" * 5000
	how = sys.argv[2]
	text = data.hex().encode() if how == "hex" else base64.b64encode(base64.encodebytes(data) if how == "nested" else data)
	sys.stdout.buffer.write(b"\n" * (int(how) if how.isdigit() else 1) + text + b"\n")
	END
        add file
        refused_at "file, line " main
        again
    done
}

@test "base64 and hex with a binary byte before the text" {
    printf 'x: "%s"\n' "$(printf '\xff\x01%s\xff' "$secret" | base64 -w0)" >file
    add file
    refused_at "file, line 1" main
    again
    printf 'x: "%s"\n' "$(printf '\xff\x01%s\xff' "$secret" | od -An -tx1 | tr -d ' \n')" >file
    add file
    refused_at "file, line 1" main
}

@test "hex in either case, in one line and broken over lines" {
    for tr in a-f A-F; do
        printf 'x %s x\n' "$(printf 'token %s' "$secret" | od -An -tx1 | tr -d ' \n' | tr a-f $tr)" >file
        add file
        refused_at "file, line 1" main
        again
    done
    printf 'one two three four five %s one two three' "$secret" | od -An -v -tx1 -w30 | tr -d ' ' >file
    add file
    refused_at "file, line 1" main
}

@test "percent encoding of all, of a part, and beside what is no ASCII" {
    python <<-'END'
	import sys
	token = sys.argv[1]
	open("all", "w").write("one\nx=" + "".join("%%%02x" % ord(c) for c in token) + "\n")
	open("part", "w").write("x=" + token[:8] + "%%%02X" % ord(token[8]) + token[9:] + "&y=1\n")
	open("other", "w").write("q=%C3%A9&x=" + token[:8] + "%%%02X" % ord(token[8]) + token[9:] + "&z=%FF\n")
	END
    for file in all part other; do
        git add $file
        git commit -qm x
        refused_at "$file, line " main
        git reset -q --mixed origin/main
    done
}

@test "unicode, hexadecimal, octal and HTML escapes" {
    python <<-'END'
	import sys
	token = sys.argv[1]
	forms = {"js": "\\u%04x", "json": "\\\\u%04X", "rust": "\\u{%x}", "c": "\\x%02x", "octal": "\\%03o",
	         "html": "&#%d;", "xml": "&#x%X;", "unicode": "U+%04X "}
	for name, form in forms.items():
	    open(name, "w").write('one\ns = "' + "".join(form % ord(c) for c in token) + '"\n')
	END
    for file in js json rust c octal html xml unicode; do
        git add $file
        git commit -qm x
        refused_at "$file, line 2" main
        git reset -q --mixed origin/main
    done
}

@test "encodings in encodings, five deep" {
    text="the token is $secret, as you know"
    for how in base64 hex percent base64 hex; do
        case $how in
        base64) text=$(printf '%s' "$text" | base64 -w0) ;;
        hex) text=$(printf '%s' "$text" | od -An -v -tx1 | tr -d ' \n') ;;
        percent) text=$(printf '%s' "$text" | od -An -v -tx1 | tr -d '\n' | tr ' ' %) ;;
        esac
        printf 'one\ntwo\nx="%s"\n' "$text" >file
        add file
        refused_at "file, line 3" main
        again
    done
}

# ---- archives

@test "archives and compressed files of every kind, told by their content" {
    python <<-'END'
	import bz2, gzip, io, lzma, sys, tarfile, zipfile
	text = ("one\ntwo\ntoken = %s\n" % sys.argv[1]).encode() + b"and more\n" * 2000
	def zipped(name):
	    with zipfile.ZipFile(name, "w", zipfile.ZIP_DEFLATED) as z:
	        z.writestr("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\n")
	        z.writestr("dir/conf.txt", text)
	for name in "app.jar", "pkg.whl", "letter.docx", "no-name":
	    zipped(name)
	def tarred(name, mode):
	    with tarfile.open(name, mode) as t:
	        info = tarfile.TarInfo("dir/conf.txt")
	        info.size = len(text)
	        t.addfile(info, io.BytesIO(text))
	tarred("x.tar", "w"); tarred("x.tgz", "w:gz"); tarred("x.txz", "w:xz"); tarred("x.bin", "w:bz2")
	open("x.gz", "wb").write(gzip.compress(text))
	open("x.xz", "wb").write(lzma.compress(text))
	open("x.bz2", "wb").write(bz2.compress(text))
	END
    for file in app.jar pkg.whl letter.docx no-name; do
        git add $file
        git commit -qm x
        refused_at "$file!dir/conf.txt, line 3" main
        git reset -q --mixed origin/main
    done
    for file in x.tar x.tgz x.txz x.bin x.gz x.xz x.bz2; do
        git add $file
        git commit -qm x
        refused_at "$file" main
        git reset -q --mixed origin/main
    done
}

@test "a zstd file, with and without a frame of something else first" {
    command -v zstd || skip "there is no zstd here"
    printf 'one\n%s\n' "$secret" | zstd -q >x.zst
    add x.zst
    refused_at "x.zst!" main
    again
    { printf '\x50\x2a\x4d\x18\x03\0\0\0abc'; printf 'one\n%s\n' "$secret" | zstd -q; } >x.zst
    add x.zst
    refused_at "x.zst!" main
}

@test "an archive in an archive in an archive, and one in base64" {
    python <<-'END'
	import base64, gzip, io, sys, zipfile
	data = ("token = %s\n" % sys.argv[1]).encode()
	for name in "c.txt", "b.jar", "a.war":
	    to = io.BytesIO()
	    with zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED) as z:
	        z.writestr(name, data)
	    data = to.getvalue()
	open("app.ear", "wb").write(gzip.compress(data))
	open("blob.yaml", "wb").write(b"data: " + base64.b64encode(data) + b"\n")
	END
    git add app.ear
    git commit -qm x
    refused_at "app.ear!data!a.war!b.jar!c.txt, line 1" main
    git reset -q --mixed origin/main
    git add blob.yaml
    git commit -qm x
    refused_at "blob.yaml!a.war!b.jar!c.txt, line 1" main
}

@test "a zip file behind something else, one without its directory, and an entry that only one reader sees" {
    python <<-'END'
	import io, struct, sys, zipfile
	def archive(name, text):
	    to = io.BytesIO()
	    with zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED) as z:
	        z.writestr(name, text)
	    return to.getvalue()
	bad = archive("bad.txt", "token = %s\n" % sys.argv[1] + "x y z\n" * 1000)
	good = archive("good.txt", "nothing\n" * 1000)
	open("installer", "wb").write(b"#!/bin/sh\nexec unzip $0\n" + bad)
	open("truncated.zip", "wb").write(bad[:bad.index(b"PK\1\2") + 30])
	# The good archive's directory stands at the end, and knows nothing of the entry before it.
	at = good.index(b"PK\1\2"); end = good.index(b"PK\5\6")
	hidden = bad[:bad.index(b"PK\1\2")]
	directory = bytearray(good[at:end]); directory[42:46] = struct.pack("<I", len(hidden))
	tail = bytearray(good[end:]); tail[16:20] = struct.pack("<I", len(hidden) + at)
	open("hidden.zip", "wb").write(hidden + good[:at] + bytes(directory) + bytes(tail))
	assert zipfile.ZipFile("hidden.zip").namelist() == ["good.txt"]
	# Before the member stands another size than in the directory, which is what programs go by.
	lying = bytearray(bad); lying[18:22] = struct.pack("<I", 5)
	open("lying.zip", "wb").write(lying)
	assert sys.argv[1].encode() in zipfile.ZipFile("lying.zip").read("bad.txt")
	END
    for file in installer truncated.zip hidden.zip lying.zip; do
        git add $file
        git commit -qm x
        refused_at "$file!bad.txt, line 1" main
        git reset -q --mixed origin/main
    done
}

@test "the target of a link inside an archive" {
    python <<-'END'
	import sys, zipfile
	with zipfile.ZipFile("x.zip", "w", zipfile.ZIP_DEFLATED) as z:
	    info = zipfile.ZipInfo("link")
	    info.external_attr = 0o120777 << 16
	    z.writestr(info, sys.argv[1] + " " * 500, compress_type=zipfile.ZIP_DEFLATED)
	END
    add x.zip
    refused_at "x.zip!link" main
}

@test "the first bytes of an archive with nothing behind" {
    for magic in 'PK\x03\x04' '\x1f\x8b\x08' '\xfd7zXZ\x00' '\x28\xb5\x2f\xfd' 'BZh91AY&SY' '\x50\x2a\x4d\x18\xff\xff\xff\x7f'; do
        # shellcheck disable=SC2059
        { printf "$magic"; printf '\n%s\n' "$secret"; } >file
        add file
        refused_at "file, line 2" main
        again
    done
}

# ---- objects that are no files

@test "every header of a commit, known to git or not" {
    for header in gpgsig mergetag encoding note HG:extra; do
        new=$(git cat-file commit HEAD | sed "/^committer /a $header -----BEGIN x-----\n $secret\n -----END x-----" |
            git hash-object -t commit -w --stdin --literally)
        refused_at "the message or a header" "$new:refs/heads/x"
    done
    git -c user.email="$secret@example.com" commit -q --allow-empty -m x
    refused_at "the message or a header" main
}

@test "a commit message in base64, and in another encoding" {
    git commit -q --allow-empty -m "x $(printf 'token %s .' "$secret" | base64 -w0)"
    refused_at "the message or a header" main
    git reset -q --hard origin/main
    printf 'x %s' "$secret" | iconv -t utf-16le >message
    new=$({ git cat-file commit HEAD | sed -n '1,/^$/p'; cat message; } | git hash-object -t commit -w --stdin --literally)
    refused_at "the message or a header" "$new:refs/heads/x"
}

@test "a tag of a tag of a tag" {
    git tag -a v1 -m "See $secret"
    for n in 2 3 4 5; do git -c advice.nestedTag=false tag -a "v$n" -m "outer" "v$((n - 1))"; done
    refused_at "the tag object" v5
    git tag -d v1 v2 v3 v4 v5
    git -c user.name="$secret" tag -a v1 -m "a tagger"
    refused_at "the tag object" v1
}

@test "notes" {
    git notes add -m "$secret" HEAD
    refused_at "$(git rev-parse HEAD), line 1" refs/notes/commits:refs/heads/notes
}

@test "the name of a folder, with bytes that are no text, of a submodule, and .gitmodules" {
    printf x >"$(printf 'a\xff%s\nb' "$secret")"
    add x
    refused_at "the name of a file or folder" main
    again
    git update-index --add --cacheinfo "160000,$(git rev-parse HEAD),$secret"
    git commit -qm x
    refused_at "the name of a file or folder" main
    git reset -q --hard origin/main
    printf '[submodule "a"]\n\tpath = a\n\turl = https://x:%s@example.com/a.git\n' "$secret" >.gitmodules
    add x
    refused_at ".gitmodules, line 3" main
}

@test "the ids of submodules' commits, which git does not check" {
    python <<-'END'
	import subprocess, sys
	token = sys.argv[1].encode()
	for i in range(2):
	    subprocess.run(["git", "update-index", "--add", "--cacheinfo", "160000,%s,s%d" % (token[20 * i:20 * i + 20].hex(), i)], check=True)
	END
    git commit -qm x
    refused_at "the name of a file or folder" main
}

@test "an id behind any mode that git takes for a submodule's" {
    tree=$(python <<-'END'
	import subprocess, sys
	token = sys.argv[1].encode()
	tree = b"".join(b"60000 s%d\0" % i + token[20 * i:20 * i + 20] for i in range(2))
	print(subprocess.run(["git", "hash-object", "-t", "tree", "-w", "--literally", "--stdin"], input=tree, check=True, stdout=subprocess.PIPE).stdout.decode().strip())
	END
    )
    git reset -q --soft "$(git commit-tree "$tree" -p HEAD -m x)"
    refused_at "the name of a file or folder" main
}

@test "a name in base64" {
    touch "$(printf 'token %s .' "$secret" | base64 -w0 | tr / _)"
    add x
    refused_at "the name of a file or folder" main
}

@test "a symbolic link's target in base64" {
    ln -s "$(printf 'token %s .' "$secret" | base64 -w0)" link
    add link
    refused_at "link, line 1" main
}

@test "a secret in any of two thousand commits" {
    {
        for n in $(seq 2000); do
            text="line $n"
            [ "$n" != 1234 ] || text="x $secret x"
            printf 'commit refs/heads/many\ncommitter A <a@example.com> %s +0000\ndata 2\nx\nM 100644 inline f%s\ndata %s\n%s\n' \
                $((1700000000 + n)) $((n % 50)) ${#text} "$text"
        done
    } | git fast-import --quiet
    refused_at "f34, line 1, in commit $(git rev-list --reverse many | sed -n 1234p | cut -c1-12)" many
}
