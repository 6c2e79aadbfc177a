#!/usr/bin/env bats
# shellcheck disable=SC2154
# The webhook keeps its certificate by itself: with no more rights than manifests/ give, without a
# leader, and so that a real API server never meets a certificate that it doesn't trust.

load lib

setup_file() {
	export work=$BATS_FILE_TMPDIR
	bed_up
	kubectl apply --server-side -f "$GITGATE_SOURCE/manifests/webhook-certificate.yaml"
	service_account_config gitgate-webhook "$work/token"
	kubectl --kubeconfig "$work/token" config set-context --current --namespace gitgate-system
	kubectl -n team-a create serviceaccount default
	gate agents "$(ns=team-a upstream app)"
	configurations 1
}

teardown_file() {
	bed_down
}

teardown() {
	local pid
	for pid in "$BATS_TEST_TMPDIR"/*.pid; do
		[ -e "$pid" ] || continue
		kill -KILL "$(cat "$pid")" 2>/dev/null || :
	done
	[ "${BATS_TEST_COMPLETED:-}" = 1 ] || tail -n 15 "$BATS_TEST_TMPDIR"/*.log
	kubectl -n gitgate-system delete secret gitgate-webhook-authority --ignore-not-found
}

ns=team-a

# launch NAME OPTION... : starts one
launch() {
	local log=$BATS_TEST_TMPDIR/$1.log
	"$GITGATE_BIN/gitgate-webhook" --kubeconfig "$work/token" --gate-image gate:test \
		--listen 127.0.0.1:0 --health-addr 127.0.0.1:0 --tls-host 127.0.0.1 "${@:2}" >"$log" 2>&1 3>&- &
	echo $! >"$BATS_TEST_TMPDIR/$1.pid"
}

# told NAME TEXT : waits until its log holds it
told() {
	timeout 60 tail -n +1 -f --pid="$(cat "$BATS_TEST_TMPDIR/$1.pid")" "$BATS_TEST_TMPDIR/$1.log" 2>/dev/null |
		grep -qm1 -- "$2"
}

# webhook NAME OPTION... : starts one, returns when it listens; its port in $port
webhook() {
	launch "$@"
	told "$1" '"listening"'
	port=$(jq -r 'select(.msg == "listening").port' "$BATS_TEST_TMPDIR/$1.log")
	health=$(jq -r 'select(.msg == "listening").health_port' "$BATS_TEST_TMPDIR/$1.log")
}

# Below those that the kernel gives to connections.
free_port() {
	python3 - <<-'END'
		import random, socket
		while True:
		    port = random.randrange(20000, 32000)
		    with socket.socket() as s:
		        if s.connect_ex(("127.0.0.1", port)) != 0:
		            break
		print(port)
	END
}

# configurations PORT : as manifests/webhook.yaml, asked at that port of this machine; no caBundle
configurations() {
	kubectl create --dry-run=client -o json -f "$GITGATE_SOURCE/manifests/webhook.yaml" |
		jq --arg url "https://127.0.0.1:$1" '(.items? // [.])[] | .webhooks |=
			map(.clientConfig = {url: ($url + .clientConfig.service.path)})' |
		kubectl apply --server-side --force-conflicts -f -
}

bundles() {
	kubectl get mutatingwebhookconfiguration,validatingwebhookconfiguration gitgate -o json |
		jq -r '.items[].webhooks[].clientConfig.caBundle'
}

ready() { [ "$(curl -s "http://127.0.0.1:$1/readyz")" = ok ]; }

# one_bundle : all five hold the same, which is PEM
one_bundle() {
	[ "$(bundles | sort -u | wc -l)" = 1 ] && bundles | head -n 1 | base64 -d | grep -q 'BEGIN CERTIFICATE'
}

# pod OPTION... : one that asks for its gate
pod() {
	kubectl -n team-a create "$@" --dry-run=server -o name -f - <<-END
		{apiVersion: v1, kind: Pod, metadata: {generateName: p-, labels: {gitgate.dev/gate: agents}},
		 spec: {containers: [{name: agent, image: agent}]}}
	END
}

@test "until it has its certificate nobody is listened to, and it is not ready" {
	local server port api
	server=$(kubectl config view --raw --minify -o jsonpath='{.clusters[0].cluster.server}')
	api=$(free_port)
	until port=$(free_port) && [ "$port" != "$api" ]; do :; done
	kubectl --kubeconfig "$work/token" config view --raw --minify -o json |
		jq --arg server "https://127.0.0.1:$api" '.clusters[0].cluster.server = $server' >"$BATS_TEST_TMPDIR/later"
	launch early --kubeconfig "$BATS_TEST_TMPDIR/later" --listen "127.0.0.1:$port"
	told early 'read Secret gitgate-webhook-authority'
	health=$(jq -r 'select(.msg == "starting").health_port' "$BATS_TEST_TMPDIR/early.log")
	[ "$(curl -sS -o "$BATS_TEST_TMPDIR/out" -w '%{http_code}' "http://127.0.0.1:$health/healthz")" = 200 ]
	[ "$(curl -sS -o "$BATS_TEST_TMPDIR/out" -w '%{http_code}' "http://127.0.0.1:$health/readyz")" = 503 ]
	run -7 curl -ksS "https://127.0.0.1:$port/readyz"
	# Here comes the API server.
	socat "TCP-LISTEN:$api,bind=127.0.0.1,fork,reuseaddr" "TCP:${server#https://}" 3>&- &
	echo $! >"$BATS_TEST_TMPDIR/socat.pid"
	told early '"listening"'
	kubectl -n gitgate-system get secret gitgate-webhook-authority -o jsonpath='{.data.ca\.crt}' | base64 -d >"$BATS_TEST_TMPDIR/ca.crt"
	curl -sS -o "$BATS_TEST_TMPDIR/out" --cacert "$BATS_TEST_TMPDIR/ca.crt" "https://127.0.0.1:$port/readyz"
}

@test "a port that is another program's ends it with a reason, also when the certificate comes first" {
	webhook first
	run -1 timeout 60 "$GITGATE_BIN/gitgate-webhook" --kubeconfig "$work/token" --gate-image gate:test \
		--listen "127.0.0.1:$port" --tls-host 127.0.0.1
	[[ $output == *"cannot listen on 127.0.0.1 port $port: is it another program's"* ]]
}

@test "two that start at once make one authority, and the API server trusts both" {
	webhook a
	first=$port a=$health
	webhook b
	second=$port b=$health
	wait_for 20 ready "$a"
	wait_for 20 ready "$b"
	one_bundle
	[ "$(kubectl -n gitgate-system get secret gitgate-webhook-authority -o json | jq -r '.data["ca.crt"]' | base64 -d | grep -c BEGIN)" = 1 ]
	for port in $first $second; do
		configurations "$port"
		wait_for 20 one_bundle
		wait_for 10 pod
	done
	# Written once each: of two that were at it, one gave way.
	[ "$(cat "$BATS_TEST_TMPDIR"/[ab].log | grep -c 'authorities written')" = 1 ]
}

@test "a caBundle that somebody edits or an upgrade takes away is put back at once" {
	webhook a
	configurations "$port"
	wait_for 20 ready "$health"
	wait_for 10 pod
	kubectl patch mutatingwebhookconfiguration gitgate --type=json \
		-p '[{"op": "remove", "path": "/webhooks/0/clientConfig/caBundle"}]'
	wait_for 5 one_bundle
	other=$(base64 -w0 "$bed/ca.crt")
	kubectl patch validatingwebhookconfiguration gitgate --type=json \
		-p '[{"op": "replace", "path": "/webhooks/1/clientConfig/caBundle", "value": "'"$other"'"}]'
	wait_for 5 one_bundle
	wait_for 10 pod
}

@test "a Secret that is no use is written anew, and pods are admitted again" {
	webhook a --certificate-lifetime 60
	configurations "$port"
	wait_for 20 ready "$health"
	kubectl -n gitgate-system patch secret gitgate-webhook-authority -p '{"stringData": {"ca.key": "nonsense"}}'
	wait_for 10 grep -q 'is no use and is written anew' "$BATS_TEST_TMPDIR/a.log"
	wait_for 10 one_bundle
	wait_for 10 pod
	run ! grep -E 'PRIVATE|BEGIN' "$BATS_TEST_TMPDIR/a.log"
}

# unreadable PATH : the object there gets managedFields that no strict reader takes
unreadable() {
	kubectl get --raw "$1" | jq '.metadata.managedFields = [{manager: "m", operation: "Update", apiVersion: .apiVersion,
		time: "2026-01-01T00:00:00Z", fieldsType: "FieldsV1", fieldsV1: {"f:FIELDS": {}}}]' |
		LC_ALL=C sed 's/FIELDS/\xff\xfe/' >"$BATS_TEST_TMPDIR/object.json"
	kubectl replace --raw "$1" -f "$BATS_TEST_TMPDIR/object.json" >/dev/null
}

@test "managedFields that nobody can read, of the Secret or of a configuration, make nothing anew and stop nothing" {
	local before
	webhook a
	configurations "$port"
	wait_for 20 ready "$health"
	before=$(kubectl -n gitgate-system get secret gitgate-webhook-authority -o jsonpath='{.data.ca\.crt}')
	kill -KILL "$(cat "$BATS_TEST_TMPDIR/a.pid")"
	unreadable /api/v1/namespaces/gitgate-system/secrets/gitgate-webhook-authority
	unreadable /apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/gitgate
	webhook b
	configurations "$port"
	wait_for 20 ready "$health"
	wait_for 10 pod
	[ "$(kubectl -n gitgate-system get secret gitgate-webhook-authority -o jsonpath='{.data.ca\.crt}')" = "$before" ]
	run ! grep 'written anew\|will try again' "$BATS_TEST_TMPDIR/b.log"
}

@test "it starts without a right to the Secret, says so, is not ready, and goes on when it has it" {
	kubectl -n gitgate-system delete rolebinding gitgate-webhook-certificate
	launch a
	told a 'read Secret gitgate-webhook-authority.*forbidden'
	health=$(jq -r 'select(.msg == "starting").health_port' "$BATS_TEST_TMPDIR/a.log")
	run ! ready "$health"
	kubectl apply --server-side -f "$GITGATE_SOURCE/manifests/webhook-certificate.yaml"
	wait_for 20 ready "$health"
}

@test "an authority that ends soon, as from a backup or other settings, is succeeded before it has ended" {
	webhook a --certificate-lifetime 5 --authority-lifetime 20
	configurations "$port"
	wait_for 20 ready "$health"
	bundles | head -n 1 | base64 -d >"$BATS_TEST_TMPDIR/ends_soon"
	kill -KILL "$(cat "$BATS_TEST_TMPDIR/a.pid")"
	webhook b
	configurations "$port"
	wait_for 20 ready "$health"
	wait_for 10 pod
	while openssl x509 -checkend 0 -noout -in "$BATS_TEST_TMPDIR/ends_soon"; do pod; done
	# As whoever has no connection to it yet.
	bundles | head -n 1 | base64 -d >"$BATS_TEST_TMPDIR/bundle.pem"
	curl -sSf --cacert "$BATS_TEST_TMPDIR/bundle.pem" "https://127.0.0.1:$port/healthz"
	pod
}

@test "through changes of certificates and authorities no admission is lost" {
	# A certificate lives 6 s, an authority 24: each is renewed at two thirds.
	webhook a --certificate-lifetime 6 --authority-lifetime 24
	a=$port
	configurations "$a"
	webhook b --certificate-lifetime 6 --authority-lifetime 24
	wait_for 20 ready "$health"
	wait_for 10 pod
	admin=(--cacert "$bed/ca.crt" --cert "$bed/admin.crt" --key "$bed/admin.key")
	server=$(kubectl config view --minify -o 'jsonpath={.clusters[0].cluster.server}')
	review='{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"u","operation":"CREATE","kind":{"kind":"Pod"},"namespace":"team-a","object":{"metadata":{"labels":{"gitgate.dev/gate":"agents"}},"spec":{"containers":[]}}}}'
	body='{"apiVersion":"v1","kind":"Pod","metadata":{"generateName":"p-","labels":{"gitgate.dev/gate":"agents"}},"spec":{"containers":[{"name":"a","image":"a"}]}}'
	sent=0 handshakes=0 authorities=
	end=$((SECONDS + 40))
	while [ $SECONDS -lt $end ]; do
		for _ in 1 2 3 4 5; do
			[ "$(curl -sS -o "$BATS_TEST_TMPDIR/answer" -w '%{http_code}' "${admin[@]}" -H 'Content-Type: application/json' \
				-d "$body" "$server/api/v1/namespaces/team-a/pods?dryRun=All")" = 201 ] || { cat "$BATS_TEST_TMPDIR/answer"; false; }
			sent=$((sent + 1))
			# A handshake of its own with each replica, as after every connection that ended.
			for port in "$a" "$(jq -r 'select(.msg == "listening").port' "$BATS_TEST_TMPDIR/b.log")"; do
				# What API servers have of the caBundle is a moment old: an authority signs nothing
				# until it has stood there for a 24th of its life, here a second.
				asked=${EPOCHREALTIME/./}
				bundles | head -n 1 | base64 -d >"$BATS_TEST_TMPDIR/bundle.pem"
				authorities+=" $(md5sum <"$BATS_TEST_TMPDIR/bundle.pem")"
				curl -sSf --cacert "$BATS_TEST_TMPDIR/bundle.pem" -H 'Content-Type: application/json' -d "$review" \
					"https://127.0.0.1:$port/mutate-pod" >"$BATS_TEST_TMPDIR/answer" || {
					# On a machine that took longer than that between the two, nothing was promised.
					[ $((${EPOCHREALTIME/./} - asked)) -gt 1000000 ]
					continue
				}
				grep -q '"allowed":true' "$BATS_TEST_TMPDIR/answer"
				handshakes=$((handshakes + 1))
			done
		done
	done
	echo "# $sent admissions, $handshakes handshakes, none lost" >&3
	[ "$(tr ' ' '\n' <<<"$authorities" | grep -v '^-\?$' | sort -u | wc -l)" -ge 4 ]
	[ "$(grep -c 'certificate issued' "$BATS_TEST_TMPDIR/a.log")" -ge 8 ]
}
