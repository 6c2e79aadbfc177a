#!/usr/bin/env bats
# Pushes that no git would make: a client says what it likes of a ref's old value, and sends objects that nothing leads to.

bats_require_minimum_version 1.5.0
load lib
load scan

setup_file() {
    start_bed
    new_upstream app
    write_gitgate app -- '.spec.upstreams[].push |= {allowForce: true, allowDelete: true, options: ["ci.skip"]}'
    mkdir "$BED/gpg"
    printf '#!/bin/sh\ntouch "%s/gpg/started"\n' "$BED" >"$BED/gpg/gpg"
    chmod 755 "$BED/gpg/gpg"
    export GATE_PATH=$BED/gpg:$PATH
    start_gate
}

# send PACK COMMAND... : a push of these commands ("<old> <new> <ref>") with the pack, "" for none; prints the answer.
# $option: a push option.
send() {
    python3 - "$GATE_PORT" "$@" 3>&- <<-'END'
	import os, socket, sys
	port, pack, *commands = sys.argv[1:]
	def packet(data):
	    return b"%04x%s" % (len(data) + 4, data)
	gate = socket.create_connection(("127.0.0.1", int(port)), 60)
	gate.sendall(packet(b"git-receive-pack /app.git\0host=x\0"))
	answers = gate.makefile("rb")
	def packets():
	    while (length := int(answers.read(4) or b"0", 16)) > 0:
	        yield answers.read(length - 4)
	for _ in packets():
	    pass
	option = os.environ.get("option", "").encode()
	features = b"\0report-status delete-refs" + (b" push-options" if option else b"")
	for i, command in enumerate(commands):
	    gate.sendall(packet(command.encode() + (b"" if i else features)))
	gate.sendall(b"0000" + (packet(option) + b"0000" if option else b"") + (open(pack, "rb").read() if pack else b""))
	for answer in packets():
	    print(answer.decode().strip())
	END
}

# pack_of OBJECT... : these alone
pack_of() {
    git rev-parse "$@" | git pack-objects -q --stdout >"$BATS_TEST_TMPDIR/pack"
}

zero=0000000000000000000000000000000000000000

object_files() {
    find "$BED/state/git/app.git/objects" -type f | wc -l
}

# receive-pack takes it unasked, writes it beside the repository's objects and starts gpg, all before a hook is asked.
@test "a push certificate that nobody asked for is kept nowhere, and read by no gpg" {
    git pack-objects -q --stdout </dev/null >"$BATS_TEST_TMPDIR/pack"
    main=$(git rev-parse origin/main)
    before=$(object_files)
    run send "$BATS_TEST_TMPDIR/pack" push-cert "certificate version 0.1
" "pusher agent@example.com 1 +0000
" "
" "$zero $main refs/heads/certified
" "-----BEGIN PGP SIGNATURE-----
" "push-cert-end
"
    echo "$output"
    [ ! -e "$BED/gpg/started" ]
    [ "$(object_files)" = "$before" ]
    agree app refs/heads/certified ""
}

@test "nothing is known for being what a client calls a ref's old value" {
    clean=$(commit . clean)
    git checkout -q --detach HEAD~1
    bad=$(commit . config.txt "$secret")
    # Both arrive, though nobody asks for the second.
    pack_of "$clean" "$clean^{tree}" "$clean:clean" "$bad" "$bad^{tree}" "$bad:config.txt"
    run send "$BATS_TEST_TMPDIR/pack" "$zero $clean refs/heads/clean"
    [[ $output == *"ok refs/heads/clean"* ]]
    gate_git app cat-file -e "$bad"
    # What a deletion takes away is kept, whatever it is.
    send "" "$bad $zero refs/heads/none"
    gate_git app for-each-ref --points-at "$bad" | grep -q refs/gitgate/backup/
    git pack-objects -q --stdout </dev/null >"$BATS_TEST_TMPDIR/pack"
    for packed in false true; do
        ! $packed || gate_git app pack-refs --all
        run send "$BATS_TEST_TMPDIR/pack" "$zero $bad refs/heads/bad"
        echo "$output"
        [[ $output == *"ng refs/heads/bad pre-receive hook declined"* ]]
        agree app refs/heads/bad ""
    done
    run ! grep -F "$secret" "$BED/gate.log" "$BED/gate.err"
}

@test "what stands behind a line's end of a push option is one too" {
    new=$(commit . option)
    pack_of "$new" "$new^{tree}" "$new:option"
    option=ci.skip run send "$BATS_TEST_TMPDIR/pack" "$zero $new refs/heads/option"
    [[ $output == *"ok refs/heads/option"* ]]
    option=$'ci.skip\nmerge_request.create' run send "$BATS_TEST_TMPDIR/pack" "$zero $new refs/heads/more"
    [[ $output == *"ng refs/heads/more pre-receive hook declined"* ]]
    agree app refs/heads/more ""
}

@test "what went from the upstream is new to it, though the gate has kept it" {
    # Somebody's mistake, that is put right through the gate.
    bad=$(commit . config.txt "$secret")
    git push -q "$BED/srv/app.git" HEAD:refs/heads/mistake
    own app
    git push -q origin :refs/heads/mistake
    gate_git app for-each-ref --points-at "$bad" | grep -q refs/gitgate/backup/
    refused HEAD:refs/heads/again
    agree app refs/heads/again ""
}

# object TYPE : an object of the input, whatever that is
object() {
    git hash-object -w -t "$1" --stdin --literally
}

@test "what nothing leads to and nobody can read costs no mirror, and goes" {
    # A commit that is none, a tree, a tag; commits that call a file of the upstream's their tree.
    junk=$(printf 'junk\n' | object commit)
    lies=$(for i in {1..20}; do
        printf 'tree %s\nauthor A <a@example.com> %d +0000\ncommitter A <a@example.com> 1 +0000\n\nx\n' "$(git rev-parse main:README)" "$i" | object commit
    done)
    clean=$(commit . readable)
    # shellcheck disable=SC2086 # a list
    pack_of "$clean" "$clean^{tree}" "$clean:readable" "$junk" "$(printf '100644 x\0x' | object tree)" "$(printf 'x\n' | object tag)" $lies
    run send "$BATS_TEST_TMPDIR/pack" "$zero $clean refs/heads/readable"
    [[ $output == *"ok refs/heads/readable"* ]]
    gate_git app cat-file -e "$junk"
    run ! gate_git app fsck --full
    run maintain --check app
    [[ $output == *'"result":"ok"'* ]]
    # In a pack they can't be rolled up with another's.
    gate_git app repack --geometric=2 -d -l -n -q
    for i in {1..40}; do
        echo "$i" | gate_git app hash-object -w --stdin >/dev/null
    done
    gate_git app repack --geometric=2 -d -l -n -q
    run ! gate_git app repack --geometric=2 -d -l -n -q
    run maintain --check app
    [[ $output == *'"result":"ok"'* ]]
    run maintain --collect app
    [[ $output == *'"result":"ok"'* ]]
    run ! gate_git app cat-file -e "$junk"
    [ ! -e "$BED/state/git/app.git/gitgate/damaged" ]
    agree app refs/heads/readable "$clean"
}
