# shellcheck shell=bash disable=SC2154,SC2034 # they are lib.bash's
# An API server for the tests of a file, and a namespace for each: none sees another's objects.

setup_file() { bed_up --controllers; }
teardown_file() { bed_down; }

setup() {
	controller_pid=
	ns=t$BATS_TEST_NUMBER
	kubectl create namespace "$ns" >/dev/null
}

teardown() {
	cluster_controllers CONT
	controller_kill
	lease_free # a test that failed killed its holder
}

# cluster_controllers SIGNAL : to the bed's kube-controller-manager
cluster_controllers() {
	local pid
	read -r pid _ <"$bed/kube-controller-manager.pid"
	kill "-$1" "$pid"
}
