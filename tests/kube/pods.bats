#!/usr/bin/env bats
# shellcheck disable=SC2154 # bed, log and controller_pid are lib.bash's
# What a person sees of a GitGate without a log: its pods counted, and Events.

load lib
load controller

# pod NAME [LABEL=VALUE...] : one that nobody will ever run
pod() {
	local name=$1
	shift
	jq -n --arg name "$name" --arg version "${version:-}" '{apiVersion: "v1", kind: "Pod", metadata: {name: $name,
			labels: ($ARGS.positional | map(split("=") | {(.[0]): .[1]}) | add),
			annotations: (if $version == "" then {} else {"gitgate.dev/version": $version} end)},
		spec: {automountServiceAccountToken: false, containers: [{name: "c", image: "none.invalid/none"}]}}' --args "$@" |
		kubectl -n "$ns" create -f - >/dev/null
}

# pods GATE GATED OUTDATED MISSING : waits for these numbers
pods() {
	kubectl -n "$ns" wait "gitgate/$1" --timeout=20s >/dev/null --for=jsonpath='{.status.pods.gated}'="$2"
	kubectl -n "$ns" wait "gitgate/$1" --timeout=20s >/dev/null --for=jsonpath='{.status.pods.outdated}'="$3"
	kubectl -n "$ns" wait "gitgate/$1" --timeout=20s >/dev/null --for=jsonpath='{.status.pods.missing}'="$4"
}

# event GATE REASON : waits for one, prints its note
event() {
	timeout 20 bash -c 'until note=$(kubectl -n "$0" get events.events.k8s.io -o json |
		jq -er --arg gate "$1" --arg reason "$2" "[.items[] | select(.regarding.kind == \"GitGate\" and
			.regarding.name == \$gate and .reason == \$reason)][-1].note"); do sleep 0.2; done; echo "$note"' "$ns" "$1" "$2"
}

@test "pods are counted: gated, outdated, missing; an event names some" {
	controller_start
	kubectl wait --for=create "serviceaccount/default" -n "$ns" --timeout=30s >/dev/null
	secret app-key "$(key app)" >/dev/null
	gate agents "$(upstream app)"
	condition agents Ready True
	pods agents 0 0 0
	version=0123456789abcdef pod old gitgate.dev/gate=agents
	pods agents 1 1 0
	[[ $(event agents PodsOutdated) == *": old" ]]
	pod bare gitgate.dev/gate=agents
	pods agents 1 1 1
	[[ $(event agents PodsMissing) == *": bare" ]]
	# Of another gate.
	pod other gitgate.dev/gate=others
	run -0 kubectl -n "$ns" get gitgate agents
	[[ $output == *PODS*READY* ]]

	# By podSelector, once the namespace asks for it.
	pod chosen app=coding
	pod left app=web
	kubectl -n "$ns" patch gitgate agents --type merge -p '{"spec":{"podSelector":{"matchLabels":{"app":"coding"}}}}' >/dev/null
	kubectl -n "$ns" wait gitgate/agents --for=jsonpath='{.status.observedGeneration}'=2 --timeout=20s >/dev/null
	pods agents 1 1 1
	condition agents Ready True PodSelectorIdle
	kubectl label namespace "$ns" gitgate.dev/injection=enabled >/dev/null
	pods agents 1 1 2
	condition agents Ready True Ready
	kubectl -n "$ns" label pod left app=coding --overwrite >/dev/null
	pods agents 1 1 3
	kubectl -n "$ns" label pod left app=web --overwrite >/dev/null
	pods agents 1 1 2

	# One that ended, was deleted or named another gate is none of them.
	kubectl -n "$ns" patch pod chosen --subresource=status --type merge -p '{"status":{"phase":"Succeeded"}}' >/dev/null
	pods agents 1 1 1
	kubectl -n "$ns" label pod bare gitgate.dev/gate=others --overwrite >/dev/null
	pods agents 1 1 0
	kubectl -n "$ns" delete pod old --grace-period=0 --force >/dev/null 2>&1
	pods agents 0 0 0
	lacks forbidden <"$log"
	controller_stop
}

@test "what goes wrong and what is well again are events on the gate; the same again is counted, not added" {
	controller_start
	gate agents "$(upstream app)"
	[[ $(event agents SecretNotFound) == *app-key* ]]
	secret app-key "$(key app)" >/dev/null
	condition agents Ready True
	[[ $(event agents Ready) == *"pods can use this gate"* ]]
	kubectl -n "$ns" delete secret app-key >/dev/null
	condition agents Ready False SecretNotFound
	series() {
		kubectl -n "$ns" get events.events.k8s.io -o json |
			jq -c '[.items[] | select(.reason == "SecretNotFound")] | [length, .[0].series.count, .[0].type, .[0].reportingController]'
	}
	timeout 20 bash -c "$(declare -f series); ns=$ns; "'until [ "$(series)" = "[1,2,\"Warning\",\"gitgate.dev/controller\"]" ]; do sleep 0.2; done' ||
		{ series; false; }
	# Who describes it reads it there.
	kubectl -n "$ns" describe gitgate agents | grep -q 'Warning *SecretNotFound'
	# One that was right from the start is no news.
	secret lib-key "$(key lib)" >/dev/null
	gate fine "$(upstream lib)"
	condition fine Ready True
	gate later "$(upstream nothing)"
	event later SecretNotFound
	kubectl -n "$ns" get events.events.k8s.io -o json | jq -e '[.items[] | select(.regarding.name == "fine")] == []'
	controller_stop
}

# labelled KIND N : as the test's namespace has room for: with a megabyte of labels
labelled() {
	openssl rand -hex 480000 | fold -w 62 | jq -Rnc --arg kind "$1" --argjson n "$2" --argjson upstream "$(upstream app)" '
		([inputs] | to_entries | map({key: "l\(.key)", value}) | from_entries) as $labels |
		{metadata: {name: "many-\($n)", labels: $labels}} + if $kind == "Pod"
		then {apiVersion: "v1", kind: $kind, spec: {automountServiceAccountToken: false, containers: [{name: "c", image: "none.invalid/none"}]}}
		else {apiVersion: "gitgate.dev/v1alpha1", kind: $kind, spec: {upstreams: [$upstream], podSelector: {matchLabels: {a: "b"}}}} end' |
		kubectl -n "$ns" create --validate=false -f - >/dev/null
}

resident() { awk '/^VmRSS:/ {print $2}' "/proc/$controller_pid/status"; }

@test "a megabyte of labels on each of many pods and GitGates takes no room" {
	kubectl wait --for=create "serviceaccount/default" -n "$ns" --timeout=30s >/dev/null
	kubectl label namespace "$ns" gitgate.dev/injection=enabled >/dev/null
	secret app-key "$(key app)" >/dev/null
	labelled GitGate 0
	labelled Pod 0
	controller_start
	condition many-0 Ready True
	pods many-0 0 0 0
	before=$(resident)
	for n in {1..12}; do
		labelled GitGate "$n"
		labelled Pod "$n"
	done
	condition many-12 Ready True
	pods many-12 0 0 0
	after=$(resident)
	[ $((after - before)) -lt 10000 ] || { echo "from $before kB to $after kB"; false; }
	controller_stop
}

@test "GitGates that are too much for one namespace are told so, take no room, and none from another namespace" {
	local n before after other=$ns-other
	kubectl create namespace "$other" >/dev/null
	controller_start
	heavy 0
	condition heavy-0 Rendered True
	before=$(resident)
	for n in {1..60}; do heavy "$n"; done
	condition heavy-60 Rendered False InvalidSpec
	kubectl -n "$ns" get gitgate heavy-60 -o json |
		jq -e '.status.conditions[] | select(.type == "Rendered").message | contains("of its namespace take more than the 32 MiB")'
	[ -z "$(children heavy-60)" ]
	ns=$other
	secret app-key "$(key app)" >/dev/null
	gate agents "$(upstream app)"
	condition agents Ready True
	after=$(resident)
	echo "from $before kB to $after kB"
	[ $((after - before)) -lt 40000 ]
	[ "$(grep -c 'of its namespace take more' "$log")" = 1 ]

	# room for one, which is read when it changes
	ns=t$BATS_TEST_NUMBER
	kubectl -n "$ns" delete gitgate heavy-1 heavy-2 >/dev/null
	kubectl -n "$ns" annotate gitgate heavy-60 again=yes >/dev/null
	condition heavy-60 Rendered True
	controller_stop
}

@test "pods with more labels than a namespace's may have are counted no more, which is said once; another namespace's are" {
	local other=$ns-other
	kubectl wait --for=create "serviceaccount/default" -n "$ns" --timeout=30s >/dev/null
	kubectl create namespace "$other" >/dev/null
	kubectl wait --for=create "serviceaccount/default" -n "$other" --timeout=30s >/dev/null
	kubectl label namespace "$ns" "$other" gitgate.dev/injection=enabled >/dev/null
	jq -nc '[range(700) | {apiVersion: "v1", kind: "Pod", metadata: {name: "p\(.)", labels: ([range(250) |
		{key: "label-\(.)", value: ("x" * 50)}] | from_entries)}, spec: {containers: [{name: "c", image: "none.invalid/none"}]}}][]' |
		kubectl -n "$ns" create --validate=false -f - >/dev/null
	controller_start
	for n in "$ns" "$other"; do
		ns=$n secret app-key "$(key app)" >/dev/null
		ns=$n gate agents "$(upstream app)"
		kubectl -n "$n" patch gitgate agents --type=merge -p '{"spec": {"podSelector": {"matchLabels": {"label-1": "'"$(printf 'x%.0s' {1..50})"'"}}}}' >/dev/null
	done
	kubectl -n "$other" create --validate=false -f - >/dev/null < <(kubectl -n "$ns" get pod p1 -o json |
		jq '{apiVersion, kind, metadata: {name: .metadata.name, labels: .metadata.labels}, spec: {containers: [{name: "c", image: "i"}]}}')
	ns=$other pods agents 0 0 1
	logged 'the pods of its namespace take more than the 8 MiB'
	[ "$(grep -c 'the pods of its namespace' "$log")" = 1 ]
	wait_for 20 some_missing
	controller_stop
}
some_missing() { kubectl -n "$ns" get gitgate agents -o json | jq -e '.status.pods.missing | . > 400 and . < 700' >/dev/null; }

# spent : the controller's time on a processor, in hundredths of a second
spent() { awk '{print $14 + $15}' "/proc/$controller_pid/stat"; }

@test "selectors and pods that are made to be slow to count keep no other namespace's GitGate waiting" {
	local n before took other=$ns-other
	kubectl create namespace "$other" >/dev/null
	kubectl wait --for=create "serviceaccount/default" -n "$ns" --timeout=30s >/dev/null
	kubectl label namespace "$ns" gitgate.dev/injection=enabled >/dev/null
	jq -nc '[range(150) | {apiVersion: "v1", kind: "Pod", metadata: {name: "p\(.)", labels: ([range(250) | {key: "l\(.)", value: "v"}] |
		from_entries)}, spec: {containers: [{name: "c", image: "none.invalid/none"}]}}][]' | kubectl -n "$ns" create --validate=false -f - >/dev/null
	jq -nc --argjson upstream "$(upstream app)" '[range(80) | {apiVersion: "gitgate.dev/v1alpha1", kind: "GitGate", metadata: {name: "g\(.)"},
		spec: {upstreams: [$upstream], podSelector: {matchExpressions: [range(64) | {key: "l\(249 - .)", operator: "In",
		values: ([range(60) | "a\(.)"] + ["v"])}]}}}][]' | kubectl -n "$ns" create --validate=false -f - >/dev/null
	controller_start
	condition g79 Rendered True
	before=$(spent)
	for n in {1..60}; do kubectl -n "$ns" annotate pod "p$n" "again=$n" >/dev/null; done
	ns=$other
	secret app-key "$(key app)" >/dev/null
	gate agents "$(upstream app)"
	condition agents Ready True
	took=$(($(spent) - before))
	echo "took $took hundredths of a second"
	[ "$took" -lt 250 ]
	controller_stop
}
