#!/usr/bin/env bats
# gitgate installed by its chart: agents of every kind, an upgrade, changes under running pods, faults,
# a rollback, an uninstall. The tests follow each other on one cluster.

load lib
load upgrade

setup_file() {
	chart=$BATS_FILE_TMPDIR/chart
	cp -rL "$top/charts/gitgate" "$chart"
	# An earlier version, whose definition lacks something; with images of other names.
	previous=$BATS_FILE_TMPDIR/previous
	cp -r "$chart" "$previous"
	sed -i 's/^version:.*/version: 0.0.9/; s/^appVersion:.*/appVersion: "0.0.9"/' "$previous/Chart.yaml"
	sed -i '/shortNames: \[gg\]/d' "$previous/files/crd.yaml"
	export chart previous
	kubectl create namespace gitgate-system
	kubectl label namespace gitgate-system pod-security.kubernetes.io/enforce=restricted
	kubectl create namespace team-a
	kubectl create namespace team-b
	key_secret team-a
}

teardown_file() { clean; }

@test "the chart installs under Pod Security restricted, and helm test passes" {
	helm install gitgate "$previous" --namespace gitgate-system --wait --timeout 240s \
		--set "images.tag=$tag-previous"
	helm test gitgate --namespace gitgate-system --timeout 240s
}

@test "controller and webhook have no shell" {
	for name in controller webhook; do
		run ! kubectl -n gitgate-system exec "deploy/gitgate-$name" -- sh -c true
		[[ $output == *sh*"not found"* ]]
	done
}

@test "a Deployment, a Job, a CronJob and a StatefulSet of agents use git, and Jobs end" {
	gitgate team-a app
	gate_ready team-a
	{ a_deployment agent; a_stateful_set workers; a_job errand; a_cron_job nightly; } |
		jq -s '{apiVersion: "v1", kind: "List", items: .}' | kubectl -n team-a apply -f -
	kubectl -n team-a create job tonight --from=cronjob/nightly

	kubectl -n team-a wait job/errand job/tonight --for=condition=Complete --timeout=240s
	for job in errand tonight; do
		pod=$(kubectl -n team-a get pods -l "job-name=$job" -o jsonpath='{.items[*].metadata.name}')
		said=$(kubectl -n team-a logs "$pod" -c agent)
		[ "$said" = "done: $(upstream_has app "refs/heads/agent/$pod/errand")" ]
	done

	kubectl -n team-a rollout status deployment/agent --timeout=240s
	kubectl -n team-a rollout status statefulset/workers --timeout=240s
	for who in deploy/agent workers-0 workers-1; do
		agent team-a "$who" git clone -q "$(url app)" /tmp/app
		read -r branch commit < <(pushes team-a "$who" first)
		[ "$(upstream_has app "refs/heads/$branch")" = "$commit" ]
	done
}

# deployed : chart, images, the definition's short names, and the gate that a new pod gets
deployed() {
	helm -n gitgate-system list -o json | jq -r '.[].chart'
	kubectl -n gitgate-system get deployment gitgate-controller gitgate-webhook -o jsonpath='{.items[*].spec.template.spec.containers[0].image}{"\n"}'
	kubectl get crd gitgates.gitgate.dev -o jsonpath='{.spec.names.shortNames}{"\n"}'
	a_pod_is_admitted | jq -r '.spec.initContainers[] | select(.name == "gitgate") | .image'
}

# An API server goes on with the webhook's pod that it is connected to, until that has ended.
is_deployed() { [ "$(deployed)" = "$1" ]; }

@test "an upgrade under working agents stops none of them, loses no admission and keeps the GitGate" {
	under_agents helm upgrade gitgate "$chart" --namespace gitgate-system --wait --timeout 300s --set "images.tag=$tag"
	within 120 is_deployed "$(printf '%s\n' "gitgate-$(sed -n 's/^version: //p' "$chart/Chart.yaml")" "$(image controller) $(image webhook)" '["gg"]' "$(image gate)")"
	gate_ready team-a
}

@test "a pod of a StatefulSet pushes under its own name and under no other" {
	run ! agent team-a workers-0 git -C /tmp/app push origin HEAD:refs/heads/agent/workers-1/stolen
	[[ $output == *"may not be pushed to"*"agent/workers-0/"* ]]
	run ! upstream_has app refs/heads/agent/workers-1/stolen
}

@test "a new upstream and a rotated key reach a running pod, which is not started again" {
	before=$(lives team-a)
	ssh-keygen -q -t ed25519 -N '' -C gate -f "$work/next_key"
	# From here on the old key opens nothing.
	kubectl -n outside exec -i deploy/upstream -- tee /run/keys/authorized_keys <"$work/next_key.pub"
	cp "$work/deploy_key" "$work/old_key"
	mv "$work/next_key" "$work/deploy_key"
	key_secret team-a
	gitgate team-a app lib

	# The kubelet brings both to the pod when it looks the next time, once a minute.
	within 300 agent team-a deploy/agent git clone -q "$(url lib)" /tmp/lib
	fingerprint=$(ssh-keygen -lf "$work/next_key.pub" | cut -d' ' -f2)
	kubectl -n outside logs deploy/upstream | grep -F "Accepted publickey for git" | grep -F "$fingerprint"
	within 300 agent team-a deploy/agent git -C /tmp/app fetch -q
	[ "$(lives team-a)" = "$before" ]
}

@test "gates of one name in two namespaces don't see each other" {
	key_secret team-b
	gitgate team-b other
	gate_ready team-b
	a_deployment agent | kubectl -n team-b apply -f -
	kubectl -n team-b rollout status deployment/agent --timeout=240s
	agent team-b deploy/agent git clone -q "$(url other)" /tmp/other
	run ! agent team-b deploy/agent git ls-remote "$(url app)"
	[[ $output == *"no such repository"* ]]
	run ! agent team-a deploy/agent git ls-remote "$(url other)"
	[[ $output == *"no such repository"* ]]

	before=$(owned team-a)
	kubectl -n team-b delete gitgate agents
	within 120 owned_by_nobody team-b
	[ -n "$before" ]
	[ "$(owned team-a)" = "$before" ]
}

# connects POD [UID GID] : says how a connection from an agent to the upstream's port ends
connects() {
	local ip
	ip=$(kubectl -n outside get pods -l app=upstream -o jsonpath='{.items[0].status.podIP}')
	agent team-a "$1" python3 -c "$connect" "$ip" 2222 "${@:2}"
}

@test "an image made for the gate's user passes no pod's filter, and nobody is given the gate's user or group" {
	a_pod impostor | jq --arg image "$(image impostor)" '.spec.containers[0].image = $image' | kubectl -n team-a create -f -
	kubectl -n team-a wait pod/impostor --for=condition=Ready --timeout=240s
	[ "$(agent team-a impostor id -u)" = 9418 ]
	group=$(gates_group team-a impostor)
	agent team-a impostor git ls-remote "$(url app)" HEAD
	in_upstream python3 -c "$connect" 127.0.0.1 2222 | grep CONNECTED
	for ids in "" "9418 $group"; do
		# shellcheck disable=SC2086  # none or two
		run -0 connects impostor $ids
		[[ $output != *CONNECTED* ]]
	done
	[[ $output == *"become $group: Operation not permitted"* ]]

	for field in runAsUser runAsGroup; do
		run ! bash -c "$(declare -f a_pod agents_template image url); a_pod thief |
			jq '.spec.containers[0].securityContext.$field = 9418' | kubectl -n team-a create -f -"
		[[ $output == *"$field: choose another id: 9418 is the gate's own"* ]]
	done
	run ! kubectl -n team-a patch pod impostor --subresource=ephemeralcontainers --patch "$(jq -n --arg image "$(image agent)" \
		--argjson group "$group" '{spec: {ephemeralContainers: [{name: "debug", $image, securityContext: {runAsGroup: $group}}]}}')"
	[[ $output == *"$group is the gate's own"* ]]
}

@test "who may only edit one namespace reaches no credential of another" {
	kubectl -n team-b delete secret app-deploy-key
	kubectl -n team-b create rolebinding editor --clusterrole=edit --user=editor
	within 120 kubectl --as editor -n team-b auth can-i create gitgates
	for what in get,secrets list,secrets get,configmaps create,pods create,gitgates; do
		run ! kubectl --as editor -n team-a auth can-i "${what%,*}" "${what#*,}"
	done
	for what in exec attach portforward ephemeralcontainers; do
		run ! kubectl --as editor -n team-a auth can-i create pods "--subresource=$what"
	done
	# A GitGate that names the Secret finds none: it is looked for beside the GitGate alone.
	jq -n --arg url "$(url app)" '{apiVersion: "gitgate.dev/v1alpha1", kind: "GitGate", metadata: {name: "thief"},
		spec: {upstreams: [{name: "app", $url, ssh: {secretRef: {name: "app-deploy-key"}}}]}}' |
		kubectl --as editor -n team-b apply -f -
	kubectl -n team-b wait gitgate/thief --for=condition=CredentialsResolved=False --timeout=240s
	[ -z "$(kubectl -n team-b get secret thief-gitgate-creds --ignore-not-found -o jsonpath='{.data.app-key}')" ]
	# And it can't be pointed elsewhere.
	run ! kubectl --as editor -n team-b patch gitgate thief --type=json --patch \
		'[{"op": "replace", "path": "/spec/upstreams/0/ssh/secretRef", "value": {"name": "team-a/app-deploy-key"}}]'
	# Nor does a pod get the gate of another namespace by naming it.
	run ! bash -c "$(declare -f a_pod agents_template image url); a_pod stray | kubectl --as editor -n team-b create -f -"
	[[ $output == *"agents"* ]]
	kubectl -n team-b delete gitgate thief
}

# gate_starts POD : how often its gate was started again
gate_starts() {
	kubectl -n team-a get pod "$1" -o json |
		jq '.status.initContainerStatuses[] | select(.name == "gitgate") | .restartCount'
}

gate_started() { [ "$(gate_starts "$1")" = "$2" ]; }

@test "a gate that is killed in the midst of a push comes back, and the push can be said again" {
	pod=$(pod_of team-a agent)
	before=$(gate_starts "$pod")
	agent team-a "$pod" sh -euc 'cd /tmp/app; head -c 15000000 /dev/urandom | base64 >big; git add big; git commit -qm Big'
	kill_gate_at "$pod" 'receive-pack|index-pack|gitgate-gate (scan|forward)' >"$BATS_TEST_TMPDIR/killed" 3>&- &
	killer=$!
	within 120 grep -q watching "$BATS_TEST_TMPDIR/killed"
	run ! agent team-a "$pod" git -C /tmp/app push origin "HEAD:refs/heads/agent/$pod/big"
	wait "$killer"
	cat "$BATS_TEST_TMPDIR/killed"
	run ! upstream_has app "refs/heads/agent/$pod/big"
	commit=$(agent team-a "$pod" git -C /tmp/app rev-parse HEAD)
	within 120 agent team-a "$pod" git -C /tmp/app push -q origin "HEAD:refs/heads/agent/$pod/big"
	[ "$(upstream_has app "refs/heads/agent/$pod/big")" = "$commit" ]
	in_upstream git --git-dir=/srv/git/app.git fsck --connectivity-only
	within 120 gate_started "$pod" $((before + 1))
}

# What an agent does that puts its work away when it is asked to end.
last_words='asked=
trap "asked=yes" TERM
git clone -q "$URL" /tmp/app
cd /tmp/app
git commit -q --allow-empty -m "Last words"
echo ready
until [ "$asked" ]; do sleep 0.2; done
git push -q origin "HEAD:refs/heads/agent/$HOSTNAME/last"'

@test "an agent that is evicted still pushes: its gate ends after it" {
	agents_template sh -euc "$last_words" | jq '{apiVersion: "v1", kind: "Pod"} + . | .metadata.name = "evicted" |
		.spec.terminationGracePeriodSeconds = 120' | kubectl -n team-a create -f -
	is_ready() { kubectl -n team-a logs evicted -c agent | grep -qx ready; }
	within 240 is_ready
	kubectl create --raw /api/v1/namespaces/team-a/pods/evicted/eviction -f - <<-'END'
		{"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "evicted", "namespace": "team-a"}}
	END
	kubectl -n team-a wait --for=delete pod/evicted --timeout=240s
	upstream_has app refs/heads/agent/evicted/last
}

@test "controller and webhook are killed: agents go on, and both are back in time" {
	kill_containers controller
	kill_containers webhook
	agent team-a deploy/agent git -C /tmp/app fetch -q
	within 120 a_pod_is_admitted
	# By one; a Service may lead to the other, which is on its way, until the kubelet has looked.
	within 120 gitgate team-a app lib other
	gate_ready team-a
	gitgate_rolled_out
}

# holder : the controller that works, as its Lease names it
holder() { kubectl -n gitgate-system get lease gitgate-controller -o jsonpath='{.spec.holderIdentity}'; }

@test "of two controllers the other takes over when the one that works is gone" {
	[ "$(kubectl -n gitgate-system get pods -l app.kubernetes.io/component=controller --no-headers | wc -l)" = 2 ]
	before=$(holder)
	# With no time to give its Lease back.
	kubectl -n gitgate-system delete pod "${before%_*}" --grace-period=0 --force
	# The pod is gone to the API server before its node has ended it: it may work on for a moment.
	another_holds() { after=$(holder) && [ -n "$after" ] && [ "$after" != "$before" ]; }
	within 120 another_holds
	gitgate team-a app lib
	gate_ready team-a
	gitgate_rolled_out
}

@test "with every webhook stopped pods without a gate start, and gated ones are refused with a reason" {
	kubectl -n gitgate-system scale deployment/gitgate-webhook --replicas=0
	no_endpoint() { [ -z "$(kubectl -n gitgate-system get endpointslices -l kubernetes.io/service-name=gitgate-webhook \
		-o jsonpath='{.items[*].endpoints[?(@.conditions.ready==true)].addresses}')" ]; }
	within 120 no_endpoint
	refused() { ! a_pod_is_admitted; }
	within 120 refused
	run ! a_pod_is_admitted
	[[ $output == *'pods.gitgate.dev'*gitgate-webhook* ]]
	a_pod ungated | jq 'del(.metadata.labels["gitgate.dev/gate"])' | kubectl -n team-a create -f -
	kubectl -n team-a wait pod/ungated --for=condition=Ready --timeout=240s
	kubectl -n team-a delete pod ungated
	agent team-a deploy/agent git -C /tmp/app fetch -q
	kubectl -n gitgate-system scale deployment/gitgate-webhook --replicas=2
	kubectl -n gitgate-system rollout status deployment/gitgate-webhook --timeout=240s
	within 120 a_pod_is_admitted
}

@test "so does a rollback to the version before: no agent stopped, no admission lost, the GitGate kept" {
	under_agents helm rollback gitgate --namespace gitgate-system --wait --timeout 300s
	within 120 is_deployed "$(printf '%s\n' gitgate-0.0.9 "$(previous_image controller) $(previous_image webhook)" '' "$(previous_image gate)")"
	gate_ready team-a
}

@test "the key is in no agent's container, in no log, event, status, ConfigMap or pod" {
	# Parts that only the private keys have, as they are in the files and in the Secrets.
	for file in "$work/old_key" "$work/deploy_key"; do
		sed -n 5p "$file"
		base64 -w0 <"$file" | cut -c 320-380
	done >"$BATS_TEST_TMPDIR/needles"
	[ "$(kubectl -n team-a exec -i deploy/agent -c gitgate -- sh -c "$search" <"$BATS_TEST_TMPDIR/needles" | wc -l)" -gt 0 ]
	for pod in $(pod_of team-a agent) workers-0 workers-1 impostor; do
		found=$(kubectl -n team-a exec -i "$pod" -c agent -- sh -c "$search" <"$BATS_TEST_TMPDIR/needles")
		[ -z "$found" ]
	done
	{
		kubectl -n gitgate-system logs deploy/gitgate-controller --all-pods
		kubectl -n gitgate-system logs deploy/gitgate-webhook --all-pods
		for pod in $(kubectl -n team-a get pods -o name); do
			kubectl -n team-a logs "$pod" --all-containers
		done
		kubectl get events -A -o yaml
		kubectl get events.events.k8s.io -A -o yaml
		kubectl get gitgates,configmaps,pods,networkpolicies,deployments,jobs -A -o yaml
	} >"$BATS_TEST_TMPDIR/said"
	[ "$(wc -c <"$BATS_TEST_TMPDIR/said")" -gt 10000 ]
	run ! grep -F -f "$BATS_TEST_TMPDIR/needles" "$BATS_TEST_TMPDIR/said"
	# The search would find it.
	kubectl -n team-a get secrets -o yaml | grep -qF -f "$BATS_TEST_TMPDIR/needles"
}

nothing_left() {
	[ -z "$(kubectl -n "$1" get all -o name)" ]
}

@test "after an uninstall gated pods go on; a GitGate that is deleted takes its objects along" {
	before=$(lives team-a)
	objects=$(owned team-a)
	[ -n "$objects" ]
	helm uninstall gitgate --namespace gitgate-system --wait --timeout 240s
	[ "$(owned team-a)" = "$objects" ]
	agent team-a deploy/agent git -C /tmp/app fetch -q
	read -r branch commit < <(pushes team-a deploy/agent after)
	[ "$(upstream_has app "refs/heads/$branch")" = "$commit" ]
	[ "$(lives team-a)" = "$before" ]

	kubectl -n team-a delete gitgate agents
	within 120 owned_by_nobody team-a
	# A webhook's pod serves on for a moment, for API servers that don't know yet that it goes.
	within 120 nothing_left gitgate-system
	kubectl delete crd gitgates.gitgate.dev
	kubectl delete namespace gitgate-system team-a team-b
}
