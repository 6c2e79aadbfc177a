#!/usr/bin/env bats
# gitgate installed by kubectl alone.

load lib

setup_file() {
	overlay=$BATS_FILE_TMPDIR/overlay
	mkdir "$overlay"
	cp -r "$top/manifests" "$BATS_FILE_TMPDIR/"
	# As manifests/kustomization.yaml tells those who have a registry.
	cat >"$overlay/kustomization.yaml" <<-END
		apiVersion: kustomize.config.k8s.io/v1beta1
		kind: Kustomization
		resources: [../manifests]
		images:
		- {name: localhost/gitgate/controller, newTag: $tag}
		- {name: localhost/gitgate/webhook, newTag: $tag}
		patches:
		- target: {kind: Deployment, name: gitgate-webhook}
		  patch: |
		    - {op: replace, path: /spec/template/spec/containers/0/args/0, value: --gate-image=$(image gate)}
	END
	export overlay
}

teardown_file() { clean; }

@test "kubectl apply -k installs it; a Job of agents does its errand" {
	kubectl apply -k "$overlay"
	gitgate_rolled_out
	kubectl create namespace team-a
	key_secret team-a
	# The API server hears of the webhook's authority a moment after the webhook has written it.
	within 120 gitgate team-a app
	gate_ready team-a
	a_job errand | kubectl -n team-a apply -f -
	kubectl -n team-a wait job/errand --for=condition=Complete --timeout=240s
	pod=$(kubectl -n team-a get pods -l job-name=errand -o jsonpath='{.items[*].metadata.name}')
	[ "$(kubectl -n team-a get pod "$pod" -o jsonpath='{.spec.initContainers[?(@.name=="gitgate")].image}')" = "$(image gate)" ]
	upstream_has app "refs/heads/agent/$pod/errand"
}

@test "kubectl apply -k again changes nothing" {
	run -0 --separate-stderr kubectl diff -k "$overlay"
	[ -z "$output" ]
	run -0 kubectl apply -k "$overlay"
	[[ $output == *"mutatingwebhookconfiguration.admissionregistration.k8s.io/gitgate unchanged"* ]]
	# kubectl replaces a budget's selector by itself each time, and calls that a change.
	run ! grep -vE ' unchanged$|^poddisruptionbudget.* configured$' <<<"$output"
}

@test "kubectl delete -k leaves nothing" {
	kubectl -n team-a delete gitgate agents
	kubectl delete -k "$overlay" --timeout=240s
	kubectl get clusterroles,clusterrolebindings,mutatingwebhookconfigurations,validatingwebhookconfigurations,crds -o name |
		{ ! grep gitgate; }
	run ! kubectl get namespace gitgate-system
}
