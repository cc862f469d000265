/**
 * The interface of an address space that DHCP leases are given in: its members, its addresses in use, and the plans
 * that change a lease.
 */
import type { Guard, Plan } from "../store/types.ts";
import type { MemberRecord } from "../store/records.ts";
import type { Member } from "./member.ts";
import type { Network } from "./network.ts";
import type { NexState } from "./nex_state.ts";

/** An address that is withheld from other clients; `net` is absent where the space is that of one network. */
export interface WithheldAddress {
  readonly net?: string;
  readonly mac: string;
  /** In seconds since the epoch. */
  readonly until: number;
  /** True: it is held for the client's lease; absent: the client declined it. */
  readonly leased?: boolean | undefined;
  /** The relay's circuit by which it was declined, where that is known. */
  readonly circuit?: string | undefined;
}

/** The part of an address space by which addresses are chosen. */
export interface AddressState extends Pick<NexState, "memberAt" | "heldFor" | "lowest" | "taken"> {
  readonly withheld: ReadonlyMap<string, WithheldAddress>;
}

/** The changes that a lease, its end or a DHCPDECLINE makes, in one transaction. */
export interface LeaseChange {
  readonly mac: string;
  readonly before: Member | undefined;
  /** Undefined: the member ends. */
  readonly after: MemberRecord | undefined;
  /** The members that lose their name to this one, guarded by their not having renewed. */
  readonly losing?: readonly Member[];
  /** The address is remembered for the client, whose lease on it ended then, in seconds since the epoch. */
  readonly ended?: { readonly address: string; readonly at: number } | undefined;
  /** The address is in quarantine until then, in seconds since the epoch. */
  readonly declined?: {
    readonly address: string;
    readonly until: number;
    readonly circuit?: string | undefined;
  };
}

/**
 * An address space as the code that gives leases takes it. Nex's networks share one; each overlay network is one of its own. Both
 * pass the tests of services/dhcpd/space_test.ts.
 */
export interface LeaseSpace
  extends
    AddressState,
    Pick<NexState, "networks" | "member" | "memberships" | "membersNamed" | "networkAt" | "formerHolderOf"> {
  network(name: string): Network | undefined;
  /** The network that a member is in; undefined once that network is gone. */
  networkOf(member: Member): Network | undefined;
  /** The address that a client had last in a network, while no other client has it. */
  formerAddressOf(mac: string, network: Network): string | undefined;
  /** True for a label that no client gets, since the space itself has it. */
  isOwnLabel(label: string): boolean;
  /** True: in a network without a domain, a single label is a name. */
  readonly bareNames: boolean;
  /** False for an address that stays its member's whatever the client says. */
  mayQuarantine(network: Network, member: Member): boolean;
  planChange(change: LeaseChange): Plan;
  /** Plans that an address is free again that was held for a client's lease. */
  planFree(address: string): Plan;
  /** The guards of a NAK: all that it follows from is as the mirror shows it. */
  refusalGuards(network: Network, member: Member | undefined, mac: string, address: string): Guard[];
}
