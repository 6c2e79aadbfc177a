#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2034 # bed, log and controller_pid are lib.bash's
# Objects that a strict reader refuses, as an API server takes and sends them: who may write one ConfigMap somewhere must not
# stop what is done for all others.

load lib

setup_file() {
	bed_up
	service_account_config gitgate-controller "$BATS_FILE_TMPDIR/controller.kubeconfig"
}
teardown_file() { bed_down; }

setup() {
	controller_pid=
	ns=t$BATS_TEST_NUMBER
	kubectl create namespace "$ns" >/dev/null
}

teardown() {
	controller_kill
	lease_free
}

# fields KIND : managedFields' content that no strict reader takes, or that is larger than any
fields() {
	case $1 in
	deep) printf '{"f:data":%s{}%s}' "$(printf '{"f:a":%.0s' {1..1000})" "$(printf '}%.0s' {1..1000})" ;;
	bytes) printf '{"f:data":{"f:\377\376":{}}}' ;;
	twice) printf '{"f:data":{"f:a\\u0000":{},"f:a\357\277\275":{}}}' ;;
	large) printf '{"f:data":{"f:%s":{}}}' "$(head -c 1400000 /dev/zero | tr '\0' '<')" ;; # comes as \u003c
	esac
}

# config_map NAME KIND : a ConfigMap with these
config_map() {
	{
		printf '{"metadata": {"name": "%s", "managedFields": [{"manager": "m", "operation": "Update", "apiVersion": "v1",
			"time": "2026-01-01T00:00:00Z", "fieldsType": "FieldsV1", "fieldsV1": ' "$1"
		fields "$2"
		printf '}]}}'
	} | kubectl create --raw "/api/v1/namespaces/$ns/configmaps" -f - >/dev/null
}

@test "managedFields that nobody can read stop nothing, at start and while it runs" {
	for kind in deep bytes twice; do config_map "before-$kind" $kind; done
	controller_start
	for kind in deep bytes twice; do config_map "while-$kind" $kind; done
	secret app-key "$(key app)" >/dev/null
	gate agents "$(upstream app)"
	condition agents Ready True
	lacks 'watch failed' <"$log"
	controller_stop
}

@test "nor do those of the Lease keep a controller from its work" {
	local kind
	for kind in deep bytes twice; do
		lease_free
		{
			printf '{"metadata": {"name": "gitgate-controller", "managedFields": [{"manager": "m", "operation": "Update",
				"apiVersion": "coordination.k8s.io/v1", "time": "2026-01-01T00:00:00Z", "fieldsType": "FieldsV1", "fieldsV1": '
			fields "$kind"
			printf '}]}, "spec": {"holderIdentity": ""}}'
		} | kubectl create --raw /apis/coordination.k8s.io/v1/namespaces/gitgate-system/leases -f - >/dev/null
		controller_start
		controller_stop
	done
}

@test "they hide no edit of what a GitGate owns" {
	secret app-key "$(key app)" >/dev/null
	gate agents "$(upstream app)"
	controller_start
	condition agents Ready True
	for kind in deep bytes twice; do
		{
			kubectl -n "$ns" get configmap agents-gitgate-hooks --show-managed-fields -o json |
				jq --arg kind "$kind" '.data["pre-receive"] = "#!/bin/true" | .data[$kind] = "more" |
					.metadata.managedFields = [{manager: "gitgate-controller", operation: "Apply", apiVersion: "v1",
						time: "2026-01-01T00:00:00Z", fieldsType: "FieldsV1", fieldsV1: "FIELDS"}]' |
				while IFS= read -r line; do
					[[ $line == *'"FIELDS"'* ]] || { printf '%s\n' "$line"; continue; }
					printf '"fieldsV1": '
					fields "$kind"
				done
		} >"$BATS_TEST_TMPDIR/edited.json"
		kubectl replace --raw "/api/v1/namespaces/$ns/configmaps/agents-gitgate-hooks" -f "$BATS_TEST_TMPDIR/edited.json" >/dev/null
		wait_for 30 is_right "$kind"
	done
	lacks 'watch failed' <"$log"
	controller_stop
}

# is_right KEY : the hooks are the GitGate's own, and nothing is beside them
is_right() {
	kubectl -n "$ns" get configmap agents-gitgate-hooks -o json |
		jq -e --arg key "$1" '.data | (has($key) | not) and .["pre-receive"] != "#!/bin/true"' >/dev/null
}

# enlarge RESOURCE NAME : gives the object managedFields larger than any
enlarge() {
	fields large >"$BATS_TEST_TMPDIR/fields"
	kubectl -n "$ns" get "$1" "$2" -o json |
		jq --slurpfile fields "$BATS_TEST_TMPDIR/fields" '.metadata.managedFields = [{manager: "m", operation: "Update", apiVersion: "v1",
			time: "2026-01-01T00:00:00Z", fieldsType: "FieldsV1", fieldsV1: $fields[0]}]' >"$BATS_TEST_TMPDIR/replaced.json"
	kubectl replace --raw "/api/v1/namespaces/$ns/$1/$2" -f "$BATS_TEST_TMPDIR/replaced.json" >/dev/null
}

# made FILE : of the credentials, as it was put there
made() { kubectl -n "$ns" get secret agents-gitgate-creds -o json | jq -j --arg file "$1" '.data[$file] // "" | @base64d'; }

# says TEXT : the condition of the credentials
says() {
	kubectl -n "$ns" get gitgate agents -o json | jq -e --arg text "$1" '.status.conditions[] |
		select(.type == "CredentialsResolved").message | contains($text)' >/dev/null
}

# unreadable N : so many were counted; each is named in the log, and only once
unreadable() {
	curl -fsS "http://127.0.0.1:$port/metrics" | grep -qx "gitgate_unreadable_objects_total{resource=\"configmaps\"} $1"
}

named() { [ "$(grep -c "can't be read.*\"name\":\"$1\"" "$log")" = 1 ]; }

@test "one that is longer than any can be is named in the log once and counted, and stops nothing, in a stream and in pages" {
	secret app-key "$(key app)" >/dev/null
	for streams in true false; do
		echo "--feature-gates=WatchList=$streams" >"$bed/flags"
		"$GITGATE_SOURCE/tests/cluster/apiserver" restart "$bed"
		config_map "before-$streams" large
		controller_start --health-addr 127.0.0.1:0
		port=$(grep -o '"health_port":[0-9]*' "$log" | cut -d: -f2)
		named "before-$streams"
		config_map "while-$streams" large
		wait_for 30 named "while-$streams"
		unreadable 2
		kubectl -n "$ns" label configmap "while-$streams" a=b >/dev/null
		wait_for 30 unreadable 3
		named "while-$streams"
		gate "agents-$streams" "$(upstream app)"
		condition "agents-$streams" Ready True
		lacks 'watch failed' <"$log"
		controller_stop
		kubectl -n "$ns" delete configmap "before-$streams" "while-$streams" >/dev/null
	done
}

@test "an owned object that is made so long is nobody's any more: the GitGate says so" {
	secret app-key "$(key app)" >/dev/null
	gate agents "$(upstream app)"
	controller_start
	condition agents Ready True
	enlarge configmaps agents-gitgate-client
	condition agents Ready False NameCollision
	kubectl -n "$ns" delete configmap agents-gitgate-client >/dev/null
	condition agents Ready True
	controller_stop
}

@test "a Secret that can't be read: the condition says so, what was made of it stays, the other upstream goes on, and it is read when it changes" {
	secret app-key "$(key app)" >/dev/null
	secret lib-key "$(key lib)" >/dev/null
	gate agents "$(upstream app)" "$(upstream lib)"
	controller_start
	condition agents Ready True
	enlarge secrets app-key
	condition agents Ready False SourceUnreadable
	says 'app: spec.upstreams[0].ssh.secretRef.name: Secret "app-key" can'"'"'t be read: it has more than 4 MiB with its metadata; delete it and make it anew; the gate goes on with'
	kubectl -n "$ns" wait gitgate/agents --for=jsonpath='{.status.upstreamsReady}'=1/2 --timeout=30s
	made app-key | diff - "$BATS_TEST_TMPDIR/app"
	secret lib-key "$(key lib)" >/dev/null
	holds_file lib-key "$BATS_TEST_TMPDIR/lib"
	made app-key | diff - "$BATS_TEST_TMPDIR/app"

	# so it does with a controller that remembers nothing
	controller_stop
	controller_start
	secret lib-key "$(key lib)" >/dev/null
	holds_file lib-key "$BATS_TEST_TMPDIR/lib"
	made app-key | diff - "$BATS_TEST_TMPDIR/app"
	condition agents Ready False SourceUnreadable

	kubectl -n "$ns" delete secret app-key >/dev/null
	secret app-key "$(key app)" >/dev/null
	condition agents Ready True
	made app-key | diff - "$BATS_TEST_TMPDIR/app"
	controller_stop
}

# holds_file FILE PATH : waits until that is in the credentials
holds_file() { wait_for 30 same_as "$@"; }
same_as() { made "$1" | cmp -s - "$2"; }

@test "a Secret that can't be read gives nothing to a GitGate that is new, or names it anew" {
	secret app-key "$(key app)" >/dev/null
	secret other-key "$(key other)" >/dev/null
	enlarge secrets other-key
	gate agents "$(upstream app)"
	controller_start
	condition agents Ready True
	upstream app | jq '.ssh.secretRef.name = "other-key"' >"$BATS_TEST_TMPDIR/upstream"
	gate agents "$(<"$BATS_TEST_TMPDIR/upstream")"
	condition agents Ready False SourceUnreadable
	says 'the gate refuses to fetch and push until it can'
	[ -z "$(made app-key)" ]
	kubectl -n "$ns" delete gitgate agents >/dev/null
	wait_for 30 gone
	gate agents "$(<"$BATS_TEST_TMPDIR/upstream")"
	condition agents Ready False SourceUnreadable
	[ -z "$(made app-key)" ]
	controller_stop
}
gone() { kubectl -n "$ns" delete configmaps,secrets,networkpolicies -l gitgate.dev/gate=agents >/dev/null; [ -z "$(children agents)" ]; }

# may_read NAME... : of the Secrets, the controller may read these from now on
may_read() {
	local role=$BATS_TEST_TMPDIR/role.json
	[ -e "$role" ] || kubectl get clusterrole gitgate-controller -o json >"$role"
	jq 'del(.metadata.resourceVersion) | .rules |= map(if .resources != ["configmaps", "secrets"] then . else
			.resources = ["configmaps"], .resources = ["secrets"] end) |
		(.rules[] | select(.resources == ["secrets"]).verbs) -= ["get"] |
		.rules += [{apiGroups: [""], resources: ["secrets"], verbs: ["get"], resourceNames: $ARGS.positional}]' \
		"$role" --args "$@" | kubectl replace -f - >/dev/null
}
may_not_read() {
	! kubectl -n "$ns" auth can-i get "secret/$1" --quiet --as system:serviceaccount:gitgate-system:gitgate-controller
}
may_read_all() { kubectl apply --server-side --force-conflicts -f "$GITGATE_SOURCE/manifests/rbac.yaml" >/dev/null; }

# new_key NAME : gives the Secret NAME-key another, $BATS_TEST_TMPDIR/NAME; what it had is $BATS_TEST_TMPDIR/NAME.old
new_key() {
	cp "$BATS_TEST_TMPDIR/$1" "$BATS_TEST_TMPDIR/$1.old"
	secret "$1-key" "$(key "$1")" >/dev/null
}

@test "a Secret that the controller may not read any more: the condition says so, what was made stays, the rest goes on, and its new key comes with the right" {
	secret app-key "$(key app)" >/dev/null
	secret lib-key "$(key lib)" >/dev/null
	gate agents "$(upstream app)" "$(upstream lib)"
	controller_start
	condition agents Ready True

	may_read lib-key agents-gitgate-creds
	wait_for 30 may_not_read app-key
	new_key app
	condition agents Ready False SourceUnreadable
	says 'Secret "app-key" can'"'"'t be read: refused by the API server: Forbidden (HTTP 403); the gate goes on with'
	new_key lib
	holds_file lib-key "$BATS_TEST_TMPDIR/lib"
	made app-key | diff - "$BATS_TEST_TMPDIR/app.old"
	gate fresh "$(upstream app)"
	condition fresh Ready False SourceUnreadable
	kubectl -n "$ns" get networkpolicy fresh-gitgate-egress >/dev/null

	may_read none
	wait_for 30 may_not_read lib-key
	new_key lib
	wait_for 60 says 'nothing in the gate'"'"'s credentials changes until it can'
	made app-key | diff - "$BATS_TEST_TMPDIR/app.old"
	made lib-key | diff - "$BATS_TEST_TMPDIR/lib.old"

	may_read_all
	condition agents Ready True
	condition fresh Ready True
	made app-key | diff - "$BATS_TEST_TMPDIR/app"
	made lib-key | diff - "$BATS_TEST_TMPDIR/lib"
	kubectl -n "$ns" get secret fresh-gitgate-creds -o json | jq -j '.data["app-key"] | @base64d' | diff - "$BATS_TEST_TMPDIR/app"
	controller_stop
}
