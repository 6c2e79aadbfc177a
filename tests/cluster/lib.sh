# shellcheck shell=bash
# Shared by the scripts of the test bed: where the cache is, how a stage tells
# what it does, how results are kept under the hash of what they are made from.
# Source it first; it sets -euo pipefail, $here, $me, $cache and the versions.
#
# Standard output belongs to the caller's answer; everything said here goes to
# standard error.  At the end of the script, however it ends, a stage under way
# is ended and $tmp removed.

set -euo pipefail
umask 022

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
me=${0##*/}
cache=${GITGATE_CACHE:-${XDG_CACHE_HOME:-${HOME:?is not set, and neither is GITGATE_CACHE}/.cache}/gitgate}
# shellcheck source=tests/cluster/versions
. "$here/versions"

# A minor version alone, such as 1.35, stands for the one of its versions that is pinned.
if [[ $KUBERNETES =~ ^v?(1\.[0-9]+)$ ]]; then
	for pinned in "$here/modules/kubernetes-v${BASH_REMATCH[1]}".*; do
		[ ! -d "$pinned" ] || KUBERNETES=${pinned##*/kubernetes-}
	done
fi

say() { printf '%s: %s\n' "$me" "$*" >&2; }
die() { say "$*"; exit 1; }

tmp='' stage_pid=''
finish() {
	[ -z "$stage_pid" ] || kill -- "-$stage_pid" 2>/dev/null || :
	[ -z "$tmp" ] || rm -rf --one-file-system "$tmp"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# scratch : makes the folder $tmp, on the cache's disk
scratch() {
	mkdir -p "$cache/tmp"
	tmp=$(mktemp -d "$cache/tmp/$me.XXXXXX")
}

# have COMMAND... : true if all of them can be run
have() {
	local c
	for c; do command -v "$c" >/dev/null || return 1; done
}

# need_root : ends the script unless it runs as root
need_root() {
	[ "$(id -u)" = 0 ] || die "must run as root: it makes file systems and containers"
}

# key WORD|FILE|FOLDER... : 16 hex digits that change when a word or the
# content of a file changes
key() {
	local w
	for w; do
		if [ -d "$w" ]; then
			(cd "$w" && find . -type f -print0 | sort -z | xargs -0 sha256sum)
		elif [ -f "$w" ]; then
			sha256sum <"$w"
		else
			printf '%s\n' "$w"
		fi
	done | sha256sum | cut -c1-16
}

# locked NAME COMMAND... : runs the command while no other process of this
# cache runs one under the same name.  Its children do not inherit the lock.
locked() {
	local lock_name=$1
	shift
	mkdir -p "$cache/lock"
	{
		if ! flock -n 9; then
			say "waiting for another run that holds the lock \"$lock_name\""
			flock 9
		fi
		"$@" 9>&-
	} 9>"$cache/lock/$lock_name"
}

# stage TEXT SECONDS COMMAND... : runs a slow command with its output in a log
# file.  Says what is done and about how long it takes, then a sign of life
# every half minute, then the seconds it took; shows the log's end on failure.
stage() {
	local s_text=$1 s_about=$2 s_start=$SECONDS s_log s_tick s_ended s_rc=0
	shift 2
	mkdir -p "$cache/log"
	s_log=$(mktemp "$cache/log/$me.XXXXXX")
	say "$s_text (about $s_about s)"
	set -m # a process group of its own, so that all of it can be ended
	"$@" </dev/null >"$s_log" 2>&1 &
	stage_pid=$!
	set +m
	while :; do
		sleep 30 >/dev/null 2>&1 &
		s_tick=$!
		wait -n -p s_ended "$stage_pid" "$s_tick" || s_rc=$?
		[ "$s_ended" = "$s_tick" ] || break
		say "still at it after $((SECONDS - s_start)) s: $s_text"
	done
	stage_pid=''
	kill "$s_tick" 2>/dev/null || :
	wait "$s_tick" 2>/dev/null || :
	if [ "$s_rc" != 0 ]; then
		tail -n 25 "$s_log" >&2
		die "failed after $((SECONDS - s_start)) s: $s_text; the whole log is $s_log"
	fi
	rm -f "$s_log"
	say "done in $((SECONDS - s_start)) s: $s_text"
}

# until_true SECONDS COMMAND... : tries the command until it succeeds; false
# when the time is over
until_true() {
	local end=$((SECONDS + $1))
	shift
	until "$@" </dev/null >/dev/null 2>&1; do
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep 0.1
	done
}

# again COMMAND... : what downloads, three times at most: a connection may be cut off
again() {
	local pause
	for pause in 5 20; do
		"$@" && return
		say "failed, trying again in $pause s: $*"
		sleep "$pause"
	done
	"$@"
}

# debian_mirrors SUITE : the machine's own apt sources, as deb lines for SUITE
debian_mirrors() {
	local suite=$1 host lines
	have apt-get || die "no apt-get here: images are made from the machine's own Debian mirror"
	host=$(. /etc/os-release && printf %s "${VERSION_CODENAME:-}")
	# shellcheck disable=SC2016  # apt's own place-holders
	lines=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' \
		'Created-By: Packages' 'Origin: Debian' |
		awk -v host="$host" -v suite="$suite" '
			$3 == "main" && index($2, host) == 1 {
				sub("^" host, suite, $2)
				sub("/$", "", $1)
				line = "deb " $1 " " $2 " main"
				if (!seen[line]++) print line
			}')
	[ -n "$lines" ] ||
		die "apt knows no Debian source for \"$host main\": add one, then run apt-get update"
	printf '%s\n' "$lines"
}
