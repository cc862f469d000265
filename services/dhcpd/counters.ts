/** dhcpd's counters: messages, replies, ignored messages by reason, failed commits. */
import type { NameOutcome } from "../nex/client_name.ts";
import { Type } from "./numbers.ts";
import type { IgnoreReason } from "./decision.ts";

/** The counters since the start. */
export interface DhcpdCounts {
  /** Messages from clients and relays. */
  discover: number;
  request: number;
  decline: number;
  release: number;
  inform: number;
  offer: number;
  ack: number;
  nak: number;
  /** Messages that were not answered, by reason. */
  ignored: Record<IgnoreReason | Dropped, number>;
  /** Leases whose client did not get the name that it asked for unchanged, by what happened to the name. */
  names: Record<NameOutcome, number>;
  /** Commits that failed because another process had written first. */
  conflicts: number;
  /** Commits that etcd refused, or did not confirm. */
  failures: number;
  /** Replies that the kernel did not send. */
  unsent: number;
}

/** Why a message is dropped before it is handled. */
export type Dropped =
  | "late" // it, or its answer, waited for too long
  | "not-for-us" // unicast to an address of another host
  | "in-flight" // the same client's lease is being written already
  | "overload"; // too many leases are being written

/** The name of each message type. */
export const typeNames: Record<number, "discover" | "request" | "decline" | "release" | "inform"> = {
  [Type.discover]: "discover",
  [Type.request]: "request",
  [Type.decline]: "decline",
  [Type.release]: "release",
  [Type.inform]: "inform",
};

/** The name of each reply's type. */
export const replyNames = { [Type.offer]: "offer", [Type.ack]: "ack", [Type.nak]: "nak" } as const;

/** Every counter at 0, as a server starts. */
export function noCounts(): DhcpdCounts {
  return {
    ...{ discover: 0, request: 0, decline: 0, release: 0, inform: 0 },
    ...{ offer: 0, ack: 0, nak: 0 },
    ignored: {
      "malformed": 0,
      "unknown-client": 0,
      "other-server": 0,
      "no-server-id": 0,
      "exhausted": 0,
      "no-address": 0,
      "store-away": 0,
      "wrong-clock": 0,
      "not-held": 0,
      "static-declined": 0,
      "declines-too-often": 0,
      "wrong-sender": 0,
      "late": 0,
      "not-for-us": 0,
      "in-flight": 0,
      "overload": 0,
    },
    names: { "cleaned": 0, "unusable": 0, "taken": 0, "taken-over": 0 },
    ...{ conflicts: 0, failures: 0, unsent: 0 },
  };
}
