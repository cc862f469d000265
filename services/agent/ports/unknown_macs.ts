/**
 * Finds machines at a port that is not known to be theirs, by their frames. Each port has a packet socket whose
 * filter drops the frames of known machines. A machine that sends with random MACs costs no more than one bounded
 * read in each round; the kernel drops the rest.
 */
import { Epoll, EventFd } from "../../../ffi/epoll.ts";
import { libc } from "../../../ffi/libc.ts";
import { strangersFilter } from "../../../ffi/machine_filters.ts";
import { inNamespace } from "../../../ffi/netns.ts";
import { attachFilter, FrameBatch, openPacket } from "../../../ffi/packet.ts";
import { readable } from "../../../ffi/readable.ts";
import { delay } from "../../common/async.ts";
import { macFromBytes, macToBytes } from "../../common/mac.ts";
import { NetworkNamespace } from "../kernel/network_namespace.ts";

/** The headers of one port that are read at once, and the pause after each round of all ports, in ms. */
const SLOTS = 64, PAUSE = 20;
/** Octets of a header's slot, and of a socket's buffer. */
const SIZE = 64, BUFFER = 32 * 1024;
const STOP = 0;

/** A machine that has sent at a port at which it is not known. */
export interface UnknownMac {
  readonly network: string;
  readonly port: string;
  readonly mac: string;
}

interface Watch {
  readonly network: string;
  readonly device: string;
  readonly identity: string;
  readonly index: number;
  readonly token: number;
  readonly fd: number;
  known: ReadonlySet<string>;
}

/** The packet sockets of all watched ports, which one loop reads. */
export class UnknownMacs {
  readonly #onSeen: (stranger: UnknownMac) => void;
  readonly #watches = new Map<string, Watch>();
  readonly #closing = new AbortController();
  #loop: { readonly epoll: Epoll; readonly stop: EventFd; readonly running: Promise<void> } | undefined;
  #token = STOP;

  constructor(onSeen: (stranger: UnknownMac) => void) {
    this.#onSeen = onSeen;
  }

  /**
   * Watches a device that is a port of the network whose namespace is at `path`.
   * @param known The MACs of the machines that are known there.
   * @throws SystemError
   */
  watch(network: string, device: string, path: string, known: ReadonlySet<string>): void {
    using namespace = NetworkNamespace.openIfAny(path);
    const index = namespace?.has(device) ? namespace.index(device) : 0;
    const before = this.#watches.get(device);
    if (namespace && before?.identity === namespace.identity && before.index === index) {
      return this.know(device, known);
    }
    this.unwatch(device);
    if (!namespace || !index || this.#closing.signal.aborted) return;
    const loop = this.#loop ??= this.#start(), filter = filterFor(known);
    const fd = inNamespace(
      namespace.fd,
      () => openPacket(index, filter, device, { buffer: BUFFER, bridged: true }),
    );
    const token = this.#token = (this.#token + 1) >>> 0 || 1;
    const { identity } = namespace;
    this.#watches.set(device, { network, device, identity, index, token, fd, known });
    loop.epoll.add(fd, token);
  }

  /** The machines that are known at a device have changed. */
  know(device: string, known: ReadonlySet<string>): void {
    const watch = this.#watches.get(device);
    if (!watch || isSame(watch.known, known)) return;
    watch.known = known;
    try {
      attachFilter(watch.fd, filterFor(known));
    } catch {
      // The socket has its former filter. Within seconds the port is watched with a new one, which says what is wrong.
      this.unwatch(device);
    }
  }

  /** Lets a device go: its socket would keep the network's namespace. */
  unwatch(device: string): void {
    const watch = this.#watches.get(device);
    if (!watch) return;
    this.#watches.delete(device);
    this.#loop?.epoll.remove(watch.fd);
    libc.close(watch.fd);
  }

  #start() {
    const epoll = new Epoll(), stop = new EventFd();
    epoll.add(stop.fd, STOP);
    return { epoll, stop, running: this.#run(epoll) };
  }

  async #run(epoll: Epoll): Promise<void> {
    const batch = new FrameBatch(SLOTS, SIZE);
    while (!this.#closing.signal.aborted) {
      await readable(epoll);
      const count = epoll.wait(0);
      const tokens = new Set(Array.from({ length: count }, (_, i) => epoll.token(i)));
      for (const watch of [...this.#watches.values()]) if (tokens.has(watch.token)) this.#read(batch, watch);
      await delay(PAUSE, this.#closing.signal);
    }
  }

  #read(batch: FrameBatch, { network, device, fd }: Watch): void {
    let count = -1;
    try {
      count = batch.receive(fd);
    } catch {
      // A socket that cannot be read would wake this loop for ever.
    }
    // The device is gone or down; it is watched again once it is a port again.
    if (count < 0) return this.unwatch(device);
    const macs = new Set<string>();
    for (let slot = 0; slot < count; slot++) macs.add(macFromBytes(batch.buffer, slot * SIZE + 6));
    for (const mac of macs) this.#onSeen({ network, port: device, mac });
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#loop?.stop.signal();
    await this.#loop?.running;
    for (const device of [...this.#watches.keys()]) this.unwatch(device);
    this.#loop?.epoll.close();
    this.#loop?.stop.close();
  }
}

function isSame(one: ReadonlySet<string>, other: ReadonlySet<string>): boolean {
  return one.size === other.size && one.isSubsetOf(other);
}

function filterFor(known: ReadonlySet<string>) {
  return strangersFilter([...known].map(macToBytes));
}
