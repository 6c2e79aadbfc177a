#!/usr/bin/env bats
# The chart and manifests/ against a real API server, which has no nodes: what it accepts, what an
# upgrade, a rollback and an uninstall leave. tests/e2e has the same with pods that run.

load lib

setup_file() {
	bed=$(mktemp -d "${TMPDIR:-/tmp}/gitgate-bed.XXXXXX") # see lib.bash
	export bed
	export KUBECONFIG=$bed/kubeconfig
	PATH=$("$GITGATE_SOURCE/tests/cluster/tools" helm kubectl):$PATH
	chart=$BATS_FILE_TMPDIR/gitgate
	cp -rL "$GITGATE_SOURCE/charts/gitgate" "$chart"
	export PATH chart
	"$GITGATE_SOURCE/tests/cluster/apiserver" up "$bed" --owner $$ --controllers >/dev/null
	kubectl create namespace gitgate-system
	kubectl label namespace gitgate-system pod-security.kubernetes.io/{enforce,warn}=restricted
	kubectl create namespace team-a
}

teardown_file() {
	"$GITGATE_SOURCE/tests/cluster/apiserver" down "$bed"
}

teardown() {
	helm uninstall gitgate --namespace gitgate-system --ignore-not-found
	kubectl delete crd gitgates.gitgate.dev --ignore-not-found
}

# deploy VERB OPTION... : helm install or upgrade of the chart in $chart
deploy() {
	local verb=$1
	shift
	helm "$verb" gitgate "$chart" --namespace gitgate-system --wait=hookOnly --hide-notes "$@"
	kubectl wait --for=condition=Established crd/gitgates.gitgate.dev --timeout=30s
}

# a_gitgate : in team-a. No webhook runs here, so the API server must not ask it; the next upgrade
# brings the configuration back.
a_gitgate() {
	kubectl delete validatingwebhookconfiguration gitgate
	kubectl -n team-a apply -f - <<-'END'
		apiVersion: gitgate.dev/v1alpha1
		kind: GitGate
		metadata: {name: agents}
		spec: {upstreams: [{name: app, url: "https://git.example.com/app.git"}]}
	END
}

@test "the API server takes what the chart makes of each set of values, under Pod Security restricted" {
	deploy install
	for values in "$GITGATE_SOURCE"/tests/cases/chart/*/values.yaml; do
		# What other projects define is not here.
		helm template gitgate "$chart" --namespace gitgate-system --no-hooks --values "$values" |
			/usr/bin/python3 -c '
import sys, yaml
foreign = ("cert-manager.io", "monitoring.coreos.com")
things = [thing for thing in yaml.safe_load_all(sys.stdin) if thing]
yaml.safe_dump_all([t for t in things if not t["apiVersion"].startswith(foreign)], sys.stdout)
' >"$BATS_TEST_TMPDIR/objects"
		grep -q '^kind: Deployment' "$BATS_TEST_TMPDIR/objects"
		run -0 --separate-stderr kubectl apply --warnings-as-errors --server-side --force-conflicts \
			--dry-run=server -f "$BATS_TEST_TMPDIR/objects"
		[ -z "$stderr" ]
	done
}

# pod_of NAME : a Pod as the Deployment NAME would make it, as far as admission goes
pod_of() {
	kubectl -n gitgate-system get "deployment/$1" -o json |
		jq --arg name "$1-0" '.spec.template | .metadata.name = $name | {apiVersion: "v1", kind: "Pod"} + .' |
		kubectl -n gitgate-system create --dry-run=server -o json -f -
}

@test "pods of both Deployments are admitted under Pod Security restricted" {
	deploy install
	pod_of gitgate-controller
	pod_of gitgate-webhook
	# It would be said if they were not.
	kubectl -n gitgate-system patch deployment gitgate-webhook --type=json \
		--patch '[{"op": "remove", "path": "/spec/template/spec/containers/0/securityContext"}]'
	run ! pod_of gitgate-webhook
	[[ $output == *'violates PodSecurity "restricted'* ]]
}

@test "an upgrade brings the definition up to date and leaves every GitGate" {
	cp -r "$chart" "$BATS_TEST_TMPDIR/older"
	sed -i 's/^version:.*/version: 0.0.9/' "$BATS_TEST_TMPDIR/older/Chart.yaml"
	sed -i '/shortNames: \[gg\]/d' "$BATS_TEST_TMPDIR/older/files/crd.yaml"
	chart=$BATS_TEST_TMPDIR/older deploy install
	a_gitgate
	uid=$(kubectl -n team-a get gitgate agents -o jsonpath='{.metadata.uid}')
	[ -z "$(kubectl get crd gitgates.gitgate.dev -o jsonpath='{.spec.names.shortNames}')" ]

	deploy upgrade
	[ "$(kubectl get crd gitgates.gitgate.dev -o jsonpath='{.spec.names.shortNames}')" = '["gg"]' ]
	[ "$(kubectl -n team-a get gitgate agents -o jsonpath='{.metadata.uid}')" = "$uid" ]

	helm rollback gitgate --namespace gitgate-system --wait=hookOnly
	[ "$(kubectl -n team-a get gitgate agents -o jsonpath='{.metadata.uid}')" = "$uid" ]
	[ "$(helm -n gitgate-system list -o json | jq -r '.[].chart')" = gitgate-0.0.9 ]
}

@test "an uninstall leaves definition and GitGates, and the next install takes them up" {
	deploy install
	a_gitgate
	uid=$(kubectl -n team-a get gitgate agents -o jsonpath='{.metadata.uid}')
	helm uninstall gitgate --namespace gitgate-system
	[ "$(kubectl -n team-a get gitgate agents -o jsonpath='{.metadata.uid}')" = "$uid" ]
	# Nothing else is left, and nothing that would stop pods.
	run -0 kubectl get deployments,services,secrets,serviceaccounts,networkpolicies,poddisruptionbudgets \
		-n gitgate-system -l app.kubernetes.io/name=gitgate -o name
	[ -z "$output" ]
	run -0 kubectl get clusterroles,clusterrolebindings,mutatingwebhookconfigurations,validatingwebhookconfigurations \
		-l app.kubernetes.io/name=gitgate -o name
	[ -z "$output" ]
	deploy install
	[ "$(kubectl -n team-a get gitgate agents -o jsonpath='{.metadata.uid}')" = "$uid" ]
}

@test "an upgrade keeps what the webhook wrote: its authority, and what trusts it" {
	deploy install
	kubectl -n gitgate-system create secret generic gitgate-webhook-authority --from-literal=ca.crt=its
	for kind in mutating validating; do
		kubectl patch "${kind}webhookconfiguration" gitgate --type=json --field-manager=gitgate-webhook \
			-p '[{"op": "add", "path": "/webhooks/0/clientConfig/caBundle", "value": "'"$(base64 -w0 "$bed/ca.crt")"'"}]'
	done
	deploy upgrade --set webhook.replicas=3
	kubectl -n gitgate-system get secret gitgate-webhook-authority
	for kind in mutating validating; do
		kubectl get "${kind}webhookconfiguration" gitgate -o json |
			jq -e --arg ca "$(base64 -w0 "$bed/ca.crt")" '.webhooks[0].clientConfig.caBundle == $ca'
	done
}

# configured : the webhook configurations that there are, each with what its first entry trusts
configured() {
	kubectl get mutatingwebhookconfigurations,validatingwebhookconfigurations -o json |
		jq -r '.items[] | [.kind, .metadata.name, .webhooks[0].clientConfig.caBundle] | @tsv'
}

@test "another mode of certificate has configurations of its own, which the webhook of before can't take back" {
	deploy install
	its='{"op": "add", "path": "/webhooks/0/clientConfig/caBundle", "value": "'"$(base64 -w0 "$bed/ca.crt")"'"}'
	for kind in mutating validating; do
		kubectl patch "${kind}webhookconfiguration" gitgate --type=json --field-manager=gitgate-controller -p "[$its]"
	done
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=another \
		-keyout "$BATS_TEST_TMPDIR/key" -out "$BATS_TEST_TMPDIR/ca.crt"
	deploy upgrade --set certificate.mode=provided --set certificate.secretName=made-by-hand \
		--set-file certificate.caBundle="$BATS_TEST_TMPDIR/ca.crt"
	run -0 configured
	[ "$output" = "$(printf '%sWebhookConfiguration\tgitgate-provided\t%s\n' \
		Mutating "$(base64 -w0 "$BATS_TEST_TMPDIR/ca.crt")" Validating "$(base64 -w0 "$BATS_TEST_TMPDIR/ca.crt")")" ]
	deploy upgrade --reset-values
	run -0 configured
	[ "$output" = "$(printf '%sWebhookConfiguration\tgitgate\t\n' Mutating Validating)" ]
}

# may USER VERB RESOURCE... : asked of the API server, which joins roles in the background
may() { kubectl --as "$1" auth can-i "${@:2}" -n team-a; }

@test "who may edit or view a namespace may do so with its GitGates, and only there" {
	deploy install
	kubectl -n team-a create rolebinding editor --clusterrole=edit --user=editor
	kubectl -n team-a create rolebinding viewer --clusterrole=view --user=viewer
	wait_for 20 may editor create gitgates
	may editor delete gitgates
	may editor get gitgates
	wait_for 20 may viewer list gitgates
	run ! may viewer create gitgates
	run ! may editor patch gitgates --subresource=status # the controller's word
	run ! kubectl --as editor auth can-i create gitgates -n default
}

@test "the API server takes manifests without a warning, under Pod Security restricted" {
	kubectl apply --server-side -f "$GITGATE_SOURCE/manifests/crd.yaml"
	run -0 --separate-stderr kubectl apply --warnings-as-errors --server-side --force-conflicts \
		-k "$GITGATE_SOURCE/manifests"
	[[ $output == *deployment.apps/gitgate-webhook* ]]
	[ -z "$stderr" ]
}

# versions : every object of an installation, with what the API server counts up at a change. Of a
# definition its generation, as its status is written a while after.
versions() {
	{
		kubectl get crd,clusterroles,clusterrolebindings,mutatingwebhookconfigurations,validatingwebhookconfigurations -o json |
			jq '.items[] | select(.metadata.name | test("gitgate"))'
		kubectl -n gitgate-system get all,serviceaccounts,roles,rolebindings,networkpolicies,poddisruptionbudgets -o json |
			jq '.items[]'
	} | jq -r '[.kind, .metadata.name, if .kind == "CustomResourceDefinition" then .metadata.generation else .metadata.resourceVersion end] | @tsv'
}

@test "kubectl apply -k a second time changes nothing" {
	kubectl apply -k "$GITGATE_SOURCE/manifests"
	kubectl wait --for=condition=Established crd/gitgates.gitgate.dev --timeout=30s
	before=$(versions)
	run -0 kubectl diff -k "$GITGATE_SOURCE/manifests"
	[ -z "$output" ]
	run -0 kubectl apply -k "$GITGATE_SOURCE/manifests"
	[ "$(versions)" = "$before" ]
	# Of a budget kubectl sends the selector each time and so calls it configured, though nothing changes.
	run ! grep -vE ' unchanged$|^poddisruptionbudget.* configured$' <<<"$output"
}
