# shellcheck shell=bash disable=SC2154
# For tests against a real API server: one a file, with the CRD, RBAC and admission policy of manifests/.
#
# $ns, the namespace, is the test's to make.  $bed is its folder, kubectl is its administrator's; `controller` runs the program as its
# ServiceAccount would: with a token, and no right that manifests/rbac.yaml doesn't give.

bats_require_minimum_version 1.5.0

# bed_up FLAG... : see tests/cluster/apiserver
bed_up() {
	# Not below bats' folder: a bats that is killed removes that at once, and in it stands which processes are to be ended.
	bed=$(mktemp -d "${TMPDIR:-/tmp}/gitgate-bed.XXXXXX")
	export bed
	export KUBECONFIG=$bed/kubeconfig
	PATH=$("$GITGATE_SOURCE/tests/cluster/tools" kubectl):$PATH
	export PATH
	"$GITGATE_SOURCE/tests/cluster/apiserver" up "$bed" --owner $$ "$@" >/dev/null
	kubectl apply --server-side -f "$GITGATE_SOURCE/manifests/crd.yaml" \
		-f "$GITGATE_SOURCE/manifests/rbac.yaml" -f "$GITGATE_SOURCE/manifests/admission-policy.yaml"
	kubectl create namespace team-a
	kubectl wait --for=condition=Established crd/gitgates.gitgate.dev --timeout=30s
}

bed_down() {
	"$GITGATE_SOURCE/tests/cluster/apiserver" down "$bed"
}

# wait_for SECONDS COMMAND... : until it succeeds
wait_for() {
	local end=$((SECONDS + $1))
	until "${@:2}"; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.1
	done
}

# service_account_config NAME FILE : a kubeconfig with its token alone
service_account_config() {
	local token
	token=$(kubectl -n gitgate-system create token "$1" --duration=1h)
	{
		kubectl config view --raw --minify -o json |
			jq --arg token "$token" '.users[0].user = {token: $token} | .contexts[0].context.namespace = "gitgate-system"'
	} >"$2"
}

# controller_start OPTION... : $controller_pid, its log in $log; returns when all is listed
controller_start() {
	log=$(mktemp "$BATS_TEST_TMPDIR/log.XXXXXX")
	[ -e "$BATS_FILE_TMPDIR/controller.kubeconfig" ] ||
		service_account_config gitgate-controller "$BATS_FILE_TMPDIR/controller.kubeconfig"
	"$GITGATE_BIN/gitgate-controller" --kubeconfig "$BATS_FILE_TMPDIR/controller.kubeconfig" \
		--log-level debug "$@" 2>"$log" 3>&- &
	controller_pid=$!
	logged 'all is listed'
	logged 'the lease is ours'
}

# lease : who holds it, "" when nobody does
lease() {
	kubectl -n gitgate-system get lease gitgate-controller -o jsonpath='{.spec.holderIdentity}'
}

# lease_free : for a test whose controller was killed, or is to be killed without a word
lease_free() {
	kubectl -n gitgate-system delete lease gitgate-controller --ignore-not-found >/dev/null
}

# logged TEXT : waits until the log holds it
logged() {
	: >>"$log" # perhaps the process has not opened it yet
	timeout 30 tail -n +1 -f --pid="$controller_pid" "$log" 2>/dev/null | grep -qm1 -- "$1" || {
		cat "$log" >&2
		return 1
	}
}

# written_in WRITES GATES : whether the log tells of so many GitGates of $ns, each made right by so many writes
written_in() {
	grep '"reconciled"' "$log" | jq -es --arg ns "$ns" --argjson writes "$1" --argjson gates "$2" '
		map(select(.namespace == $ns)) | group_by(.gitgate) | map(map(.writes) | add) |
		length == $gates and unique == [$writes]' >/dev/null
}

# controller_stop : must end by itself, at once, with 0
controller_stop() {
	local pid=$controller_pid status=0
	controller_pid=
	kill -TERM "$pid"
	timeout 5 tail -f --pid="$pid" /dev/null || { kill -KILL "$pid"; false; }
	wait "$pid" || status=$?
	[ "$status" = 0 ] || { cat "$log" >&2; echo "ended with $status" >&2; false; }
}

# For teardown: whatever the test did.
controller_kill() {
	[ -z "${controller_pid:-}" ] || kill -KILL "$controller_pid" 2>/dev/null || :
	[ -z "${controller_pid:-}" ] || wait "$controller_pid" 2>/dev/null || :
	[ -z "${log:-}" ] || sed 's/^/log: /' "$log"
}

# key NAME [COMMENT] : makes a key pair in files of the test, prints the private one's path
key() {
	rm -f "$BATS_TEST_TMPDIR/$1" "$BATS_TEST_TMPDIR/$1.pub"
	ssh-keygen -q -t ed25519 -N '' -C "$1" -f "$BATS_TEST_TMPDIR/$1"
	echo "$BATS_TEST_TMPDIR/$1"
}

# secret NAME KEY-FILE : creates the Secret or gives it another key
secret() {
	kubectl -n "$ns" create secret generic "$1" --type kubernetes.io/ssh-auth \
		--from-file=ssh-privatekey="$2" --dry-run=client -o yaml | kubectl apply --server-side --force-conflicts -f -
}

# upstream NAME [HOST] : one of a GitGate's, as JSON
upstream() {
	jq -cn --arg name "$1" --arg host "${2:-127.0.0.1}" '{
		name: $name, url: "ssh://git@\($host):2222/team/\($name).git",
		ssh: {secretRef: {name: "\($name)-key"}, knownHostKeys: [
			"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"]}}'
}

# gate NAME UPSTREAM... : applies a GitGate in $ns
gate() {
	local name=$1
	shift
	printf '%s\n' "$@" | jq -s --arg name "$name" --arg ns "$ns" '{
		apiVersion: "gitgate.dev/v1alpha1", kind: "GitGate",
		metadata: {name: $name, namespace: $ns}, spec: {upstreams: .}}' |
		kubectl apply --server-side -f -
}

# heavy N : a GitGate whose spec is as large as may be
heavy() {
	openssl rand -hex 430000 | fold -w 1000 | jq -Rnc --arg name "heavy-$1" --argjson upstream "$(upstream app)" '
		[inputs] as $refs | {apiVersion: "gitgate.dev/v1alpha1", kind: "GitGate", metadata: {name: $name}, spec: {upstreams:
		[range(16) as $i | $upstream | .name = "u\($i)" | .url += "\($i)" | .push.refs = [$refs[$i * 50:($i + 1) * 50][] | "refs/heads/" + .]]}}' |
		kubectl -n "$ns" create --validate=false -f - >/dev/null
}

# gates COUNT UPSTREAM... : creates gate-0, gate-1 ... in $ns at once
gates() {
	printf '%s\n' "${@:2}" | jq -s --argjson count "$1" --arg ns "$ns" '. as $upstreams | {
		apiVersion: "v1", kind: "List", items: [range($count) as $i | {
		apiVersion: "gitgate.dev/v1alpha1", kind: "GitGate",
		metadata: {name: "gate-\($i)", namespace: $ns}, spec: {$upstreams}}]}' |
		kubectl create -f - >/dev/null
}

# condition GATE TYPE STATUS [REASON] : waits for it
condition() {
	kubectl -n "$ns" wait "gitgate/$1" --timeout=60s \
		--for=jsonpath="{.status.conditions[?(@.type==\"$2\")].status}"="$3" >/dev/null
	[ -z "${4:-}" ] || kubectl -n "$ns" wait "gitgate/$1" --timeout=60s \
		--for=jsonpath="{.status.conditions[?(@.type==\"$2\")].reason}"="$4" >/dev/null
}

# children GATE : its objects, "Kind/name", sorted
children() {
	kubectl -n "$ns" get configmaps,secrets,networkpolicies -l "gitgate.dev/gate=$1" -o json |
		jq -r '.items[] | "\(.kind)/\(.metadata.name)"' | sort
}

# versions GATE : what changes with every write of the gate and its objects
versions() {
	kubectl -n "$ns" get gitgates,configmaps,secrets,networkpolicies -o json |
		jq -r '.items[] | "\(.kind)/\(.metadata.name) \(.metadata.resourceVersion)"' | sort
}

# lacks TEXT : fails when standard input holds it, and shows where
lacks() {
	if grep -aF -- "$1"; then return 1; fi
}

# holds SECRET KEY TEXT : waits until the Secret's key is that text
holds() {
	grep -qm1 -xF -- "$(base64 -w0 <<<"$3")" < <(timeout 30 kubectl -n "$ns" get secret "$1" --watch \
		-o go-template='{{index .data "'"$2"'"}}{{"\n"}}' 3>&-)
}
