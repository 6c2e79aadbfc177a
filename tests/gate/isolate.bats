#!/usr/bin/env bats
# The network split holds in a real kernel: who may reach what, by user.
#
# Two network namespaces of this test: the pod, and the world behind a veth pair.

bats_require_minimum_version 1.5.0

user=9418 group=1234567890
gate=$user:$group
agent=64943

setup_file() {
    [ "$(id -u)" = 0 ] || skip "needs root"
    command -v nft >/dev/null && command -v socat >/dev/null || skip "needs nft and socat"
    PATH=$GITGATE_BIN:$PATH
    BED=$(mktemp -d /tmp/gitgate-test.XXXXXX)
    pod=ggpod-$$ world=ggworld-$$
    export BED PATH pod world
    ip netns add "$pod"
    ip netns add "$world"
    ip -n "$pod" link add eth0 type veth peer name eth0 netns "$world"
    for ns in "$pod" "$world"; do
        ip -n "$ns" link set lo up
        ip -n "$ns" link set eth0 up
    done
    ip -n "$pod" addr add 10.9.0.2/24 dev eth0
    ip -n "$pod" addr add fd09::2/64 dev eth0 nodad
    ip -n "$pod" route add default via 10.9.0.1
    ip -n "$pod" route add default via fd09::1
    for address in 10.9.0.1/24 10.8.0.1/32 10.8.0.53/32 169.254.169.254/32 100.100.100.200/32 168.63.129.16/32; do
        ip -n "$world" addr add "$address" dev eth0
    done
    for address in fd09::1/64 fd00:ec2::254/128 fd08::1/128 64:ff9b::a9fe:a9fe/128 64:ff9b::cb00:7109/128; do
        ip -n "$world" addr add "$address" dev eth0 nodad
    done
    for port in 22 53 80 443; do
        ip netns exec "$world" socat "TCP6-LISTEN:$port,ipv6only=0,fork,reuseaddr" SYSTEM:'echo reached' 3>&- &
        echo $! >>"$BED/pids"
    done
    ip netns exec "$pod" socat TCP-LISTEN:9418,bind=127.0.0.1,fork,reuseaddr SYSTEM:'echo reached' 3>&- &
    echo $! >>"$BED/pids"
    printf 'nameserver 10.8.0.53\n' >"$BED/resolv.conf"
    for port in 22 53 80 443; do
        listens "$world" $port
    done
    listens "$pod" 9418
}

# listens NAMESPACE PORT : waits until somebody does
listens() {
    timeout 60 bash -c 'until ip netns exec "$0" ss -Hltn "sport = :$1" | grep -q .; do sleep 0.05; done' "$1" "$2"
}

teardown_file() {
    [ -n "${BED:-}" ] || return 0
    # shellcheck disable=SC2046 # a list
    kill $(cat "$BED/pids") || true
    ip netns del "$pod"
    ip netns del "$world"
    rm -rf "$BED"
}

# unisolate : the pod without the split, whether it had one or not
unisolate() {
    ip netns exec "$pod" nft 'add table inet gitgate; delete table inet gitgate'
}

# isolate JQ-PATCH : the split for a GitGate with this network
isolate() {
    jq -n '{apiVersion: "gitgate.dev/v1alpha1", kind: "GitGate", metadata: {name: "gate"}, spec: {upstreams: [
        {name: "app", url: "https://git.example.com/app"}]}}' | jq "$1" >"$BED/gate.json"
    ip netns exec "$pod" unshare --mount sh -c '
        mount --bind "$1/resolv.conf" "$(readlink -f /etc/resolv.conf)" && GITGATE_CONFIG_DIR=$1 exec gitgate-gate isolate --group "$2"' \
        sh "$BED" "$group"
}

# calls UID[:GID[:GROUPS]] ADDRESS PORT : prints what the server there says
calls() {
    local uid gid groups
    IFS=: read -r uid gid groups <<<"$1"
    ip netns exec "$pod" setpriv --reuid "$uid" --regid "${gid:-$uid}" --groups "${groups:-65533}" \
        timeout 60 socat -u "TCP:$2:$3" STDOUT
}

# reaches UID[:GID[:GROUPS]] ADDRESS PORT
reaches() {
    [ "$(calls "$@" 2>/dev/null)" = reached ]
}

@test "before the split everybody reaches everything" {
    unisolate
    for address in 10.8.0.1 10.9.0.1 169.254.169.254 100.100.100.200 168.63.129.16 '[fd08::1]' '[fd00:ec2::254]' '[64:ff9b::a9fe:a9fe]'; do
        reaches $agent "$address" 443
    done
}

@test "after it only the gate gets out, and everybody reaches the gate" {
    isolate .
    for address in 10.8.0.1 10.9.0.1 '[fd08::1]' '[fd09::1]'; do
        reaches $gate "$address" 22
        run ! reaches $agent "$address" 22
        run ! reaches 0 "$address" 22
    done
    reaches $agent 127.0.0.1 9418
    reaches 0 127.0.0.1 9418
}

@test "the gate's user in another group does not get out, nor its group with another user" {
    isolate .
    for who in $user $user:0 $user:1 "$user:$((group + 1))" $agent:$group 0:$group; do
        run ! reaches "$who" 10.8.0.1 22
        run ! reaches "$who" '[fd08::1]' 22
        run ! reaches "$who" 10.8.0.53 53
    done
    reaches $gate 10.8.0.1 22
}

@test "to be in the gate's group beside another is not to be the gate" {
    isolate .
    run ! reaches "$user:$user:$group" 10.8.0.1 22
    run ! reaches "$user:0:$user,$group" 10.8.0.1 22
}

@test "no agent gets into the gate's group: neither with another primary group nor by a setgid file" {
    local as=(ip netns exec "$pod" setpriv --reuid $user --regid $user --groups $group --bounding-set=-setgid,-setuid
        --inh-caps=-all --no-new-privs)
    isolate .
    cp "$(command -v socat)" "$BED/setgid"
    chgrp $group "$BED/setgid"
    chmod 2755 "$BED/setgid"
    chmod 755 "$BED"
    run ! "${as[@]}" timeout 60 "$BED/setgid" -u TCP:10.8.0.1:22 STDOUT
    run ! "${as[@]}" setpriv --regid $group --keep-groups true
    findmnt -no OPTIONS -T "$BED" | grep -q nosuid && return # no setgid there anyway
    # Without no_new_privs that file is a way: so the webhook sets allowPrivilegeEscalation: false.
    [ "$(ip netns exec "$pod" setpriv --reuid $user --regid $user --clear-groups \
        timeout 60 "$BED/setgid" -u TCP:10.8.0.1:22 STDOUT)" = reached ]
}

@test "without a group, or with one that is none, nothing is installed and the pod gets an error" {
    isolate .
    for arguments in '' '--group' '--group 0' '--group -1' '--group 4294967296' '--group 1x' '--groups 5'; do
        # shellcheck disable=SC2086 # a list
        run -2 ip netns exec "$pod" env GITGATE_CONFIG_DIR="$BED" gitgate-gate isolate $arguments
    done
    reaches $gate 10.8.0.1 22 # the one before stays
}

@test "nobody reaches the metadata service, not the gate either" {
    isolate '.spec.network.agentEgress.to = [{cidr: "0.0.0.0/0"}, {cidr: "::/0"}]'
    for who in $gate $agent 0; do
        run ! reaches $who 169.254.169.254 80
        run ! reaches $who 100.100.100.200 80
        run ! reaches $who 168.63.129.16 80
        run ! reaches $who '[fd00:ec2::254]' 80
        run ! reaches $who '[64:ff9b::169.254.169.254]' 80 # as NAT64 is asked for it
    done
    reaches $agent 10.8.0.1 80
    reaches $agent '[fd08::1]' 80
    reaches $agent '[64:ff9b::203.0.113.9]' 80
}

@test "agents reach what agentEgress names, at those ports" {
    isolate '.spec.network.agentEgress.to = [{cidr: "10.8.0.0/16", ports: [{port: 443}]}, {cidr: "fd08::/16", ports: [{port: 50, endPort: 80}]}]'
    reaches $agent 10.8.0.1 443
    run ! reaches $agent 10.8.0.1 80
    run ! reaches $agent 10.9.0.1 443
    reaches $agent '[fd08::1]' 80
    run ! reaches $agent '[fd08::1]' 443
}

@test "DNS is for the pod's own name servers, and only where agents may" {
    isolate .
    run ! reaches $agent 10.8.0.53 53
    reaches $gate 10.8.0.53 53
    isolate '.spec.network.agentEgress.dns = true'
    reaches $agent 10.8.0.53 53
    run ! reaches $agent 10.8.0.53 443
    run ! reaches $agent 10.8.0.1 53 # another server would be a way out
}

@test "agents can't send datagrams or pings either" {
    isolate .
    run ! ip netns exec "$pod" setpriv --reuid $agent --regid $agent --clear-groups \
        sh -c 'echo x | socat -T 1 - UDP:10.8.0.1:53'
    run ! ip netns exec "$pod" setpriv --reuid $agent --regid $agent --clear-groups ping -c 1 -W 1 10.8.0.1
}

# received TEXT : waits until it has come to the world
received() {
    timeout 60 bash -c 'until grep -q "$1" "$0"; do sleep 0.05; done' "$BED/received" "$1"
}

# asks UID GID PORT : a datagram to the name server from that port, and what comes back
asks() {
    ip netns exec "$pod" setpriv --reuid "$1" --regid "$2" --clear-groups --bounding-set=-all --inh-caps=-all --no-new-privs /usr/bin/python3 -c '
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(60)
s.bind(("10.9.0.2", int(sys.argv[1])))
try:
    s.sendto(b"name\n", ("10.8.0.53", 53))
    print(s.recv(100).decode())
except OSError as e:
    sys.exit(str(e))' "$3"
}

@test "agents can't go on with what the gate began: its port, once it is free, is no way out" {
    ip netns exec "$world" socat -T 1 UDP4-RECVFROM:53,bind=10.8.0.53,fork SYSTEM:'cat; echo answered' 3>&- &
    echo $! >>"$BED/pids"
    timeout 60 bash -c 'until ip netns exec "$0" ss -Hlun "sport = :53" | grep -q .; do sleep 0.05; done' "$world"
    isolate .
    [[ $(asks $user $group 40000) == *name* ]]
    run ! asks $agent $agent 40000
    [[ $output == *"Operation not permitted"* ]]
    [[ $(asks $user $group 40000) == *name* ]]
}

# replies TEXT : an agent's datagrams, one to the pod that says it is from without, and one back there
replies() {
    ip netns exec "$pod" setpriv --reuid $agent --regid $agent --clear-groups --bounding-set=-all --inh-caps=-all --no-new-privs \
        /usr/bin/python3 -c '
import socket, sys
IPV6_FREEBIND = 78
outside = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
outside.setsockopt(socket.IPPROTO_IPV6, IPV6_FREEBIND, 1)
outside.bind(("fd08::1", 5001))
agent = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
agent.bind(("fd09::2", 6000))
outside.sendto(b"hello", ("fd09::2", 6000))
assert agent.recv(100) == b"hello"
agent.sendto(sys.argv[1].encode() + b"\n", ("fd08::1", 5001))' "$1"
}

@test "agents can't reply to what they say has come from outside" {
    ip netns exec "$world" socat -u UDP6-RECV:5001 "OPEN:$BED/received,creat,append" 3>&- &
    echo $! >>"$BED/pids"
    timeout 60 bash -c 'until ip netns exec "$0" ss -Hlun "sport = :5001" | grep -q .; do sleep 0.05; done' "$world"
    unisolate
    replies openly
    received openly
    isolate .
    run ! replies hidden
    [[ $output == *"Operation not permitted"* || $output == *"Permission denied"* ]]
}

@test "who comes to an agent's server, as the kubelet's probes do, is answered" {
    isolate .
    ip netns exec "$pod" setpriv --reuid $agent --regid $agent --clear-groups \
        socat TCP6-LISTEN:8080,ipv6only=0,fork,reuseaddr SYSTEM:'echo reached' 3>&- &
    echo $! >>"$BED/pids"
    listens "$pod" 8080
    for address in 10.9.0.2 '[fd09::2]'; do
        [ "$(ip netns exec "$world" timeout 60 socat -u "TCP:$address:8080" STDOUT)" = reached ]
    done
}

@test "what the gate has sent arrives, also when its process has ended" {
    isolate .
    ip netns exec "$world" /usr/bin/python3 -c '
import os, socket, sys, time
server = socket.create_server(("10.8.0.1", 7000))
client = server.accept()[0]
while not os.path.exists(sys.argv[1] + "/ended"):
    time.sleep(0.01)
open(sys.argv[1] + "/got", "w").write(str(sum(iter(lambda: len(client.recv(65536)), 0))))
os.rename(sys.argv[1] + "/got", sys.argv[1] + "/all")' "$BED" 3>&- &
    echo $! >>"$BED/pids"
    listens "$world" 7000
    ip netns exec "$pod" setpriv --reuid $user --regid $group --clear-groups /usr/bin/python3 -c '
import socket
s = socket.create_connection(("10.8.0.1", 7000))
s.setblocking(False)
sent = 0
try:
    while sent < 10000000:
        sent += s.send(bytes(65536))
except BlockingIOError:
    pass
print(sent)' >"$BED/sent"
    touch "$BED/ended"
    timeout 60 bash -c 'until [ -e "$0/all" ]; do sleep 0.05; done' "$BED"
    [ "$(cat "$BED/all")" = "$(cat "$BED/sent")" ]
}

# around TEXT : an agent's datagram to the pod itself, with a routing header that has the kernel send it on (RFC 8754)
around() {
    ip netns exec "$pod" setpriv --bounding-set=-all --inh-caps=-all --no-new-privs python3 -c '
import socket, sys
address = lambda text: socket.inet_pton(socket.AF_INET6, text)
agent = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
agent.bind(("fd09::2", 0))
agent.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RTHDR, bytes([17, 4, 4, 1, 1, 0, 0, 0]) + address("fd08::1") + address("fd09::2"))
agent.sendto(sys.argv[1].encode() + b"\n", ("fd08::1", 5000))' "$1"
}

# forwarding 0|1 : as a pod may be given it by sysctls
forwarding() {
    ip netns exec "$pod" sysctl -qw "net.ipv6.conf.all.forwarding=$1" "net.ipv6.conf.all.seg6_enabled=$1" "net.ipv6.conf.lo.seg6_enabled=$1"
}

@test "agents can't have the kernel send on what they send to the pod" {
    [ -e /proc/sys/net/ipv6/conf/all/seg6_enabled ] || skip "needs a kernel with segment routing"
    ip netns exec "$world" sysctl -qw net.ipv6.conf.all.seg6_enabled=1 net.ipv6.conf.eth0.seg6_enabled=1
    ip netns exec "$world" socat -u UDP6-RECV:5000 "OPEN:$BED/received,creat,append" 3>&- &
    echo $! >>"$BED/pids"
    timeout 60 bash -c 'until ip netns exec "$0" ss -Hlun "sport = :5000" | grep -q .; do sleep 0.05; done' "$world"
    forwarding 1
    unisolate
    around before
    received before
    isolate .
    around after
    echo mark | ip netns exec "$pod" setpriv --reuid $user --regid $group --clear-groups socat -u - 'UDP6:[fd08::1]:5000'
    received mark
    forwarding 0
    run ! grep -q after "$BED/received"
}

@test "who is refused is told at once" {
    isolate .
    run -1 calls $agent 10.8.0.1 443
    [[ $output == *"No route to host"* ]] # that it was told; else it would time out
}

@test "installing it again replaces it" {
    isolate '.spec.network.agentEgress.to = [{cidr: "10.8.0.0/16"}]'
    isolate .
    run ! reaches $agent 10.8.0.1 443
    [ "$(ip netns exec "$pod" nft list tables | grep -c 'inet gitgate')" = 1 ]
}

@test "a configuration that can't be read leaves the pod with an error, not open" {
    echo '{' >"$BED/gate.json"
    run ip netns exec "$pod" env GITGATE_CONFIG_DIR="$BED" gitgate-gate isolate --group $group
    [ "$status" -eq 1 ]
}

@test "loopback acknowledges at once" {
    isolate .
    ip netns exec "$pod" ip route show table local | grep 'local 127.0.0.1 .*quickack 1'
}
