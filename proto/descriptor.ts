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
ZRgBIAEoCVIFdmFsdWUiIgoKQnl0ZXNWYWx1ZRIUCgV2YWx1ZRgBIAEoDFIFdmFsdWViBnByb3RvMwrcIgoJbmV4LnByb3RvEgNu
ZXgaH2dvb2dsZS9wcm90b2J1Zi90aW1lc3RhbXAucHJvdG8aHmdvb2dsZS9wcm90b2J1Zi93cmFwcGVycy5wcm90byLWAwoHTmV0
d29yaxISCgRuYW1lGAEgASgJUgRuYW1lEhgKB3N1Ym5ldDQYAiABKAlSB3N1Ym5ldDQSGAoHc3VibmV0NhgDIAEoCVIHc3VibmV0
NhIgCgtkaGNwNHNlcnZlchgEIAEoCVILZGhjcDRzZXJ2ZXISIAoLZGhjcDZzZXJ2ZXIYBSABKAlSC2RoY3A2c2VydmVyEikKBlJh
bmdlNBgGIAEoCzIRLm5leC5BZGRyZXNzUmFuZ2VSBlJhbmdlNBIpCgZSYW5nZTYYByABKAsyES5uZXguQWRkcmVzc1JhbmdlUgZS
YW5nZTYSGgoIZ2F0ZXdheXMYCCADKAlSCGdhdGV3YXlzEiAKC25hbWVzZXJ2ZXJzGAkgAygJUgtuYW1lc2VydmVycxIlCgdvcHRp
b25zGAogAygLMgsubmV4Lk9wdGlvblIHb3B0aW9ucxIWCgZkb21haW4YCyABKAlSBmRvbWFpbhItCghtYWNSYW5nZRgMIAEoCzIR
Lm5leC5BZGRyZXNzUmFuZ2VSCG1hY1JhbmdlEhYKBnNpYWRkchgNIAEoCVIGc2lhZGRyEiUKDmxlYXNlX2R1cmF0aW9uGA4gASgE
Ug1sZWFzZUR1cmF0aW9uIjYKDEFkZHJlc3NSYW5nZRIUCgViZWdpbhgBIAEoCVIFYmVnaW4SEAoDZW5kGAIgASgJUgNlbmQiNgoG
T3B0aW9uEhYKBm51bWJlchgBIAEoBVIGbnVtYmVyEhQKBXZhbHVlGAIgASgJUgV2YWx1ZSK1AQoGTWVtYmVyEhAKA21hYxgBIAEo
CVIDbWFjEhIKBG5hbWUYAiABKAlSBG5hbWUSHAoDaXA0GAMgASgLMgoubmV4LkxlYXNlUgNpcDQSHAoDaXA2GAQgASgLMgoubmV4
LkxlYXNlUgNpcDYSEAoDbmV0GAUgASgJUgNuZXQSHwoLY2xpZW50X25hbWUYBiABKAlSCmNsaWVudE5hbWUSFgoGc2hhcmVkGBQg
ASgIUgZzaGFyZWQiVwoFTGVhc2USGAoHYWRkcmVzcxgBIAEoCVIHYWRkcmVzcxI0CgdleHBpcmVzGAIgASgLMhouZ29vZ2xlLnBy
b3RvYnVmLlRpbWVzdGFtcFIHZXhwaXJlcyJVCgpNZW1iZXJMaXN0EhAKA25ldBgBIAEoCVIDbmV0Eh8KBGxpc3QYAiADKAsyCy5u
ZXguTWVtYmVyUgRsaXN0EhQKBWZvcmNlGAMgASgIUgVmb3JjZSIUChJBZGRNZW1iZXJzUmVzcG9uc2UijgEKDE1lbWJlclVwZGF0
ZRIQCgNtYWMYASABKAlSA21hYxIwCgRuYW1lGAIgASgLMhwuZ29vZ2xlLnByb3RvYnVmLlN0cmluZ1ZhbHVlUgRuYW1lEhwKA2lw
NBgDIAEoCzIKLm5leC5MZWFzZVIDaXA0EhwKA2lwNhgEIAEoCzIKLm5leC5MZWFzZVIDaXA2IlsKClVwZGF0ZUxpc3QSEAoDbmV0
GAEgASgJUgNuZXQSJQoEbGlzdBgCIAMoCzIRLm5leC5NZW1iZXJVcGRhdGVSBGxpc3QSFAoFZm9yY2UYFCABKAhSBWZvcmNlIhcK
FVVwZGF0ZU1lbWJlcnNSZXNwb25zZSItChFHZXRNZW1iZXJzUmVxdWVzdBIYCgduZXR3b3JrGAEgASgJUgduZXR3b3JrIloKEkdl
dE1lbWJlcnNSZXNwb25zZRIlCgdtZW1iZXJzGAEgAygLMgsubmV4Lk1lbWJlclIHbWVtYmVycxIdCgRoZWxkGBQgAygLMgkubmV4
LkhlbGRSBGhlbGQiNgoESGVsZBIQCgNtYWMYASABKAlSA21hYxIcCgNpcDQYAiABKAsyCi5uZXguTGVhc2VSA2lwNCJaChREZWxl
dGVNZW1iZXJzUmVxdWVzdBIYCgduZXR3b3JrGAEgASgJUgduZXR3b3JrEhIKBGxpc3QYAiADKAlSBGxpc3QSFAoFZm9yY2UYFCAB
KAhSBWZvcmNlIhcKFURlbGV0ZU1lbWJlcnNSZXNwb25zZSIuCghJRENoYW5nZRIQCgNvbGQYASABKAlSA29sZBIQCgNuZXcYAiAB
KAlSA25ldyJBCgpDaGFuZ2VMaXN0EhAKA25ldBgBIAEoCVIDbmV0EiEKBGxpc3QYAiADKAsyDS5uZXguSURDaGFuZ2VSBGxpc3Qi
GAoWQ2hhbmdlTWVtYmVySURSZXNwb25zZSIUChJHZXROZXR3b3Jrc1JlcXVlc3QiKQoTR2V0TmV0d29ya3NSZXNwb25zZRISCgRu
ZXRzGAEgAygJUgRuZXRzIicKEUdldE5ldHdvcmtSZXF1ZXN0EhIKBG5hbWUYASABKAlSBG5hbWUiNAoSR2V0TmV0d29ya1Jlc3Bv
bnNlEh4KA25ldBgBIAEoCzIMLm5leC5OZXR3b3JrUgNuZXQiOwoRQWRkTmV0d29ya1JlcXVlc3QSJgoHbmV0d29yaxgBIAEoCzIM
Lm5leC5OZXR3b3JrUgduZXR3b3JrIhQKEkFkZE5ldHdvcmtSZXNwb25zZSLuBgoUTmV0d29ya1VwZGF0ZVJlcXVlc3QSEgoEbmFt
ZRgBIAEoCVIEbmFtZRI2CgdzdWJuZXQ0GAIgASgLMhwuZ29vZ2xlLnByb3RvYnVmLlN0cmluZ1ZhbHVlUgdzdWJuZXQ0EjYKB3N1
Ym5ldDYYAyABKAsyHC5nb29nbGUucHJvdG9idWYuU3RyaW5nVmFsdWVSB3N1Ym5ldDYSPgoLZGhjcDRzZXJ2ZXIYBCABKAsyHC5n
b29nbGUucHJvdG9idWYuU3RyaW5nVmFsdWVSC2RoY3A0c2VydmVyEj4KC2RoY3A2c2VydmVyGAUgASgLMhwuZ29vZ2xlLnByb3Rv
YnVmLlN0cmluZ1ZhbHVlUgtkaGNwNnNlcnZlchIpCgZSYW5nZTQYBiABKAsyES5uZXguQWRkcmVzc1JhbmdlUgZSYW5nZTQSKQoG
UmFuZ2U2GAcgASgLMhEubmV4LkFkZHJlc3NSYW5nZVIGUmFuZ2U2EikKEGdhdGV3YXlzX3ByZXNlbnQYCCADKAlSD2dhdGV3YXlz
UHJlc2VudBInCg9nYXRld2F5c19hYnNlbnQYCSADKAlSDmdhdGV3YXlzQWJzZW50Ei8KE25hbWVzZXJ2ZXJzX3ByZXNlbnQYCiAD
KAlSEm5hbWVzZXJ2ZXJzUHJlc2VudBItChJuYW1lc2VydmVyc19hYnNlbnQYCyADKAlSEW5hbWVzZXJ2ZXJzQWJzZW50EjQKD29w
dGlvbnNfcHJlc2VudBgMIAMoCzILLm5leC5PcHRpb25SDm9wdGlvbnNQcmVzZW50EjIKDm9wdGlvbnNfYWJzZW50GA0gAygLMgsu
bmV4Lk9wdGlvblINb3B0aW9uc0Fic2VudBI0CgZkb21haW4YDiABKAsyHC5nb29nbGUucHJvdG9idWYuU3RyaW5nVmFsdWVSBmRv
bWFpbhItCghtYWNSYW5nZRgPIAEoCzIRLm5leC5BZGRyZXNzUmFuZ2VSCG1hY1JhbmdlEjQKBnNpYWRkchgQIAEoCzIcLmdvb2ds
ZS5wcm90b2J1Zi5TdHJpbmdWYWx1ZVIGc2lhZGRyEkMKDmxlYXNlX2R1cmF0aW9uGBEgASgLMhwuZ29vZ2xlLnByb3RvYnVmLlVJ
bnQ2NFZhbHVlUg1sZWFzZUR1cmF0aW9uIhcKFU5ldHdvcmtVcGRhdGVSZXNwb25zZSIqChREZWxldGVOZXR3b3JrUmVxdWVzdBIS
CgRuYW1lGAEgASgJUgRuYW1lIhcKFURlbGV0ZU5ldHdvcmtSZXNwb25zZSJ7CgxBcHBseVJlcXVlc3QSKAoIbmV0d29ya3MYASAD
KAsyDC5uZXguTmV0d29ya1IIbmV0d29ya3MSKQoHbWVtYmVycxgCIAMoCzIPLm5leC5NZW1iZXJMaXN0UgdtZW1iZXJzEhYKBmRy
eVJ1bhgDIAEoCFIGZHJ5UnVuIj0KDUFwcGx5UmVzcG9uc2USLAoHb2JqZWN0cxgBIAMoCzISLm5leC5BcHBsaWVkT2JqZWN0Ugdv
YmplY3RzIk8KDUFwcGxpZWRPYmplY3QSEgoEa2luZBgBIAEoCVIEa2luZBISCgRuYW1lGAIgASgJUgRuYW1lEhYKBmFjdGlvbhgD
IAEoCVIGYWN0aW9uIi4KEkdldERlY2xpbmVkUmVxdWVzdBIYCgduZXR3b3JrGAEgASgJUgduZXR3b3JrIkAKE0dldERlY2xpbmVk
UmVzcG9uc2USKQoIZGVjbGluZWQYASADKAsyDS5uZXguRGVjbGluZWRSCGRlY2xpbmVkInoKCERlY2xpbmVkEhgKB2FkZHJlc3MY
ASABKAlSB2FkZHJlc3MSEAoDbmV0GAIgASgJUgNuZXQSEAoDbWFjGAMgASgJUgNtYWMSMAoFdW50aWwYBCABKAsyGi5nb29nbGUu
cHJvdG9idWYuVGltZXN0YW1wUgV1bnRpbCJFChVEZWxldGVEZWNsaW5lZFJlcXVlc3QSGAoHbmV0d29yaxgBIAEoCVIHbmV0d29y
axISCgRsaXN0GAIgAygJUgRsaXN0IhgKFkRlbGV0ZURlY2xpbmVkUmVzcG9uc2UyzwYKA05leBI9CgpHZXRNZW1iZXJzEhYubmV4
LkdldE1lbWJlcnNSZXF1ZXN0GhcubmV4LkdldE1lbWJlcnNSZXNwb25zZRI2CgpBZGRNZW1iZXJzEg8ubmV4Lk1lbWJlckxpc3Qa
Fy5uZXguQWRkTWVtYmVyc1Jlc3BvbnNlEkYKDURlbGV0ZU1lbWJlcnMSGS5uZXguRGVsZXRlTWVtYmVyc1JlcXVlc3QaGi5uZXgu
RGVsZXRlTWVtYmVyc1Jlc3BvbnNlEjwKDVVwZGF0ZU1lbWJlcnMSDy5uZXguVXBkYXRlTGlzdBoaLm5leC5VcGRhdGVNZW1iZXJz
UmVzcG9uc2USPgoOQ2hhbmdlTWVtYmVySUQSDy5uZXguQ2hhbmdlTGlzdBobLm5leC5DaGFuZ2VNZW1iZXJJRFJlc3BvbnNlEkAK
C0dldE5ldHdvcmtzEhcubmV4LkdldE5ldHdvcmtzUmVxdWVzdBoYLm5leC5HZXROZXR3b3Jrc1Jlc3BvbnNlEj0KCkdldE5ldHdv
cmsSFi5uZXguR2V0TmV0d29ya1JlcXVlc3QaFy5uZXguR2V0TmV0d29ya1Jlc3BvbnNlEj0KCkFkZE5ldHdvcmsSFi5uZXguQWRk
TmV0d29ya1JlcXVlc3QaFy5uZXguQWRkTmV0d29ya1Jlc3BvbnNlEkYKDVVwZGF0ZU5ldHdvcmsSGS5uZXguTmV0d29ya1VwZGF0
ZVJlcXVlc3QaGi5uZXguTmV0d29ya1VwZGF0ZVJlc3BvbnNlEkYKDURlbGV0ZU5ldHdvcmsSGS5uZXguRGVsZXRlTmV0d29ya1Jl
cXVlc3QaGi5uZXguRGVsZXRlTmV0d29ya1Jlc3BvbnNlEi4KBUFwcGx5EhEubmV4LkFwcGx5UmVxdWVzdBoSLm5leC5BcHBseVJl
c3BvbnNlEkAKC0dldERlY2xpbmVkEhcubmV4LkdldERlY2xpbmVkUmVxdWVzdBoYLm5leC5HZXREZWNsaW5lZFJlc3BvbnNlEkkK
DkRlbGV0ZURlY2xpbmVkEhoubmV4LkRlbGV0ZURlY2xpbmVkUmVxdWVzdBobLm5leC5EZWxldGVEZWNsaW5lZFJlc3BvbnNlYgZw
cm90bzM=
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
    [13, "siaddr", "string", false],
    [14, "leaseDuration", "uint64", false],
  ],
  "AddressRange": [[1, "begin", "string", false], [2, "end", "string", false]],
  "Option": [[1, "number", "int32", false], [2, "value", "string", false]],
  "Member": [
    [1, "mac", "string", false],
    [2, "name", "string", false],
    [3, "ip4", "Lease", false],
    [4, "ip6", "Lease", false],
    [5, "net", "string", false],
    [6, "clientName", "string", false],
    [20, "shared", "bool", false],
  ],
  "Lease": [[1, "address", "string", false], [2, "expires", "Timestamp", false]],
  "MemberList": [[1, "net", "string", false], [2, "list", "Member", true], [3, "force", "bool", false]],
  "AddMembersResponse": [],
  "MemberUpdate": [
    [1, "mac", "string", false],
    [2, "name", "StringValue", false],
    [3, "ip4", "Lease", false],
    [4, "ip6", "Lease", false],
  ],
  "UpdateList": [[1, "net", "string", false], [2, "list", "MemberUpdate", true], [
    20,
    "force",
    "bool",
    false,
  ]],
  "UpdateMembersResponse": [],
  "GetMembersRequest": [[1, "network", "string", false]],
  "GetMembersResponse": [[1, "members", "Member", true], [20, "held", "Held", true]],
  "Held": [[1, "mac", "string", false], [2, "ip4", "Lease", false]],
  "DeleteMembersRequest": [[1, "network", "string", false], [2, "list", "string", true], [
    20,
    "force",
    "bool",
    false,
  ]],
  "DeleteMembersResponse": [],
  "IDChange": [[1, "old", "string", false], [2, "new", "string", false]],
  "ChangeList": [[1, "net", "string", false], [2, "list", "IDChange", true]],
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
    [9, "gatewaysAbsent", "string", true],
    [10, "nameserversPresent", "string", true],
    [11, "nameserversAbsent", "string", true],
    [12, "optionsPresent", "Option", true],
    [13, "optionsAbsent", "Option", true],
    [14, "domain", "StringValue", false],
    [15, "macRange", "AddressRange", false],
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
