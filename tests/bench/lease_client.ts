/** A client of DHCP that times its exchanges, over a packet socket on eth0 of a namespace. */
import { Epoll } from "../../ffi/epoll.ts";
import { libc } from "../../ffi/libc.ts";
import { inNamespace, openNamespace } from "../../ffi/netns.ts";
import { FrameBatch, openPacket, udpFilter } from "../../ffi/packet.ts";
import { readable } from "../../ffi/readable.ts";
import { bytesOf32 } from "../../services/common/bytes.ts";
import { delay } from "../../services/common/async.ts";
import { macToBytes } from "../../services/common/mac.ts";
import { clientMessage } from "../../services/dhcpd/client_message.ts";
import { Frame, PAYLOAD_AT, writeFrame } from "../../services/dhcpd/frame.ts";
import { Message } from "../../services/dhcpd/message.ts";
import { BROADCAST, CLIENT_PORT, Opt, SERVER_PORT, Type } from "../../services/dhcpd/numbers.ts";

const SIZE = 2048;
export class LeaseClient implements Disposable {
  readonly #epoll = new Epoll();
  readonly #in = new FrameBatch(16, SIZE);
  readonly #out = new FrameBatch(1, SIZE);
  readonly #frame = new Frame();
  readonly #message = new Message();
  readonly #socket: number;
  /** Resolves when something has come. */
  #readable: Promise<unknown> | undefined;
  #xid = 1;

  /** @param path Of the namespace. @param patience How long an answer is waited for, in ms. */
  constructor(path: string, private readonly patience = 3000) {
    const namespace = openNamespace(path);
    try {
      this.#socket = inNamespace(namespace, () => {
        const index = libc.if_nametoindex(new TextEncoder().encode("eth0\0"));
        return openPacket(index, udpFilter(CLIENT_PORT), "eth0");
      });
    } finally {
      libc.close(namespace);
    }
    this.#epoll.add(this.#socket, 1);
  }

  /** DISCOVER to ACK, in ms. @throws Error when there is no lease */
  async exchange(mac: string): Promise<number> {
    const began = performance.now();
    const offer = await this.#request(mac, Type.discover, []);
    const ack = await this.#request(mac, Type.request, [
      [Opt.requestedAddress, bytesOf32(offer.yiaddr)],
      [Opt.serverId, bytesOf32(offer.u32(Opt.serverId) ?? 0)],
    ]);
    if (ack.type !== Type.ack) throw new Error(`${mac} has got no lease, but message type ${ack.type}`);
    return performance.now() - began;
  }

  async #request(mac: string, type: number, options: [number, Uint8Array][]): Promise<Message> {
    const xid = ++this.#xid, out = this.#out;
    const payload = clientMessage({ type, mac, xid, flags: BROADCAST, options });
    out.buffer.set(payload, PAYLOAD_AT);
    const length = writeFrame(out.buffer, 0, payload.length, {
      source: 0,
      destination: 0xffffffff,
      sourcePort: CLIENT_PORT,
      destinationPort: SERVER_PORT,
      sourceMac: macToBytes(mac),
      destinationMac: new Uint8Array(6).fill(0xff),
    });
    out.setLength(0, length);
    out.send(this.#socket, 1);
    const over = new AbortController();
    for (const end = performance.now() + this.patience; performance.now() < end;) {
      this.#readable ??= readable(this.#epoll).finally(() => this.#readable = undefined);
      await Promise.race([this.#readable, delay(end - performance.now(), over.signal)]);
      const answer = this.#received(xid);
      if (!answer) continue;
      over.abort();
      return answer;
    }
    throw new Error(`${mac} got no answer in ${this.patience} ms`);
  }

  #received(xid: number): Message | undefined {
    const { buffer } = this.#in, count = this.#in.receive(this.#socket);
    for (let slot = 0; slot < count; slot++) {
      const frame = this.#frame, message = this.#message;
      if (!frame.read(buffer, slot * SIZE, this.#in.length(slot))) continue;
      if (message.read(buffer, frame.payloadAt, frame.payloadLength) && message.xid === xid) {
        return message.copy();
      }
    }
    return undefined;
  }

  [Symbol.dispose](): void {
    this.#epoll.close();
    libc.close(this.#socket);
  }
}
