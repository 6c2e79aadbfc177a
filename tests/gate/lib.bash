# shellcheck shell=bash
# Sourced by the tests of the gate: a git server behind sshd, or behind nginx when GITGATE_UPSTREAMS is
# "https" (see https.bash), a gate in front of it, clients.
#
#   setup_file() { start_bed; }        one server and one gate a file, which end with it; $work is each
#                                      test's own folder, that it makes
#
# Everything lies below $BED and on free ports of loopback. As root the server's user "git" exists in
# a mount namespace of the server alone; as somebody else it is the caller.

# shellcheck disable=SC2154 # set by ctest
bin=$GITGATE_BIN
PATH=$bin:$PATH
upstreams=${GITGATE_UPSTREAMS:-ssh}

. "$GITGATE_SOURCE/tests/gate/https.bash"

# ssh_only : skips a test of what an https upstream hasn't got
ssh_only() {
    [ "$upstreams" = ssh ] || skip "of ssh alone"
}

# Where the upstream's server is; a benchmark puts it into a network namespace of its own.
SSH_HOST=${SSH_HOST:-127.0.0.1}
ENTER_SERVER=()
# What the gate is started by, where a test has it in namespaces of its own.
ENTER_GATE=()

# Below the range that the kernel hands out by itself, and each port once: who asked for the one before may not listen yet.
free_port() {
    local port
    mkdir -p "$BED/ports-given"
    while port=$((SRANDOM % 20000 + 10000)); do
        (exec 4<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || ! mkdir "$BED/ports-given/$port" 2>/dev/null || break
    done
    echo "$port"
}

# wait_for SECONDS COMMAND... : until it succeeds
wait_for() {
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $end ] || { echo "not within time: $*" >&2; return 1; }
        sleep 0.05
    done
}

# end PID-FILE : ends that process and waits until it is gone (another shell may have started it)
end() {
    local pid
    [ -e "$1" ] || return 0
    pid=$(cat "$1")
    rm "$1"
    kill "$pid" 2>/dev/null || return 0
    wait_for 20 gone "$pid"
}

gone() {
    [ ! -e "/proc/$1" ] || [ "$(cut -d' ' -f3 "/proc/$1/stat")" = Z ]
}

# ---- the upstream's server

# A user database with a git user in it, seen by nobody but this sshd.
write_users() {
    { cat /etc/passwd; echo "git:x:64942:64942::$BED/srv:/usr/bin/git-shell"; } >"$BED/sshd/passwd"
    { cat /etc/group; echo "git:x:64942:"; } >"$BED/sshd/group"
    { cat /etc/shadow; echo "git:*:19000::::::"; } >"$BED/sshd/shadow"
    chmod 600 "$BED/sshd/shadow"
}

write_sshd_config() {
    cat >"$BED/sshd/config" <<-END
	Port $SSH_PORT
	ListenAddress $SSH_HOST
	HostKey $BED/sshd/host_key
	PidFile none
	AuthorizedKeysFile $BED/sshd/authorized_keys
	StrictModes no
	PasswordAuthentication no
	KbdInteractiveAuthentication no
	UsePAM no
	MaxStartups 500
	LogLevel VERBOSE
	AllowUsers $SSH_USER
	END
}

start_sshd() {
    if [ "$(id -u)" = 0 ]; then
        # shellcheck disable=SC2016 # the inner shell's
        setsid "${ENTER_SERVER[@]}" unshare --mount sh -c '
            cd "$1/sshd" && mount --bind passwd /etc/passwd && mount --bind group /etc/group &&
            mount --bind shadow /etc/shadow && mount -t tmpfs tmpfs /run && mkdir /run/sshd &&
            exec /usr/sbin/sshd -D -e -f config' sh "$BED" 2>>"$BED/sshd/log" 3>&- &
    else
        setsid /usr/sbin/sshd -D -e -f "$BED/sshd/config" 2>>"$BED/sshd/log" 3>&- &
    fi
    echo $! >"$BED/sshd.pid"
    wait_for 10 bash -c "exec 4<>/dev/tcp/$SSH_HOST/$SSH_PORT"
}

# With the sessions that it serves, each of which is a session of its own.
stop_sshd() {
    local sessions
    [ -e "$BED/sshd.pid" ] || return 0
    sessions=$(pgrep -P "$(cat "$BED/sshd.pid")" || true)
    end "$BED/sshd.pid"
    # shellcheck disable=SC2086 # a list
    [ -z "$sessions" ] || kill $sessions 2>/dev/null || true
}

make_ssh_server() {
    mkdir -p "$BED/sshd" "$BED/srv"
    SSH_PORT=$(free_port)
    SSH_USER=$(id -un)
    if [ "$(id -u)" = 0 ]; then
        SSH_USER=git
        write_users
    fi
    ssh-keygen -q -t ed25519 -N '' -C host -f "$BED/sshd/host_key"
    ssh-keygen -q -t ed25519 -N '' -C gate -f "$BED/key"
    cp "$BED/key.pub" "$BED/sshd/authorized_keys"
    chmod 644 "$BED/sshd/authorized_keys"
    write_sshd_config
    start_sshd
    export SSH_HOST SSH_PORT SSH_USER
}

# ---- either server

make_server() {
    case $upstreams in
    ssh) make_ssh_server ;;
    https) make_https_server ;;
    esac
}

start_server() {
    case $upstreams in
    ssh) [ -e "$BED/sshd.pid" ] || start_sshd ;;
    https) [ -e "$BED/nginx.pid" ] || start_nginx ;;
    esac
}

stop_server() {
    stop_sshd
    stop_nginx
}

# server_secrets : what nobody but server and gate may see, a line each
server_secrets() {
    case $upstreams in
    ssh) sed -n 3p "$BED/key" ;; # of the key's body
    https) printf '%s\n' "$PASSWORD" "$(printf 'agent:%s' "$PASSWORD" | base64 -w0)" ;;
    esac
}

# upstream_url NAME : of the repository that new_upstream made
upstream_url() {
    case $upstreams in
    ssh) echo "ssh://$SSH_USER@$SSH_HOST:$SSH_PORT$BED/srv/$1.git" ;;
    https) echo "https://127.0.0.1:$HTTPS_PORT$BED/srv/$1.git" ;;
    esac
}

# The repository at the server, for its own git (as the server's user: it does not trust others').
up() {
    local repo=$1
    shift
    if [ "$(id -u)" = 0 ]; then
        setpriv --reuid 64942 --regid 64942 --clear-groups env HOME=/nonexistent git -C "$BED/srv/$repo.git" "$@"
    else
        git -C "$BED/srv/$repo.git" "$@"
    fi
}

# new_upstream NAME : an upstream with a commit on main, at ~/NAME.git of the server
new_upstream() {
    local seed=$BED/seed-$1
    git init -q -b main "$seed"
    echo "an application" >"$seed/README"
    git -C "$seed" add README
    git -C "$seed" commit -qm "Begin"
    git clone -q --bare "$seed" "$BED/srv/$1.git"
    own "$1"
}

# make_strict NAME : the upstream refuses, ref by ref, branches whose name begins with "no"
make_strict() {
    printf '#!/bin/sh\ncase $1 in refs/heads/no*) echo "not this one"; exit 1;; esac\n' >"$BED/srv/$1.git/hooks/update"
    chmod 755 "$BED/srv/$1.git/hooks/update"
}

# maintain ARGS... REPO : the gate's upkeep of a mirror, as serve has it done
maintain() {
    local repo=${!#}
    GITGATE_CONFIG_DIR=$BED/state/config GITGATE_CREDS_DIR=$BED/state/creds GITGATE_REPOS_DIR=$BED/state/git \
        gitgate-gate maintain "${@:1:$#-1}" "$BED/state/git/$repo.git"
}

empty_upstream() {
    git init -q --bare -b main "$BED/srv/$1.git"
    own "$1"
}

own() {
    git -C "$BED/srv/$1.git" config receive.denyDeleteCurrent ignore
    git -C "$BED/srv/$1.git" config receive.advertisePushOptions true
    [ "$(id -u)" != 0 ] || chown -R 64942:64942 "$BED/srv/$1.git"
}

# commit_upstream REPO BRANCH [FILE] : somebody else pushes; prints the commit
commit_upstream() {
    local work=$BED/other-$1 file=${3:-other}
    [ -d "$work" ] || git clone -q "$BED/srv/$1.git" "$work"
    git -C "$work" fetch -q origin
    git -C "$work" checkout -q -B "$2" "origin/$2" 2>/dev/null || git -C "$work" checkout -q -B "$2"
    echo "$RANDOM$RANDOM" >>"$work/$file"
    git -C "$work" add -A
    git -C "$work" commit -qm "Somebody else's"
    git -C "$work" push -q -f "$BED/srv/$1.git" "HEAD:refs/heads/$2"
    [ "$(id -u)" != 0 ] || chown -R 64942:64942 "$BED/srv/$1.git"
    git -C "$work" rev-parse HEAD
}

# ---- the gate

# write_gitgate NAME... [-- PATCH] : a GitGate with these upstreams, PATCH (jq) applied to it
write_gitgate() {
    local name patch=. list=()
    while [ $# -gt 0 ] && [ "$1" != -- ]; do
        list+=("$1")
        shift
    done
    [ $# -lt 2 ] || patch=$2
    for name in "${list[@]}"; do
        "${upstreams}_entry" "$name"
    done | jq -s '{apiVersion: "gitgate.dev/v1alpha1", kind: "GitGate", metadata: {name: "gate"},
        spec: {upstreams: .}}' | jq "$patch" >"$BED/gate.json"
    {
        cat "$BED/gate.json"
        "${upstreams}_sources"
    } >"$BED/gitgate.yaml"
}

ssh_entry() {
    jq -n --arg name "$1" --arg url "$(upstream_url "$1")" --arg key "$(cut -d' ' -f1,2 "$BED/sshd/host_key.pub")" \
        '{name: $name, url: $url, ssh: {secretRef: {name: "key"}, knownHostKeys: [$key]}}'
}

https_entry() {
    jq -n --arg name "$1" --arg url "$(upstream_url "$1")" \
        '{name: $name, url: $url, http: {secretRef: {name: "login"}, caBundle: {configMapRef: {name: "ca", key: "ca.crt"}}}}'
}

# source_secret NAME TYPE KEY FILE : a Secret with the file's content
source_secret() {
    echo ---
    jq -n --arg name "$1" --arg type "$2" --arg key "$3" --rawfile value "$4" \
        '{apiVersion: "v1", kind: "Secret", metadata: {name: $name}, type: $type, stringData: {($key): $value}}'
}

ssh_sources() {
    source_secret key kubernetes.io/ssh-auth ssh-privatekey "$BED/key"
}

https_sources() {
    echo ---
    jq -n --arg password "$PASSWORD" '{apiVersion: "v1", kind: "Secret", metadata: {name: "login"},
        type: "kubernetes.io/basic-auth", stringData: {username: "agent", password: $password}}'
    source_secret token Opaque token <(printf '%s' "$TOKEN")
    echo ---
    jq -n --rawfile ca "$BED/ca/ours.crt" --rawfile other "$BED/ca/other.crt" '{apiVersion: "v1", kind: "ConfigMap",
        metadata: {name: "ca"}, data: {"ca.crt": $ca, "other.crt": $other}}'
}

start_gate() {
    export GATE_PORT=${GATE_PORT:-$(free_port)}
    # shellcheck disable=SC2086 # a list
    PATH=${GATE_PATH:-$PATH} setsid "${ENTER_GATE[@]}" gitgate run -f "$BED/gitgate.yaml" --listen "127.0.0.1:$GATE_PORT" --state-dir "$BED/state" ${GATE_ARGS:-} \
        >>"$BED/gate.log" 2>>"$BED/gate.err" 3>&- &
    echo $! >"$BED/gate.pid"
    GITGATE_LISTEN="127.0.0.1:$GATE_PORT" timeout 20 gitgate-gate probe --wait || { cat "$BED/gate.err" >&2; return 1; }
}

stop_gate() {
    end "$BED/gate.pid"
}

# The gate itself, below the `gitgate run` that watches over it.
server() {
    pgrep -P "$(cat "$BED/gate.pid")" -x gitgate-gate
}

# below PID : it, and all processes below it
below() {
    local child
    echo "$1"
    for child in $(pgrep -P "$1"); do below "$child"; done
}

gate_url() {
    echo "git://127.0.0.1:$GATE_PORT/$1"
}

# hold_lock REPO : no refresh and no forward of the repository goes on until release_lock
hold_lock() {
    LOCK=$BED/state/git/$1.git/gitgate/lock
    exec 5>>"$LOCK"
    flock 5
}

lock_is_waited_for() {
    [ "$(lock_waiters)" -ge "${1:-1}" ]
}

lock_waiters() {
    grep -c -- "-> FLOCK .*:$(stat -c %i "$LOCK") " /proc/locks || true
}

# metrics_on_free_port : the next gate has them; for clients_are
metrics_on_free_port() {
    METRICS_PORT=$(free_port)
    export METRICS_PORT GATE_ARGS="--metrics 127.0.0.1:$METRICS_PORT"
}

# clients_are N : that many have said what they want, and are not through with it. (One of a repository is let
# through at a time, and where that takes long, one more now and then.)
clients_are() {
    [ "$(curl -s --max-time 10 "http://127.0.0.1:$METRICS_PORT/metrics" |
        awk '$1 == "gitgate_gate_waiting" || $1 == "gitgate_gate_connections" {n += $2} END {print n + 0}')" = "$1" ]
}

# Lets those that wait go on, and takes the lock again behind them, before anybody comes after. In one process:
# by the time that flock(1) had started, the next one might have come and gone.
pass_lock() {
    wait_for 60 lock_is_waited_for
    python3 - "$(stat -c %i "$LOCK")" <<-'END'
	import fcntl, sys, time
	def waiting():
	    with open("/proc/locks") as locks:
	        lines = [line.split() for line in locks if "-> FLOCK" in line]
	    return {line[5] for line in lines if line[6].endswith(":" + sys.argv[1])}
	passed = waiting()
	while passed & waiting():
	    fcntl.flock(5, fcntl.LOCK_UN)
	    time.sleep(0.005)
	    fcntl.flock(5, fcntl.LOCK_EX)
	END
}

release_lock() {
    flock -u 5
    exec 5>&-
}

# slow_hook HOOK VERB : the gate's hook waits before it does its work, until let_hook_go
slow_hook() {
    cp "$BED/state/config/$1" "$BATS_TEST_TMPDIR/keep"
    cat >"$BED/state/config/$1.new" <<-END
	#!/bin/sh
	touch $BATS_TEST_TMPDIR/waiting
	until [ -e $BATS_TEST_TMPDIR/go-on ]; do sleep 0.1; done
	exec gitgate-gate $2
	END
    chmod 700 "$BED/state/config/$1.new"
    mv "$BED/state/config/$1.new" "$BED/state/config/$1"
}

quick_hook() {
    cp "$BATS_TEST_TMPDIR/keep" "$BED/state/config/$1"
}

hook_waits() {
    wait_for 60 test -e "$BATS_TEST_TMPDIR/waiting"
}

let_hook_go() {
    touch "$BATS_TEST_TMPDIR/go-on"
}

# outrun REPO BRANCH [-f] REFSPEC : a push from $work waits before it is forwarded; meanwhile somebody
# else pushes $theirs to the branch. The push is refused for that.
outrun() {
    local push result=0 option=()
    [[ $3 != -* ]] || option=("$3")
    slow_hook proc-receive forward
    git -C "$work" push "${option[@]}" origin "${!#}" >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
    push=$!
    hook_waits
    # shellcheck disable=SC2034 # the test's
    theirs=$(commit_upstream "$1" "$2" outrunning)
    let_hook_go
    wait "$push" || result=$?
    quick_hook proc-receive
    cat "$BATS_TEST_TMPDIR/out"
    [ "$result" -ne 0 ]
    grep -q "moved meanwhile" "$BATS_TEST_TMPDIR/out"
}

# The gate's own repository, looked at with no regard to who asks.
gate_git() {
    local repo=$1
    shift
    git -C "$BED/state/git/$repo.git" "$@"
}

# log_count JQ-FILTER : how many of the gate's lines it selects
log_count() {
    jq -c "select($1)" "$BED/gate.log" | wc -l
}

# ---- servers that don't answer

# A server that takes a connection and says nothing, and one that takes none: its queue is full, and
# what comes beyond is dropped as on a network that swallows packets.
start_listeners() {
    python3 - "$BED/ports" 3>&- <<-'END' &
	import os, socket, sys, time
	def listen(backlog):
	    s = socket.socket()
	    s.bind(("127.0.0.1", 0))
	    s.listen(backlog)
	    return s
	silent, full, clients = listen(50), listen(0), []
	for _ in range(3):
	    client = socket.socket()
	    client.setblocking(False)
	    client.connect_ex(full.getsockname())
	    clients.append(client)
	with open(sys.argv[1] + ".new", "w") as f:
	    print(silent.getsockname()[1], full.getsockname()[1], file=f)
	os.rename(sys.argv[1] + ".new", sys.argv[1])
	while True:
	    time.sleep(3600)
	END
    echo $! >"$BED/listeners.pid"
    wait_for 10 test -e "$BED/ports"
    read -r SILENT_PORT FULL_PORT <"$BED/ports"
    export SILENT_PORT FULL_PORT
}

# ---- the bed

make_bed() {
    BED=$(mktemp -d /tmp/gitgate-test.XXXXXX)
    chmod 755 "$BED"
    PATH=$("$GITGATE_SOURCE/tests/cluster/tools" gitleaks):$PATH
    export HOME=$BED/home GIT_CONFIG_NOSYSTEM=1
    mkdir "$HOME"
    git config --global user.name "An Agent"
    git config --global user.email agent@example.com
    git config --global init.defaultBranch main
    git config --global safe.directory '*'
    git config --global protocol.version 2
    export BED PATH
}

start_bed() {
    make_bed
    make_server
}

stop_bed() {
    [ -n "${BED:-}" ] || return 0
    stop_gate
    stop_server
    end "$BED/listeners.pid"
    wait_for 60 rm -rf "$BED" # a session's git may write to it to the last
}

# What a test file does unless it says otherwise itself.
teardown_file() {
    stop_bed
}

setup() {
    # shellcheck disable=SC2034 # the tests'
    work=$BATS_TEST_TMPDIR/work
}

# ---- clients

# clone REPO DIR [ARGS...] : through the gate
clone() {
    local repo=$1 dir=$2
    shift 2
    git clone -q "$@" "$(gate_url "$repo.git")" "$dir"
}

# commit DIR FILE [TEXT] : prints the commit
commit() {
    mkdir -p "$(dirname "$1/$2")"
    printf '%s\n' "${3:-line $RANDOM$RANDOM}" >>"$1/$2"
    git -C "$1" add -A
    git -C "$1" commit -qm "Change $(basename "$2")"
    git -C "$1" rev-parse HEAD
}

# A token that gitleaks knows, made here: no file may hold one.
secret() {
    printf '%s_%s' ghp "$(LC_ALL=C tr -dc '0-9bcdfghjkmnpqrstvwxz' </dev/urandom | head -c 36)"
}

# agree REPO REF OID : gate and upstream have it there ("" for none)
agree() {
    local gate upstream
    gate=$(gate_git "$1" rev-parse -q --verify "$2" || true)
    upstream=$(up "$1" rev-parse -q --verify "$2" || true)
    [ "$gate,$upstream" != "$3,$3" ] || return 0
    echo "$2: gate ${gate:-none}, upstream ${upstream:-none}, expected ${3:-none}" >&2
    return 1
}
