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
{{ .root.Values.images.registry }}/gitgate/{{ .name }}:{{ .root.Values.images.tag | default .root.Chart.AppVersion }}
{{- end }}

{{- /*
The objects of files/NAME, which are those of manifests/, in the release's namespace and labelled.
That namespace itself is Helm's to make.
(dict "root" $ "file" "rbac.yaml" "caBundle" BASE64)
*/ -}}
{{- define "gitgate.adopt" -}}
{{- $labels := include "gitgate.labels" (dict "root" .root) | fromYaml }}
{{- $caBundle := .caBundle }}
{{- $text := .root.Files.Get (printf "files/%s" .file) | replace "gitgate-system" .root.Release.Namespace }}
{{- range regexSplit "(?m)^---.*$" $text -1 }}
{{- $object := fromYaml . }}
{{- with $object.Error }}{{ fail . }}{{ end }}
{{- if and $object (ne $object.kind "Namespace") }}
{{- $_ := set $object.metadata "labels" (merge (dict) $labels ($object.metadata.labels | default dict)) }}
{{- range $object.webhooks }}
{{- $_ := set .clientConfig "caBundle" $caBundle }}
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
