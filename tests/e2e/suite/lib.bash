# shellcheck shell=bash
# For the end-to-end suite: one cluster for all of it (setup_suite.bash), agents of every kind, and
# what is asked of them.

bats_require_minimum_version 1.5.0

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
# shellcheck source=tests/e2e/parts.sh
. "$top/tests/e2e/parts.sh"

teardown() {
	[ -n "${BATS_TEST_COMPLETED:-}" ] || [ -n "${BATS_TEST_SKIPPED:-}" ] || dump
}

url() { echo "ssh://git@upstream.outside.svc.cluster.local:2222/srv/git/$1.git"; }

# within SECONDS COMMAND... : tries until it succeeds
within() {
	local limit=$1 end=$((SECONDS + $1)) out
	shift
	until out=$("$@" 2>&1); do
		[ "$SECONDS" -lt "$end" ] || { echo "not within $limit s: $*"; echo "$out"; return 1; }
		sleep 0.2
	done
}

in_upstream() { kubectl -n outside exec -i deploy/upstream -- "$@" </dev/null; }

# upstream_has REPO REF : prints its commit, fails when there is none
upstream_has() { in_upstream git --git-dir="/srv/git/$1.git" rev-parse --verify --quiet "$2"; }

# clean : gitgate and the teams are gone, however far a file came
clean() {
	helm uninstall gitgate --namespace gitgate-system --ignore-not-found
	kubectl delete -k "$top/manifests" --ignore-not-found
	kubectl delete namespace team-a team-b gitgate-system --ignore-not-found
}

# ------------------------------------------------------------------------------------- gitgate

# key_secret NAMESPACE : the Secret app-deploy-key with the key of now
key_secret() {
	kubectl -n "$1" create secret generic app-deploy-key --type=kubernetes.io/ssh-auth \
		--from-file=ssh-privatekey="$work/deploy_key" --dry-run=client -o yaml |
		kubectl apply --server-side --force-conflicts -f -
}

# gitgate NAMESPACE REPO... : applies the GitGate "agents"; each pod may push under its own name
gitgate() {
	local namespace=$1 repo
	shift
	for repo; do
		jq -n --arg name "$repo" --arg url "$(url "$repo")" --arg host "$(cut -d' ' -f1,2 "$work/host_key.pub")" '{
			$name, $url, ssh: {secretRef: {name: "app-deploy-key"}, knownHostKeys: [$host]},
			push: {refs: ["refs/heads/agent/$(POD_NAME)/*"]}}'
	done | jq -s '{apiVersion: "gitgate.dev/v1alpha1", kind: "GitGate", metadata: {name: "agents"},
		spec: {upstreams: .}}' | kubectl -n "$namespace" apply -f -
}

# gate_ready NAMESPACE : waits until what the GitGate says now is rendered
gate_ready() {
	local generation
	generation=$(kubectl -n "$1" get gitgate agents -o jsonpath='{.metadata.generation}')
	kubectl -n "$1" wait gitgate/agents --timeout=240s --for=jsonpath='{.status.observedGeneration}'="$generation"
	kubectl -n "$1" wait gitgate/agents --timeout=240s --for=condition=Ready
}

# owned NAMESPACE : what the GitGate has made
owned() {
	kubectl -n "$1" get configmaps,secrets,networkpolicies -l gitgate.dev/gate=agents -o name | sort
}
owned_by_nobody() { [ -z "$(owned "$1")" ]; }

gitgate_rolled_out() {
	kubectl -n gitgate-system rollout status deployment/gitgate-controller --timeout=240s
	kubectl -n gitgate-system rollout status deployment/gitgate-webhook --timeout=240s
}

# ------------------------------------------------------------------------------------- agents

# What an agent does from its beginning to its end: a clone, a commit, a push to a branch of its own.
errand='set -eu
git clone -q "$URL" /tmp/app
cd /tmp/app
git switch -qc "agent/$HOSTNAME/errand"
date >errand
git add errand
git commit -qm "An errand"
git push -q origin HEAD
echo "done: $(git rev-parse HEAD)"'

# agents_template COMMAND... : a pod as its owner writes it, with an image that has git and the label
agents_template() {
	jq -n --arg image "$(image agent)" --arg url "$(url app)" '{
		metadata: {labels: {app: "agent", "gitgate.dev/gate": "agents"}},
		spec: {terminationGracePeriodSeconds: 1, containers: [{
			name: "agent", $image, command: $ARGS.positional,
			env: [{name: "URL", value: $url},
				{name: "GIT_AUTHOR_NAME", value: "agent"}, {name: "GIT_AUTHOR_EMAIL", value: "agent@example.com"},
				{name: "GIT_COMMITTER_NAME", value: "agent"}, {name: "GIT_COMMITTER_EMAIL", value: "agent@example.com"}]}]}}' \
		--args -- "$@"
}

# a_deployment NAME : an agent that waits to be told what to do
a_deployment() {
	agents_template sleep infinity | jq --arg name "$1" '{apiVersion: "apps/v1", kind: "Deployment", metadata: {$name},
		spec: {selector: {matchLabels: {agent: $name}}, template: (.metadata.labels.agent = $name)}}'
}

a_stateful_set() {
	agents_template sleep infinity | jq --arg name "$1" '{apiVersion: "apps/v1", kind: "StatefulSet", metadata: {$name},
		spec: {replicas: 2, podManagementPolicy: "Parallel", serviceName: $name,
			selector: {matchLabels: {agent: $name}}, template: (.metadata.labels.agent = $name)}}'
}

# Its containers are started again when they fail: runc itself fails to start one now and then, on a
# busy machine with cgroup v1 ("unable to freeze").
a_job() {
	agents_template sh -c "$errand" | jq --arg name "$1" '{apiVersion: "batch/v1", kind: "Job", metadata: {$name},
		spec: {backoffLimit: 4, template: (.spec.restartPolicy = "OnFailure")}}'
}

a_cron_job() {
	a_job "$1" | jq '{apiVersion, kind: "CronJob", metadata, spec: {schedule: "0 0 1 1 *", jobTemplate: {spec}}}'
}

# a_pod NAME : a bare one
a_pod() {
	agents_template sleep infinity | jq --arg name "$1" '{apiVersion: "v1", kind: "Pod"} + . | .metadata.name = $name'
}

# agent NAMESPACE POD-OR-DEPLOYMENT COMMAND... : in an agent's container
agent() { kubectl -n "$1" exec -i "$2" -c agent -- "${@:3}" </dev/null; }

# pushes NAMESPACE AGENT BRANCH : a new commit in /tmp/app, pushed to agent/<pod>/BRANCH; prints both
pushes() {
	agent "$1" "$2" sh -euc '
		cd /tmp/app
		date +%N >>"$1"
		git add "$1"
		git commit -qm "Change $1"
		git push -q origin "HEAD:refs/heads/agent/$HOSTNAME/$1"
		echo "agent/$HOSTNAME/$1 $(git rev-parse HEAD)"' sh "$3"
}

# pod_of NAMESPACE AGENT : the Pod of a Deployment
pod_of() {
	kubectl -n "$1" get pods -l "agent=$2" --field-selector=status.phase=Running -o jsonpath='{.items[0].metadata.name}'
}

# lives NAMESPACE : each running pod with its id and how often its containers were started again
lives() {
	kubectl -n "$1" get pods --field-selector=status.phase=Running -o json | jq -r '.items[] | [.metadata.name, .metadata.uid,
		(.status.initContainerStatuses + .status.containerStatuses | map(.restartCount) | add)] | @tsv' | sort
}

# gates_group NAMESPACE POD : the group that was drawn for its gate
gates_group() {
	kubectl -n "$1" get pod "$2" -o json |
		jq '.spec.initContainers[] | select(.name == "gitgate") | .securityContext.runAsGroup'
}

# build_impostor : the agent's image, made for the user that every gate has
build_impostor() {
	"$KIND_EXPERIMENTAL_PROVIDER" build "${PODMAN_BUILD_FLAGS[@]}" -t "$(image impostor)" -f - "$BATS_SUITE_TMPDIR" <<-END
		FROM $(image agent)
		USER 9418:9418
	END
}

# -------------------------------------------------------------------------------------- faults

node() { "$KIND_EXPERIMENTAL_PROVIDER" exec -i "$cluster-control-plane" "$@"; }

# kill_containers NAME : the first process of each container of that name, as a crash would
kill_containers() {
	node sh -euc '
		for id in $(crictl ps --quiet --name "^$1\$"); do
			kill -KILL "$(crictl inspect --output go-template --template "{{.info.pid}}" "$id")"
		done' sh "$1"
}

# kill_gate_at POD PATTERN : the gate of that pod, as soon as one of its processes' command lines matches
kill_gate_at() {
	timeout 120 "$KIND_EXPERIMENTAL_PROVIDER" exec -i "$cluster-control-plane" bash -euc '
		id=$(crictl ps --quiet --label "io.kubernetes.pod.name=$1" --name "^gitgate\$")
		pid=$(crictl inspect --output go-template --template "{{.info.pid}}" "$id")
		echo "watching $pid"
		# No event tells of another process; a look takes a few milliseconds.
		until found=$(pgrep --ns "$pid" --nslist pid -a -f "$2"); do :; done
		kill -KILL "$pid"
		echo "killed at: $found"' bash "$1" "$2"
}
