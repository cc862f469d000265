/**
 * Reads the counters of an nf_tables table in another network namespace by one request. They are read in many
 * namespaces again and again, and a Netlink socket with all of its services would take several times as long.
 */
import { checked, EINTR, errno, SystemError } from "./errno.ts";
import { libc } from "./libc.ts";
import { NETLINK_NETFILTER } from "./netlink.ts";
import { NLM_F_DUMP } from "./netlink_message.ts";
import { addCounter, countersRequest, type Table } from "./netlink_nftables.ts";
import { DumpReplies } from "./netlink_replies.ts";
import { inNamespace } from "./netns.ts";

const AF_NETLINK = 16, SOCK_RAW = 3, SOCK_CLOEXEC = 0x80000;
const MSG_TRUNC = 0x20, MSG_DONTWAIT = 0x40;
/** How often a listing is tried that was changed while it was read. */
const TRIES = 20;

// Each call has read all of its answers before the next one begins.
const received = new Uint8Array(64 << 10), view = new DataView(received.buffer);

/**
 * The packets of each counter of a table; none where there is no such table.
 * @param namespace A descriptor.
 * @throws SystemError where the kernel has no nf_tables
 */
export function countersIn(namespace: number, table: Table): Map<string, number> {
  const what = `list the counters of ${table.name}`, message = countersRequest(table);
  const header = new DataView(message.buffer);
  header.setUint16(6, header.getUint16(6, true) | NLM_F_DUMP, true);
  const make = () => libc.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
  const fd = checked(inNamespace(namespace, make), "open a netlink socket");
  let inconsistency = "";
  try {
    for (let sequence = 1; sequence <= TRIES; sequence++) {
      header.setUint32(8, sequence, true);
      const counters = new Map<string, number>();
      const replies = new DumpReplies(sequence, (view, from, to) => addCounter(counters, view, from, to));
      checked(libc.send(fd, message, message.length, 0), "send to the kernel");
      // The kernel makes each part of its answer within the call before it.
      while (replies.state === "more") {
        const length = libc.recv(fd, received, received.length, MSG_DONTWAIT | MSG_TRUNC);
        if (length >= 0) replies.take(view, length);
        else if (errno() !== EINTR) {
          replies.end();
          break;
        }
      }
      if (replies.failure) throw new SystemError(what, replies.failure.errno, replies.failure.detail);
      if (!replies.inconsistency) return counters;
      inconsistency = replies.inconsistency;
    }
  } finally {
    libc.close(fd);
  }
  throw new Error(`${what}: each of ${TRIES} tries was ${inconsistency}`);
}
