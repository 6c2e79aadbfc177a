# shellcheck shell=bash
# What the end-to-end tests are played with: the images, a git server outside, the look into the node
# and into containers. Sourced by main_job.sh and by the suite; does nothing by itself. It reads
#   $top      the checkout
#   $work     a private folder
#   $cluster  the kind cluster's name
#   $tag      of the images
# and wants tests/cluster/env and KUBECONFIG.
# shellcheck disable=SC2154

# image NAME : the full name of an image of this run
image() { echo "localhost/gitgate/$1:$tag"; }

# take_gitleaks FOLDER : the program of that folder and its rules, alone in a folder of their own, as
# all of it becomes part of the build
take_gitleaks() {
	mkdir -p "$work/gitleaks"
	cp -L "$1/gitleaks" "$work/gitleaks/"
	"$top/rules/take" "$work/gitleaks/gitleaks.toml"
}

build_image() {
	GITGATE_ENGINE=$KIND_EXPERIMENTAL_PROVIDER "$top/images/build" --tag "$tag" \
		--gitleaks "$work/gitleaks" "$1" -- "${PODMAN_BUILD_FLAGS[@]}"
}

# previous_image NAME : the name that the image has for the chart that is upgraded from
previous_image() { echo "$(image "$1")-previous"; }

# remove_images : the names of this run alone. The images stay, as another run's build may be about to
# give the same one a name: the same sources give the same image. They make the next build quick;
# "podman image prune" frees their disk space.
remove_images() {
	local name names=()
	for name in controller webhook gate agent upstream; do
		names+=("$(image "$name")" "$(previous_image "$name")")
	done
	for name in "${names[@]}" "$(image impostor)"; do
		case $KIND_EXPERIMENTAL_PROVIDER in
		podman) podman untag "$name" "$name" ;;
		# Has no untag. It keeps what another name leads to.
		*) "$KIND_EXPERIMENTAL_PROVIDER" rmi --no-prune "$name" ;;
		esac >/dev/null 2>&1 || :
	done
}

# start_upstream : sshd and git-shell in namespace "outside", with the repository app.git
start_upstream() {
	# Keys are made now and die with the run.
	ssh-keygen -q -t ed25519 -N '' -C host -f "$work/host_key"
	ssh-keygen -q -t ed25519 -N '' -C gate -f "$work/deploy_key"
	kubectl create namespace outside >/dev/null
	kubectl -n outside create secret generic keys --from-file=host_key="$work/host_key" \
		--from-file=authorized_keys="$work/deploy_key.pub" >/dev/null
	kubectl apply -f - >/dev/null <<-END
		apiVersion: apps/v1
		kind: Deployment
		metadata: {name: upstream, namespace: outside}
		spec:
		  selector: {matchLabels: {app: upstream}}
		  template:
		    metadata: {labels: {app: upstream}}
		    spec:
		      terminationGracePeriodSeconds: 1
		      containers:
		      - name: sshd
		        image: $(image upstream)
		        readinessProbe: {tcpSocket: {port: 2222}, periodSeconds: 1}
		        volumeMounts: [{name: keys, mountPath: /keys, readOnly: true}]
		      volumes: [{name: keys, secret: {secretName: keys}}]
		---
		# Headless, so that the name leads to the pod's own address, as an outside server's would;
		# also while nobody answers there.
		apiVersion: v1
		kind: Service
		metadata: {name: upstream, namespace: outside}
		spec: {clusterIP: None, publishNotReadyAddresses: true, selector: {app: upstream}, ports: [{port: 2222}]}
	END
	kubectl -n outside rollout status deployment/upstream --timeout=240s
}

# Prints CONNECTED or why not: connect HOST PORT [UID GID], which tries to become that user first
# shellcheck disable=SC2034  # for whoever sources this
connect='
import os, socket, sys
host, port = sys.argv[1], int(sys.argv[2])
# The group first: another user may not change it.
for become, id in zip((os.setgid, os.setuid), sys.argv[:2:-1]):
    try:
        become(int(id))
    except OSError as error:
        print("become", id + ":", error.strerror)
for family, kind, _, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
    s = socket.socket(family, kind)
    s.settimeout(3)
    try:
        s.connect(address)
        print("CONNECTED")
    except OSError as error:
        print(error)
'

# Prints each place of a container where one of the lines of standard input is found: files,
# environments and command lines of processes, mounts.
# shellcheck disable=SC2034  # for whoever sources this
search='
needles=$(cat)
has() { printf "%s\n" "$needles" | grep -qsaF -f - "$1"; }
printf "%s\n" "$needles" | grep -rlsaF -f - --exclude-dir=proc --exclude-dir=sys /
for file in /proc/[0-9]*/environ /proc/[0-9]*/cmdline /proc/[0-9]*/mountinfo; do
	has "$file" && echo "$file"
done
true'

# rss NAMESPACE LABEL CONTAINER : resident memory of all processes of that container, in the first pod
# of that label. Seen from the node: the images need not have a shell.
rss() {
	local pod
	pod=$(kubectl -n "$1" get pods -l "$2" -o jsonpath='{.items[0].metadata.name}')
	"$KIND_EXPERIMENTAL_PROVIDER" exec "$cluster-control-plane" sh -euc '
		id=$(crictl ps --quiet --label "io.kubernetes.pod.name=$1" --name "^$2\$")
		pid=$(crictl inspect --output go-template --template "{{.info.pid}}" "$id")
		space=$(readlink "/proc/$pid/ns/pid")
		for process in /proc/[0-9]*; do
			[ "$(readlink "$process/ns/pid")" != "$space" ] || cat "$process/status" || :
		done' sh "$pod" "$3" |
		awk '$1 == "Name:" { name = $2 }
			$1 == "VmRSS:" { list = list name " " $2 " kB  "; sum += $2 }
			END { print list "= " sum " kB" }'
}

# dump : what helps to see why
dump() {
	local pod
	[ -s "$KUBECONFIG" ] || return 0
	echo
	echo "---- pods"
	kubectl get pods -A -o wide
	echo "---- GitGates"
	kubectl get gitgates -A -o yaml
	for pod in $(kubectl get pods -A -o json | jq -r '.items[].metadata |
		select(.namespace | IN("gitgate-system", "team-a", "team-b", "outside")) | .namespace + "/" + .name'); do
		echo "---- log of $pod"
		kubectl -n "${pod%/*}" logs "${pod#*/}" --all-containers --prefix --tail=30
	done
	echo "---- events"
	kubectl get events -A --sort-by=.lastTimestamp | tail -n 40
} 2>&1
