/** Receives the notifications of nf_tables, which say that another program has changed a table. */
import { checked, ENOBUFS, errno } from "./errno.ts";
import { libc } from "./libc.ts";
import { aligned, HEADER, readAttributes, readText, TYPE_MASK } from "./netlink_message.ts";
import { NETLINK_NETFILTER } from "./netlink.ts";
import { inNamespace } from "./netns.ts";

const AF_NETLINK = 16, SOCK_RAW = 3, SOCK_NONBLOCK = 0x800, SOCK_CLOEXEC = 0x80000;
const SOL_NETLINK = 270, NETLINK_ADD_MEMBERSHIP = 1, NFNLGRP_NFTABLES = 7;
/** nfnetlink's subsystem in a message's type; its event NEWGEN, which ends each batch, is of no table. */
const NF_TABLES = 10, NEWGEN = 15;
/** Octets of struct nfgenmsg {u8 family, u8 version, be16 resource}, and the attribute that each event begins with. */
const NFGENMSG = 4, TABLE = 1;

const received = new Uint8Array(64 << 10), view = new DataView(received.buffer);

/** A socket that is told of every change of tables in a namespace. */
export class NftablesWatch implements Disposable {
  /** Readable when it has been told something. */
  readonly fd: number;

  /** @throws SystemError where the kernel has no nf_tables */
  constructor(namespace: number) {
    const make = () => libc.socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_NETFILTER);
    this.fd = checked(inNamespace(namespace, make), "open a netlink socket");
    const group = Int32Array.of(NFNLGRP_NFTABLES);
    // struct sockaddr_nl {u16 family, u16 pad, u32 pid, u32 groups}: without a port id of its own it would be told of nothing.
    const name = new Uint8Array(12);
    name[0] = AF_NETLINK;
    try {
      checked(libc.bind(this.fd, name, name.length), "watch nf_tables");
      checked(libc.setsockopt(this.fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group, 4), "watch nf_tables");
    } catch (error) {
      libc.close(this.fd);
      throw error;
    }
  }

  /**
   * Reads what has been told since the last call.
   *
   * @param own The netlink port id of the socket whose changes do not count.
   * @returns true when another one has changed that table, or so much has changed that it is not known
   */
  changed(family: number, table: string, own: number): boolean {
    let found = false;
    for (;;) {
      const length = libc.read(this.fd, received, received.length);
      if (length > 0) found = concerns(length, family, table, own) || found;
      else if (length === 0 || errno() !== ENOBUFS) return found;
      else found = true;
    }
  }

  [Symbol.dispose](): void {
    libc.close(this.fd);
  }
}

/** True when one of the messages that were received is about the table, and of another socket. */
function concerns(length: number, family: number, table: string, own: number): boolean {
  for (let at = 0; at + HEADER + NFGENMSG <= length;) {
    const size = view.getUint32(at, true), type = view.getUint16(at + 4, true) & TYPE_MASK;
    if (size < HEADER || at + size > length) return true;
    const isEvent = type >> 8 === NF_TABLES && (type & 0xff) !== NEWGEN && size > HEADER + NFGENMSG;
    if (isEvent && view.getUint32(at + 12, true) !== own && received[at + HEADER] === family) {
      const name = readAttributes(view, at + HEADER + NFGENMSG, at + size).get(TABLE);
      if (name && readText(name) === table) return true;
    }
    at += aligned(size);
  }
  return false;
}
