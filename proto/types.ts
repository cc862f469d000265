/**
 * The messages of nex.proto as the server and the client receive them.
 *
 * Every field is there: a string that was not sent is "", a number 0, a bool false, a list [], a message null.
 * uint64 and int64 are numbers (seconds, here; above 2^53 they lose digits). The names are the
 * JSON names of the proto's: lowerCamelCase, but for `Range4` and `Range6`. To send, any field may
 * be left out: {@link Sent}.
 */

export interface AddressRange {
  begin: string;
  end: string;
}

export interface Option {
  number: number;
  value: string;
}

export interface Network {
  name: string;
  subnet4: string;
  subnet6: string;
  dhcp4server: string;
  dhcp6server: string;
  Range4: AddressRange | null;
  Range6: AddressRange | null;
  gateways: string[];
  nameservers: string[];
  options: Option[];
  domain: string;
  macRange: AddressRange | null;
  siaddr: string;
  /** Seconds; 0: the default of four hours. */
  leaseDuration: number;
}

/** google.protobuf.Timestamp. */
export interface Timestamp {
  /** Since the Unix epoch. */
  seconds: number;
  nanos: number;
}

export interface Lease {
  address: string;
  /** null: static, or given but not leased yet. */
  expires: Timestamp | null;
}

export interface Member {
  mac: string;
  name: string;
  ip4: Lease | null;
  ip6: Lease | null;
  net: string;
  /** What the client calls itself; told, not taken. */
  clientName: string;
  /** Others may have its name too. */
  shared: boolean;
}

export interface MemberList {
  net: string;
  list: Member[];
  force: boolean;
}

/** google.protobuf.StringValue: null is "leave it", `{value: ""}` is "clear it". */
export interface StringValue {
  value: string;
}

export interface MemberUpdate {
  mac: string;
  name: StringValue | null;
  ip4: Lease | null;
  ip6: Lease | null;
}

export interface UpdateList {
  net: string;
  list: MemberUpdate[];
  /** Take an address that is held for the lease of another client. */
  force: boolean;
}

export interface GetMembersRequest {
  network: string;
}

export interface GetMembersResponse {
  members: Member[];
  /** Addresses that no member has, kept from others until a client's lease on them ends. */
  held: Held[];
}

/** An address, and the MAC of the client that has the lease on it. */
export interface Held {
  mac: string;
  ip4: Lease | null;
}

export interface DeleteMembersRequest {
  network: string;
  /** MACs. */
  list: string[];
  /** Free the addresses at once, though leases on them still run. */
  force: boolean;
}

/** From MAC `old` to MAC `new`. */
export interface IDChange {
  old: string;
  new: string;
}

export interface ChangeList {
  net: string;
  list: IDChange[];
}

export interface GetNetworksResponse {
  nets: string[];
}

export interface GetNetworkRequest {
  name: string;
}

export interface GetNetworkResponse {
  net: Network | null;
}

export interface AddNetworkRequest {
  network: Network | null;
}

export interface NetworkUpdateRequest {
  name: string;
  subnet4: StringValue | null;
  subnet6: StringValue | null;
  dhcp4server: StringValue | null;
  dhcp6server: StringValue | null;
  Range4: AddressRange | null;
  Range6: AddressRange | null;
  gatewaysPresent: string[];
  gatewaysAbsent: string[];
  nameserversPresent: string[];
  nameserversAbsent: string[];
  optionsPresent: Option[];
  optionsAbsent: Option[];
  domain: StringValue | null;
  macRange: AddressRange | null;
  siaddr: StringValue | null;
  /** google.protobuf.UInt64Value, seconds. */
  leaseDuration: { value: number } | null;
}

export interface DeleteNetworkRequest {
  name: string;
}

export interface ApplyRequest {
  networks: Network[];
  members: MemberList[];
  dryRun: boolean;
}

export interface AppliedObject {
  kind: string;
  name: string;
  action: string;
}

export interface ApplyResponse {
  objects: AppliedObject[];
}

export interface GetDeclinedRequest {
  /** Empty: of all networks. */
  network: string;
}

export interface GetDeclinedResponse {
  declined: Declined[];
}

export interface Declined {
  address: string;
  net: string;
  /** Of the client that declined it. */
  mac: string;
  until: Timestamp | null;
}

export interface DeleteDeclinedRequest {
  network: string;
  /** Addresses. */
  list: string[];
}

/** A message without fields. */
export type Empty = Record<never, never>;

/** What may be given to send a T: any of its fields, at any depth. */
export type Sent<T> = T extends readonly (infer Item)[] ? readonly Sent<Item>[]
  : T extends object ? { readonly [Key in keyof T]?: Sent<T[Key]> | null | undefined }
  : T;

/** Each rpc with the request that it takes and the response that it gives. */
export interface NexMethods {
  GetMembers: [GetMembersRequest, GetMembersResponse];
  AddMembers: [MemberList, Empty];
  DeleteMembers: [DeleteMembersRequest, Empty];
  UpdateMembers: [UpdateList, Empty];
  ChangeMemberID: [ChangeList, Empty];
  GetNetworks: [Empty, GetNetworksResponse];
  GetNetwork: [GetNetworkRequest, GetNetworkResponse];
  AddNetwork: [AddNetworkRequest, Empty];
  UpdateNetwork: [NetworkUpdateRequest, Empty];
  DeleteNetwork: [DeleteNetworkRequest, Empty];
  Apply: [ApplyRequest, ApplyResponse];
  GetDeclined: [GetDeclinedRequest, GetDeclinedResponse];
  DeleteDeclined: [DeleteDeclinedRequest, Empty];
}
