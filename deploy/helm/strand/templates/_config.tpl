{{/* nex.yml, which all pods read. */}}
{{- define "strand.config" -}}
{{- if not .Values.etcd.endpoints -}}
{{- fail "etcd.endpoints: missing; name your etcd, like --set 'etcd.endpoints={http://192.0.2.11:2379}'" -}}
{{- end -}}
{{- $cert := printf "/etc/nex-tls/%s" .Values.tls.cert -}}
{{- $key := printf "/etc/nex-tls/%s" .Values.tls.key -}}
{{- $ca := printf "/etc/nex-tls/%s" .Values.tls.ca -}}
{{- $tls := dict "cert" $cert "key" $key "ca" $ca -}}
{{- $etcd := dict "endpoints" .Values.etcd.endpoints -}}
{{- if .Values.etcd.tls -}}
{{- $etcd = dict "endpoints" .Values.etcd.endpoints "cert" $cert "key" $key "cacert" $ca -}}
{{- end -}}
{{- $nexd := dict "listen" "0.0.0.0:6000" -}}
{{- if .Values.nexd.tls -}}
{{- $_ := set $nexd "tls" $tls -}}
{{- end -}}
{{- $config := dict "etcd" $etcd "nexd" $nexd "agent" (dict) "log" (dict "format" "json") -}}
{{- if .Values.dnsd.enabled -}}
{{- $_ := set $config "dnsd" (dict "listen" (list "0.0.0.0:1053")) -}}
{{- end -}}
{{- if .Values.dhcpd.enabled -}}
{{- $_ := set $config "dhcpd" (dict "interfaces" .Values.dhcpd.interfaces) -}}
{{- end -}}
{{- if .Values.dashboard.enabled -}}
{{- $dashboard := dict "write" .Values.dashboard.write "nexd" (printf "%s-nexd:6000" (include "strand.name" .)) -}}
{{- if .Values.dashboard.tls -}}
{{- $_ := set $dashboard "listen" "0.0.0.0:8090" -}}
{{- $_ := set $dashboard "tls" $tls -}}
{{- end -}}
{{- $_ := set $config "dashboard" $dashboard -}}
{{- end -}}
{{- toYaml (mergeOverwrite $config (deepCopy .Values.config)) -}}
{{- end -}}
