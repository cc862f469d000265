/**
 * Tests the path to one host on request: whether VXLAN passes in both directions, with full-size packets too, and at
 * which end it stops. A packet socket at the underlay's interface sees the packets behind the firewall on their way
 * out, and before it on their way in.
 */
import { EchoSocket } from "../../../ffi/icmp.ts";
import { libc } from "../../../ffi/libc.ts";
import { home } from "../../../ffi/netns.ts";
import { FrameBatch, openPacket, vxlanFilter } from "../../../ffi/packet.ts";
import { delay } from "../../common/async.ts";
import { Ip } from "../../common/ip.ts";
import type { OverlayPeer } from "../../overlay/peers.ts";
import { PROBE_VNI } from "../../overlay/state.ts";

/** How long answers are waited for, how often it is asked again, and how often it is looked, in ms. */
const WAIT = 1500, AGAIN = 250, LOOK = 20;
/** How long packets of several sizes are waited for beyond the time that a small one took, in ms; the packets at once. */
const SIZES_WAIT = 150, SIZES = 16;
const SMALL = 64;
/** The octets that VXLAN adds to a packet. */
const OVERHEAD = 50;
const SLOTS = 64, SNAP = 128;
const IP = 14, UDP_AND_VXLAN = 16, ETHERNET = 14;

/** The packets to and from a host that were seen. */
export interface PathExamination {
  /** The name of the interface that carries the packets. */
  readonly underlay: string;
  /** It answers over VXLAN, so that packets pass in both directions. */
  readonly answers: boolean;
  /** It answers ICMP echo requests at its VTEP. */
  readonly pings: boolean;
  /** This host's packets to it were seen leaving the interface. */
  readonly left: boolean;
  /** Its packets were seen coming in at the interface, and its requests at this host's own device behind the firewall. */
  readonly arrived: boolean;
  readonly heard: boolean;
  /** The outer source of its packets where that is not its VTEP. */
  readonly source: string | undefined;
  /** The largest underlay packet that passes, where that is less than the networks need. */
  readonly pathMtu: number | undefined;
}

export interface ExamineOptions {
  /** A descriptor of the probe device's namespace. */
  readonly namespace: number;
  readonly peer: OverlayPeer;
  /** The UDP port of VXLAN. */
  readonly port: number;
  /** The name and the index of the interface with this host's VTEP. */
  readonly underlay: { readonly name: string; readonly index: number };
  /** Makes a token that the prober does not take for one of its own. */
  readonly token: () => number;
}

/** Takes two seconds at most. @throws SystemError */
export async function examine(options: ExamineOptions): Promise<PathExamination> {
  const { peer: { vtep, mtu }, underlay: { name } } = options;
  using inside = new EchoSocket(options.namespace);
  using outside = new EchoSocket(home);
  using tap = new ProbeCapture(options);
  const sizes = new Map<number, number>(), answered = new Set<number>();
  let answers = false, pings = false, heard = false;
  const probe = (socket: EchoSocket, size: number) => {
    const token = options.token();
    try {
      if (socket.send(vtep, token, size)) sizes.set(token, size);
    } catch {
      // There is no route: what is sent is lost.
    }
  };
  const look = () => {
    inside.read(SLOTS, ({ kind, from, token }) => {
      if (from !== vtep) return;
      const size = sizes.get(token);
      if (kind === "question") heard = true;
      else if (size !== undefined) answers = answered.add(size).has(size);
    });
    outside.read(SLOTS, ({ kind, from, token }) => {
      if (from === vtep && kind === "answer" && sizes.has(token)) pings = true;
    });
    tap.read();
  };
  const started = performance.now(), end = started + WAIT;
  for (let next = started; performance.now() < end && !answers;) {
    if (performance.now() >= next) {
      probe(inside, SMALL);
      probe(outside, SMALL);
      next += AGAIN;
    }
    await delay(LOOK);
    look();
  }
  const took = performance.now() - started;
  /** The largest of the sizes that passes. */
  const largest = async (wanted: readonly number[]) => {
    for (const size of wanted) probe(inside, size);
    const until = performance.now() + SIZES_WAIT + Math.min(took, SIZES_WAIT);
    while (performance.now() < until && !answered.has(Math.max(...wanted))) {
      await delay(LOOK);
      look();
    }
    return Math.max(SMALL, ...wanted.filter((size) => answered.has(size)));
  };
  let pathMtu: number | undefined;
  if (answers && await largest([mtu, mtu]) < mtu) {
    let low = SMALL, high = mtu;
    while (high - low > 1) {
      const step = Math.max(1, Math.ceil((high - low) / SIZES)), wanted: number[] = [];
      for (let size = low + step; size < high; size += step) wanted.push(size);
      if (!wanted.length) break;
      const found = await largest(wanted);
      high = Math.min(high, ...wanted.filter((size) => size > found));
      low = Math.max(low, found);
    }
    pathMtu = low + OVERHEAD;
  }
  const { left, arrived, source } = tap;
  return { underlay: name, answers, pings, left, arrived, heard: heard || answers, source, pathMtu };
}

/** The probes of two hosts as they pass the underlay's interface. */
class ProbeCapture implements Disposable {
  left = false;
  arrived = false;
  source: string | undefined;
  readonly #fd: number;
  readonly #batch = new FrameBatch(SLOTS, SNAP);
  readonly #vtep: number;

  constructor({ underlay: { name, index }, port, peer: { vtep } }: ExamineOptions) {
    this.#vtep = vtep;
    this.#fd = openPacket(index, vxlanFilter(port, PROBE_VNI), name, { buffer: 256 * 1024, both: true });
  }

  read(): void {
    const batch = this.#batch, count = batch.receive(this.#fd), view = new DataView(batch.buffer.buffer);
    for (let slot = 0; slot < count; slot++) {
      const at = slot * SNAP + IP, outer = ((batch.buffer[at] ?? 0) & 15) * 4;
      const inner = at + outer + UDP_AND_VXLAN + ETHERNET;
      if (inner + 20 > (slot + 1) * SNAP) continue;
      if (batch.outgoing(slot)) this.left ||= view.getUint32(at + 16) === this.#vtep;
      else if (view.getUint32(inner + 12) === this.#vtep) {
        this.arrived = true;
        const source = view.getUint32(at + 12);
        if (source !== this.#vtep) this.source = Ip.from4(source).toString();
      }
    }
  }

  [Symbol.dispose](): void {
    libc.close(this.#fd);
  }
}
