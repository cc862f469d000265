/**
 * DHCP clients behind a relay agent, more of them than addresses, that take, renew, keep and release short leases from
 * several servers and print how long they may use which address. Usage: dhcp_clients.ts SEED SECONDS RELAY SERVER…
 */
import { createSocket } from "node:dgram";
import { Buffer } from "node:buffer";
import { Dice } from "../../lab/dice.ts";
import type { Held } from "./checker.ts";

const [seed = "1", seconds = "10", relay = "", ...servers] = Deno.args;
const CLIENTS = 24, PATIENCE = 1_500;
const DISCOVER = 1, OFFER = 2, REQUEST = 3, ACK = 5, NAK = 6, RELEASE = 7;

interface Reply {
  readonly type: number;
  readonly address: string;
  readonly server: Uint8Array;
  /** Seconds. */
  readonly lease: number;
}

const socket = createSocket({ type: "udp4", reuseAddr: true });
await new Promise<void>((resolve) => socket.bind(67, relay, () => resolve()));
const waiting = new Map<number, (reply: Reply) => void>();
socket.on("message", (bytes) => {
  const reply = read(bytes);
  if (reply) waiting.get(bytes.readUInt32BE(4))?.(reply);
});

/** The fields of a BOOTREPLY (RFC 2131 §2) that a client needs; undefined when it is none. */
function read(bytes: Buffer): Reply | undefined {
  if (bytes.length < 240 || bytes[0] !== 2 || bytes.readUInt32BE(236) !== 0x63825363) return undefined;
  let type = 0, lease = 0, server = new Uint8Array(4);
  for (let at = 240; at < bytes.length && bytes[at] !== 255;) {
    if (bytes[at] === 0) {
      at++;
      continue;
    }
    const option = bytes[at], length = bytes[at + 1] ?? 0;
    if (option === 53) type = bytes[at + 2] ?? 0;
    if (option === 51) lease = bytes.readUInt32BE(at + 2);
    if (option === 54) server = new Uint8Array(bytes.subarray(at + 2, at + 6));
    at += 2 + length;
  }
  return { type, address: [...bytes.subarray(16, 20)].join("."), server, lease };
}

function message(type: number, xid: number, mac: string, ciaddr: string, options: readonly number[]): Buffer {
  const out = Buffer.alloc(300);
  out.set([1, 1, 6, 1], 0);
  out.writeUInt32BE(xid, 4);
  out.set(octets(ciaddr), 12);
  out.set(octets(relay), 24);
  out.set(mac.split(":").map((part) => parseInt(part, 16)), 28);
  out.writeUInt32BE(0x63825363, 236);
  out.set([53, 1, type, ...options, 255], 240);
  return out;
}

function octets(address: string): number[] {
  return address.split(".").map(Number);
}

/** Milliseconds since the epoch, by a clock that is not set meanwhile. */
function now(): number {
  return performance.timeOrigin + performance.now();
}

let xids = 1;

/** Sends to one server or to all of them; the first answer of those types, undefined when none comes. */
async function exchange(
  dice: Dice,
  type: number,
  mac: string,
  ciaddr: string,
  options: readonly number[],
  types: readonly number[],
): Promise<Reply | undefined> {
  const xid = xids++, { promise, resolve } = Promise.withResolvers<Reply | undefined>();
  waiting.set(xid, (reply) => types.includes(reply.type) && resolve(reply));
  const one = dice.between(0, servers.length * 2);
  const bytes = message(type, xid, mac, ciaddr, options);
  servers.forEach((server, i) => {
    // A send that fails is a packet that is lost.
    if (one >= servers.length || one === i) socket.send(bytes, 67, server, () => {});
  });
  const timer = setTimeout(() => resolve(undefined), types.length ? PATIENCE : 0);
  const reply = await promise;
  clearTimeout(timer);
  waiting.delete(xid);
  return reply;
}

function tell(held: Omit<Held, "kind">): void {
  console.log(JSON.stringify({ kind: "held", ...held } satisfies Held));
}

async function client(number: number): Promise<void> {
  const mac = `00:00:99:00:00:${number.toString(16).padStart(2, "0")}`;
  const dice = new Dice(Number(seed) * 41 + number), end = now() + Number(seconds) * 1000;
  let address = "", until = 0, server: number[] = [];
  while (now() < end) {
    const pause = dice.between(50, 600);
    await new Promise((resolve) => setTimeout(resolve, pause));
    if (address && now() >= until) address = "";
    const sent = now();
    let reply: Reply | undefined;
    if (address === "") {
      const offer = await exchange(dice, DISCOVER, mac, "0.0.0.0", [], [OFFER]);
      if (!offer) continue;
      server = [54, 4, ...offer.server];
      const options = [50, 4, ...octets(offer.address), ...server];
      reply = await exchange(dice, REQUEST, mac, "0.0.0.0", options, [ACK, NAK]);
    } else if (dice.throw() < 0.3) {
      // From here on the address may be another's.
      tell({ address, mac, from: sent, to: sent });
      await exchange(dice, RELEASE, mac, address, server, []);
      address = "";
      continue;
    } else reply = await exchange(dice, REQUEST, mac, address, [], [ACK, NAK]);
    if (reply?.type === NAK) {
      if (address) tell({ address, mac, from: now(), to: now() });
      address = "";
    } else if (reply?.type === ACK) {
      address = reply.address;
      // A client counts from when it sent its request (RFC 2131 §4.4.1).
      until = sent + reply.lease * 1000;
      tell({ address, mac, from: now(), to: until });
    }
  }
}

await Promise.all(Array.from({ length: CLIENTS }, (_, number) => client(number)));
socket.close();
