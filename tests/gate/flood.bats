#!/usr/bin/env bats
# Who sends without end what is kept in memory is stopped, whoever it is, and the others are served.

bats_require_minimum_version 1.5.0
load lib

setup_file() {
    start_bed
    new_upstream app
    write_gitgate app
    list_when_asked
    # A container's memory of 512 MiB, as the gate is told of it.
    if { [ "$(id -u)" = 0 ] && unshare --mount true; } 2>/dev/null; then
        # shellcheck disable=SC2016 # the inner shell's
        ENTER_GATE=(unshare --mount sh -c 'mount -t tmpfs tmpfs /sys/fs/cgroup && echo 536870912 >/sys/fs/cgroup/memory.max && exec "$@"' sh)
        touch "$BED/bounded"
    fi
    start_gate
}

bounded_only() {
    [ -e "$BED/bounded" ] || skip "needs root, for a container's memory"
    ! grep -qa __asan_init "$GITGATE_BIN/gitgate-gate" || skip "AddressSanitizer maps more"
}

# The gate's ssh is an upstream's whose list of refs has no end, while $BED/endless/armed is there; while
# $BED/endless/fetch is, where a list is asked for by protocol version 2, as `git fetch` does.
list_when_asked() {
    mkdir "$BED/endless"
    cat >"$BED/endless/ssh" <<-END
	#!/bin/sh
	[ ! -e "$BED/endless/armed" ] && { [ ! -e "$BED/endless/fetch" ] || [ -z "\${GIT_PROTOCOL:-}" ]; } || exec python3 -c '
	import os, sys
	def packet(data): return b"%04x" % (len(data) + 4) + data
	if sys.argv[1]: os.write(1, packet(b"version 2\n") + packet(b"ls-refs\n") + packet(b"fetch\n") + b"0000")
	line = packet(b"%040x refs/heads/" % 1 + b"x" * 20)
	while True: os.write(1, line * 1000)' "\$GIT_PROTOCOL" 2>/dev/null
	exec "$(command -v ssh)" "\$@"
	END
    chmod 755 "$BED/endless/ssh"
    export GATE_PATH=$BED/endless:$PATH
}

# push_without_end LIST : a client of receive-pack whose LIST has no end: "commands", or "options" behind a flush, or
# "delimited" behind what git takes as one; or whose pack has a million objects and one ("objects"). Prints what it is
# told.
push_without_end() {
    timeout -s KILL 60 python3 - "$GATE_PORT" "$1" <<-'END'
	import socket, sys
	def packet(data): return b"%04x" % (len(data) + 4) + data
	def command(n): return b"%040x %040x refs/heads/%d" % (0, 1, n)
	s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
	s.sendall(packet(b"git-receive-pack /app.git\0host=127.0.0.1\0"))
	answer = s.makefile("rb")
	while (n := int(answer.read(4), 16)): answer.read(n - 4)
	s.sendall(packet(command(0) + b"\0report-status side-band-64k push-options"))
	end = {"commands": b"", "options": b"0000", "delimited": b"0001", "objects": b"00000000PACK"}[sys.argv[2]]
	s.sendall(end)
	if sys.argv[2] == "objects":
	    for byte in b"\0\0\0\2" + (1000001).to_bytes(4, "big"): s.sendall(bytes([byte]))
	else:
	    for n in range(1, 200000): s.sendall(packet(b"option %d" % n if end else command(n)))
	s.shutdown(socket.SHUT_WR)
	sys.stdout.buffer.write(answer.read())
	END
}

# fetch_without_end : a client of upload-pack whose list has no end; says how it was ended
fetch_without_end() {
    timeout -s KILL 60 python3 - "$GATE_PORT" <<-'END'
	import socket, sys
	def packet(data): return b"%04x" % (len(data) + 4) + data
	s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
	s.sendall(packet(b"git-upload-pack /app.git\0host=127.0.0.1\0\0version=2\0"))
	answer = s.makefile("rb")
	while (n := int(answer.read(4), 16)): answer.read(n - 4)
	s.sendall(packet(b"command=ls-refs") + b"0001")
	try:
	    for n in range(60000): s.sendall(packet(b"ref-prefix refs/%d" % n + b"x" * 60000))
	except OSError: print("ended")
	END
}

# No process of the gate's takes a push.
nobody_receives() {
    local pid
    for pid in $(below "$(server)"); do
        [[ $(tr '\0' ' ' <"/proc/$pid/cmdline") != *"receive-pack ."* ]] || return 1
    done
}

goes_on() {
    clone app "$work"
    commit "$work" "a-$RANDOM" >/dev/null
    git -C "$work" push -q
    agree app refs/heads/main "$(git -C "$work" rev-parse HEAD)"
}

@test "commands" {
    run push_without_end commands
    [[ $output == *"too many refs or push options in one push"* ]]
    nobody_receives
    goes_on
}

@test "push options" {
    for list in options delimited; do
        run push_without_end "$list"
        [[ $output == *"too many refs or push options in one push"* ]]
        nobody_receives
    done
    goes_on
}

@test "objects" {
    run push_without_end objects
    [[ $output == *"too many objects in one push"* ]]
    nobody_receives
    goes_on
}

@test "what a fetch wants" {
    run fetch_without_end
    [ "$output" = ended ]
    [ "$(log_count '.msg == "a client that said too much before a fetch was ended"')" = 1 ]
    goes_on
}

was_ended() {
    [ "$(log_count '.msg == "a client that does not push as git does was ended"')" -ge 1 ]
}

@test "what git does not send" {
    run timeout -s KILL 30 bash -c 'exec 4<>"/dev/tcp/127.0.0.1/$GATE_PORT"
        printf "002egit-receive-pack /app.git\0host=127.0.0.1\0" >&4
        yes nothing that is a packet | head -c 100000 >&4'
    wait_for 20 was_ended
    nobody_receives
    goes_on
}

@test "a push of many refs is told by the scan how many there may be" {
    clone app "$work"
    for i in $(seq 1500); do echo "create refs/heads/many/$i HEAD"; done | git -C "$work" update-ref --stdin
    run git -C "$work" push origin 'refs/heads/many/*'
    echo "$output" | cut -c 1-300 | head -20
    [ "$status" -ne 0 ]
    [[ $output == *"more than 1000 refs in one push"* ]]
}

@test "git shows what a push of far too many refs is told" {
    clone app "$work"
    long=$(printf '%0200d/%0200d/%0200d/%0200d' 0 0 0 0)
    for i in $(seq 3500); do echo "create refs/heads/many/$long/$i HEAD"; done | git -C "$work" update-ref --stdin
    run git -C "$work" push origin 'refs/heads/many/*'
    echo "$output" | cut -c 1-300 | head -20
    [ "$status" -ne 0 ]
    [[ $output == *"too many refs or push options in one push"* ]]
    rm -rf "$work"
    goes_on
}

@test "an upstream that lists refs without end is told from one that is down" {
    ssh_only
    mkdir "$BED/endless/armed"
    run timeout -s KILL 90 git ls-remote "$(gate_url app.git)"
    rmdir "$BED/endless/armed"
    [ "$status" -ne 0 ]
    [[ $output == *"127.0.0.1 lists more than 64 MiB of refs"* ]]
    goes_on
}

@test "an upstream that lists refs without end to git fetch alone is told, too" {
    ssh_only
    bounded_only
    commit_upstream app other >/dev/null
    mkdir "$BED/endless/fetch"
    run timeout -s KILL 90 git ls-remote "$(gate_url app.git)"
    rmdir "$BED/endless/fetch"
    [ "$status" -ne 0 ]
    [[ $output == *"more memory than the gate has"* ]]
    goes_on
}

# push_deltas N : a pack of N objects in as many deltas, the last one first, each of which unpacks to 16 MiB
push_deltas() {
    timeout -s KILL 60 python3 - "$GATE_PORT" "$1" <<-'END'
	import hashlib, socket, struct, sys, zlib
	MiB = 1 << 20
	def packet(data): return b"%04x" % (len(data) + 4) + data
	def number(n): return bytes([n & 0x7f | 0x80]) + number(n >> 7) if n >= 0x80 else bytes([n])
	def head(kind, n): return bytes([kind << 4 | n & 15 | 0x80]) + number(n >> 4)
	base = bytes(range(256)) * (MiB // 256)
	objects = [head(3, MiB) + zlib.compress(base)]
	known, size = hashlib.sha1(b"blob %d\0" % MiB + base), MiB
	for i in range(int(sys.argv[2])):
	    name = b"%08d" % i
	    copy = (b"\xc0\x10" if i == 0 else b"\xc1\x08\x10") * 15  # 1 MiB, behind the name
	    delta = number(size) + number(8 + 15 * MiB) + b"\x08" + name + copy
	    objects.insert(0, head(7, len(delta)) + known.digest() + zlib.compress(delta))
	    size = 8 + 15 * MiB
	    known = hashlib.sha1(b"blob %d\0" % size + name + base * 15)
	pack = b"PACK" + struct.pack(">II", 2, len(objects)) + b"".join(objects)
	s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
	s.sendall(packet(b"git-receive-pack /app.git\0host=127.0.0.1\0"))
	answer, refs = s.makefile("rb"), {}
	while (n := int(answer.read(4), 16)): refs.setdefault(*reversed(answer.read(n - 4).split(b"\0")[0].split()))
	command = b"0" * 40 + b" " + refs[b"refs/heads/main"] + b" refs/heads/deltas\0report-status"
	s.sendall(packet(command) + b"0000" + pack + hashlib.sha1(pack).digest())
	s.shutdown(socket.SHUT_WR)
	sys.stdout.buffer.write(answer.read())
	END
}

# unpack-objects has each in memory until the last one is written: that many gigabytes, by a few kilobytes.
@test "a few kilobytes that unpack to more than a container has" {
    bounded_only
    run push_deltas 3
    [[ $output == *"ok refs/heads/deltas"* ]]
    up app update-ref -d refs/heads/deltas
    run push_deltas 60
    echo "$output"
    [[ $output == *"unpack unpack-objects abnormal exit"* ]]
    agree app refs/heads/deltas ""
    goes_on
}
