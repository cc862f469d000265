/** The queue of outgoing replies, which are sent many at a time with sendmmsg(2). */
import { FrameBatch } from "../../ffi/packet.ts";
import { Origin4, UdpBatch } from "../../ffi/udp.ts";
import { PAYLOAD_AT, UDP_HEADER, writeFrame, writeUdp } from "./frame.ts";
import type { ServedLink } from "./links.ts";
import type { Message } from "./message.ts";
import { CLIENT_PORT, SERVER_PORT } from "./numbers.ts";
import { destination, type Reply, ReplyWriter } from "./reply.ts";

const SLOTS = 64, SIZE = 2048;

export interface OutgoingOptions {
  /** The socket for replies that are routed, see openUdpSender(). */
  readonly sender: number;
  /** True for an address that this host may send from. */
  isLocal(address: number): boolean;
  /** Called with the number of replies that the kernel did not send. */
  onUnsent(count: number): void;
}

/** Queues replies until there are enough, or until {@link flush}. */
export class Outgoing {
  readonly #frames = new FrameBatch(SLOTS, SIZE);
  readonly #routed = new UdpBatch(SLOTS, SIZE);
  readonly #origin = new Origin4();
  readonly #writer = new ReplyWriter();
  #link: ServedLink | undefined;
  #frameCount = 0;
  #routedCount = 0;

  constructor(private readonly options: OutgoingOptions) {}

  /** Adds the reply to a request that was received on `link`; it is sent by {@link flush} at the latest. */
  add(link: ServedLink, request: Message, reply: Reply): void {
    const to = destination(request, reply);
    if (to.by === "route") {
      if (this.#routedCount === SLOTS) this.flush();
      const slot = this.#routedCount++, at = slot * SIZE, batch = this.#routed;
      // With a relay's server identifier override (RFC 5107), serverId is an address of the relay.
      const local = this.options.isLocal(reply.serverId) ? reply.serverId : 0;
      const length = this.#writer.write(batch.buffer, at + UDP_HEADER, request, reply);
      const datagram = writeUdp(batch.buffer, at, length, {
        source: local,
        destination: to.address,
        sourcePort: SERVER_PORT,
        destinationPort: to.port,
      });
      batch.setLength(slot, datagram);
      batch.address(slot, this.#origin.of(to.address, to.port, local));
      return;
    }
    if (this.#frameCount === SLOTS || this.#link !== link) this.flush();
    this.#link = link;
    const slot = this.#frameCount++, at = slot * SIZE, { buffer } = this.#frames;
    const length = this.#writer.write(buffer, at + PAYLOAD_AT, request, reply);
    const frame = writeFrame(buffer, at, length, {
      sourceMac: link.mac,
      destinationMac: to.mac,
      source: reply.serverId,
      destination: to.address,
      sourcePort: SERVER_PORT,
      destinationPort: CLIENT_PORT,
    });
    this.#frames.setLength(slot, frame);
  }

  flush(): void {
    let unsent = 0;
    if (this.#frameCount && this.#link) unsent += this.#frames.send(this.#link.fd, this.#frameCount);
    if (this.#routedCount) unsent += this.#routed.send(this.options.sender, 0, this.#routedCount);
    this.#frameCount = this.#routedCount = 0;
    if (unsent) this.options.onUnsent(unsent);
  }
}
