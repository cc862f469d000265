/** Reads the status that a member of the etcd cluster reports of itself (Maintenance.Status). */
import { callReason, isLeaderless } from "./failure.ts";
import type { EtcdMember } from "./member.ts";
import { decodeStatus } from "./messages.ts";

/** The status that one member reports. `problem` is absent when it answers and knows a leader. */
export interface MemberStatus {
  readonly endpoint: string;
  readonly answers: boolean;
  readonly version?: string;
  readonly revision?: number;
  /** Bytes of its database file. */
  readonly dbSize?: number;
  readonly memberId?: bigint;
  /** Alarms raised in its cluster, by any member: NOSPACE, CORRUPT. */
  readonly alarms?: readonly { readonly alarm: string; readonly memberId: bigint }[];
  readonly problem?: string;
}

const STATUS = "/etcdserverpb.Maintenance/Status";
const leaderless = "no leader";

/** Asks the member. An error of the call becomes the status's `problem`. */
export async function memberStatus(member: EtcdMember, timeoutMs: number): Promise<MemberStatus> {
  const { endpoint } = member;
  try {
    await member.connect();
    const answer = await member.call(STATUS, new Uint8Array(), timeoutMs);
    const { version, header, dbSize, leader, errors } = decodeStatus(answer);
    const alarms = errors.flatMap((text) => {
      const [, id = "0", alarm] = /\bmemberID:(\d+) alarm:(\w+)/.exec(text) ?? [];
      return alarm === undefined ? [] : [{ alarm, memberId: BigInt(id) }];
    });
    const { memberId, revision } = header;
    const known = { endpoint, answers: true, version, memberId, revision, dbSize, alarms };
    return leader ? known : { ...known, problem: leaderless };
  } catch (error) {
    const answers = isLeaderless(error);
    return { endpoint, answers, problem: answers ? leaderless : callReason(error) };
  }
}
