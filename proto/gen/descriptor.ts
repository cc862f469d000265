// Made from nex.proto by proto/generator/generate.ts: change nothing here.
import type { FieldDescriptor } from "../field.ts";

/** nex.proto and what it imports as one google.protobuf.FileDescriptorSet, in base64. */
export const descriptorSet = `Cv8BCh9nb29nbGUvcHJvdG9idWYvdGltZXN0YW1wLnByb3RvEg9nb29nbGUucHJvdG9idWYiOwoJVGltZXN0YW1wEhgKB3NlY29u
ZHMYASABKANSB3NlY29uZHMSFAoFbmFub3MYAiABKAVSBW5hbm9zQoUBChNjb20uZ29vZ2xlLnByb3RvYnVmQg5UaW1lc3RhbXBQ
cm90b1ABWjJnb29nbGUuZ29sYW5nLm9yZy9wcm90b2J1Zi90eXBlcy9rbm93bi90aW1lc3RhbXBwYvgBAaICA0dQQqoCHkdvb2ds
ZS5Qcm90b2J1Zi5XZWxsS25vd25UeXBlc2IGcHJvdG8zCoYECh5nb29nbGUvcHJvdG9idWYvd3JhcHBlcnMucHJvdG8SD2dvb2ds
ZS5wcm90b2J1ZiIjCgtEb3VibGVWYWx1ZRIUCgV2YWx1ZRgBIAEoAVIFdmFsdWUiIgoKRmxvYXRWYWx1ZRIUCgV2YWx1ZRgBIAEo
AlIFdmFsdWUiIgoKSW50NjRWYWx1ZRIUCgV2YWx1ZRgBIAEoA1IFdmFsdWUiIwoLVUludDY0VmFsdWUSFAoFdmFsdWUYASABKARS
BXZhbHVlIiIKCkludDMyVmFsdWUSFAoFdmFsdWUYASABKAVSBXZhbHVlIiMKC1VJbnQzMlZhbHVlEhQKBXZhbHVlGAEgASgNUgV2
YWx1ZSIhCglCb29sVmFsdWUSFAoFdmFsdWUYASABKAhSBXZhbHVlIiMKC1N0cmluZ1ZhbHVlEhQKBXZhbHVlGAEgASgJUgV2YWx1
ZSIiCgpCeXRlc1ZhbHVlEhQKBXZhbHVlGAEgASgMUgV2YWx1ZUKDAQoTY29tLmdvb2dsZS5wcm90b2J1ZkINV3JhcHBlcnNQcm90
b1ABWjFnb29nbGUuZ29sYW5nLm9yZy9wcm90b2J1Zi90eXBlcy9rbm93bi93cmFwcGVyc3Bi+AEBogIDR1BCqgIeR29vZ2xlLlBy
b3RvYnVmLldlbGxLbm93blR5cGVzYgZwcm90bzMK8DMKCW5leC5wcm90bxIDbmV4Gh9nb29nbGUvcHJvdG9idWYvdGltZXN0YW1w
LnByb3RvGh5nb29nbGUvcHJvdG9idWYvd3JhcHBlcnMucHJvdG8i/gMKB05ldHdvcmsSEgoEbmFtZRgBIAEoCVIEbmFtZRIYCgdz
dWJuZXQ0GAIgASgJUgdzdWJuZXQ0EhgKB3N1Ym5ldDYYAyABKAlSB3N1Ym5ldDYSIAoLZGhjcDRzZXJ2ZXIYBCABKAlSC2RoY3A0
c2VydmVyEiAKC2RoY3A2c2VydmVyGAUgASgJUgtkaGNwNnNlcnZlchIpCgZSYW5nZTQYBiABKAsyES5uZXguQWRkcmVzc1Jhbmdl
UgZSYW5nZTQSKQoGUmFuZ2U2GAcgASgLMhEubmV4LkFkZHJlc3NSYW5nZVIGUmFuZ2U2EhoKCGdhdGV3YXlzGAggAygJUghnYXRl
d2F5cxIgCgtuYW1lc2VydmVycxgJIAMoCVILbmFtZXNlcnZlcnMSJQoHb3B0aW9ucxgKIAMoCzILLm5leC5PcHRpb25SB29wdGlv
bnMSFgoGZG9tYWluGAsgASgJUgZkb21haW4SLQoIbWFjUmFuZ2UYDCABKAsyES5uZXguQWRkcmVzc1JhbmdlUghtYWNSYW5nZRIW
CgZzaWFkZHIYDSABKAlSBnNpYWRkchIlCg5sZWFzZV9kdXJhdGlvbhgOIAEoBFINbGVhc2VEdXJhdGlvbhImCgdvdmVybGF5GB4g
ASgLMgwubmV4Lk92ZXJsYXlSB292ZXJsYXkihwMKB092ZXJsYXkSDgoCaWQYASABKAlSAmlkEi4KBGRoY3AYAiABKAsyGi5nb29n
bGUucHJvdG9idWYuQm9vbFZhbHVlUgRkaGNwEiwKA2RucxgDIAEoCzIaLmdvb2dsZS5wcm90b2J1Zi5Cb29sVmFsdWVSA2RucxIy
CgZlZ3Jlc3MYBCABKAsyGi5nb29nbGUucHJvdG9idWYuQm9vbFZhbHVlUgZlZ3Jlc3MSNAoHY29udGFpbhgFIAEoCzIaLmdvb2ds
ZS5wcm90b2J1Zi5Cb29sVmFsdWVSB2NvbnRhaW4SNAoHdHJ1c3RlZBgGIAEoCzIaLmdvb2dsZS5wcm90b2J1Zi5Cb29sVmFsdWVS
B3RydXN0ZWQSOAoJYnJvYWRjYXN0GAcgASgLMhouZ29vZ2xlLnByb3RvYnVmLkJvb2xWYWx1ZVIJYnJvYWRjYXN0EjQKB2Zvcndh
cmQYCCABKAsyGi5nb29nbGUucHJvdG9idWYuQm9vbFZhbHVlUgdmb3J3YXJkIjYKDEFkZHJlc3NSYW5nZRIUCgViZWdpbhgBIAEo
CVIFYmVnaW4SEAoDZW5kGAIgASgJUgNlbmQiNgoGT3B0aW9uEhYKBm51bWJlchgBIAEoBVIGbnVtYmVyEhQKBXZhbHVlGAIgASgJ
UgV2YWx1ZSK1AQoGTWVtYmVyEhAKA21hYxgBIAEoCVIDbWFjEhIKBG5hbWUYAiABKAlSBG5hbWUSHAoDaXA0GAMgASgLMgoubmV4
LkxlYXNlUgNpcDQSHAoDaXA2GAQgASgLMgoubmV4LkxlYXNlUgNpcDYSEAoDbmV0GAUgASgJUgNuZXQSHwoLY2xpZW50X25hbWUY
BiABKAlSCmNsaWVudE5hbWUSFgoGc2hhcmVkGBQgASgIUgZzaGFyZWQiVwoFTGVhc2USGAoHYWRkcmVzcxgBIAEoCVIHYWRkcmVz
cxI0CgdleHBpcmVzGAIgASgLMhouZ29vZ2xlLnByb3RvYnVmLlRpbWVzdGFtcFIHZXhwaXJlcyJVCgpNZW1iZXJMaXN0EhAKA25l
dBgBIAEoCVIDbmV0Eh8KBGxpc3QYAiADKAsyCy5uZXguTWVtYmVyUgRsaXN0EhQKBWZvcmNlGAMgASgIUgVmb3JjZSIUChJBZGRN
ZW1iZXJzUmVzcG9uc2UijgEKDE1lbWJlclVwZGF0ZRIQCgNtYWMYASABKAlSA21hYxIwCgRuYW1lGAIgASgLMhwuZ29vZ2xlLnBy
b3RvYnVmLlN0cmluZ1ZhbHVlUgRuYW1lEhwKA2lwNBgDIAEoCzIKLm5leC5MZWFzZVIDaXA0EhwKA2lwNhgEIAEoCzIKLm5leC5M
ZWFzZVIDaXA2IlsKClVwZGF0ZUxpc3QSEAoDbmV0GAEgASgJUgNuZXQSJQoEbGlzdBgCIAMoCzIRLm5leC5NZW1iZXJVcGRhdGVS
BGxpc3QSFAoFZm9yY2UYFCABKAhSBWZvcmNlIhcKFVVwZGF0ZU1lbWJlcnNSZXNwb25zZSItChFHZXRNZW1iZXJzUmVxdWVzdBIY
CgduZXR3b3JrGAEgASgJUgduZXR3b3JrIloKEkdldE1lbWJlcnNSZXNwb25zZRIlCgdtZW1iZXJzGAEgAygLMgsubmV4Lk1lbWJl
clIHbWVtYmVycxIdCgRoZWxkGBQgAygLMgkubmV4LkhlbGRSBGhlbGQiNgoESGVsZBIQCgNtYWMYASABKAlSA21hYxIcCgNpcDQY
AiABKAsyCi5uZXguTGVhc2VSA2lwNCJaChREZWxldGVNZW1iZXJzUmVxdWVzdBIYCgduZXR3b3JrGAEgASgJUgduZXR3b3JrEhIK
BGxpc3QYAiADKAlSBGxpc3QSFAoFZm9yY2UYFCABKAhSBWZvcmNlIhcKFURlbGV0ZU1lbWJlcnNSZXNwb25zZSIuCghJRENoYW5n
ZRIQCgNvbGQYASABKAlSA29sZBIQCgNuZXcYAiABKAlSA25ldyJBCgpDaGFuZ2VMaXN0EhAKA25ldBgBIAEoCVIDbmV0EiEKBGxp
c3QYAiADKAsyDS5uZXguSURDaGFuZ2VSBGxpc3QiGAoWQ2hhbmdlTWVtYmVySURSZXNwb25zZSIUChJHZXROZXR3b3Jrc1JlcXVl
c3QiKQoTR2V0TmV0d29ya3NSZXNwb25zZRISCgRuZXRzGAEgAygJUgRuZXRzIicKEUdldE5ldHdvcmtSZXF1ZXN0EhIKBG5hbWUY
ASABKAlSBG5hbWUiNAoSR2V0TmV0d29ya1Jlc3BvbnNlEh4KA25ldBgBIAEoCzIMLm5leC5OZXR3b3JrUgNuZXQiOwoRQWRkTmV0
d29ya1JlcXVlc3QSJgoHbmV0d29yaxgBIAEoCzIMLm5leC5OZXR3b3JrUgduZXR3b3JrIhQKEkFkZE5ldHdvcmtSZXNwb25zZSKW
BwoUTmV0d29ya1VwZGF0ZVJlcXVlc3QSEgoEbmFtZRgBIAEoCVIEbmFtZRI2CgdzdWJuZXQ0GAIgASgLMhwuZ29vZ2xlLnByb3Rv
YnVmLlN0cmluZ1ZhbHVlUgdzdWJuZXQ0EjYKB3N1Ym5ldDYYAyABKAsyHC5nb29nbGUucHJvdG9idWYuU3RyaW5nVmFsdWVSB3N1
Ym5ldDYSPgoLZGhjcDRzZXJ2ZXIYBCABKAsyHC5nb29nbGUucHJvdG9idWYuU3RyaW5nVmFsdWVSC2RoY3A0c2VydmVyEj4KC2Ro
Y3A2c2VydmVyGAUgASgLMhwuZ29vZ2xlLnByb3RvYnVmLlN0cmluZ1ZhbHVlUgtkaGNwNnNlcnZlchIpCgZSYW5nZTQYBiABKAsy
ES5uZXguQWRkcmVzc1JhbmdlUgZSYW5nZTQSKQoGUmFuZ2U2GAcgASgLMhEubmV4LkFkZHJlc3NSYW5nZVIGUmFuZ2U2EikKEGdh
dGV3YXlzX3ByZXNlbnQYCCADKAlSD2dhdGV3YXlzUHJlc2VudBInCg9nYXRld2F5c19hYnNlbnQYCSADKAlSDmdhdGV3YXlzQWJz
ZW50Ei8KE25hbWVzZXJ2ZXJzX3ByZXNlbnQYCiADKAlSEm5hbWVzZXJ2ZXJzUHJlc2VudBItChJuYW1lc2VydmVyc19hYnNlbnQY
CyADKAlSEW5hbWVzZXJ2ZXJzQWJzZW50EjQKD29wdGlvbnNfcHJlc2VudBgMIAMoCzILLm5leC5PcHRpb25SDm9wdGlvbnNQcmVz
ZW50EjIKDm9wdGlvbnNfYWJzZW50GA0gAygLMgsubmV4Lk9wdGlvblINb3B0aW9uc0Fic2VudBI0CgZkb21haW4YDiABKAsyHC5n
b29nbGUucHJvdG9idWYuU3RyaW5nVmFsdWVSBmRvbWFpbhItCghtYWNSYW5nZRgPIAEoCzIRLm5leC5BZGRyZXNzUmFuZ2VSCG1h
Y1JhbmdlEjQKBnNpYWRkchgQIAEoCzIcLmdvb2dsZS5wcm90b2J1Zi5TdHJpbmdWYWx1ZVIGc2lhZGRyEkMKDmxlYXNlX2R1cmF0
aW9uGBEgASgLMhwuZ29vZ2xlLnByb3RvYnVmLlVJbnQ2NFZhbHVlUg1sZWFzZUR1cmF0aW9uEiYKB292ZXJsYXkYHiABKAsyDC5u
ZXguT3ZlcmxheVIHb3ZlcmxheSIXChVOZXR3b3JrVXBkYXRlUmVzcG9uc2UiKgoURGVsZXRlTmV0d29ya1JlcXVlc3QSEgoEbmFt
ZRgBIAEoCVIEbmFtZSIXChVEZWxldGVOZXR3b3JrUmVzcG9uc2UinwEKDEFwcGx5UmVxdWVzdBIoCghuZXR3b3JrcxgBIAMoCzIM
Lm5leC5OZXR3b3JrUghuZXR3b3JrcxIpCgdtZW1iZXJzGAIgAygLMg8ubmV4Lk1lbWJlckxpc3RSB21lbWJlcnMSFgoGZHJ5UnVu
GAMgASgIUgZkcnlSdW4SIgoMZXZlcnlSZWZ1c2FsGAQgASgIUgxldmVyeVJlZnVzYWwiawoNQXBwbHlSZXNwb25zZRIsCgdvYmpl
Y3RzGAEgAygLMhIubmV4LkFwcGxpZWRPYmplY3RSB29iamVjdHMSLAoHcmVmdXNlZBgCIAMoCzISLm5leC5SZWZ1c2VkT2JqZWN0
UgdyZWZ1c2VkIokBCg1SZWZ1c2VkT2JqZWN0EhIKBGtpbmQYASABKAlSBGtpbmQSEAoDbmV0GAIgASgJUgNuZXQSEAoDbWFjGAMg
ASgJUgNtYWMSFAoFZmllbGQYBCABKAlSBWZpZWxkEhYKBnJlYXNvbhgFIAEoCVIGcmVhc29uEhIKBGNvZGUYBiABKAlSBGNvZGUi
nwEKDUFwcGxpZWRPYmplY3QSEgoEa2luZBgBIAEoCVIEa2luZBISCgRuYW1lGAIgASgJUgRuYW1lEhYKBmFjdGlvbhgDIAEoCVIG
YWN0aW9uEhAKA25ldBgEIAEoCVIDbmV0EhAKA21hYxgFIAEoCVIDbWFjEioKB2NoYW5nZXMYBiADKAsyEC5uZXguRmllbGRDaGFu
Z2VSB2NoYW5nZXMiUQoLRmllbGRDaGFuZ2USFAoFZmllbGQYASABKAlSBWZpZWxkEhYKBmJlZm9yZRgCIAEoCVIGYmVmb3JlEhQK
BWFmdGVyGAMgASgJUgVhZnRlciIuChJHZXREZWNsaW5lZFJlcXVlc3QSGAoHbmV0d29yaxgBIAEoCVIHbmV0d29yayJAChNHZXRE
ZWNsaW5lZFJlc3BvbnNlEikKCGRlY2xpbmVkGAEgAygLMg0ubmV4LkRlY2xpbmVkUghkZWNsaW5lZCJ6CghEZWNsaW5lZBIYCgdh
ZGRyZXNzGAEgASgJUgdhZGRyZXNzEhAKA25ldBgCIAEoCVIDbmV0EhAKA21hYxgDIAEoCVIDbWFjEjAKBXVudGlsGAQgASgLMhou
Z29vZ2xlLnByb3RvYnVmLlRpbWVzdGFtcFIFdW50aWwiRQoVRGVsZXRlRGVjbGluZWRSZXF1ZXN0EhgKB25ldHdvcmsYASABKAlS
B25ldHdvcmsSEgoEbGlzdBgCIAMoCVIEbGlzdCIYChZEZWxldGVEZWNsaW5lZFJlc3BvbnNlIi8KE0dldEVuZHBvaW50c1JlcXVl
c3QSGAoHbmV0d29yaxgBIAEoCVIHbmV0d29yayJDChRHZXRFbmRwb2ludHNSZXNwb25zZRIrCgllbmRwb2ludHMYASADKAsyDS5u
ZXguRW5kcG9pbnRSCWVuZHBvaW50cyLYAgoIRW5kcG9pbnQSDgoCaWQYASABKAlSAmlkEhAKA25ldBgCIAEoCVIDbmV0EhIKBG5h
bWUYAyABKAlSBG5hbWUSGAoHYWRkcmVzcxgEIAEoCVIHYWRkcmVzcxIQCgNtYWMYBSABKAlSA21hYxISCgRob3N0GAYgASgJUgRo
b3N0EhIKBHZ0ZXAYByABKAlSBHZ0ZXASEgoEa2luZBgIIAEoCVIEa2luZBI0CgdleHBpcmVzGAkgASgLMhouZ29vZ2xlLnByb3Rv
YnVmLlRpbWVzdGFtcFIHZXhwaXJlcxIWCgZhY3RpdmUYCiABKAhSBmFjdGl2ZRIUCgVob3N0cxgLIAEoDVIFaG9zdHMSGAoHYXBw
bGllZBgMIAEoDVIHYXBwbGllZBIYCgdwZW5kaW5nGA0gAygJUgdwZW5kaW5nEhYKBnNpbGVudBgOIAMoCVIGc2lsZW50IisKD0dl
dEhvc3RzUmVxdWVzdBIYCgduZXR3b3JrGAEgASgJUgduZXR3b3JrIjMKEEdldEhvc3RzUmVzcG9uc2USHwoFaG9zdHMYASADKAsy
CS5uZXguSG9zdFIFaG9zdHMimAIKBEhvc3QSEgoEbmFtZRgBIAEoCVIEbmFtZRISCgR2dGVwGAIgASgJUgR2dGVwEhgKB3ZlcnNp
b24YAyABKAlSB3ZlcnNpb24SGgoIbmV0d29ya3MYBCABKA1SCG5ldHdvcmtzEhwKCWVuZHBvaW50cxgFIAEoDVIJZW5kcG9pbnRz
EhgKB2FwcGxpZWQYBiABKARSB2FwcGxpZWQSFgoGYmVoaW5kGAcgASgNUgZiZWhpbmQSGAoHcnVubmluZxgIIAEoCFIHcnVubmlu
ZxIwCgVzaW5jZRgJIAEoCzIaLmdvb2dsZS5wcm90b2J1Zi5UaW1lc3RhbXBSBXNpbmNlEhYKBnNpbGVudBgKIAEoCFIGc2lsZW50
IiwKEEdldExlYXNlc1JlcXVlc3QSGAoHbmV0d29yaxgBIAEoCVIHbmV0d29yayI+ChFHZXRMZWFzZXNSZXNwb25zZRIpCgZsZWFz
ZXMYASADKAsyES5uZXguUnVubmluZ0xlYXNlUgZsZWFzZXMivgEKDFJ1bm5pbmdMZWFzZRIQCgNuZXQYASABKAlSA25ldBISCgRu
YW1lGAIgASgJUgRuYW1lEhgKB2FkZHJlc3MYAyABKAlSB2FkZHJlc3MSEAoDbWFjGAQgASgJUgNtYWMSNAoHZXhwaXJlcxgFIAEo
CzIaLmdvb2dsZS5wcm90b2J1Zi5UaW1lc3RhbXBSB2V4cGlyZXMSEgoEaG9zdBgGIAEoCVIEaG9zdBISCgRoZWxkGAcgASgIUgRo
ZWxkMokICgNOZXgSPQoKR2V0TWVtYmVycxIWLm5leC5HZXRNZW1iZXJzUmVxdWVzdBoXLm5leC5HZXRNZW1iZXJzUmVzcG9uc2US
NgoKQWRkTWVtYmVycxIPLm5leC5NZW1iZXJMaXN0GhcubmV4LkFkZE1lbWJlcnNSZXNwb25zZRJGCg1EZWxldGVNZW1iZXJzEhku
bmV4LkRlbGV0ZU1lbWJlcnNSZXF1ZXN0GhoubmV4LkRlbGV0ZU1lbWJlcnNSZXNwb25zZRI8Cg1VcGRhdGVNZW1iZXJzEg8ubmV4
LlVwZGF0ZUxpc3QaGi5uZXguVXBkYXRlTWVtYmVyc1Jlc3BvbnNlEj4KDkNoYW5nZU1lbWJlcklEEg8ubmV4LkNoYW5nZUxpc3Qa
Gy5uZXguQ2hhbmdlTWVtYmVySURSZXNwb25zZRJACgtHZXROZXR3b3JrcxIXLm5leC5HZXROZXR3b3Jrc1JlcXVlc3QaGC5uZXgu
R2V0TmV0d29ya3NSZXNwb25zZRI9CgpHZXROZXR3b3JrEhYubmV4LkdldE5ldHdvcmtSZXF1ZXN0GhcubmV4LkdldE5ldHdvcmtS
ZXNwb25zZRI9CgpBZGROZXR3b3JrEhYubmV4LkFkZE5ldHdvcmtSZXF1ZXN0GhcubmV4LkFkZE5ldHdvcmtSZXNwb25zZRJGCg1V
cGRhdGVOZXR3b3JrEhkubmV4Lk5ldHdvcmtVcGRhdGVSZXF1ZXN0GhoubmV4Lk5ldHdvcmtVcGRhdGVSZXNwb25zZRJGCg1EZWxl
dGVOZXR3b3JrEhkubmV4LkRlbGV0ZU5ldHdvcmtSZXF1ZXN0GhoubmV4LkRlbGV0ZU5ldHdvcmtSZXNwb25zZRIuCgVBcHBseRIR
Lm5leC5BcHBseVJlcXVlc3QaEi5uZXguQXBwbHlSZXNwb25zZRJACgtHZXREZWNsaW5lZBIXLm5leC5HZXREZWNsaW5lZFJlcXVl
c3QaGC5uZXguR2V0RGVjbGluZWRSZXNwb25zZRJJCg5EZWxldGVEZWNsaW5lZBIaLm5leC5EZWxldGVEZWNsaW5lZFJlcXVlc3Qa
Gy5uZXguRGVsZXRlRGVjbGluZWRSZXNwb25zZRJDCgxHZXRFbmRwb2ludHMSGC5uZXguR2V0RW5kcG9pbnRzUmVxdWVzdBoZLm5l
eC5HZXRFbmRwb2ludHNSZXNwb25zZRI3CghHZXRIb3N0cxIULm5leC5HZXRIb3N0c1JlcXVlc3QaFS5uZXguR2V0SG9zdHNSZXNw
b25zZRI6CglHZXRMZWFzZXMSFS5uZXguR2V0TGVhc2VzUmVxdWVzdBoWLm5leC5HZXRMZWFzZXNSZXNwb25zZWIGcHJvdG8z
`;

/** The fields of every message. */
export const fields: Readonly<Record<string, readonly FieldDescriptor[]>> = {
  Timestamp: [
    [1,"seconds","int64",false],
    [2,"nanos","int32",false],
  ],
  DoubleValue: [
    [1,"value","double",false],
  ],
  FloatValue: [
    [1,"value","float",false],
  ],
  Int64Value: [
    [1,"value","int64",false],
  ],
  UInt64Value: [
    [1,"value","uint64",false],
  ],
  Int32Value: [
    [1,"value","int32",false],
  ],
  UInt32Value: [
    [1,"value","uint32",false],
  ],
  BoolValue: [
    [1,"value","bool",false],
  ],
  StringValue: [
    [1,"value","string",false],
  ],
  BytesValue: [
    [1,"value","bytes",false],
  ],
  Network: [
    [1,"name","string",false],
    [2,"subnet4","string",false],
    [3,"subnet6","string",false],
    [4,"dhcp4server","string",false],
    [5,"dhcp6server","string",false],
    [6,"Range4","AddressRange",false],
    [7,"Range6","AddressRange",false],
    [8,"gateways","string",true],
    [9,"nameservers","string",true],
    [10,"options","Option",true],
    [11,"domain","string",false],
    [12,"macRange","AddressRange",false],
    [13,"siaddr","string",false],
    [14,"leaseDuration","uint64",false],
    [30,"overlay","Overlay",false],
  ],
  Overlay: [
    [1,"id","string",false],
    [2,"dhcp","BoolValue",false],
    [3,"dns","BoolValue",false],
    [4,"egress","BoolValue",false],
    [5,"contain","BoolValue",false],
    [6,"trusted","BoolValue",false],
    [7,"broadcast","BoolValue",false],
    [8,"forward","BoolValue",false],
  ],
  AddressRange: [
    [1,"begin","string",false],
    [2,"end","string",false],
  ],
  Option: [
    [1,"number","int32",false],
    [2,"value","string",false],
  ],
  Member: [
    [1,"mac","string",false],
    [2,"name","string",false],
    [3,"ip4","Lease",false],
    [4,"ip6","Lease",false],
    [5,"net","string",false],
    [6,"clientName","string",false],
    [20,"shared","bool",false],
  ],
  Lease: [
    [1,"address","string",false],
    [2,"expires","Timestamp",false],
  ],
  MemberList: [
    [1,"net","string",false],
    [2,"list","Member",true],
    [3,"force","bool",false],
  ],
  AddMembersResponse: [],
  MemberUpdate: [
    [1,"mac","string",false],
    [2,"name","StringValue",false],
    [3,"ip4","Lease",false],
    [4,"ip6","Lease",false],
  ],
  UpdateList: [
    [1,"net","string",false],
    [2,"list","MemberUpdate",true],
    [20,"force","bool",false],
  ],
  UpdateMembersResponse: [],
  GetMembersRequest: [
    [1,"network","string",false],
  ],
  GetMembersResponse: [
    [1,"members","Member",true],
    [20,"held","Held",true],
  ],
  Held: [
    [1,"mac","string",false],
    [2,"ip4","Lease",false],
  ],
  DeleteMembersRequest: [
    [1,"network","string",false],
    [2,"list","string",true],
    [20,"force","bool",false],
  ],
  DeleteMembersResponse: [],
  IDChange: [
    [1,"old","string",false],
    [2,"new","string",false],
  ],
  ChangeList: [
    [1,"net","string",false],
    [2,"list","IDChange",true],
  ],
  ChangeMemberIDResponse: [],
  GetNetworksRequest: [],
  GetNetworksResponse: [
    [1,"nets","string",true],
  ],
  GetNetworkRequest: [
    [1,"name","string",false],
  ],
  GetNetworkResponse: [
    [1,"net","Network",false],
  ],
  AddNetworkRequest: [
    [1,"network","Network",false],
  ],
  AddNetworkResponse: [],
  NetworkUpdateRequest: [
    [1,"name","string",false],
    [2,"subnet4","StringValue",false],
    [3,"subnet6","StringValue",false],
    [4,"dhcp4server","StringValue",false],
    [5,"dhcp6server","StringValue",false],
    [6,"Range4","AddressRange",false],
    [7,"Range6","AddressRange",false],
    [8,"gatewaysPresent","string",true],
    [9,"gatewaysAbsent","string",true],
    [10,"nameserversPresent","string",true],
    [11,"nameserversAbsent","string",true],
    [12,"optionsPresent","Option",true],
    [13,"optionsAbsent","Option",true],
    [14,"domain","StringValue",false],
    [15,"macRange","AddressRange",false],
    [16,"siaddr","StringValue",false],
    [17,"leaseDuration","UInt64Value",false],
    [30,"overlay","Overlay",false],
  ],
  NetworkUpdateResponse: [],
  DeleteNetworkRequest: [
    [1,"name","string",false],
  ],
  DeleteNetworkResponse: [],
  ApplyRequest: [
    [1,"networks","Network",true],
    [2,"members","MemberList",true],
    [3,"dryRun","bool",false],
    [4,"everyRefusal","bool",false],
  ],
  ApplyResponse: [
    [1,"objects","AppliedObject",true],
    [2,"refused","RefusedObject",true],
  ],
  RefusedObject: [
    [1,"kind","string",false],
    [2,"net","string",false],
    [3,"mac","string",false],
    [4,"field","string",false],
    [5,"reason","string",false],
    [6,"code","string",false],
  ],
  AppliedObject: [
    [1,"kind","string",false],
    [2,"name","string",false],
    [3,"action","string",false],
    [4,"net","string",false],
    [5,"mac","string",false],
    [6,"changes","FieldChange",true],
  ],
  FieldChange: [
    [1,"field","string",false],
    [2,"before","string",false],
    [3,"after","string",false],
  ],
  GetDeclinedRequest: [
    [1,"network","string",false],
  ],
  GetDeclinedResponse: [
    [1,"declined","Declined",true],
  ],
  Declined: [
    [1,"address","string",false],
    [2,"net","string",false],
    [3,"mac","string",false],
    [4,"until","Timestamp",false],
  ],
  DeleteDeclinedRequest: [
    [1,"network","string",false],
    [2,"list","string",true],
  ],
  DeleteDeclinedResponse: [],
  GetEndpointsRequest: [
    [1,"network","string",false],
  ],
  GetEndpointsResponse: [
    [1,"endpoints","Endpoint",true],
  ],
  Endpoint: [
    [1,"id","string",false],
    [2,"net","string",false],
    [3,"name","string",false],
    [4,"address","string",false],
    [5,"mac","string",false],
    [6,"host","string",false],
    [7,"vtep","string",false],
    [8,"kind","string",false],
    [9,"expires","Timestamp",false],
    [10,"active","bool",false],
    [11,"hosts","uint32",false],
    [12,"applied","uint32",false],
    [13,"pending","string",true],
    [14,"silent","string",true],
  ],
  GetHostsRequest: [
    [1,"network","string",false],
  ],
  GetHostsResponse: [
    [1,"hosts","Host",true],
  ],
  Host: [
    [1,"name","string",false],
    [2,"vtep","string",false],
    [3,"version","string",false],
    [4,"networks","uint32",false],
    [5,"endpoints","uint32",false],
    [6,"applied","uint64",false],
    [7,"behind","uint32",false],
    [8,"running","bool",false],
    [9,"since","Timestamp",false],
    [10,"silent","bool",false],
  ],
  GetLeasesRequest: [
    [1,"network","string",false],
  ],
  GetLeasesResponse: [
    [1,"leases","RunningLease",true],
  ],
  RunningLease: [
    [1,"net","string",false],
    [2,"name","string",false],
    [3,"address","string",false],
    [4,"mac","string",false],
    [5,"expires","Timestamp",false],
    [6,"host","string",false],
    [7,"held","bool",false],
  ],
};
