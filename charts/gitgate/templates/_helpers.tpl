{{- /* Labels of every object: (dict "root" $ "component" "webhook"). */ -}}
{{- define "gitgate.labels" -}}
{{ include "gitgate.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end }}

{{- /* Labels that select a component's pods; Deployments never change theirs. */ -}}
{{- define "gitgate.selector" -}}
app.kubernetes.io/name: gitgate
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end }}

{{- /* (dict "root" $ "name" "gate") */ -}}
{{- define "gitgate.image" -}}
{{- $images := .root.Values.images }}
{{- $digest := index $images.digests .name }}
{{- printf "%s/gitgate/%s" $images.registry .name }}
{{- if $digest }}@{{ $digest }}{{ else }}:{{ $images.tag | default .root.Chart.AppVersion }}{{ end }}
{{- end }}

{{- /*
The objects of files/NAME, which are those of manifests/, in the release's namespace and labelled.
That namespace itself is Helm's to make.
(dict "root" $ "file" "rbac.yaml" "name" NAME "caBundle" BASE64 "annotations" DICT)
*/ -}}
{{- define "gitgate.adopt" -}}
{{- $labels := include "gitgate.labels" (dict "root" .root) | fromYaml }}
{{- $caBundle := .caBundle }}
{{- $annotations := .annotations | default dict }}
{{- $text := .root.Files.Get (printf "files/%s" .file) | replace "gitgate-system" .root.Release.Namespace }}
{{- range regexSplit "(?m)^---.*$" $text -1 }}
{{- $object := fromYaml . }}
{{- with $object.Error }}{{ fail . }}{{ end }}
{{- if and $object (ne $object.kind "Namespace") }}
{{- with $.name }}
{{- $_ := set $object.metadata "name" . }}
{{- end }}
{{- $_ := set $object.metadata "labels" (merge (dict) $labels ($object.metadata.labels | default dict)) }}
{{- with merge (dict) $annotations ($object.metadata.annotations | default dict) }}
{{- $_ := set $object.metadata "annotations" . }}
{{- end }}
{{- if $caBundle }}
{{- range $object.webhooks }}
{{- $_ := set .clientConfig "caBundle" $caBundle }}
{{- end }}
{{- end }}
---
{{ toYaml $object }}
{{- end }}
{{- end }}
{{- end }}

{{- /* What Pod Security's level "restricted" asks of a pod and a container, and a bit more. */ -}}
{{- define "gitgate.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end }}
{{- define "gitgate.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- /* A pod template's metadata: (dict "component" "webhook" "values" .Values.webhook) */ -}}
{{- define "gitgate.podMetadata" -}}
labels:
  {{- include "gitgate.selector" . | nindent 2 }}
  {{- range $key, $value := .values.podLabels }}
  {{ $key }}: {{ $value | quote }}
  {{- end }}
{{- with .values.podAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- /* What both pods' specs begin with, and where they run:
(dict "root" $ "component" "webhook" "values" .Values.webhook) */ -}}
{{- define "gitgate.pod" -}}
serviceAccountName: gitgate-{{ .component }}
enableServiceLinks: false
{{- with .root.Values.images.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- include "gitgate.podSecurity" . | nindent 2 }}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if gt (int .values.replicas) 1 }}
topologySpreadConstraints:
  {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "gitgate.selector" $ | nindent 8 }}
    matchLabelKeys: [pod-template-hash] # those of a roll-out count for themselves
  {{- end }}
{{- end }}
{{- end }}

{{- /* With more than one replica a drain takes one at a time, and never waits for one that is broken. */ -}}
{{- define "gitgate.disruptionBudget" -}}
{{- if gt (int .values.replicas) 1 }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: gitgate-{{ .component }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "gitgate.labels" . | nindent 4 }}
spec:
  maxUnavailable: 1
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "gitgate.selector" . | nindent 6 }}
{{- end }}
{{- end }}

{{- /* The Secret with the webhook's serving certificate. */ -}}
{{- define "gitgate.certificateSecret" -}}
{{- if eq .Values.certificate.mode "provided" }}{{ .Values.certificate.secretName }}{{ else }}gitgate-webhook-tls{{ end }}
{{- end }}

{{- /*
What the schema can't say, or not so that a person knows what to do. It would also show a caBundle that
it refuses, which may be the key.
*/ -}}
{{- define "gitgate.checkCertificate" -}}
{{- if and (ne .mode "provided") (or .secretName .caBundle) }}
{{- fail (printf "certificate.secretName and certificate.caBundle count in certificate.mode \"provided\" alone; it is %q" .mode) }}
{{- end }}
{{- if and (ne .mode "cert-manager") .issuerRef }}
{{- fail (printf "certificate.issuerRef counts in certificate.mode \"cert-manager\" alone; it is %q" .mode) }}
{{- end }}
{{- if and (eq .mode "provided") (not (regexMatch `^(-----BEGIN CERTIFICATE-----\s[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----\s*)+$` .caBundle)) }}
{{- fail "certificate.caBundle must be certificates in PEM and nothing else: whoever may read webhook configurations sees it" }}
{{- end }}
{{- end }}

{{- /* A NetworkPolicy's egress rule: the API server. */ -}}
{{- define "gitgate.toApiServer" -}}
- ports:
    {{- range .Values.networkPolicies.apiServerPorts }}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
  {{- with .Values.networkPolicies.apiServerCIDRs }}
  to:
    {{- range . }}
    - ipBlock: {cidr: {{ . | quote }}}
    {{- end }}
  {{- end }}
{{- end }}

{{- /* A NetworkPolicy's ingress rule: Prometheus. The kubelet's probes need none. */ -}}
{{- define "gitgate.scrapers" -}}
{{- with .Values.networkPolicies.metricsFrom -}}
- from:
    {{- toYaml . | nindent 4 }}
  ports:
    - {port: 8080, protocol: TCP}
{{- end }}
{{- end }}
