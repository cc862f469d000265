/** The result of handling a DHCP message: ignore it, answer it, or commit a plan first. */
import type { NameOutcome } from "../nex/client_name.ts";
import type { Network } from "../nex/network.ts";
import type { Plan } from "../store/types.ts";
import type { Reply } from "./reply.ts";

/** The decision about a message. A plan is committed before its reply goes out; RELEASE and DECLINE have no reply. */
export type Decision = Ignored | Answered | Commit;

/** Why a message is not answered. */
export type IgnoreReason =
  | "malformed"
  | "unknown-client"
  | "other-server"
  | "no-server-id"
  | "exhausted"
  | "no-address" // a member without an address, in a network without a range
  | "store-away"
  | "wrong-clock"
  | "not-held"
  | "static-declined"
  | "declines-too-often"
  | "wrong-sender"; // a RELEASE or DECLINE that its client did not send

export interface Ignored {
  readonly do: "ignore";
  readonly why: IgnoreReason;
  readonly network?: Network;
  /** For an unknown client: the address that identifies its link, where that is not our own. */
  readonly link?: number | undefined;
}

export interface Answered {
  readonly do: "answer";
  readonly reply: Reply;
}

export interface Commit {
  readonly do: "commit";
  /** The client in its network, see {@link clientIn}. */
  readonly client: string;
  readonly plan: Plan;
  readonly reply?: Reply;
  /** The outcome for the name that the client asks for, where it did not get it unchanged. */
  readonly named?: NameOutcome | undefined;
  /** The network in which an address is quarantined. */
  readonly declined?: Network;
}

/** The key of a client in one network: the same MAC may have a lease in another one at the same time. */
export function clientIn(network: string, mac: string): string {
  return `${network} ${mac}`;
}

/** The decision to ignore a message, for a reason that is counted. */
export function ignore(why: IgnoreReason, network?: Network): Ignored {
  return { do: "ignore", why, ...network && { network } };
}
