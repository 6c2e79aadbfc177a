# shellcheck shell=bash
# Once for all files: a cluster, the images, and a git server outside the agents' reach.
# GITGATE_E2E_CLUSTER=NAME works in that cluster, which is made if need be, and leaves it.

# shellcheck source=tests/e2e/suite/lib.bash
. "$(dirname "${BASH_SOURCE[0]}")/lib.bash"

tell() { echo "# $*" >&3; }

setup_suite() {
	local name bin
	cluster=${GITGATE_E2E_CLUSTER:-e2e-suite-$$} tag=$cluster work=$BATS_SUITE_TMPDIR/work
	mkdir -m 700 "$work" # private keys lie in it
	# shellcheck source=tests/cluster/env
	. "$top/tests/cluster/env"
	KUBECONFIG=$("$top/tests/cluster/cluster" --name "$cluster" kubeconfig)
	export cluster tag work PATH KUBECONFIG KIND_EXPERIMENTAL_PROVIDER

	tell "a cluster"
	"$top/tests/cluster/cluster" --name "$cluster" up
	[ -z "${GITGATE_E2E_CLUSTER:-}" ] || {
		clean
		kubectl delete namespace outside --ignore-not-found
	}
	tell "images"
	bin=$("$top/tests/cluster/tools" gitleaks helm)
	"$top/tests/cluster/base-image" trixie
	take_gitleaks "$bin"
	for name in controller webhook gate agent upstream; do build_image "$name"; done
	for name in controller webhook gate; do
		"$KIND_EXPERIMENTAL_PROVIDER" tag "$(image "$name")" "$(previous_image "$name")"
	done
	build_impostor
	"$top/tests/cluster/cluster" --name "$cluster" load "$(image agent)" "$(image upstream)" "$(image impostor)" \
		"$(image controller)" "$(image webhook)" "$(image gate)" \
		"$(previous_image controller)" "$(previous_image webhook)" "$(previous_image gate)"
	tell "a git server"
	start_upstream
	in_upstream setpriv --reuid=git --regid=git --init-groups git clone -q --bare /srv/git/app.git /srv/git/lib.git
	in_upstream setpriv --reuid=git --regid=git --init-groups git clone -q --bare /srv/git/app.git /srv/git/other.git
}

teardown_suite() {
	[ -z "${GITGATE_E2E_CLUSTER:-}" ] || return 0
	"$top/tests/e2e/down" "$cluster"
}
