/**
 * Reads the counters of nf_tables in a namespace, and the number of its rules, over and over by one socket. Both are asked for in
 * each of many namespaces again and again, and entering one and opening a socket there would take several times as long.
 */
import { checked, EINTR, errno, SystemError } from "./errno.ts";
import { libc } from "./libc.ts";
import { NETLINK_NETFILTER } from "./netlink.ts";
import { HEADER, NLM_F_DUMP, NLMSG_ERROR } from "./netlink_message.ts";
import type { NftTable } from "./netlink_nftables.ts";
import { addCounter, countersRequest, generationOf, generationRequest } from "./nftables_counters.ts";
import { DumpReplies } from "./netlink_replies.ts";
import { inNamespace } from "./netns.ts";

const AF_NETLINK = 16, SOCK_RAW = 3, SOCK_CLOEXEC = 0x80000;
const MSG_TRUNC = 0x20, MSG_DONTWAIT = 0x40;
/** The offsets of type, flags and number in the header of a message. */
const TYPE_AT = 4, FLAGS_AT = 6, NUMBER_AT = 8;
/** The most tries of a listing that was changed while it was read. */
const TRIES = 20;

// Each call has read all of its answers before the next one begins, whichever socket it is for.
const received = new Uint8Array(64 << 10), view = new DataView(received.buffer);
const generation = generationRequest(), dumps = new Map<string, Uint8Array<ArrayBuffer>>();

/** A socket in a namespace, which it keeps alive until it is closed. All calls are answered before they return. */
export class NftablesReader implements Disposable {
  readonly #fd: number;
  #number = 0;

  /** @param namespace A descriptor, which is not needed after the call. @throws SystemError where the kernel has no nf_tables */
  constructor(namespace: number) {
    const make = () => libc.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
    this.#fd = checked(inNamespace(namespace, make), "open a netlink socket");
  }

  /**
   * The packets of each counter of a table that has counted some; none where there is no such table.
   * @throws SystemError where the kernel has no nf_tables
   */
  counters(table: NftTable): Map<string, number> {
    const message = dumpOf(table), what = `list the counters of ${table.name}`;
    let inconsistency = "";
    for (let tries = 0; tries < TRIES; tries++) {
      const found = new Map<string, number>();
      const replies = new DumpReplies(
        this.#send(message),
        (view, from, to) => addCounter(found, view, from, to),
      );
      // The kernel makes each part of its answer within the call before it.
      while (replies.state === "more") {
        const length = this.#receive();
        if (length < 0) {
          replies.end();
          break;
        }
        replies.take(view, length);
      }
      if (replies.failure) throw new SystemError(what, replies.failure.errno, replies.failure.detail);
      if (!replies.inconsistency) return found;
      inconsistency = replies.inconsistency;
    }
    throw new Error(`${what}: each of ${TRIES} tries was ${inconsistency}`);
  }

  /** The number that each change of the namespace's rules raises; undefined where the kernel tells none. @throws SystemError */
  generation(): number | undefined {
    const number = this.#send(generation);
    for (;;) {
      const length = this.#receive();
      if (length < HEADER) return undefined;
      // What is left of a listing that was given up comes before the answer.
      if (view.getUint32(NUMBER_AT, true) !== number) continue;
      return view.getUint16(TYPE_AT, true) === NLMSG_ERROR ? undefined : generationOf(view, HEADER, length);
    }
  }

  [Symbol.dispose](): void {
    libc.close(this.#fd);
  }

  /** @returns the number by which its answers are known */
  #send(message: Uint8Array<ArrayBuffer>): number {
    this.#number = (this.#number + 1) >>> 0;
    new DataView(message.buffer).setUint32(NUMBER_AT, this.#number, true);
    checked(libc.send(this.#fd, message, message.length, 0), "send to the kernel");
    return this.#number;
  }

  /** @returns the answer's length, which may exceed the buffer's; below 0 where there is none */
  #receive(): number {
    for (;;) {
      const length = libc.recv(this.#fd, received, received.length, MSG_DONTWAIT | MSG_TRUNC);
      if (length >= 0 || errno() !== EINTR) return length;
    }
  }
}

function dumpOf(table: NftTable): Uint8Array<ArrayBuffer> {
  const key = `${table.family} ${table.name}`;
  let message = dumps.get(key);
  if (!message) {
    dumps.set(key, message = countersRequest(table));
    const header = new DataView(message.buffer);
    header.setUint16(FLAGS_AT, header.getUint16(FLAGS_AT, true) | NLM_F_DUMP, true);
  }
  return message;
}
