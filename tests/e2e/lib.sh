# shellcheck shell=bash
# Shared by the end-to-end scripts: a cluster of their own that is gone in the end, steps that show
# themselves, checks that say what was expected and what was seen.
#
# Source it; it sets -euo pipefail, $top, $work (a private folder, removed at the end), and reads
# --keep and --cluster NAME from the arguments.

# shellcheck source=tests/cluster/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../cluster/lib.sh"
# shellcheck disable=SC2034  # for whoever sources this
top=$(cd "$here/../.." && pwd)

keep='' cluster=e2e-$$
while [ $# -gt 0 ]; do
	case $1 in
	--keep) keep=yes ;;
	--cluster)
		[ $# -ge 2 ] || die "--cluster needs a name"
		cluster=$2
		shift
		;;
	*) die "usage: $me [--keep] [--cluster NAME]" ;;
	esac
	shift
done

need_root
# shellcheck source=tests/cluster/env
. "$here/env"
# shellcheck source=tests/e2e/parts.sh
. "$top/tests/e2e/parts.sh"
# Of tags too: two runs on one machine must not build over each other's images.
tag=$cluster
work=$(mktemp -d) # 0700: private keys lie in it
KUBECONFIG=$("$here/cluster" --name "$cluster" kubeconfig)
export KUBECONFIG

started=$SECONDS step_n=0 step_started=$SECONDS passed=0 figures='' told=''

# The end, however it comes.
end() {
	local rc=$?
	trap - EXIT
	if [ "$rc" != 0 ] && [ "$rc" -lt 128 ] && [ -z "$told" ]; then
		say "a command of step $step_n failed, see above"
		dump || :
	fi
	if [ -n "$keep" ]; then
		say "the cluster is left as it is: export KUBECONFIG=$KUBECONFIG; tests/cluster/cluster --name $cluster down removes it"
	else
		say "removing the cluster \"$cluster\" and its images"
		"$here/cluster" --name "$cluster" down || rc=1
		remove_images
	fi
	rm -rf "$work"
	finish
	exit "$rc"
}
trap end EXIT

# ------------------------------------------------------------------------------------ telling

# step TEXT : a headline, and the seconds that the step before it took
step() {
	[ "$step_n" = 0 ] || echo "   ($((SECONDS - step_started)) s)"
	step_n=$((step_n + 1)) step_started=$SECONDS
	printf '\n%d. %s\n' "$step_n" "$*"
}

pass() {
	passed=$((passed + 1))
	echo "   PASS  $*"
}

# quote : standard input, set in, as what a person in that place reads
quote() { sed -e '/^command terminated with exit code/d' -e 's/ *$//' -e 's/^/         | /'; }

# failed TEXT EXPECTED SEEN : the end of the run
failed() {
	echo "   FAIL  $1"
	echo "         expected: $2"
	echo "         seen:"
	printf '%s\n' "$3" | quote
	told=yes
	dump || :
	echo
	echo "FAILED in step $step_n after $((SECONDS - started)) s; $passed checks passed before"
	exit 1
}

# figure NAME VALUE : for the summary
figure() { figures+=$(printf '   %-50s %s' "$1" "$2")$'\n'; }

summary() {
	echo "   ($((SECONDS - step_started)) s)"
	printf '\nFigures\n%s' "$figures"
	printf '\nAll %d checks in %d steps passed, %d s\n' "$passed" "$step_n" $((SECONDS - started))
}

# ----------------------------------------------------------------------------------- checking

# check TEXT COMMAND... : passes when the command succeeds
check() {
	local text=$1 out
	shift
	out=$("$@" 2>&1) || failed "$text" "success of: $*" "$out"
	pass "$text"
}

# shows TEXT PATTERN COMMAND... : passes when it succeeds and its output matches; shows the output
shows() {
	local text=$1 pattern=$2 out
	shift 2
	out=$("$@" 2>&1) || failed "$text" "success of: $*" "$out"
	grep -Eq -- "$pattern" <<<"$out" || failed "$text" "output that matches \"$pattern\"" "$out"
	pass "$text"
	quote <<<"$out"
}

# refuses TEXT PATTERN COMMAND... : passes when it fails and says why; shows the output, and leaves
# it in $refusal
refuses() {
	local text=$1 pattern=$2
	shift 2
	if refusal=$("$@" 2>&1); then
		failed "$text" "a refusal that matches \"$pattern\"" "success: $refusal"
	fi
	grep -Eq -- "$pattern" <<<"$refusal" || failed "$text" "a refusal that matches \"$pattern\"" "$refusal"
	pass "$text"
	quote <<<"$refusal"
}

# same TEXT EXPECTED SEEN
same() {
	[ "$2" = "$3" ] || failed "$1" "$2" "$3"
	pass "$1"
}

# within SECONDS TEXT COMMAND... : tries until it succeeds, says so while it waits
within() {
	local limit=$1 text=$2 end=$((SECONDS + $1)) told=$SECONDS out
	shift 2
	until out=$("$@" 2>&1); do
		[ "$SECONDS" -lt "$end" ] || failed "$text" "success within $limit s of: $*" "$out"
		if [ $((SECONDS - told)) -ge 15 ]; then
			told=$SECONDS
			echo "   ...   still waiting: $text"
		fi
		sleep 0.2
	done
	pass "$text"
}
