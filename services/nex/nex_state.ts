/** The state that plans read: the names and addresses of one space, as they are or as they will be once a plan is committed. */
import type { Ip } from "../common/ip.ts";
import type { WithheldRecord } from "../store/records.ts";
import type { Guard } from "../store/types.ts";
import type { Member } from "./member.ts";
import type { Network } from "./network.ts";

/** The state that a plan starts from: the view of the mirror, or a draft on top of it. */
export interface NexState {
  network(name: string): Network | undefined;
  networks(): Iterable<Network>;
  /** The MAC's membership of that network. */
  member(mac: string, network: string): Member | undefined;
  /** All memberships of the MAC, the one under Nex's key first. */
  memberships(mac: string): readonly Member[];
  membersOf(network: string): Member[];
  /** The member with the address. */
  memberAt(address: string): Member | undefined;
  /** The members with the fully qualified name: nearly always one, or one MAC in several networks. */
  membersNamed(name: string): readonly Member[];
  /** The name of a member's network, also where that is gone; undefined where it is not known. */
  netOf(member: Member): string | undefined;
  /** The network whose subnet holds the address. */
  networkAt(address: string | Ip | undefined): Network | undefined;
  /** The MAC that a claim's key holds, whether or not that member agrees. */
  claim(key: string): string | undefined;
  /** The client that had the address last, as long as no other client has it. */
  formerHolderOf(address: string): string | undefined;
  /** Addresses withheld from other clients: a client found them in use, or still has a lease on them. */
  readonly withheld: ReadonlyMap<string, WithheldRecord>;
  /** The withheld addresses that are held for the MAC's own leases. */
  heldFor(mac: string): readonly string[];
  /** The address at which a search for the lowest free one of the network's range starts. */
  lowest(network: Network): number;
  /** True when an IPv4 address, as a 32-bit value, must not be given to another client. */
  taken(address: number): boolean;
  /** The guard that a key is unchanged since it was read. */
  guard(key: string): Guard;
  /** The newest mod revision of anything under a prefix, readable or not. */
  newestUnder(prefix: string): number;
}
