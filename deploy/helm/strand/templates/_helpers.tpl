{{/* What the names of all objects begin with. */}}
{{- define "strand.name" -}}
{{- default .Release.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* Labels of every object. */}}
{{- define "strand.labels" -}}
app.kubernetes.io/part-of: strand
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* The label by which pods of a part are chosen: (list root part). It must not change, since a selector cannot. */}}
{{- define "strand.selector" -}}
app.kubernetes.io/name: {{ include "strand.name" (first .) }}-{{ last . }}
{{- end -}}

{{/* Metadata of a workload: (list root part). */}}
{{- define "strand.metadata" -}}
name: {{ include "strand.name" (first .) }}-{{ last . }}
namespace: {{ (first .).Release.Namespace }}
labels:
  {{- include "strand.selector" . | nindent 2 }}
  {{- include "strand.labels" (first .) | nindent 2 }}
{{- end -}}

{{/* Metadata of what belongs to a workload: (list root part). */}}
{{- define "strand.belongs" -}}
name: {{ include "strand.name" (first .) }}-{{ last . }}
namespace: {{ (first .).Release.Namespace }}
labels:
  {{- include "strand.labels" (first .) | nindent 2 }}
{{- end -}}

{{/* Metadata of pods: (list root part metrics-port). */}}
{{- define "strand.pod" -}}
labels:
  {{- include "strand.selector" (list (first .) (index . 1)) | nindent 2 }}
annotations:
  prometheus.io/scrape: "true"
  prometheus.io/port: {{ last . | quote }}
  checksum/config: {{ include "strand.config" (first .) | sha256sum }}
{{- end -}}

{{/* What all pods have. */}}
{{- define "strand.common" -}}
automountServiceAccountToken: false
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* Where pods may run: the values of a part. */}}
{{- define "strand.where" -}}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The same of a part whose pods are each on a node of their own: (list root part values). */}}
{{- define "strand.apart" -}}
{{- include "strand.where" (last .) }}
{{- if not (last .).affinity }}
affinity:
  podAntiAffinity:
    requiredDuringSchedulingIgnoredDuringExecution:
      - labelSelector:
          matchLabels:
            {{- include "strand.selector" (list (first .) (index . 1)) | nindent 12 }}
        topologyKey: kubernetes.io/hostname
{{- end }}
{{- end -}}

{{- define "strand.image" -}}
image: {{ printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) | quote }}
{{- with .Values.image.pullPolicy }}
imagePullPolicy: {{ . }}
{{- end }}
{{- end -}}

{{/* Probes, and what a container may use: the values of a part. */}}
{{- define "strand.container" -}}
livenessProbe:
  httpGet: { path: /healthz, port: status }
  periodSeconds: 10
  timeoutSeconds: 5
readinessProbe:
  httpGet: { path: /readyz, port: status }
  periodSeconds: 5
  timeoutSeconds: 5
{{- with .resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* More variables: the values of a part. */}}
{{- define "strand.env" -}}
{{- range $name, $value := .env }}
- name: {{ $name }}
  value: {{ $value | toString | quote }}
{{- end }}
{{- end -}}

{{/* A pod's security where it needs no rights. */}}
{{- define "strand.unprivileged" -}}
runAsNonRoot: true
runAsUser: 990
runAsGroup: 990
fsGroup: 990
seccompProfile: { type: RuntimeDefault }
{{- end -}}

{{- define "strand.mounts" -}}
- { name: config, mountPath: /etc/nex, readOnly: true }
- { name: tls, mountPath: /etc/nex-tls, readOnly: true }
{{- end -}}

{{- define "strand.volumes" -}}
- name: config
  configMap:
    name: {{ include "strand.name" . }}
- name: tls
  secret:
    secretName: {{ .Values.tls.secretName }}
    optional: {{ not (or .Values.etcd.tls .Values.nexd.tls (and .Values.dashboard.enabled .Values.dashboard.tls)) }}
    defaultMode: 0440
{{- end -}}

{{/* A part's Service: (list root part values ports). */}}
{{- define "strand.service" -}}
apiVersion: v1
kind: Service
metadata:
  {{- include "strand.belongs" (list (first .) (index . 1)) | nindent 2 }}
  {{- with (index . 2).service.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- with (index . 2).service.type }}
  {{- if ne . "ClusterIP" }}
  type: {{ . }}
  {{- end }}
  {{- end }}
  selector:
    {{- include "strand.selector" (list (first .) (index . 1)) | nindent 4 }}
  ports:
    {{- last . | nindent 4 }}
{{- end -}}

{{/* One at a time may be taken away: (list root part). */}}
{{- define "strand.budget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "strand.belongs" . | nindent 2 }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels:
      {{- include "strand.selector" . | nindent 6 }}
{{- end -}}
