#!/usr/bin/env bats
# shellcheck disable=SC2154
# gitgate-webhook beside the API server's own admission plugins that change containers: these run once more after the
# webhooks have.

load lib
load webhook

setup_file() {
	export work=$BATS_FILE_TMPDIR
	bed_up --enable-admission-plugins=AlwaysPullImages
	certificate
	service_account_config gitgate-webhook "$work/kubeconfig"
	start
	kubectl -n team-a create serviceaccount default
	gate team-a agents '{}' | kubectl create -f -
	webhook_configurations
}

@test "where the cluster pulls every image anew it does so for the gate" {
	ns=team-a pod anew agents
	run -0 kubectl -n team-a get pod anew -o json
	jq -e '.spec.initContainers | length == 2 and all(.imagePullPolicy == "Always")' <<<"$output"
}
