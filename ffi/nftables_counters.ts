/** Asks nf_tables what the counters of a table have counted, and which number the rules of a namespace have. */
import { bytesOf32 } from "../services/common/bytes.ts";
import { SystemError } from "./errno.ts";
import type { Netlink } from "./netlink.ts";
import { encodeMessage, readAttributes, readNested, readText, text } from "./netlink_message.ts";
import { encode, NFGENMSG, type NftTable, SUBSYSTEM } from "./netlink_nftables.ts";
import { COUNTER } from "./nftables_expressions.ts";

const GETGEN = 16, GETOBJ = 19;

/** The number that each change of the namespace's rules raises; undefined where the kernel tells none. */
export async function readGeneration(netlink: Netlink): Promise<number | undefined> {
  let generation: number | undefined;
  const message = generationRequest();
  await netlink.request({ what: "read the generation of rules", message }, (view, from, to) => {
    generation = generationOf(view, from, to);
  }).catch((error) => {
    if (!(error instanceof SystemError)) throw error;
  });
  return generation;
}

/** The message of {@link readGeneration}. */
export function generationRequest(): Uint8Array<ArrayBuffer> {
  return encodeMessage(SUBSYSTEM << 8 | GETGEN, 0, new Uint8Array(NFGENMSG), []);
}

/** The number in the message of the answer. */
export function generationOf(view: DataView, from: number, to: number): number | undefined {
  return readAttributes(view, from + NFGENMSG, to).get(1)?.getUint32(0);
}

/** The packets of each counter of a table that has counted some; none where there is no such table. */
export function readCounters(netlink: Netlink, table: NftTable): Promise<Map<string, number>> {
  const make = () => new Map<string, number>();
  return netlink.dump(`list the counters of ${table.name}`, countersRequest(table), make, addCounter);
}

/** The message of {@link readCounters}. */
export function countersRequest(table: NftTable): Uint8Array<ArrayBuffer> {
  return encode(table, GETOBJ, 0, [[1, text(table.name)], [3, bytesOf32(COUNTER)]]);
}

const NAME_AND_DATA: ReadonlySet<number> = new Set([2, 4]), PACKETS: ReadonlySet<number> = new Set([2]);

/** Adds the counter of one message of the answer. */
export function addCounter(counters: Map<string, number>, view: DataView, from: number, to: number): void {
  const object = readAttributes(view, from + NFGENMSG, to, NAME_AND_DATA);
  const packets = readNested(object.get(4), PACKETS).get(2);
  // Most have counted nothing.
  const count = packets?.byteLength === 8 ? Number(packets.getBigUint64(0)) : 0;
  if (count) counters.set(readText(object.get(2)), count);
}
