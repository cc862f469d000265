/** For tests only: encodes queries and reads messages strictly, independent of the code under test. */
import { Cidr, Ip } from "../common/ip.ts";
import type { NetworkNames } from "./zones.ts";

/** The network of most tests, as the zones have it. */
export const mini: NetworkNames = {
  name: "mini",
  domain: "mini.net",
  subnets: [Cidr.parse("10.0.0.0/24"), Cidr.parse("2001:db8::/64")],
  nameservers: [Ip.parse("10.0.0.1")],
  ttl: 60,
};

export interface Query {
  name: string;
  type?: number;
  class?: number;
  id?: number;
  rd?: boolean;
  opcode?: number;
  /** An OPT is sent when given. */
  edns?: { size?: number; version?: number; dnssecOk?: boolean; options?: Uint8Array };
}

export interface Record {
  name: string;
  type: number;
  class: number;
  ttl: number;
  /** Addresses and names as text, SOA as its seven fields, all else as hex. */
  data: string;
}

export interface Message {
  id: number;
  response: boolean;
  opcode: number;
  aa: boolean;
  tc: boolean;
  rd: boolean;
  ra: boolean;
  ad: boolean;
  cd: boolean;
  /** With EDNS's upper bits. */
  rcode: number;
  question: { name: string; type: number; class: number } | undefined;
  answer: Record[];
  authority: Record[];
  additional: Record[];
  edns: { size: number; version: number; dnssecOk: boolean; flags: number } | undefined;
}

/** A query as it goes out by UDP (RFC 1035 §4.1), with an OPT record (RFC 6891) when `edns` is given. */
export function encodeQuery(query: Query): Uint8Array<ArrayBuffer> {
  const { edns } = query;
  const id = query.id ?? 0x1234;
  const out = [
    id >> 8,
    id & 255,
    ((query.opcode ?? 0) << 3) | (query.rd ? 1 : 0),
    0,
    0,
    1,
    0,
    0,
    0,
    0,
    0,
    edns ? 1 : 0,
  ];
  for (const label of query.name.split(".").filter((l) => l !== "")) {
    const octets = new TextEncoder().encode(label);
    out.push(octets.length, ...octets);
  }
  const type = query.type ?? 1, klass = query.class ?? 1;
  out.push(0, type >> 8, type & 255, klass >> 8, klass & 255);
  if (edns) {
    const size = edns.size ?? 1232, options = edns.options ?? new Uint8Array();
    out.push(0, 0, 41, size >> 8, size & 255, 0, edns.version ?? 0, edns.dnssecOk ? 0x80 : 0, 0);
    out.push(options.length >> 8, options.length & 255, ...options);
  }
  return Uint8Array.from(out);
}

/** Reads a whole message. Throws on anything that RFC 1035 and 6891 do not allow, octets left over included. */
export function decode(bytes: Uint8Array): Message {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 12;
  const flags = view.getUint16(2);
  const name = () => {
    const read = readName(bytes, at);
    at = read.end;
    return read.name;
  };
  const questions = Array.from({ length: view.getUint16(4) }, () => {
    const question = { name: name(), type: view.getUint16(at), class: view.getUint16(at + 2) };
    at += 4;
    return question;
  });
  if (questions.length > 1) throw new Error(`${questions.length} questions`);
  const section = (count: number) =>
    Array.from({ length: count }, (): Record => {
      const owner = name();
      const record = {
        name: owner,
        type: view.getUint16(at),
        class: view.getUint16(at + 2),
        ttl: view.getUint32(at + 4),
      };
      const from = at + 10;
      at = from + view.getUint16(at + 8);
      if (at > bytes.length) throw new Error("RDATA past the end");
      return { ...record, data: readData(bytes, view, record.type, from, at) };
    });
  const answer = section(view.getUint16(6)), authority = section(view.getUint16(8));
  const all = section(view.getUint16(10));
  if (at !== bytes.length) throw new Error(`${bytes.length - at} octets left over`);
  const opts = all.filter((r) => r.type === 41);
  if (opts.length > 1) throw new Error("two OPT records");
  const opt = opts[0];
  return {
    id: view.getUint16(0),
    response: (flags & 0x8000) !== 0,
    opcode: (flags >> 11) & 15,
    aa: (flags & 0x400) !== 0,
    tc: (flags & 0x200) !== 0,
    rd: (flags & 0x100) !== 0,
    ra: (flags & 0x80) !== 0,
    ad: (flags & 0x20) !== 0,
    cd: (flags & 0x10) !== 0,
    rcode: (flags & 15) | (opt ? (opt.ttl >>> 24) << 4 : 0),
    question: questions[0],
    answer,
    authority,
    additional: all.filter((r) => r.type !== 41),
    edns: opt &&
      {
        size: opt.class,
        version: (opt.ttl >> 16) & 255,
        dnssecOk: (opt.ttl & 0x8000) !== 0,
        flags: opt.ttl & 0xffff,
      },
  };
}

function readName(bytes: Uint8Array, at: number): { name: string; end: number } {
  const labels: string[] = [];
  let end = -1, limit = at;
  for (let octets = 0;;) {
    const length = bytes[at];
    if (length === undefined) throw new Error("name past the end");
    if (length >= 0xc0) {
      const target = ((length & 63) << 8) | (bytes[at + 1] ?? 0);
      if (end < 0) end = at + 2;
      if (target >= limit || target < 12) throw new Error(`pointer from ${at} to ${target}`);
      at = limit = target;
      continue;
    }
    if (length > 63) throw new Error(`label type ${length >> 6}`);
    octets += length + 1;
    if (octets > 255) throw new Error("name over 255 octets");
    if (length === 0) return { name: labels.join("."), end: end < 0 ? at + 1 : end };
    labels.push(String.fromCharCode(...bytes.subarray(at + 1, at + 1 + length)));
    at += length + 1;
  }
}

function readData(bytes: Uint8Array, view: DataView, type: number, from: number, to: number): string {
  const rdata = bytes.subarray(from, to);
  if (type === 1 && rdata.length === 4) return rdata.join(".");
  if (type === 28 && rdata.length === 16) {
    return Array.from({ length: 8 }, (_, i) => view.getUint16(from + 2 * i).toString(16)).join(":");
  }
  if (type === 2 || type === 5 || type === 12) return wholeName(bytes, from, to).name;
  if (type === 6) {
    const mname = readName(bytes, from), rname = readName(bytes, mname.end);
    if (rname.end + 20 !== to) throw new Error("SOA of a wrong length");
    const numbers = Array.from({ length: 5 }, (_, i) => view.getUint32(rname.end + 4 * i));
    return [mname.name, rname.name, ...numbers].join(" ");
  }
  if (type === 1 || type === 28) throw new Error("address of a wrong length");
  return rdata.toHex();
}

function wholeName(bytes: Uint8Array, from: number, to: number) {
  const read = readName(bytes, from);
  if (read.end !== to) throw new Error("name does not fill its RDATA");
  return read;
}
