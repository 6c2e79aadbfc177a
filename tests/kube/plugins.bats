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

@test "where a quota asks each container for limits, a GitGate gives them to all that is put into its pods" {
	local limits='limits: {cpu: 100m, memory: 64Mi}'
	kubectl create namespace bounded
	kubectl -n bounded create serviceaccount default
	kubectl -n bounded create quota limits --hard=limits.cpu=2,limits.memory=2Gi
	# As the quota's controller, which doesn't run here.
	kubectl -n bounded patch quota limits --subresource=status --type=merge -p '{"status": {
		"hard": {"limits.cpu": "2", "limits.memory": "2Gi"}, "used": {"limits.cpu": "0", "limits.memory": "0"}}}'
	gate bounded agents '{}' | kubectl create -f -
	kubectl -n bounded patch gitgate agents --type=merge -p '{"spec": {"gate": {"resources": {
		"limits": {"cpu": "500m", "memory": "256Mi"}}}}}'
	spec="containers: [{name: agent, image: agent, resources: {$limits}}]"
	ns=bounded wait_for 20 pod counted agents
	run -0 kubectl -n bounded get pod counted -o json
	jq -e '.spec.initContainers | length == 2 and all(.resources.limits == {"cpu": "500m", "memory": "256Mi"})' <<<"$output"
}
