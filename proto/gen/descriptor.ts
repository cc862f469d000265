// Made from nex.proto by proto/generator/generate.ts: change nothing here.
import type { Field } from "../request_check.ts";

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
b3RvYnVmLldlbGxLbm93blR5cGVzYgZwcm90bzMK3CIKCW5leC5wcm90bxIDbmV4Gh9nb29nbGUvcHJvdG9idWYvdGltZXN0YW1w
LnByb3RvGh5nb29nbGUvcHJvdG9idWYvd3JhcHBlcnMucHJvdG8i1gMKB05ldHdvcmsSEgoEbmFtZRgBIAEoCVIEbmFtZRIYCgdz
dWJuZXQ0GAIgASgJUgdzdWJuZXQ0EhgKB3N1Ym5ldDYYAyABKAlSB3N1Ym5ldDYSIAoLZGhjcDRzZXJ2ZXIYBCABKAlSC2RoY3A0
c2VydmVyEiAKC2RoY3A2c2VydmVyGAUgASgJUgtkaGNwNnNlcnZlchIpCgZSYW5nZTQYBiABKAsyES5uZXguQWRkcmVzc1Jhbmdl
UgZSYW5nZTQSKQoGUmFuZ2U2GAcgASgLMhEubmV4LkFkZHJlc3NSYW5nZVIGUmFuZ2U2EhoKCGdhdGV3YXlzGAggAygJUghnYXRl
d2F5cxIgCgtuYW1lc2VydmVycxgJIAMoCVILbmFtZXNlcnZlcnMSJQoHb3B0aW9ucxgKIAMoCzILLm5leC5PcHRpb25SB29wdGlv
bnMSFgoGZG9tYWluGAsgASgJUgZkb21haW4SLQoIbWFjUmFuZ2UYDCABKAsyES5uZXguQWRkcmVzc1JhbmdlUghtYWNSYW5nZRIW
CgZzaWFkZHIYDSABKAlSBnNpYWRkchIlCg5sZWFzZV9kdXJhdGlvbhgOIAEoBFINbGVhc2VEdXJhdGlvbiI2CgxBZGRyZXNzUmFu
Z2USFAoFYmVnaW4YASABKAlSBWJlZ2luEhAKA2VuZBgCIAEoCVIDZW5kIjYKBk9wdGlvbhIWCgZudW1iZXIYASABKAVSBm51bWJl
chIUCgV2YWx1ZRgCIAEoCVIFdmFsdWUitQEKBk1lbWJlchIQCgNtYWMYASABKAlSA21hYxISCgRuYW1lGAIgASgJUgRuYW1lEhwK
A2lwNBgDIAEoCzIKLm5leC5MZWFzZVIDaXA0EhwKA2lwNhgEIAEoCzIKLm5leC5MZWFzZVIDaXA2EhAKA25ldBgFIAEoCVIDbmV0
Eh8KC2NsaWVudF9uYW1lGAYgASgJUgpjbGllbnROYW1lEhYKBnNoYXJlZBgUIAEoCFIGc2hhcmVkIlcKBUxlYXNlEhgKB2FkZHJl
c3MYASABKAlSB2FkZHJlc3MSNAoHZXhwaXJlcxgCIAEoCzIaLmdvb2dsZS5wcm90b2J1Zi5UaW1lc3RhbXBSB2V4cGlyZXMiVQoK
TWVtYmVyTGlzdBIQCgNuZXQYASABKAlSA25ldBIfCgRsaXN0GAIgAygLMgsubmV4Lk1lbWJlclIEbGlzdBIUCgVmb3JjZRgDIAEo
CFIFZm9yY2UiFAoSQWRkTWVtYmVyc1Jlc3BvbnNlIo4BCgxNZW1iZXJVcGRhdGUSEAoDbWFjGAEgASgJUgNtYWMSMAoEbmFtZRgC
IAEoCzIcLmdvb2dsZS5wcm90b2J1Zi5TdHJpbmdWYWx1ZVIEbmFtZRIcCgNpcDQYAyABKAsyCi5uZXguTGVhc2VSA2lwNBIcCgNp
cDYYBCABKAsyCi5uZXguTGVhc2VSA2lwNiJbCgpVcGRhdGVMaXN0EhAKA25ldBgBIAEoCVIDbmV0EiUKBGxpc3QYAiADKAsyES5u
ZXguTWVtYmVyVXBkYXRlUgRsaXN0EhQKBWZvcmNlGBQgASgIUgVmb3JjZSIXChVVcGRhdGVNZW1iZXJzUmVzcG9uc2UiLQoRR2V0
TWVtYmVyc1JlcXVlc3QSGAoHbmV0d29yaxgBIAEoCVIHbmV0d29yayJaChJHZXRNZW1iZXJzUmVzcG9uc2USJQoHbWVtYmVycxgB
IAMoCzILLm5leC5NZW1iZXJSB21lbWJlcnMSHQoEaGVsZBgUIAMoCzIJLm5leC5IZWxkUgRoZWxkIjYKBEhlbGQSEAoDbWFjGAEg
ASgJUgNtYWMSHAoDaXA0GAIgASgLMgoubmV4LkxlYXNlUgNpcDQiWgoURGVsZXRlTWVtYmVyc1JlcXVlc3QSGAoHbmV0d29yaxgB
IAEoCVIHbmV0d29yaxISCgRsaXN0GAIgAygJUgRsaXN0EhQKBWZvcmNlGBQgASgIUgVmb3JjZSIXChVEZWxldGVNZW1iZXJzUmVz
cG9uc2UiLgoISURDaGFuZ2USEAoDb2xkGAEgASgJUgNvbGQSEAoDbmV3GAIgASgJUgNuZXciQQoKQ2hhbmdlTGlzdBIQCgNuZXQY
ASABKAlSA25ldBIhCgRsaXN0GAIgAygLMg0ubmV4LklEQ2hhbmdlUgRsaXN0IhgKFkNoYW5nZU1lbWJlcklEUmVzcG9uc2UiFAoS
R2V0TmV0d29ya3NSZXF1ZXN0IikKE0dldE5ldHdvcmtzUmVzcG9uc2USEgoEbmV0cxgBIAMoCVIEbmV0cyInChFHZXROZXR3b3Jr
UmVxdWVzdBISCgRuYW1lGAEgASgJUgRuYW1lIjQKEkdldE5ldHdvcmtSZXNwb25zZRIeCgNuZXQYASABKAsyDC5uZXguTmV0d29y
a1IDbmV0IjsKEUFkZE5ldHdvcmtSZXF1ZXN0EiYKB25ldHdvcmsYASABKAsyDC5uZXguTmV0d29ya1IHbmV0d29yayIUChJBZGRO
ZXR3b3JrUmVzcG9uc2Ui7gYKFE5ldHdvcmtVcGRhdGVSZXF1ZXN0EhIKBG5hbWUYASABKAlSBG5hbWUSNgoHc3VibmV0NBgCIAEo
CzIcLmdvb2dsZS5wcm90b2J1Zi5TdHJpbmdWYWx1ZVIHc3VibmV0NBI2CgdzdWJuZXQ2GAMgASgLMhwuZ29vZ2xlLnByb3RvYnVm
LlN0cmluZ1ZhbHVlUgdzdWJuZXQ2Ej4KC2RoY3A0c2VydmVyGAQgASgLMhwuZ29vZ2xlLnByb3RvYnVmLlN0cmluZ1ZhbHVlUgtk
aGNwNHNlcnZlchI+CgtkaGNwNnNlcnZlchgFIAEoCzIcLmdvb2dsZS5wcm90b2J1Zi5TdHJpbmdWYWx1ZVILZGhjcDZzZXJ2ZXIS
KQoGUmFuZ2U0GAYgASgLMhEubmV4LkFkZHJlc3NSYW5nZVIGUmFuZ2U0EikKBlJhbmdlNhgHIAEoCzIRLm5leC5BZGRyZXNzUmFu
Z2VSBlJhbmdlNhIpChBnYXRld2F5c19wcmVzZW50GAggAygJUg9nYXRld2F5c1ByZXNlbnQSJwoPZ2F0ZXdheXNfYWJzZW50GAkg
AygJUg5nYXRld2F5c0Fic2VudBIvChNuYW1lc2VydmVyc19wcmVzZW50GAogAygJUhJuYW1lc2VydmVyc1ByZXNlbnQSLQoSbmFt
ZXNlcnZlcnNfYWJzZW50GAsgAygJUhFuYW1lc2VydmVyc0Fic2VudBI0Cg9vcHRpb25zX3ByZXNlbnQYDCADKAsyCy5uZXguT3B0
aW9uUg5vcHRpb25zUHJlc2VudBIyCg5vcHRpb25zX2Fic2VudBgNIAMoCzILLm5leC5PcHRpb25SDW9wdGlvbnNBYnNlbnQSNAoG
ZG9tYWluGA4gASgLMhwuZ29vZ2xlLnByb3RvYnVmLlN0cmluZ1ZhbHVlUgZkb21haW4SLQoIbWFjUmFuZ2UYDyABKAsyES5uZXgu
QWRkcmVzc1JhbmdlUghtYWNSYW5nZRI0CgZzaWFkZHIYECABKAsyHC5nb29nbGUucHJvdG9idWYuU3RyaW5nVmFsdWVSBnNpYWRk
chJDCg5sZWFzZV9kdXJhdGlvbhgRIAEoCzIcLmdvb2dsZS5wcm90b2J1Zi5VSW50NjRWYWx1ZVINbGVhc2VEdXJhdGlvbiIXChVO
ZXR3b3JrVXBkYXRlUmVzcG9uc2UiKgoURGVsZXRlTmV0d29ya1JlcXVlc3QSEgoEbmFtZRgBIAEoCVIEbmFtZSIXChVEZWxldGVO
ZXR3b3JrUmVzcG9uc2UiewoMQXBwbHlSZXF1ZXN0EigKCG5ldHdvcmtzGAEgAygLMgwubmV4Lk5ldHdvcmtSCG5ldHdvcmtzEikK
B21lbWJlcnMYAiADKAsyDy5uZXguTWVtYmVyTGlzdFIHbWVtYmVycxIWCgZkcnlSdW4YAyABKAhSBmRyeVJ1biI9Cg1BcHBseVJl
c3BvbnNlEiwKB29iamVjdHMYASADKAsyEi5uZXguQXBwbGllZE9iamVjdFIHb2JqZWN0cyJPCg1BcHBsaWVkT2JqZWN0EhIKBGtp
bmQYASABKAlSBGtpbmQSEgoEbmFtZRgCIAEoCVIEbmFtZRIWCgZhY3Rpb24YAyABKAlSBmFjdGlvbiIuChJHZXREZWNsaW5lZFJl
cXVlc3QSGAoHbmV0d29yaxgBIAEoCVIHbmV0d29yayJAChNHZXREZWNsaW5lZFJlc3BvbnNlEikKCGRlY2xpbmVkGAEgAygLMg0u
bmV4LkRlY2xpbmVkUghkZWNsaW5lZCJ6CghEZWNsaW5lZBIYCgdhZGRyZXNzGAEgASgJUgdhZGRyZXNzEhAKA25ldBgCIAEoCVID
bmV0EhAKA21hYxgDIAEoCVIDbWFjEjAKBXVudGlsGAQgASgLMhouZ29vZ2xlLnByb3RvYnVmLlRpbWVzdGFtcFIFdW50aWwiRQoV
RGVsZXRlRGVjbGluZWRSZXF1ZXN0EhgKB25ldHdvcmsYASABKAlSB25ldHdvcmsSEgoEbGlzdBgCIAMoCVIEbGlzdCIYChZEZWxl
dGVEZWNsaW5lZFJlc3BvbnNlMs8GCgNOZXgSPQoKR2V0TWVtYmVycxIWLm5leC5HZXRNZW1iZXJzUmVxdWVzdBoXLm5leC5HZXRN
ZW1iZXJzUmVzcG9uc2USNgoKQWRkTWVtYmVycxIPLm5leC5NZW1iZXJMaXN0GhcubmV4LkFkZE1lbWJlcnNSZXNwb25zZRJGCg1E
ZWxldGVNZW1iZXJzEhkubmV4LkRlbGV0ZU1lbWJlcnNSZXF1ZXN0GhoubmV4LkRlbGV0ZU1lbWJlcnNSZXNwb25zZRI8Cg1VcGRh
dGVNZW1iZXJzEg8ubmV4LlVwZGF0ZUxpc3QaGi5uZXguVXBkYXRlTWVtYmVyc1Jlc3BvbnNlEj4KDkNoYW5nZU1lbWJlcklEEg8u
bmV4LkNoYW5nZUxpc3QaGy5uZXguQ2hhbmdlTWVtYmVySURSZXNwb25zZRJACgtHZXROZXR3b3JrcxIXLm5leC5HZXROZXR3b3Jr
c1JlcXVlc3QaGC5uZXguR2V0TmV0d29ya3NSZXNwb25zZRI9CgpHZXROZXR3b3JrEhYubmV4LkdldE5ldHdvcmtSZXF1ZXN0Ghcu
bmV4LkdldE5ldHdvcmtSZXNwb25zZRI9CgpBZGROZXR3b3JrEhYubmV4LkFkZE5ldHdvcmtSZXF1ZXN0GhcubmV4LkFkZE5ldHdv
cmtSZXNwb25zZRJGCg1VcGRhdGVOZXR3b3JrEhkubmV4Lk5ldHdvcmtVcGRhdGVSZXF1ZXN0GhoubmV4Lk5ldHdvcmtVcGRhdGVS
ZXNwb25zZRJGCg1EZWxldGVOZXR3b3JrEhkubmV4LkRlbGV0ZU5ldHdvcmtSZXF1ZXN0GhoubmV4LkRlbGV0ZU5ldHdvcmtSZXNw
b25zZRIuCgVBcHBseRIRLm5leC5BcHBseVJlcXVlc3QaEi5uZXguQXBwbHlSZXNwb25zZRJACgtHZXREZWNsaW5lZBIXLm5leC5H
ZXREZWNsaW5lZFJlcXVlc3QaGC5uZXguR2V0RGVjbGluZWRSZXNwb25zZRJJCg5EZWxldGVEZWNsaW5lZBIaLm5leC5EZWxldGVE
ZWNsaW5lZFJlcXVlc3QaGy5uZXguRGVsZXRlRGVjbGluZWRSZXNwb25zZWIGcHJvdG8z
`;

/** The fields of every message. */
export const fields: Readonly<Record<string, readonly Field[]>> = {
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
  ],
  ApplyResponse: [
    [1,"objects","AppliedObject",true],
  ],
  AppliedObject: [
    [1,"kind","string",false],
    [2,"name","string",false],
    [3,"action","string",false],
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
};
