#!/usr/bin/env bats
# The API server says of a GitGate what lib/api says (tests/unit checks that one on the same files), and takes every
# pod that the webhook's golden cases make.

load lib

setup_file() { bed_up; }
teardown_file() { bed_down; }

cases=$GITGATE_SOURCE/tests/cases/validate

# What no schema can say in any version of Kubernetes that has native sidecars: the webhook and the
# controller say it.
beyond_a_schema='egress-cidr-host-bits host-like-a-repository repository-inside-another repository-twice scan-allow-path scan-rule-empty-match
	scan-rule-lookahead scan-rule-too-large'

verdict() {
	kubectl apply --dry-run=server -f "$1" 2>&1
}

@test "every valid example is accepted" {
	for file in "$cases"/valid/*.yaml; do
		verdict "$file" || { echo "$file is refused"; return 1; }
	done
}

@test "every invalid example is refused, but for what no schema can say" {
	for file in "$cases"/invalid/*.yaml; do
		name=$(basename "$file" .yaml)
		expected=refused
		case " ${beyond_a_schema//[[:space:]]/ } " in *" $name "*) expected=accepted ;; esac
		if verdict "$file" >"$BATS_TEST_TMPDIR/out"; then got=accepted; else got=refused; fi
		[ "$got" = "$expected" ] || { echo "$name is $got"; cat "$BATS_TEST_TMPDIR/out"; return 1; }
	done
}

@test "a refusal says what to change" {
	while read -r name words; do
		verdict "$cases/invalid/$name.yaml" >"$BATS_TEST_TMPDIR/out" && return 1
		grep -F -- "$words" "$BATS_TEST_TMPDIR/out" || { echo "$name:"; cat "$BATS_TEST_TMPDIR/out"; return 1; }
	done <<-'END'
		placement-gateway Gateway placement is not available yet; use Sidecar
		extra-host-conflict pick one IP
		ssh-and-http http stands beside ssh
		ssh-url-without-ssh an ssh URL needs ssh.secretRef.name
		url-colon must be ssh://[user@]host[:port]/path, [user@]host:path or https://host[:port]/path
		url-one-slash lacks the second '/'
		host-key-with-host as ssh-keyscan prints it, without the host before it
		host-key-dss must start with a host key type
		push-ref-short must start with refs/heads/ or refs/tags/
	END
}

@test "defaults are the safe values" {
	run -0 kubectl apply --dry-run=server -f "$cases/valid/smallest.yaml" -o json
	jq -e '.spec.upstreams[0].push | .allowForce == false and .allowDelete == false' <<<"$output"
	jq -e '.spec.network.policy == "Managed" and .spec.network.isolation == "Nftables"' <<<"$output"
}

@test "kubectl explains every field, gg is its short name, and gitgate its category" {
	kubectl explain gitgate.spec.upstreams.ssh.knownHostKeys | grep -q ssh-keyscan
	kubectl get gg -A
	kubectl get gitgate -A
	# Every property has a description (metadata has the API server's own).
	kubectl get crd gitgates.gitgate.dev -o json |
		jq -e '[.spec.versions[0].schema.openAPIV3Schema | .. | .properties? // empty | to_entries[] |
			select(.value | type == "object" and .type != null or has("x-kubernetes-int-or-string")) |
			select(.key != "metadata" and (.value.description // "") == "") | .key] | . == [] or error(tostring)'
}

# patched FOLDER : the review's pod of cases/inject with its patch, as the API server applies it, but for keys with a
# tilde: webhooks are asked before the API server refuses those
patched() {
	jq '.request | .object + {apiVersion: "v1", kind: "Pod"} | .metadata.namespace //= "team-a" |
		(.metadata.labels, .metadata.annotations | select(.)) |= with_entries(select(.key | contains("~") | not))' \
		"$1/review.json" >"$BATS_TEST_TMPDIR/pod.json"
	jq '.response.patch' "$1/response.json" >"$BATS_TEST_TMPDIR/patch.json"
	kubectl patch --local -f "$BATS_TEST_TMPDIR/pod.json" --type=json --patch-file="$BATS_TEST_TMPDIR/patch.json" -o json
}

@test "every pod that a golden case of injection makes can be created" {
	local folder made=$BATS_TEST_TMPDIR/made n=0
	mkdir "$made"
	kubectl -n team-a create serviceaccount default
	for folder in "$GITGATE_SOURCE"/tests/cases/inject/*; do
		# An update's patch is of a pod that is there.
		jq -en 'input.response.patch and input.request.operation == "CREATE"' "$folder/response.json" "$folder/review.json" >/dev/null ||
			continue
		n=$((n + 1))
		patched "$folder" >"$made/${folder##*/}.json"
	done
	[ "$n" -ge 25 ]
	kubectl create --dry-run=server --validate=ignore -f "$made" -o json >"$BATS_TEST_TMPDIR/pods.json"
	# With their gate in them: a field that the API server doesn't know would have been left out.
	jq -es --argjson n "$n" '[.[] | select([.spec.initContainers[]?, .spec.containers[] |
		select(.name == "gitgate" and .startupProbe)] | length == 1)] | length == $n' "$BATS_TEST_TMPDIR/pods.json"
}
