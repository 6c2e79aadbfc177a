#!/usr/bin/env bats
# The test bed's own tests.  The light bed by default; with
# GITGATE_TEST_CLUSTER=1 a real cluster too (minutes, root).

setup_file() {
	bed=$(cd "$(dirname "$BATS_TEST_FILENAME")" && pwd)
	PATH=$bed:$("$bed/tools" kubectl etcd kube-apiserver):$PATH
	export bed PATH
}

setup() {
	dir=$BATS_TEST_TMPDIR/api
}

teardown() {
	apiserver down "$dir"
	apiserver down "$dir-2"
}

# processes_in DIR : those whose working folder is DIR
processes_in() {
	local p
	for p in /proc/[0-9]*; do
		[ "$(readlink "$p/cwd")" != "$1" ] || echo "${p#/proc/}"
	done
}

@test "an API server comes up, takes objects, and goes without a trace" {
	apiserver up "$dir"
	kubectl --kubeconfig "$dir/kubeconfig" create namespace one
	[ "$(processes_in "$dir" | wc -l)" = 2 ]
	apiserver down "$dir"
	[ -z "$(processes_in "$dir")" ]
	[ ! -e "$dir" ]
}

@test "two API servers side by side do not see each other" {
	apiserver up "$dir" &
	apiserver up "$dir-2"
	wait $!
	kubectl --kubeconfig "$dir/kubeconfig" create namespace only-here
	run kubectl --kubeconfig "$dir-2/kubeconfig" get namespace only-here
	[ "$status" != 0 ]
	[[ $output == *NotFound* ]]
}

@test "up again uses the API server that is there" {
	apiserver up "$dir"
	before=$(cat "$dir"/*.pid)
	apiserver up "$dir"
	[ "$before" = "$(cat "$dir"/*.pid)" ]
}

@test "an API server ends with its owner, however that ends" {
	sleep infinity 3>&- &
	owner=$!
	apiserver up "$dir" --owner "$owner"
	kubectl --kubeconfig "$dir/kubeconfig" get namespaces
	kill -KILL "$owner"
	poll 30 test ! -e "$dir"
	[ -z "$(processes_in "$dir")" ]
	# Taken down by hand, nobody watches the owner any more.
	apiserver up "$dir" --owner $$
	[ "$(processes_in "$dir" | wc -l)" = 3 ]
	apiserver down "$dir"
	[ -z "$(processes_in "$dir")" ]
}

@test "another user may do what its groups are bound to, and no more" {
	apiserver up "$dir"
	apiserver user "$dir" bob dev >"$BATS_TEST_TMPDIR/bob"
	kubectl --kubeconfig "$dir/kubeconfig" create clusterrole dev --verb=list --resource=configmaps
	kubectl --kubeconfig "$dir/kubeconfig" create clusterrolebinding dev --clusterrole=dev --group=dev
	kubectl --kubeconfig "$BATS_TEST_TMPDIR/bob" auth whoami | grep bob
	poll 10 kubectl --kubeconfig "$BATS_TEST_TMPDIR/bob" get configmaps
	run kubectl --kubeconfig "$BATS_TEST_TMPDIR/bob" get secrets
	[[ $output == *Forbidden* ]]
}

@test "with controllers there are default ServiceAccounts and roles, and namespaces go" {
	apiserver up "$dir" --controllers
	# shellcheck disable=SC2030,SC2031  # each test is a process of its own
	export KUBECONFIG=$dir/kubeconfig
	kubectl create namespace one
	poll 10 kubectl -n one get serviceaccount default
	filled() { kubectl get clusterrole edit -o jsonpath='{.rules[*].verbs}' | grep create; }
	poll 10 filled
	kubectl delete namespace one --timeout=30s
}

@test "tokens of ServiceAccounts are accepted" {
	apiserver up "$dir"
	kubectl --kubeconfig "$dir/kubeconfig" create serviceaccount robot
	token=$(kubectl --kubeconfig "$dir/kubeconfig" create token robot)
	server=$(sed -n 's/.*server: //p' "$dir/kubeconfig")
	kubectl --kubeconfig /dev/null --server "$server" --certificate-authority "$dir/ca.crt" \
		--token "$token" auth whoami | grep system:serviceaccount:default:robot
}

@test "a minor version stands for the one that is pinned, whose programs are its own" {
	[ "$(GITGATE_KUBERNETES=1.35 tools --keys kubelet etcd)" = "$(GITGATE_KUBERNETES=v1.35.4 tools --keys kubelet etcd)" ]
	[ "$(GITGATE_KUBERNETES=1.35 tools --keys kubelet)" != "$(tools --keys kubelet)" ]
	[ "$(GITGATE_KUBERNETES=1.35 tools --keys etcd)" = "$(tools --keys etcd)" ]
	run env GITGATE_KUBERNETES=1.2 tools --keys kubelet
	[ "$status" != 0 ]
	[[ $output == *"there is no modules/kubernetes-1.2: make it with ./pin"* ]]
}

@test "down leaves a folder alone that it did not make" {
	mkdir "$dir"
	touch "$dir/precious"
	run apiserver down "$dir"
	[ "$status" != 0 ]
	[ -e "$dir/precious" ]
	rm -r "$dir"
}

# poll SECONDS COMMAND... : until it succeeds
poll() {
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep 0.2
	done
}

# From here on one cluster, made by the first of these tests.

cluster_only() {
	[ -n "${GITGATE_TEST_CLUSTER:-}" ] || skip "needs GITGATE_TEST_CLUSTER=1"
	# shellcheck source=tests/cluster/env
	. "$bed/env"
	# shellcheck disable=SC2031
	export KUBECONFIG=$BATS_FILE_TMPDIR/kubeconfig name=gitgate-selftest
	image=localhost/gitgate-selftest:1
}

bed_cluster() { cluster --name "$name" --kubeconfig "$KUBECONFIG" "$@"; }

@test "cluster: up, and up again in no time" {
	cluster_only
	bed_cluster up
	start=$SECONDS
	bed_cluster up
	[ $((SECONDS - start)) -le 10 ]
	bed_cluster status
}

@test "cluster: an image built here runs as a pod" {
	cluster_only
	base-image trixie
	podman build "${PODMAN_BUILD_FLAGS[@]}" -t "$image" -f - <<-'EOF'
		FROM docker.io/library/debian:trixie-slim
		RUN apt-get update && apt-get install -y --no-install-recommends netcat-openbsd
	EOF
	bed_cluster load "$image"
	run bed_cluster load "$image"
	[ "$status" = 0 ]
	[[ $output != *loading* ]] # it is there already
	kubectl run server --image="$image" --labels=app=server --command -- nc -lk -p 8080
	kubectl run client --image="$image" --command -- sleep infinity
	kubectl expose pod server --port=80 --target-port=8080
	kubectl wait --for=condition=Ready pod/server pod/client --timeout=60s
	poll 20 kubectl exec client -- nc -zw2 server 80
}

@test "cluster: NetworkPolicies are enforced" {
	cluster_only
	kubectl apply -f - <<-'EOF'
		apiVersion: networking.k8s.io/v1
		kind: NetworkPolicy
		metadata: {name: closed}
		spec: {podSelector: {matchLabels: {app: server}}, policyTypes: [Ingress]}
	EOF
	closed() { ! kubectl exec client -- nc -zw2 server 80; }
	poll 20 closed
	kubectl delete networkpolicy closed
	poll 20 kubectl exec client -- nc -zw2 server 80
}

@test "cluster: nothing of the world outside is reached" {
	cluster_only
	kubectl -n kube-system get daemonset kube-router || skip "not with kind's own node image"
	run kubectl exec client -- nc -zvw5 192.0.2.1 443
	[[ $output == *"No route to host"* ]] # refused by the rule, not merely silent
	run timeout 5 kubectl exec client -- getent hosts example.org
	[ "$status" = 2 ] # not found, and at once
}

@test "cluster: down leaves nothing" {
	cluster_only
	volumes=$(podman inspect -f '{{range .Mounts}}{{.Name}} {{end}}' "$name-control-plane")
	[ -n "$volumes" ]
	bed_cluster down
	[ -z "$(podman ps -aq --filter "name=^$name")" ]
	for volume in $volumes; do
		run podman volume exists "$volume"
		[ "$status" != 0 ]
	done
	run podman network exists "kind-$name"
	[ "$status" != 0 ]
	[ ! -e "$KUBECONFIG" ]
	podman rmi -f "$image"
}

# As on a machine that reaches kind's registry: one on loopback in its place has the node that is made
# here, under the name of kind's.
@test "cluster: kind's own node image is pulled and used where it can be" {
	cluster_only
	made=$(node-image)
	stock=${made##*:}
	stock=docker.io/kindest/node:${stock%-*}
	! podman image exists "$stock" || skip "$stock is there already"
	podman push -q "$made" "dir:$BATS_TEST_TMPDIR/node"
	registry "$BATS_TEST_TMPDIR/node" >"$BATS_TEST_TMPDIR/port" 2>"$BATS_TEST_TMPDIR/asked" 3>&- &
	registry=$!
	poll 10 test -s "$BATS_TEST_TMPDIR/port"
	export CONTAINERS_REGISTRIES_CONF=$BATS_TEST_TMPDIR/registries.conf
	cat >"$CONTAINERS_REGISTRIES_CONF" <<-END
		[[registry]]
		prefix = "docker.io/kindest"
		location = "127.0.0.1:$(cat "$BATS_TEST_TMPDIR/port")/kindest"
		insecure = true
	END
	# Whatever comes of it, all goes again.
	used='' rc=0
	bed_cluster up && used=$(podman inspect -f '{{.ImageName}}' "$name-control-plane") && bed_cluster status || rc=$?
	kill "$registry"
	bed_cluster down
	podman untag "$stock" "$stock" || :
	cat "$BATS_TEST_TMPDIR/asked"
	[ "$rc" = 0 ]
	[ "$used" = "$stock" ]
	grep -q 'GET /v2/kindest/node/blobs/' "$BATS_TEST_TMPDIR/asked"
}
