#!/usr/bin/env bats
# shellcheck disable=SC2030,SC2031,SC2154
# What a GitGate owns is written by nobody but the controller (manifests/admission-policy.yaml): the gate
# runs what its hooks ConfigMap says, with the credentials. `tenant` may do all with the ConfigMaps and
# NetworkPolicies of a namespace, and nothing with its Secrets.

load lib
load controller

setup_file() {
	bed_up --controllers
	kubectl create clusterrole tenant --verb='*' --resource=configmaps,networkpolicies.networking.k8s.io
	kubectl -n team-a create rolebinding tenant --clusterrole=tenant --user=tenant
	# The API server takes a policy up a moment after it was made.
	wait_for 30 refused_once
}

refused_once() { ! kubectl -n team-a --as=tenant create configmap x-gitgate-hooks --dry-run=server 2>/dev/null; }

setup() {
	controller_pid=
	ns=t$BATS_TEST_NUMBER
	kubectl create namespace "$ns" >/dev/null
	kubectl -n "$ns" create rolebinding tenant --clusterrole=tenant --user=tenant
	wait_for 20 may get configmaps
}

may() { kubectl -n "$ns" --as=tenant auth can-i "$@" -q; }

tenant() { kubectl -n "$ns" --as=tenant "$@"; }

# refused COMMAND... : by the policy, which names the object and what to do
refused() {
	run ! tenant "$@"
	echo "$output"
	[[ $output == *"is what gitgate-controller makes of a GitGate"*"change the GitGate instead"* ]]
}

a_gate() {
	controller_start
	secret app-key "$(key app)" >/dev/null
	gate agents "$(upstream app)"
	condition agents Ready True
}

@test "who may write ConfigMaps can't have the gate run what they say" {
	a_gate
	before=$(versions)
	for patch in '{"data":{"entrypoint":"#!/bin/sh\ncat /git-gate/creds/*\n"}}' '{"data":{"more":"x"}}' \
		'{"metadata":{"labels":{"app.kubernetes.io/managed-by":null}}}' '{"metadata":{"ownerReferences":null}}'; do
		refused patch configmap agents-gitgate-hooks --type merge -p "$patch"
		refused patch configmap agents-gitgate-client --type merge -p "$patch"
	done
	for policy in internal egress; do
		refused patch networkpolicy "agents-gitgate-$policy" --type merge \
			-p '{"spec":{"podSelector":{"matchLabels":{"nobody":"here"}}}}'
	done
	[ "$(versions)" = "$before" ]
	controller_stop
}

@test "nor make a ConfigMap of that name before the controller does, or after they deleted it" {
	refused create configmap agents-gitgate-hooks --from-literal=entrypoint=mine
	refused create configmap another-gitgate-hooks --from-literal=entrypoint=mine
	a_gate
	for _ in 1 2 3 4 5; do
		tenant delete configmap agents-gitgate-hooks
		run ! tenant create configmap agents-gitgate-hooks --from-literal=entrypoint=mine # there already, or refused
	done
	wait_for 20 kubectl -n "$ns" get configmap agents-gitgate-hooks
	kubectl -n "$ns" get configmap agents-gitgate-hooks -o json |
		jq -e '.data.entrypoint | contains("gitgate-gate serve")'
	tenant create configmap gitgate-hooks --from-literal=mine=yes # of no gate
	tenant create -f - <<<'{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "a-gitgate-hooks"}}'
	tenant patch configmap gitgate-hooks --type merge -p '{"data":{"mine":"no"}}'
	controller_stop
}

@test "a gate whose hooks are somebody else's has no credentials, until they are its own" {
	controller_start
	kubectl -n "$ns" create configmap agents-gitgate-hooks --from-literal=entrypoint=mine # an administrator
	secret app-key "$(key app)" >/dev/null
	gate agents "$(upstream app)"
	condition agents CredentialsResolved False NameCollision
	[ "$(children agents)" = "$(printf '%s\n' ConfigMap/agents-gitgate-client NetworkPolicy/agents-gitgate-{egress,internal})" ]
	kubectl -n "$ns" delete configmap agents-gitgate-hooks
	condition agents Ready True
	# Theirs comes while ours is there.
	holds_key app-key
	kill -STOP "$controller_pid"
	kubectl -n "$ns" delete configmap agents-gitgate-hooks
	kubectl -n "$ns" create configmap agents-gitgate-hooks --from-literal=entrypoint=mine
	kill -CONT "$controller_pid"
	condition agents CredentialsResolved False NameCollision
	wait_for 20 is_empty agents-gitgate-creds
	wait_for 20 settled
	kubectl -n "$ns" delete configmap agents-gitgate-hooks
	condition agents Ready True
	holds_key app-key
	controller_stop
}

# Nothing is written again and again.
settled() {
	local before
	before=$(versions)
	kubectl -n "$ns" patch gitgate agents --type merge -p '{"spec":{"scan":{"timeout":"'"$((30 + RANDOM % 30))"'s"}}}' >/dev/null
	condition agents CredentialsResolved False NameCollision
	[ "$(versions | grep -v GitGate/)" = "$(grep -v GitGate/ <<<"$before")" ]
}

holds_key() { wait_for 20 has_key "$1"; }

has_key() { kubectl -n "$ns" get secret agents-gitgate-creds -o json | jq -e --arg key "$1" '.data | has($key)' >/dev/null; }

is_empty() { kubectl -n "$ns" get secret "$1" -o json | jq -e '(.data // {}) == {}' >/dev/null; }

@test "what the controller, the garbage collector and an administrator do goes on" {
	a_gate
	kubectl -n "$ns" patch configmap agents-gitgate-hooks --type merge -p '{"data":{"entrypoint":"x"}}'
	wait_for 20 put_right
	kubectl -n "$ns" delete gitgate agents --cascade=orphan
	wait_for 20 has_no_owner
	gate agents "$(upstream app)"
	condition agents Rendered False NameCollision # what was orphaned is nobody's
	kubectl -n "$ns" delete gitgate agents
	tenant delete configmaps,networkpolicies --all
	kubectl -n "$ns" delete secret agents-gitgate-creds
	gate agents "$(upstream app)"
	condition agents Ready True
	kubectl -n "$ns" delete gitgate agents --cascade=foreground
	[ -z "$(children agents)" ]
	kubectl delete namespace "$ns" --timeout=60s
	controller_stop
}

put_right() {
	kubectl -n "$ns" get configmap agents-gitgate-hooks -o json |
		jq -e '.data.entrypoint | contains("gitgate-gate serve")' >/dev/null
}

has_no_owner() {
	kubectl -n "$ns" get configmap agents-gitgate-hooks -o json | jq -e '.metadata | has("ownerReferences") | not' >/dev/null
}
