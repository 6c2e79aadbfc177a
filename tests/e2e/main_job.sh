#!/bin/bash
# main_job.sh [--keep] [--cluster NAME] : gitgate's main job, from nothing to a summary
#
# Brings up a cluster, installs gitgate, and shows step by step that an agent uses a git repository
# without its credential and that no secret leaves in a push. Every line marked PASS was checked;
# the first check that fails ends it. tests/demo.sh and the test e2e.main_job are this.
. "$(dirname "$0")/lib.sh"

url=ssh://git@upstream.outside.svc.cluster.local:2222/srv/git/app.git

# ------------------------------------------------------------------------------------- people

# agent COMMAND... : in the agent's container; agent_root: in that of an agent that is root
agent() { kubectl -n team-a exec -i deploy/agent -c agent -- "$@" </dev/null; }
agent_root() { kubectl -n team-a exec -i deploy/agent-root -c agent -- "$@" </dev/null; }
bystander() { kubectl -n team-a exec -i bystander -- "$@" </dev/null; }
in_repo() { agent git -C /home/agent/app "$@"; }
in_upstream() { kubectl -n outside exec -i deploy/upstream -- "$@" </dev/null; }
upstream_git() { in_upstream git --git-dir=/srv/git/app.git "$@"; }

# agent_commits FILE TEXT : a commit in the agent's clone
agent_commits() {
	agent sh -euc 'cd ~/app; printf "%s\n" "$2" >"$1"; git add "$1"; git commit -qm "Change $1"' sh "$1" "$2"
	in_repo rev-parse HEAD
}

# agent_archives TEXT : a commit of an archive with a file that holds it
agent_archives() {
	agent sh -euc 'cd ~/app; printf "%s\n" "$1" >settings.env; tar -czf settings.tgz settings.env; rm settings.env
		git add settings.tgz; git commit -qm "Add settings.tgz"' sh "$1"
}

# -------------------------------------------------------------------------------------- steps

a_cluster_is_up() {
	step "A Kubernetes cluster (kind) is up"
	if "$here/cluster" --name "$cluster" status >/dev/null; then
		say "removing the cluster \"$cluster\" that an earlier run left"
		"$here/cluster" --name "$cluster" down
	fi
	"$here/cluster" --name "$cluster" up >/dev/null
	shows "the node is ready" " Ready " kubectl get nodes --no-headers
	figure "cluster up" "$((SECONDS - step_started)) s"
}

gitgate_is_installed() {
	local began=$SECONDS name bin
	step "gitgate is built, and installed by helm"
	bin=$("$here/tools" gitleaks helm)
	"$here/base-image" trixie >/dev/null
	take_gitleaks "$bin"
	for name in controller webhook gate agent upstream; do
		stage "building the image of the $name" 60 build_image "$name"
	done
	figure "images built" "$((SECONDS - began)) s"
	"$here/cluster" --name "$cluster" load \
		"$(image controller)" "$(image webhook)" "$(image gate)" "$(image agent)" "$(image upstream)"
	pass "the images are in the cluster"
	check "the chart is installed, controller and webhook are ready" \
		helm install gitgate "$top/charts/gitgate" --namespace gitgate-system --create-namespace \
		--set "images.tag=$tag" --wait --timeout 240s
	kubectl -n gitgate-system get deployments | quote
}

an_upstream_runs_outside() {
	step "A git server runs outside the agents' reach: sshd, git-shell, an ed25519 host key"
	check "it is up" start_upstream
	upstream_ip=$(kubectl -n outside get pods -l app=upstream -o jsonpath='{.items[0].status.podIP}')
	echo "         $url"
}

a_gitgate_is_declared() {
	local kinds
	step "A Secret and a GitGate are applied; the controller renders what a gate needs"
	kubectl create namespace team-a >/dev/null
	kubectl -n team-a create secret generic app-deploy-key --type=kubernetes.io/ssh-auth \
		--from-file=ssh-privatekey="$work/deploy_key" >/dev/null
	cat >"$work/gitgate.yaml" <<-END
		apiVersion: gitgate.dev/v1alpha1
		kind: GitGate
		metadata: {name: agents, namespace: team-a}
		spec:
		  upstreams:
		  - name: app
		    url: $url
		    ssh:
		      secretRef: {name: app-deploy-key}
		      knownHostKeys: ["$(cut -d' ' -f1,2 "$work/host_key.pub")"]
	END
	quote <"$work/gitgate.yaml"
	check "kubectl apply" kubectl apply -f "$work/gitgate.yaml"
	check "the GitGate is Ready" kubectl -n team-a wait --for=condition=Ready gitgate/agents --timeout=240s
	kubectl -n team-a get gitgates | quote
	kinds=$(kubectl -n team-a get configmaps,secrets,networkpolicies -l gitgate.dev/gate=agents -o name | sort)
	same "ConfigMaps, Secret and NetworkPolicies are there" "$(printf '%s\n' \
		configmap/agents-gitgate-client configmap/agents-gitgate-hooks \
		networkpolicy.networking.k8s.io/agents-gitgate-egress \
		networkpolicy.networking.k8s.io/agents-gitgate-internal secret/agents-gitgate-creds)" "$kinds"
	same "all of them made by gitgate-controller, and by nobody else" gitgate-controller \
		"$(kubectl -n team-a get configmaps,secrets,networkpolicies -l gitgate.dev/gate=agents -o json --show-managed-fields |
			jq -r '[.items[].metadata.managedFields[].manager] | unique[]')"
	same "all of them owned by the GitGate" "GitGate/agents" \
		"$(kubectl -n team-a get configmaps,secrets,networkpolicies -l gitgate.dev/gate=agents -o json |
			jq -r '[.items[].metadata.ownerReferences[0] | .kind + "/" + .name] | unique[]')"
}

# agent_deployment NAME UID COMMAND... : an agent as its owner writes it: an image with git, the
# label, nothing about gates. It brings a git configuration of its own in its environment.
agent_deployment() {
	local name=$1 uid=$2
	shift 2
	cat <<-END
		apiVersion: apps/v1
		kind: Deployment
		metadata: {name: $name, namespace: team-a}
		spec:
		  selector: {matchLabels: {app: $name}}
		  template:
		    metadata: {labels: {app: $name, gitgate.dev/gate: agents}}
		    spec:
		      terminationGracePeriodSeconds: 1
		      containers:
		      - name: agent
		        image: $(image agent)
		        command: $(jq -cn '$ARGS.positional' --args -- "$@")
		        securityContext: {runAsUser: $uid}
		        env:
		        - {name: URL, value: "$url"}
		        - {name: GIT_CONFIG_COUNT, value: "2"}
		        - {name: GIT_CONFIG_KEY_0, value: user.name}
		        - {name: GIT_CONFIG_VALUE_0, value: agent}
		        - {name: GIT_CONFIG_KEY_1, value: user.email}
		        - {name: GIT_CONFIG_VALUE_1, value: agent@example.com}
		---
	END
}

agents_run() {
	local applied first
	step "A Deployment of agents is applied; the webhook gives each pod its gate"
	{
		agent_deployment agent 1000 sh -c 'git ls-remote "$URL" >/dev/null && date +%s%3N && exec sleep infinity'
		agent_deployment agent-root 0 sleep infinity
		# Somebody beside them without a gate, to see what the agents would reach without theirs.
		cat <<-END
			apiVersion: v1
			kind: Pod
			metadata: {name: bystander, namespace: team-a}
			spec: {terminationGracePeriodSeconds: 1, containers: [{name: main, image: "$(image agent)"}]}
		END
	} >"$work/agents.yaml"
	applied=$(date +%s%3N)
	check "kubectl apply" kubectl apply -f "$work/agents.yaml"
	check "the agents are up" kubectl -n team-a rollout status deployment/agent deployment/agent-root --timeout=240s
	check "so is a pod without a gate" kubectl -n team-a wait --for=condition=Ready pod/bystander --timeout=240s
	within 120 "the agent's first git command has ended" first_command_ended
	same "it needed no second try" 0 "$(agent_pod '.status.containerStatuses[0].restartCount')"
	first=$(kubectl -n team-a logs deploy/agent -c agent | tail -n1)
	figure "kubectl apply of the agent to its first ls-remote" "$((first - applied)) ms"
	same "the gate is a native sidecar, after the container that installs the packet filter" \
		'[["gitgate-isolate",null],["gitgate","Always"]]' "$(agent_pod '[.spec.initContainers[] | [.name, .restartPolicy]]')"
	same "the name git-gate leads to the pod itself" '["127.0.0.1"]' \
		"$(agent_pod '[.spec.hostAliases[] | select(.hostnames | index("git-gate")) | .ip]')"
	same "the agent's container has the git configuration and nothing else of the gate's" '["gitgate-client"]' \
		"$(agent_pod '[.spec.containers[0].volumeMounts[].name | select(startswith("gitgate"))]')"
	same "the pod beside them was left alone" '[null,1]' \
		"$(kubectl -n team-a get pod bystander -o json | jq -c '[.spec.initContainers, (.spec.containers | length)]')"
}

first_command_ended() { kubectl -n team-a logs deploy/agent -c agent | grep -Eq '^[0-9]+$'; }

# agent_pod FILTER : of the agent's Pod object
agent_pod() { kubectl -n team-a get pods -l app=agent -o json | jq -c ".items[0] | $1"; }

the_agent_uses_git() {
	local commit before refusal token leaked
	step "The agent uses plain git with the upstream's own URL"
	check "git clone $url" agent git clone -q "$url" /home/agent/app
	shows "git leads that URL to the gate" '^git://git-gate/' in_repo ls-remote --get-url

	check "git switch -c agent/work" in_repo switch -q -c agent/work
	commit=$(agent_commits notes.txt "a change by the agent")
	check "commit, git push" in_repo push -q origin agent/work
	same "it arrived upstream" "$commit" "$(upstream_git rev-parse refs/heads/agent/work)"

	# Looks like a GitHub token, and is none.
	token=$(openssl rand -base64 90 | tr -dc A-Za-z0-9)
	token="gh""p_${token:0:36}"
	leaked=$(agent_commits settings.env "TOKEN=$token")
	refuses "a push with a token in it is refused, and the agent reads why" 'github-pat' in_repo push origin agent/work
	check "the refusal does not repeat the token" absent_from "$token" <<<"$refusal"
	same "the upstream still has the commit before" "$commit" "$(upstream_git rev-parse refs/heads/agent/work)"
	check "the upstream has nothing of the refused commit" upstream_lacks "$leaked"
	check "without it the agent goes on" in_repo reset -q --hard HEAD~1
	check "the agent packs it into an archive" agent_archives "TOKEN=$token"
	refuses "that is opened, and refused" 'github-pat' in_repo push origin agent/work
	same "nothing of it arrived" "$commit" "$(upstream_git rev-parse refs/heads/agent/work)"
	check "without that too it goes on" in_repo reset -q --hard HEAD~1

	commit=$(in_upstream commit "a colleague's change")
	check "a colleague pushes upstream; git fetch" in_repo fetch -q
	same "the agent has it at once" "$commit" "$(in_repo rev-parse origin/main)"

	check "the upstream stops" in_upstream kill -USR1 1
	within 120 "it is down" in_upstream test ! -e /run/sshd.pid
	before=$commit
	commit=$(in_upstream commit "a change while it is down")
	refuses "git fetch is refused, and the agent reads why" '[Rr]efused' in_repo fetch
	refuses "git ls-remote too: nothing stale is served" '[Rr]efused' in_repo ls-remote
	same "the agent's clone is as it was" "$before" "$(in_repo rev-parse origin/main)"
	check "the upstream is back" in_upstream kill -USR2 1
	within 120 "it is up" in_upstream test -e /run/sshd.pid
	check "git fetch" in_repo fetch -q
	same "the agent has what happened in between" "$commit" "$(in_repo rev-parse origin/main)"
}

# absent_from NEEDLE : true unless standard input has it
absent_from() { ! grep -Fq -- "$1"; }

upstream_lacks() { ! upstream_git cat-file -e "$1"; }

# unreachable WHO HOST PORT [UID GID] : true when three attempts in a row fail
unreachable() {
	local who=$1 try out
	shift
	for try in 1 2 3; do
		out=$("$who" python3 -c "$connect" "$@") || return 1
		echo "attempt $try: $out"
		[[ $out != *CONNECTED* ]] || return 1
	done
}

reachable() {
	local who=$1
	shift
	"$who" python3 -c "$connect" "$@" | grep CONNECTED
}

# A stand-in for a cloud's metadata service, on the node itself: what must not be reached has to be
# there, and nothing that a test sends may leave the machine.
a_metadata_service_runs() {
	kubectl apply -f - >/dev/null <<-END
		apiVersion: v1
		kind: Pod
		metadata: {name: metadata-service, namespace: outside}
		spec:
		  hostNetwork: true
		  terminationGracePeriodSeconds: 1
		  initContainers:
		  - name: address
		    image: $(image gate)
		    command: [ip, address, replace, 169.254.169.254/32, dev, lo]
		    securityContext: {runAsUser: 0, capabilities: {drop: [ALL], add: [NET_ADMIN]}}
		  containers:
		  - name: service
		    image: $(image agent)
		    command:
		    - python3
		    - -c
		    - |
		      import socket
		      server = socket.create_server(("169.254.169.254", 80))
		      while True:
		          server.accept()[0].close()
		    securityContext: {runAsUser: 0}
	END
	kubectl -n outside wait --for=condition=Ready pod/metadata-service --timeout=240s
}

nothing_gets_out() {
	local node api gates_group
	step "The credential is nowhere near the agent, and the agent reaches nothing but its gate"
	# Parts that only the private key has: a line of its second half, as it is in the file and in
	# the Secret.
	sed -n 5p "$work/deploy_key" >"$work/needles"
	base64 -w0 <"$work/deploy_key" | cut -c 320-380 >>"$work/needles"

	same "the search finds the key where it is: in the gate" /git-gate/creds/app-key \
		"$(searched deploy/agent gitgate | sed 's|/\.\.[^/]*/|/|')"
	same "it is not in the agent's files, environments, command lines, mounts" "" "$(searched deploy/agent agent)"
	same "nor where the agent is root" "" "$(searched deploy/agent-root agent)"
	same "no container but the gate mounts a Secret" '["gitgate"]' "$(agent_pod '
		[.spec.volumes[] | select(.secret or ([.projected.sources[]?.secret] | any)) | .name] as $secrets |
		[.spec | (.initContainers, .containers)[] | select(any(.volumeMounts[]?; .name | IN($secrets[]))) | .name]')"
	{
		kubectl -n gitgate-system logs deploy/gitgate-controller
		kubectl -n gitgate-system logs deploy/gitgate-webhook --all-pods
		kubectl -n team-a logs deploy/agent --all-containers
		kubectl get events -A -o yaml
		kubectl -n team-a get gitgates,configmaps,pods,networkpolicies -o yaml
	} >"$work/said"
	check "the search finds it in the Secret" grep -qF -f "$work/needles" <(kubectl -n team-a get secrets -o yaml)
	same "it is in no log, event, status, ConfigMap or pod" 0 "$(grep -cF -f "$work/needles" "$work/said" || :)"

	node=$(kubectl get nodes -o jsonpath='{.items[0].status.addresses[?(@.type=="InternalIP")].address}')
	gates_group=$(kubectl -n team-a get pods -l app=agent-root -o json |
		jq '.items[0].spec.initContainers[] | select(.name == "gitgate") | .securityContext.runAsGroup')
	api=$(kubectl -n default get service kubernetes -o jsonpath='{.spec.clusterIP}')
	within 120 "without a gate, a pod reaches the upstream's port" reachable bystander "$upstream_ip" 2222
	within 120 "and the API server" reachable bystander "$api" 443
	check "a stand-in for a cloud's metadata service runs on the node" a_metadata_service_runs
	within 120 "a pod without a gate reaches it" reachable bystander 169.254.169.254 80
	check "the agent does not reach the upstream's port" unreachable agent "$upstream_ip" 2222
	check "nor does root" unreachable agent_root "$upstream_ip" 2222
	check "nor root that tries to become the gate's user" unreachable agent_root "$upstream_ip" 2222 9418 "$gates_group"
	check "nor the API server" unreachable agent "$api" 443
	check "nor root, at its node's address" unreachable agent_root "$node" 6443
	check "nor a cloud's metadata service" unreachable agent_root 169.254.169.254 80
	check "nor root that tries to become the gate's user" unreachable agent_root 169.254.169.254 80 9418 "$gates_group"
	within 120 "a name is looked up without a gate" bystander getent hosts upstream.outside.svc.cluster.local
	refuses "and by no agent: DNS carries nothing out" '^' agent getent hosts upstream.outside.svc.cluster.local
	check "its gate still serves it" in_repo fetch -q
}

# searched WHAT CONTAINER
searched() { kubectl -n team-a exec -i "$1" -c "$2" -- sh -c "$search" <"$work/needles"; }

memory() {
	figure "memory, controller" "$(rss gitgate-system app.kubernetes.io/component=controller controller)"
	figure "memory, a webhook" "$(rss gitgate-system app.kubernetes.io/component=webhook webhook)"
	figure "memory, a gate" "$(rss team-a app=agent gitgate)"
}

a_cluster_is_up
gitgate_is_installed
an_upstream_runs_outside
a_gitgate_is_declared
agents_run
the_agent_uses_git
nothing_gets_out
memory
summary
