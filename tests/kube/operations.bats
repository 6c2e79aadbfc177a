#!/usr/bin/env bats
# shellcheck disable=SC2154 # bed, log and controller_pid are lib.bash's
# The controller as it is operated: its rights, what it lets be seen of it and what not, its probes, metrics and end.

load lib
load controller

@test "--namespace: one namespace is watched, with rights in it alone" {
	kubectl -n gitgate-system create serviceaccount one-"$ns" >/dev/null
	kubectl -n "$ns" create rolebinding one --clusterrole=gitgate-controller --serviceaccount=gitgate-system:one-"$ns"
	kubectl -n "$ns" create rolebinding lease --clusterrole=gitgate-controller-lease --serviceaccount=gitgate-system:one-"$ns"
	service_account_config one-"$ns" "$BATS_TEST_TMPDIR/one.kubeconfig"
	controller_start --kubeconfig "$BATS_TEST_TMPDIR/one.kubeconfig" --namespace "$ns"
	secret app-key "$(key app)" >/dev/null
	gate agents "$(upstream app)"
	condition agents Ready True
	controller_stop
}

@test "its rights are those of manifests/rbac.yaml and no more are needed" {
	as=(--as system:serviceaccount:gitgate-system:gitgate-controller)
	for what in "create pods" "delete secrets" "update secrets" "create gitgates" "patch gitgates" \
		"get serviceaccounts" "get namespaces" "get pods" "create events" "list events.events.k8s.io" "get nodes"; do
		# shellcheck disable=SC2086
		[ "$(kubectl -n "$ns" auth can-i $what "${as[@]}" 2>/dev/null || :)" = no ] || { echo "may $what"; return 1; }
	done
	controller_start
	lacks forbidden <"$log"
	controller_stop
}

@test "no key material is in the log, a status, an event, the environment, the arguments or, after use, the memory" {
	controller_start
	file=$(key app)
	# Many, so that not all that was freed is in use again when we look.
	upstreams=()
	for i in 1 2 3 4 5 6 7 8; do
		secret "app$i-key" "$file" >/dev/null
		upstreams+=("$(upstream "app$i")")
	done
	gate agents "${upstreams[@]}"
	condition agents Ready True
	# Any sixteen characters in a row of the key, as the file has it and as a Secret does.
	windows "$(sed '1d;$d' "$file" | tr -d '\n')" 60 >"$BATS_TEST_TMPDIR/pieces"
	windows "$(base64 -w0 "$file")" 60 >>"$BATS_TEST_TMPDIR/pieces"
	# AddressSanitizer maps terabytes.
	if grep -qa __asan_init "$GITGATE_BIN/gitgate-controller"; then
		echo "$ns" >"$BATS_TEST_TMPDIR/memory"
	else
		memory >"$BATS_TEST_TMPDIR/memory"
	fi
	kubectl get gitgates,configmaps,networkpolicies,events -A -o yaml >"$BATS_TEST_TMPDIR/objects"
	cat "/proc/$controller_pid/environ" "/proc/$controller_pid/cmdline" >"$BATS_TEST_TMPDIR/process"
	for place in "$log" "$BATS_TEST_TMPDIR"/{memory,objects,process}; do
		run -1 grep -caFf "$BATS_TEST_TMPDIR/pieces" "$place"
	done
	# This is what makes the search worth something.
	kubectl -n "$ns" get secret agents-gitgate-creds -o yaml | grep -qFf "$BATS_TEST_TMPDIR/pieces"
	grep -qaF "$ns" "$BATS_TEST_TMPDIR/memory"
	controller_stop
}

# windows TEXT SKIP : all its pieces of sixteen characters, but for SKIP at each end
windows() {
	awk -v text="$1" -v skip="$2" 'BEGIN {
		for (i = skip + 1; i + 16 + skip <= length(text); i++) print substr(text, i, 16)
	}'
}

# The controller's writable memory, without AddressSanitizer's shadow: terabytes of nothing, enough
# to fill the disk.
memory() {
	local range permissions rest from to
	while read -r range permissions rest; do
		[[ $permissions == rw* ]] || continue
		from=$((16#${range%-*})) to=$((16#${range#*-}))
		[ $((to - from)) -lt $((1 << 32)) ] || continue
		dd if="/proc/$controller_pid/mem" iflag=skip_bytes,count_bytes skip="$from" count=$((to - from)) \
			bs=64k status=none 2>/dev/null || :
	done <"/proc/$controller_pid/maps"
}

@test "the kubelet's probes: alive at once, ready when all is listed" {
	controller_start --health-addr 127.0.0.1:0
	port=$(grep -o '"health_port":[0-9]*' "$log" | cut -d: -f2)
	[ "$(curl -fsS "http://127.0.0.1:$port/healthz")" = ok ]
	[ "$(curl -fsS "http://127.0.0.1:$port/readyz")" = ok ]
	[ "$(curl -s -o /dev/null -w '%{http_code}' "http://127.0.0.1:$port/secret")" = 404 ]
	controller_stop
}

# metric LINE : waits until /metrics of $port has a line that matches the expression
metric() {
	timeout 20 bash -c 'until curl -fsS "http://127.0.0.1:$0/metrics" | grep -E "$1" >/dev/null; do sleep 0.2; done' "$port" "$1" || {
		curl -fsS "http://127.0.0.1:$port/metrics"
		return 1
	}
}

@test "/metrics tells of queue, reconciles, lease, requests and process by the names people know" {
	controller_start --health-addr 127.0.0.1:0
	port=$(grep -o '"health_port":[0-9]*' "$log" | cut -d: -f2)
	metric '^leader_election_master_status\{name="gitgate-controller"\} 1$'
	metric '^gitgate_controller_reconcile_total\{controller="gitgate",result="error"\} [0-9]'
	secret app-key "$(key app)" >/dev/null
	gate agents "$(upstream app)"
	condition agents Ready True
	metric '^gitgate_controller_reconcile_total\{controller="gitgate",result="success"\} [1-9]'
	metric '^gitgate_controller_reconcile_time_seconds_count\{controller="gitgate"\} [1-9]'
	metric '^gitgate_controller_active_workers\{controller="gitgate"\} 0$'
	metric '^gitgate_controller_max_concurrent_reconciles\{controller="gitgate"\} [1-9]'
	metric '^workqueue_adds_total\{name="gitgate"\} [1-9]'
	metric '^workqueue_depth\{name="gitgate"\} 0$'
	metric '^workqueue_unfinished_work_seconds\{name="gitgate"\} 0$'
	metric '^workqueue_longest_running_processor_seconds\{name="gitgate"\} 0$'
	metric '^workqueue_queue_duration_seconds_count\{name="gitgate"\} [1-9]'
	metric '^workqueue_work_duration_seconds_count\{name="gitgate"\} [1-9]'
	metric '^workqueue_retries_total\{name="gitgate"\} [0-9]'
	# Five objects are posted, the status is applied; the lease is a PUT.
	metric "^rest_client_requests_total\\{code=\"201\",method=\"POST\",host=\"127.0.0.1:$(cat "$bed/port")\"\\} [1-9]"
	metric "^rest_client_requests_total\\{code=\"20[01]\",method=\"PATCH\",host=\"127.0.0.1:$(cat "$bed/port")\"\\} [1-9]"
	metric '^process_resident_memory_bytes [1-9]'
	metric '^process_open_fds [1-9]'
	# Nothing that a gate is called by is a label: whoever makes many makes no process grow.
	curl -fsS "http://127.0.0.1:$port/metrics" | lacks "$ns"

	# What can't be written is an error that comes again.
	kubectl -n "$ns" create quota none --hard=count/configmaps=0 >/dev/null
	kubectl -n "$ns" patch quota none --subresource=status --type merge \
		-p '{"status": {"hard": {"count/configmaps": "0"}, "used": {"count/configmaps": "0"}}}' >/dev/null
	gate more "$(upstream app)"
	metric '^gitgate_controller_reconcile_errors_total\{controller="gitgate"\} [1-9]'
	metric '^workqueue_retries_total\{name="gitgate"\} [1-9]'
	metric '^rest_client_requests_total\{code="403",method="POST"'
	controller_stop
}

@test "a fresh gate's objects, counted and timed" {
	controller_start
	secret app-key "$(key app)" >/dev/null
	gate warm "$(upstream app)"
	condition warm Ready True
	gate agents "$(upstream app)"
	condition agents Ready True
	logged '"reconciled".*"gitgate":"agents"' # after the answer, which the watch may be ahead of
	line=$(grep '"reconciled"' "$log" | grep "\"$ns\"" | grep '"gitgate":"agents"')
	[ "$(wc -l <<<"$line")" = 1 ]
	[ "$(jq .writes <<<"$line")" = 6 ]
	echo "five objects and the status: $(jq .ms <<<"$line") ms;" \
		"resident memory $(awk '/VmRSS/ {print $2 " kB"}' "/proc/$controller_pid/status")" >&3
	controller_stop
}

# So many writes, and no more: nothing is looked at again for the trace of an own write, and a Secret that many share is read by one of
# those that are in work at a time.
@test "of forty gates that come at once each is written once, objects first, and their common Secret is not read forty times" {
	secret app-key "$(key app)" >/dev/null
	gates 40 "$(upstream app)"
	reads=$(secret_reads)
	controller_start --health-addr 127.0.0.1:0
	port=$(grep -o '"health_port":[0-9]*' "$log" | cut -d: -f2)
	kubectl -n "$ns" wait gitgate --all --timeout=60s --for=condition=Ready >/dev/null
	metric '^workqueue_depth\{name="gitgate"\} 0$'
	metric '^gitgate_controller_active_workers\{controller="gitgate"\} 0$'
	written_in 6 40
	# All waited from the start: eight are in work when the last one's turn has come.
	[ "$(grep "\"$ns\"" "$log" | grep '"reconciled"' | jq -s 'map(.writes == 1) | index(true)')" -ge 32 ]
	# Other tests' gates were reconciled at the start, each once; these once more for their status.
	n=$(curl -fsS "http://127.0.0.1:$port/metrics" |
		awk '/^gitgate_controller_reconcile_total/ { n += $2 } END { print n }')
	[ "$n" -lt $(($(kubectl get gitgates -A -o name | wc -l) + 60)) ]
	[ $(($(secret_reads) - reads)) -le 20 ]
	controller_stop
}

# secret_reads : Secrets that the API server was asked for by name so far
secret_reads() {
	kubectl get --raw /metrics | awk '
		/^apiserver_request_total\{/ && /resource="secrets"/ && /verb="GET"/ { n += $NF } END { print n + 0 }'
}

@test "SIGTERM gives the lease back: the next one works at once" {
	controller_start
	[ -n "$(lease)" ]
	controller_stop
	[ -z "$(lease)" ]
	begin=$SECONDS
	controller_start
	[ $((SECONDS - begin)) -lt 15 ] # a lease that is held is waited for as long
	controller_stop
}

@test "its rights, counted: no more than these" {
	kubectl -n "$ns" auth can-i --list --no-headers --as system:serviceaccount:gitgate-system:gitgate-controller |
		grep -v -e selfsubject -e '^ ' >"$BATS_TEST_TMPDIR/rights"
	awk '{ $2 = ""; $3 = ""; gsub(/ +/, " "); print }' "$BATS_TEST_TMPDIR/rights" | sort >"$BATS_TEST_TMPDIR/short"
	cat "$BATS_TEST_TMPDIR/short"
	diff "$BATS_TEST_TMPDIR/short" - <<-'END'
		configmaps [get list watch create patch]
		events.events.k8s.io [create patch]
		gitgates.gitgate.dev [get list watch]
		gitgates.gitgate.dev/finalizers [update]
		gitgates.gitgate.dev/status [patch]
		namespaces [list watch]
		networkpolicies.networking.k8s.io [get list watch create patch delete]
		pods [list watch]
		secrets [get list watch create patch]
	END
}
