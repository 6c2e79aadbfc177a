#!/usr/bin/env bats
# What the chart makes of its values. A golden file says what a set of values changes of the objects
# that the default ones make: GITGATE_UPDATE=1 writes them anew. That the default ones are right is
# said by manifests/, which must be the same.

bats_require_minimum_version 1.5.0

setup_file() {
	PATH=$("$GITGATE_SOURCE/tests/cluster/tools" helm kubectl):$PATH
	chart=$BATS_FILE_TMPDIR/gitgate
	# As a package would have it: with the files that it links to.
	cp -rL "$GITGATE_SOURCE/charts/gitgate" "$chart"
	export PATH chart
	render >"$BATS_FILE_TMPDIR/default"
}

# render OPTION... : what helm makes
render() { helm template gitgate "$chart" --namespace gitgate-system "$@"; }

objects() { /usr/bin/python3 "$GITGATE_SOURCE/tests/lint/objects.py" "$@"; }

@test "helm finds nothing to complain about" {
	helm lint --strict "$chart"
	for values in "$GITGATE_SOURCE"/tests/cases/chart/*/values.yaml; do
		helm lint --strict "$chart" --values "$values"
	done
}

@test "with its default values it makes what kustomize makes of manifests" {
	kubectl kustomize "$GITGATE_SOURCE/manifests" >"$BATS_TEST_TMPDIR/kustomize"
	objects same "$BATS_FILE_TMPDIR/default" "$BATS_TEST_TMPDIR/kustomize"
}

@test "chart and programs are of one version" {
	version=$(sed -n 's/^project(gitgate VERSION \([0-9.]*\).*/\1/p' "$GITGATE_SOURCE/CMakeLists.txt")
	[ -n "$version" ]
	grep -qxF "version: $version" "$chart/Chart.yaml"
	grep -qxF "appVersion: \"$version\"" "$chart/Chart.yaml"
	grep -qF "localhost/gitgate/gate:$version" "$BATS_FILE_TMPDIR/default"
}

@test "each set of values changes what its golden file says" {
	seen=0
	for folder in "$GITGATE_SOURCE"/tests/cases/chart/*/; do
		render --values "$folder/values.yaml" >"$BATS_TEST_TMPDIR/rendered"
		objects changes "$BATS_FILE_TMPDIR/default" "$BATS_TEST_TMPDIR/rendered" >"$BATS_TEST_TMPDIR/changes"
		[ -z "${GITGATE_UPDATE:-}" ] || cp "$BATS_TEST_TMPDIR/changes" "$folder/changes"
		diff -u "$folder/changes" "$BATS_TEST_TMPDIR/changes"
		seen=$((seen + 1))
	done
	[ "$seen" -ge 6 ]
}

@test "in another namespace nothing speaks of the usual one" {
	helm template other "$chart" --namespace elsewhere >"$BATS_TEST_TMPDIR/rendered"
	grep -q 'namespace: elsewhere' "$BATS_TEST_TMPDIR/rendered"
	run ! grep gitgate-system "$BATS_TEST_TMPDIR/rendered"
}

# refused PATTERN OPTION... : these values are, and the message says which
refused() {
	local pattern=$1
	shift
	run -1 render "$@"
	echo "$output"
	grep -Eq -- "$pattern" <<<"$output"
}

@test "values that mean nothing are refused by name" {
	refused "additional propert.* 'replica'" --set webhook.replica=3
	refused "additional propert.* 'dnsport'" --set networkPolicies.dnsport=3
	refused "additional propert.* 'failurePolicy'" --set webhook.failurePolicy=Ignore
	refused '/webhook/replicas' --set webhook.replicas=0
	refused '/webhook/podLabels' --set 'webhook.podLabels.gitgate\.dev/gate=agents'
	refused '/controller/podLabels' --set 'controller.podLabels.app\.kubernetes\.io/name=other'
	refused '/controller/replicas' --set controller.replicas=two
	refused '/controller/logLevel' --set controller.logLevel=loud
	refused '/controller/namespace' --set controller.namespace=Team_A
	refused '/controller/resources/limits/memory' --set controller.resources.limits.memory=much
	refused '/images/registry' --set-string 'images.registry='
	refused '/images/tag' --set-string 'images.tag=a b'
	refused '/images/digests/gate' --set images.digests.gate=sha256:12
	refused '/images/pullPolicy' --set images.pullPolicy=Sometimes
	refused '/images/pullSecrets/0' --set 'images.pullSecrets[0]=registry'
	refused '/certificate/mode' --set certificate.mode=mine
	refused '/certificate/secretName' --set certificate.mode=provided
	refused '/certificate/caBundle' --set certificate.mode=provided --set certificate.secretName=x
	refused '/networkPolicies/apiServerCIDRs/0' --set 'networkPolicies.apiServerCIDRs[0]=api.example.com'
	refused '/networkPolicies/metricsFrom/0' --set 'networkPolicies.metricsFrom[0].namespaces=x'
	refused '/serviceMonitor/interval' --set serviceMonitor.interval=often
	refused "propertyName 'a: b'" --set-json 'controller.podLabels={"a: b": "c"}'
	# null takes a default away: nothing stands for it.
	for value in controller.replicas controller.logLevel webhook.replicas webhook.sidecarMode webhook.logLevel serviceMonitor.interval; do
		refused "missing propert.* '${value#*.}'" --set "$value=null"
	done
}

@test "a certificate's values count in their own mode, and a caBundle that is no certificate is refused unseen" {
	provided=(--set certificate.mode=provided --set certificate.secretName=x)
	refused '"provided" alone; it is "self"' --set certificate.secretName=x
	refused '"provided" alone; it is "cert-manager"' --set certificate.mode=cert-manager --set certificate.caBundle=x
	refused '"cert-manager" alone; it is "self"' --set certificate.issuerRef.name=x
	refused '"cert-manager" alone; it is "provided"' "${provided[@]}" --set certificate.caBundle=x --set certificate.issuerRef.name=x

	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=x \
		-keyout "$BATS_TEST_TMPDIR/key" -out "$BATS_TEST_TMPDIR/certificate"
	for file in certificate key; do cat "$BATS_TEST_TMPDIR/certificate" "$BATS_TEST_TMPDIR/$file" >"$BATS_TEST_TMPDIR/with-$file"; done
	render "${provided[@]}" --set-file "certificate.caBundle=$BATS_TEST_TMPDIR/with-certificate" |
		grep -F "caBundle: $(base64 -w0 "$BATS_TEST_TMPDIR/with-certificate")"
	for file in key with-key; do
		refused 'caBundle must be certificates' "${provided[@]}" --set-file "certificate.caBundle=$BATS_TEST_TMPDIR/$file"
		run ! grep -F "$(sed -n 2p "$BATS_TEST_TMPDIR/key")" <<<"$output"
	done
}

# notes OPTION... : what helm says after an installation with these values
notes() { helm install gitgate "$chart" --namespace gitgate-system --dry-run=client "$@" | sed '1,/^NOTES:/d'; }

@test "the notes say what an installation with these values needs next" {
	run -0 notes
	[[ $output == *"each node must have them already"*localhost/gitgate/gate:* ]]
	[[ $output == *"kubectl -n NAMESPACE create secret"* ]]
	run -0 notes --set images.registry=registry.example.com --set controller.namespace=team-a
	[[ $output != *"each node"* ]]
	[[ $output == *"team-a, the one namespace that is watched"*"kubectl -n team-a create secret"* ]]
	[[ $output != *NAMESPACE* ]]
	# Its example of a GitGate is one.
	sed -n '/<<END$/,/^  END$/{/END$/!p}' <<<"$output" | sed 's/^  //; s/"ssh-ed25519 \.\.\."/"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"/' >"$BATS_TEST_TMPDIR/gitgate.yaml"
	cat >>"$BATS_TEST_TMPDIR/gitgate.yaml" <<-'END'
		---
		apiVersion: v1
		kind: Secret
		metadata: {name: app-deploy-key, namespace: team-a}
		type: kubernetes.io/ssh-auth
		stringData: {ssh-privatekey: ""}
	END
	run -0 "$GITGATE_BIN/gitgate" render -f "$BATS_TEST_TMPDIR/gitgate.yaml"
	[[ $output == *"name: agents-gitgate-hooks"*"namespace: team-a"* ]]
}

@test "every value has its rule in the schema and its line in the chart's README" {
	/usr/bin/python3 - "$chart" <<-'END'
		import json, sys, yaml
		folder = sys.argv[1]
		with open(folder + "/values.schema.json", encoding="utf-8") as file:
		    schema = json.load(file)
		with open(folder + "/values.yaml", encoding="utf-8") as file:
		    values = yaml.safe_load(file)
		with open(folder + "/README.md", encoding="utf-8") as file:
		    readme = file.read()
		wrong = []

		def look(value, rule, path):
		    if "$ref" in rule:
		        rule = schema["definitions"][rule["$ref"].rsplit("/", 1)[1]]
		    if rule.get("type") == "object" and "properties" in rule:
		        if rule.get("additionalProperties") is not False:
		            wrong.append("%s: the schema lets anything in" % path)
		        for key in value:
		            where = (path + "." + key).lstrip(".")
		            if key not in rule["properties"]:
		                wrong.append("%s: no rule in the schema" % where)
		            else:
		                look(value[key], rule["properties"][key], where)
		        return
		    # Controller and webhook have much in common; a line may tell of all that is below it.
		    parts = path.split(".")
		    above = [parts[:depth] for depth in range(2, len(parts) + 1)]
		    names = above + [["*"] + part[1:] for part in above if part[0] in ("controller", "webhook")]
		    if not any("`%s`" % ".".join(name) in readme for name in names):
		        wrong.append("%s: not in README.md" % path)

		look(values, schema, "")
		print(*wrong, sep="\n")
		sys.exit(1 if wrong else 0)
	END
}
