// Made from nex.proto by generate.ts: change nothing here.
import type { Field } from "./wire.ts";

/** nex.proto and what it imports as one google.protobuf.FileDescriptorSet, in base64. */
export const descriptorSet =
  `CncKH2dvb2dsZS9wcm90b2J1Zi90aW1lc3RhbXAucHJvdG8SD2dvb2dsZS5wcm90b2J1ZiI7CglUaW1lc3RhbXASGAoHc2Vjb25k
cxgBIAEoA1IHc2Vjb25kcxIUCgVuYW5vcxgCIAEoBVIFbmFub3NiBnByb3RvMwqAAwoeZ29vZ2xlL3Byb3RvYnVmL3dyYXBwZXJz
LnByb3RvEg9nb29nbGUucHJvdG9idWYiIwoLRG91YmxlVmFsdWUSFAoFdmFsdWUYASABKAFSBXZhbHVlIiIKCkZsb2F0VmFsdWUS
FAoFdmFsdWUYASABKAJSBXZhbHVlIiIKCkludDY0VmFsdWUSFAoFdmFsdWUYASABKANSBXZhbHVlIiMKC1VJbnQ2NFZhbHVlEhQK
BXZhbHVlGAEgASgEUgV2YWx1ZSIiCgpJbnQzMlZhbHVlEhQKBXZhbHVlGAEgASgFUgV2YWx1ZSIjCgtVSW50MzJWYWx1ZRIUCgV2
YWx1ZRgBIAEoDVIFdmFsdWUiIQoJQm9vbFZhbHVlEhQKBXZhbHVlGAEgASgIUgV2YWx1ZSIjCgtTdHJpbmdWYWx1ZRIUCgV2YWx1
ZRgBIAEoCVIFdmFsdWUiIgoKQnl0ZXNWYWx1ZRIUCgV2YWx1ZRgBIAEoDFIFdmFsdWViBnByb3RvMwqBIQoJbmV4LnByb3RvEgNu
ZXgaH2dvb2dsZS9wcm90b2J1Zi90aW1lc3RhbXAucHJvdG8aHmdvb2dsZS9wcm90b2J1Zi93cmFwcGVycy5wcm90byLVAwoHTmV0
d29yaxISCgRuYW1lGAEgASgJUgRuYW1lEhgKB3N1Ym5ldDQYAiABKAlSB3N1Ym5ldDQSGAoHc3VibmV0NhgDIAEoCVIHc3VibmV0
NhIgCgtkaGNwNHNlcnZlchgEIAEoCVILZGhjcDRzZXJ2ZXISIAoLZGhjcDZzZXJ2ZXIYBSABKAlSC2RoY3A2c2VydmVyEikKBlJh
bmdlNBgGIAEoCzIRLm5leC5BZGRyZXNzUmFuZ2VSBlJhbmdlNBIpCgZSYW5nZTYYByABKAsyES5uZXguQWRkcmVzc1JhbmdlUgZS
YW5nZTYSGgoIZ2F0ZXdheXMYCCADKAlSCGdhdGV3YXlzEiAKC25hbWVzZXJ2ZXJzGAkgAygJUgtuYW1lc2VydmVycxIlCgdvcHRp
b25zGAogAygLMgsubmV4Lk9wdGlvblIHb3B0aW9ucxIWCgZkb21haW4YCyABKAlSBmRvbWFpbhItCghtYWNSYW5nZRgMIAEoCzIR
Lm5leC5BZGRyZXNzUmFuZ2VSCG1hY1JhbmdlEhYKBnNpYWRkchgUIAEoCVIGc2lhZGRyEiQKDWxlYXNlRHVyYXRpb24YFSABKARS
DWxlYXNlRHVyYXRpb24iNgoMQWRkcmVzc1JhbmdlEhQKBWJlZ2luGAEgASgJUgViZWdpbhIQCgNlbmQYAiABKAlSA2VuZCI2CgZP
cHRpb24SFgoGbnVtYmVyGAEgASgFUgZudW1iZXISFAoFdmFsdWUYAiABKAlSBXZhbHVlInwKBk1lbWJlchIQCgNtYWMYASABKAlS
A21hYxISCgRuYW1lGAIgASgJUgRuYW1lEhwKA2lwNBgDIAEoCzIKLm5leC5MZWFzZVIDaXA0EhwKA2lwNhgEIAEoCzIKLm5leC5M
ZWFzZVIDaXA2EhAKA25ldBgFIAEoCVIDbmV0IlcKBUxlYXNlEhgKB2FkZHJlc3MYASABKAlSB2FkZHJlc3MSNAoHZXhwaXJlcxgC
IAEoCzIaLmdvb2dsZS5wcm90b2J1Zi5UaW1lc3RhbXBSB2V4cGlyZXMiVQoKTWVtYmVyTGlzdBIQCgNuZXQYASABKAlSA25ldBIf
CgRsaXN0GAIgAygLMgsubmV4Lk1lbWJlclIEbGlzdBIUCgVmb3JjZRgUIAEoCFIFZm9yY2UiFAoSQWRkTWVtYmVyc1Jlc3BvbnNl
Io4BCgxNZW1iZXJVcGRhdGUSEAoDbWFjGAEgASgJUgNtYWMSMAoEbmFtZRgCIAEoCzIcLmdvb2dsZS5wcm90b2J1Zi5TdHJpbmdW
YWx1ZVIEbmFtZRIcCgNpcDQYAyABKAsyCi5uZXguTGVhc2VSA2lwNBIcCgNpcDYYBCABKAsyCi5uZXguTGVhc2VSA2lwNiJFCgpV
cGRhdGVMaXN0EhAKA25ldBgBIAEoCVIDbmV0EiUKBGxpc3QYAiADKAsyES5uZXguTWVtYmVyVXBkYXRlUgRsaXN0IhcKFVVwZGF0
ZU1lbWJlcnNSZXNwb25zZSItChFHZXRNZW1iZXJzUmVxdWVzdBIYCgduZXR3b3JrGAEgASgJUgduZXR3b3JrIjsKEkdldE1lbWJl
cnNSZXNwb25zZRIlCgdtZW1iZXJzGAEgAygLMgsubmV4Lk1lbWJlclIHbWVtYmVycyJEChREZWxldGVNZW1iZXJzUmVxdWVzdBIY
CgduZXR3b3JrGAEgASgJUgduZXR3b3JrEhIKBGxpc3QYAiADKAlSBGxpc3QiFwoVRGVsZXRlTWVtYmVyc1Jlc3BvbnNlIiwKBkNo
YW5nZRIQCgNvbGQYASABKAlSA29sZBIQCgNuZXcYAiABKAlSA25ldyItCgpDaGFuZ2VMaXN0Eh8KBGxpc3QYASADKAsyCy5uZXgu
Q2hhbmdlUgRsaXN0IhgKFkNoYW5nZU1lbWJlcklEUmVzcG9uc2UiFAoSR2V0TmV0d29ya3NSZXF1ZXN0IikKE0dldE5ldHdvcmtz
UmVzcG9uc2USEgoEbmV0cxgBIAMoCVIEbmV0cyInChFHZXROZXR3b3JrUmVxdWVzdBISCgRuYW1lGAEgASgJUgRuYW1lIjQKEkdl
dE5ldHdvcmtSZXNwb25zZRIeCgNuZXQYASABKAsyDC5uZXguTmV0d29ya1IDbmV0IjsKEUFkZE5ldHdvcmtSZXF1ZXN0EiYKB25l
dHdvcmsYASABKAsyDC5uZXguTmV0d29ya1IHbmV0d29yayIUChJBZGROZXR3b3JrUmVzcG9uc2Ui5wYKFE5ldHdvcmtVcGRhdGVS
ZXF1ZXN0EhIKBG5hbWUYASABKAlSBG5hbWUSNgoHc3VibmV0NBgCIAEoCzIcLmdvb2dsZS5wcm90b2J1Zi5TdHJpbmdWYWx1ZVIH
c3VibmV0NBI2CgdzdWJuZXQ2GAMgASgLMhwuZ29vZ2xlLnByb3RvYnVmLlN0cmluZ1ZhbHVlUgdzdWJuZXQ2Ej4KC2RoY3A0c2Vy
dmVyGAQgASgLMhwuZ29vZ2xlLnByb3RvYnVmLlN0cmluZ1ZhbHVlUgtkaGNwNHNlcnZlchI+CgtkaGNwNnNlcnZlchgFIAEoCzIc
Lmdvb2dsZS5wcm90b2J1Zi5TdHJpbmdWYWx1ZVILZGhjcDZzZXJ2ZXISKQoGUmFuZ2U0GAYgASgLMhEubmV4LkFkZHJlc3NSYW5n
ZVIGUmFuZ2U0EikKBlJhbmdlNhgHIAEoCzIRLm5leC5BZGRyZXNzUmFuZ2VSBlJhbmdlNhIoCg9nYXRld2F5c1ByZXNlbnQYCCAD
KAlSD2dhdGV3YXlzUHJlc2VudBIuChJuYW1lc2VydmVyc1ByZXNlbnQYCSADKAlSEm5hbWVzZXJ2ZXJzUHJlc2VudBIzCg5vcHRp
b25zUHJlc2VudBgKIAMoCzILLm5leC5PcHRpb25SDm9wdGlvbnNQcmVzZW50EjQKBmRvbWFpbhgLIAEoCzIcLmdvb2dsZS5wcm90
b2J1Zi5TdHJpbmdWYWx1ZVIGZG9tYWluEi0KCG1hY1JhbmdlGAwgASgLMhEubmV4LkFkZHJlc3NSYW5nZVIIbWFjUmFuZ2USJgoO
Z2F0ZXdheXNBYnNlbnQYDSADKAlSDmdhdGV3YXlzQWJzZW50EiwKEW5hbWVzZXJ2ZXJzQWJzZW50GA4gAygJUhFuYW1lc2VydmVy
c0Fic2VudBIxCg1vcHRpb25zQWJzZW50GA8gAygLMgsubmV4Lk9wdGlvblINb3B0aW9uc0Fic2VudBI0CgZzaWFkZHIYECABKAsy
HC5nb29nbGUucHJvdG9idWYuU3RyaW5nVmFsdWVSBnNpYWRkchJCCg1sZWFzZUR1cmF0aW9uGBEgASgLMhwuZ29vZ2xlLnByb3Rv
YnVmLlVJbnQ2NFZhbHVlUg1sZWFzZUR1cmF0aW9uIhcKFU5ldHdvcmtVcGRhdGVSZXNwb25zZSIqChREZWxldGVOZXR3b3JrUmVx
dWVzdBISCgRuYW1lGAEgASgJUgRuYW1lIhcKFURlbGV0ZU5ldHdvcmtSZXNwb25zZSJ7CgxBcHBseVJlcXVlc3QSKAoIbmV0d29y
a3MYASADKAsyDC5uZXguTmV0d29ya1IIbmV0d29ya3MSKQoHbWVtYmVycxgCIAMoCzIPLm5leC5NZW1iZXJMaXN0UgdtZW1iZXJz
EhYKBmRyeVJ1bhgDIAEoCFIGZHJ5UnVuIj0KDUFwcGx5UmVzcG9uc2USLAoHb2JqZWN0cxgBIAMoCzISLm5leC5BcHBsaWVkT2Jq
ZWN0UgdvYmplY3RzIk8KDUFwcGxpZWRPYmplY3QSEgoEa2luZBgBIAEoCVIEa2luZBISCgRuYW1lGAIgASgJUgRuYW1lEhYKBmFj
dGlvbhgDIAEoCVIGYWN0aW9uIi4KEkdldERlY2xpbmVkUmVxdWVzdBIYCgduZXR3b3JrGAEgASgJUgduZXR3b3JrIkAKE0dldERl
Y2xpbmVkUmVzcG9uc2USKQoIZGVjbGluZWQYASADKAsyDS5uZXguRGVjbGluZWRSCGRlY2xpbmVkInoKCERlY2xpbmVkEhgKB2Fk
ZHJlc3MYASABKAlSB2FkZHJlc3MSEAoDbmV0GAIgASgJUgNuZXQSEAoDbWFjGAMgASgJUgNtYWMSMAoFdW50aWwYBCABKAsyGi5n
b29nbGUucHJvdG9idWYuVGltZXN0YW1wUgV1bnRpbCJFChVEZWxldGVEZWNsaW5lZFJlcXVlc3QSGAoHbmV0d29yaxgBIAEoCVIH
bmV0d29yaxISCgRsaXN0GAIgAygJUgRsaXN0IhgKFkRlbGV0ZURlY2xpbmVkUmVzcG9uc2UyzwYKA05leBI9CgpHZXRNZW1iZXJz
EhYubmV4LkdldE1lbWJlcnNSZXF1ZXN0GhcubmV4LkdldE1lbWJlcnNSZXNwb25zZRI2CgpBZGRNZW1iZXJzEg8ubmV4Lk1lbWJl
ckxpc3QaFy5uZXguQWRkTWVtYmVyc1Jlc3BvbnNlEkYKDURlbGV0ZU1lbWJlcnMSGS5uZXguRGVsZXRlTWVtYmVyc1JlcXVlc3Qa
Gi5uZXguRGVsZXRlTWVtYmVyc1Jlc3BvbnNlEjwKDVVwZGF0ZU1lbWJlcnMSDy5uZXguVXBkYXRlTGlzdBoaLm5leC5VcGRhdGVN
ZW1iZXJzUmVzcG9uc2USPgoOQ2hhbmdlTWVtYmVySUQSDy5uZXguQ2hhbmdlTGlzdBobLm5leC5DaGFuZ2VNZW1iZXJJRFJlc3Bv
bnNlEkAKC0dldE5ldHdvcmtzEhcubmV4LkdldE5ldHdvcmtzUmVxdWVzdBoYLm5leC5HZXROZXR3b3Jrc1Jlc3BvbnNlEj0KCkdl
dE5ldHdvcmsSFi5uZXguR2V0TmV0d29ya1JlcXVlc3QaFy5uZXguR2V0TmV0d29ya1Jlc3BvbnNlEj0KCkFkZE5ldHdvcmsSFi5u
ZXguQWRkTmV0d29ya1JlcXVlc3QaFy5uZXguQWRkTmV0d29ya1Jlc3BvbnNlEkYKDVVwZGF0ZU5ldHdvcmsSGS5uZXguTmV0d29y
a1VwZGF0ZVJlcXVlc3QaGi5uZXguTmV0d29ya1VwZGF0ZVJlc3BvbnNlEkYKDURlbGV0ZU5ldHdvcmsSGS5uZXguRGVsZXRlTmV0
d29ya1JlcXVlc3QaGi5uZXguRGVsZXRlTmV0d29ya1Jlc3BvbnNlEi4KBUFwcGx5EhEubmV4LkFwcGx5UmVxdWVzdBoSLm5leC5B
cHBseVJlc3BvbnNlEkAKC0dldERlY2xpbmVkEhcubmV4LkdldERlY2xpbmVkUmVxdWVzdBoYLm5leC5HZXREZWNsaW5lZFJlc3Bv
bnNlEkkKDkRlbGV0ZURlY2xpbmVkEhoubmV4LkRlbGV0ZURlY2xpbmVkUmVxdWVzdBobLm5leC5EZWxldGVEZWNsaW5lZFJlc3Bv
bnNlYgZwcm90bzM=
`;

/** The fields of every message. */
export const fields: Readonly<Record<string, readonly Field[]>> = {
  "Timestamp": [[1, "seconds", "int64", false], [2, "nanos", "int32", false]],
  "UInt64Value": [[1, "value", "uint64", false]],
  "StringValue": [[1, "value", "string", false]],
  "Network": [
    [1, "name", "string", false],
    [2, "subnet4", "string", false],
    [3, "subnet6", "string", false],
    [4, "dhcp4server", "string", false],
    [5, "dhcp6server", "string", false],
    [6, "Range4", "AddressRange", false],
    [7, "Range6", "AddressRange", false],
    [8, "gateways", "string", true],
    [9, "nameservers", "string", true],
    [10, "options", "Option", true],
    [11, "domain", "string", false],
    [12, "macRange", "AddressRange", false],
    [20, "siaddr", "string", false],
    [21, "leaseDuration", "uint64", false],
  ],
  "AddressRange": [[1, "begin", "string", false], [2, "end", "string", false]],
  "Option": [[1, "number", "int32", false], [2, "value", "string", false]],
  "Member": [[1, "mac", "string", false], [2, "name", "string", false], [3, "ip4", "Lease", false], [
    4,
    "ip6",
    "Lease",
    false,
  ], [5, "net", "string", false]],
  "Lease": [[1, "address", "string", false], [2, "expires", "Timestamp", false]],
  "MemberList": [[1, "net", "string", false], [2, "list", "Member", true], [20, "force", "bool", false]],
  "AddMembersResponse": [],
  "MemberUpdate": [
    [1, "mac", "string", false],
    [2, "name", "StringValue", false],
    [3, "ip4", "Lease", false],
    [4, "ip6", "Lease", false],
  ],
  "UpdateList": [[1, "net", "string", false], [2, "list", "MemberUpdate", true]],
  "UpdateMembersResponse": [],
  "GetMembersRequest": [[1, "network", "string", false]],
  "GetMembersResponse": [[1, "members", "Member", true]],
  "DeleteMembersRequest": [[1, "network", "string", false], [2, "list", "string", true]],
  "DeleteMembersResponse": [],
  "Change": [[1, "old", "string", false], [2, "new", "string", false]],
  "ChangeList": [[1, "list", "Change", true]],
  "ChangeMemberIDResponse": [],
  "GetNetworksRequest": [],
  "GetNetworksResponse": [[1, "nets", "string", true]],
  "GetNetworkRequest": [[1, "name", "string", false]],
  "GetNetworkResponse": [[1, "net", "Network", false]],
  "AddNetworkRequest": [[1, "network", "Network", false]],
  "AddNetworkResponse": [],
  "NetworkUpdateRequest": [
    [1, "name", "string", false],
    [2, "subnet4", "StringValue", false],
    [3, "subnet6", "StringValue", false],
    [4, "dhcp4server", "StringValue", false],
    [5, "dhcp6server", "StringValue", false],
    [6, "Range4", "AddressRange", false],
    [7, "Range6", "AddressRange", false],
    [8, "gatewaysPresent", "string", true],
    [9, "nameserversPresent", "string", true],
    [10, "optionsPresent", "Option", true],
    [11, "domain", "StringValue", false],
    [12, "macRange", "AddressRange", false],
    [13, "gatewaysAbsent", "string", true],
    [14, "nameserversAbsent", "string", true],
    [15, "optionsAbsent", "Option", true],
    [16, "siaddr", "StringValue", false],
    [17, "leaseDuration", "UInt64Value", false],
  ],
  "NetworkUpdateResponse": [],
  "DeleteNetworkRequest": [[1, "name", "string", false]],
  "DeleteNetworkResponse": [],
  "ApplyRequest": [[1, "networks", "Network", true], [2, "members", "MemberList", true], [
    3,
    "dryRun",
    "bool",
    false,
  ]],
  "ApplyResponse": [[1, "objects", "AppliedObject", true]],
  "AppliedObject": [[1, "kind", "string", false], [2, "name", "string", false], [
    3,
    "action",
    "string",
    false,
  ]],
  "GetDeclinedRequest": [[1, "network", "string", false]],
  "GetDeclinedResponse": [[1, "declined", "Declined", true]],
  "Declined": [[1, "address", "string", false], [2, "net", "string", false], [3, "mac", "string", false], [
    4,
    "until",
    "Timestamp",
    false,
  ]],
  "DeleteDeclinedRequest": [[1, "network", "string", false], [2, "list", "string", true]],
  "DeleteDeclinedResponse": [],
};

/** Every rpc with the messages that it takes and gives. */
export const rpcs: Readonly<Record<string, readonly [request: string, response: string]>> = {
  "GetMembers": ["GetMembersRequest", "GetMembersResponse"],
  "AddMembers": ["MemberList", "AddMembersResponse"],
  "DeleteMembers": ["DeleteMembersRequest", "DeleteMembersResponse"],
  "UpdateMembers": ["UpdateList", "UpdateMembersResponse"],
  "ChangeMemberID": ["ChangeList", "ChangeMemberIDResponse"],
  "GetNetworks": ["GetNetworksRequest", "GetNetworksResponse"],
  "GetNetwork": ["GetNetworkRequest", "GetNetworkResponse"],
  "AddNetwork": ["AddNetworkRequest", "AddNetworkResponse"],
  "UpdateNetwork": ["NetworkUpdateRequest", "NetworkUpdateResponse"],
  "DeleteNetwork": ["DeleteNetworkRequest", "DeleteNetworkResponse"],
  "Apply": ["ApplyRequest", "ApplyResponse"],
  "GetDeclined": ["GetDeclinedRequest", "GetDeclinedResponse"],
  "DeleteDeclined": ["DeleteDeclinedRequest", "DeleteDeclinedResponse"],
};
