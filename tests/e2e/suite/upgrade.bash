# shellcheck shell=bash
# For the end-to-end suite: what goes on while an installation changes. Sourced after lib.bash.

a_pod_is_admitted() { a_pod probe | kubectl -n team-a create --dry-run=server -o json -f -; }

# keep_working : fetches and pushes in the agent's container until /tmp/stop is there, and counts in
# /tmp/count; fails as soon as git does
keep_working() {
	agent team-a deploy/agent sh -euc '
		cd /tmp/app
		n=0
		until [ -e /tmp/stop ]; do
			git fetch -q
			git commit -q --allow-empty -m "While gitgate changes"
			git push -q origin "HEAD:refs/heads/agent/$HOSTNAME/while"
			n=$((n + 1))
			echo "$n" >/tmp/count
			sleep 0.2
		done
		echo "$n fetches and pushes"'
}

has_worked() { agent team-a deploy/agent test -s /tmp/count; }

# keep_asking FOLDER : has pods admitted until FOLDER/stop is there, and counts in FOLDER/admitted. One
# may have to be asked for again (FOLDER/refused), none may be refused for good, and none may come
# without its gate.
keep_asking() {
	local n=0
	until [ -e "$1/stop" ]; do
		within 120 a_pod_gets_its_gate "$1"
		[ ! -e "$1/ungated" ]
		n=$((n + 1))
		echo "$n" >"$1/admitted"
		sleep 0.2
	done
}

a_pod_gets_its_gate() {
	local pod
	pod=$(a_pod_is_admitted 2>>"$1/refused") || return 1
	jq -e 'any(.spec.initContainers[]?; .name == "gitgate")' <<<"$pod" >/dev/null || touch "$1/ungated"
}

# under_agents COMMAND... : runs it while an agent works, pods are admitted, and a Job begins and ends.
# No pod is started again, and the GitGate is the one that it was.
under_agents() {
	local folder=$BATS_TEST_TMPDIR before uid rc=0
	before=$(lives team-a)
	uid=$(kubectl -n team-a get gitgate agents -o jsonpath='{.metadata.uid}')
	agent team-a deploy/agent rm -f /tmp/stop /tmp/count
	keep_working >"$folder/work" 2>&1 3>&- &
	local worker=$!
	keep_asking "$folder" >"$folder/asking" 2>&1 3>&- &
	local asker=$!

	# Whatever fails, both are told to stop.
	change_under_agents "$@" || rc=$?
	touch "$folder/stop"
	agent team-a deploy/agent touch /tmp/stop || kill "$worker"
	wait "$worker" || rc=$?
	wait "$asker" || rc=$?
	tail -n 20 "$folder/work" "$folder/asking"
	echo "$(cat "$folder/admitted") pods admitted; asked for again: $(cat "$folder/refused")"
	[ "$rc" = 0 ]
	[ "$(lives team-a)" = "$before" ]
	[ "$(kubectl -n team-a get gitgate agents -o jsonpath='{.metadata.uid}')" = "$uid" ]
}

# change_under_agents COMMAND... : its steps are joined by &&, as errexit counts for nothing here
change_under_agents() {
	local job=errand-$BATS_TEST_NUMBER change rc=0
	within 120 has_worked &&
		within 120 test -s "$BATS_TEST_TMPDIR/admitted" || return 1
	"$@" 3>&- &
	change=$!
	a_job "$job" | kubectl -n team-a apply -f - || rc=$?
	wait "$change" &&
		gitgate_rolled_out &&
		kubectl -n team-a wait "job/$job" --for=condition=Complete --timeout=240s &&
		[ "$rc" = 0 ]
}
