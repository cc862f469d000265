/** The interfaces that dhcpd serves, with their sockets, addresses and networks. */
import type { Epoll } from "../../ffi/epoll.ts";
import { SystemError } from "../../ffi/errno.ts";
import { type Interface, listInterfaces } from "../../ffi/interfaces.ts";
import { libc } from "../../ffi/libc.ts";
import { openPacket, udpFilter } from "../../ffi/packet.ts";
import { Ip } from "../common/ip.ts";
import type { Log } from "../common/log.ts";
import type { Network } from "../nex/network.ts";
import type { NexView } from "../nex/view.ts";
import { SERVER_PORT } from "./numbers.ts";
import { contestedInterfaces, takePort } from "./port.ts";

/** A configured interface that exists and is served. */
export interface ServedLink {
  readonly name: string;
  /** The packet socket; -1 once the interface is gone. */
  fd: number;
  /** The socket that is bound to the server's port on it. */
  readonly port: number;
  /** The interface's index: another one after the interface was deleted and created again. */
  readonly index: number;
  mac: Uint8Array;
  /** Its own IPv4 addresses, as 32-bit values. */
  addresses: readonly number[];
}

export interface LinksOptions {
  readonly names: readonly string[];
  readonly epoll: Epoll;
  readonly view: NexView;
  readonly log: Log;
  /** Runs a function in the interfaces' network namespace. */
  readonly inside: <T>(body: () => T) => T;
}

/** The interfaces that are served, as they appear, change and disappear. Each one's epoll token is its index in `names`. */
export class Links {
  readonly #links: (ServedLink | undefined)[];
  readonly #waiting = new Set<string>();
  /** Every IPv4 address of this host, as 32-bit values, since an anycast address may be on lo. */
  readonly #local = new Set<number>();
  #attached = new Map<ServedLink, ((network: Network) => boolean) | undefined>();

  constructor(private readonly options: LinksOptions) {
    this.#links = options.names.map(() => undefined);
  }

  /** Configured interfaces that do not exist. */
  get missing(): readonly string[] {
    return [...this.#waiting];
  }

  /** Interfaces on which another server has bound the port as well, which it did after us. */
  get contested(): readonly string[] {
    const links = this.#links.filter((link) => link !== undefined);
    const found = this.options.inside(() => contestedInterfaces(links.map(({ port }) => port)));
    return links.filter(({ index }) => found.has(index)).map(({ name }) => name);
  }

  get(token: number): ServedLink | undefined {
    return this.#links[token];
  }

  isLocal(address: number): boolean {
    return this.#local.has(address);
  }

  /**
   * Tests which networks are on a link: those whose subnet contains one of its addresses. Undefined when it has no such address:
   * then any network may be.
   */
  attached(link: ServedLink): ((network: Network) => boolean) | undefined {
    if (!this.#attached.has(link)) this.#attached.set(link, this.#attachedBy(link.addresses.map(Ip.from4)));
    return this.#attached.get(link);
  }

  /** To be called when the networks have changed. */
  forgetNetworks(): void {
    this.#attached.clear();
  }

  /** Reads the list of interfaces again, opens sockets on new interfaces and closes those of interfaces that are gone. */
  refresh(): void {
    this.#attached.clear();
    const interfaces = this.options.inside(listInterfaces);
    this.#local.clear();
    for (const found of interfaces.values()) for (const address of ipv4Of(found)) this.#local.add(address);
    this.options.names.forEach((name, token) => {
      const found = interfaces.get(name), link = this.#links[token];
      if (link && link.index !== found?.index) this.#close(token, link);
      if (!found) return this.#wait(name);
      const served = this.#links[token] ?? this.#open(token, found);
      if (served) [served.mac, served.addresses] = [found.mac, ipv4Of(found)];
    });
  }

  close(): void {
    this.#links.forEach((link, token) => link && this.#close(token, link));
  }

  #open(token: number, { name, index, mac }: Interface): ServedLink | undefined {
    try {
      const { fd, port, shared } = this.options.inside(() => openSockets(name, index));
      this.options.epoll.add(fd, token);
      this.#waiting.delete(name);
      this.options.log.info({ interface: name }, "listening for DHCP");
      if (shared) {
        this.options.log.warn(
          { interface: name },
          "another DHCP server or relay listens on every interface: configure it to leave this one to dhcpd",
        );
      }
      return this.#links[token] = { name, fd, port, index, mac, addresses: [] };
    } catch (error) {
      // The interface was deleted between being listed and being opened; any other error goes to the caller.
      if (!(error instanceof SystemError) || this.options.inside(listInterfaces).has(name)) throw error;
      this.#wait(name);
      return undefined;
    }
  }

  #wait(name: string): void {
    if (this.#waiting.has(name)) return;
    this.#waiting.add(name);
    this.options.log.warn({ interface: name }, "this interface does not exist: waiting for it");
  }

  #close(token: number, link: ServedLink): void {
    this.#links[token] = undefined;
    // The kernel removes a closed descriptor from the epoll.
    libc.close(link.fd);
    libc.close(link.port);
    link.fd = -1;
  }

  #attachedBy(addresses: readonly Ip[]): ((network: Network) => boolean) | undefined {
    const all = [...this.options.view.networks()];
    const networks = new Set(all.filter(({ subnet4 }) => addresses.some((ip) => subnet4?.contains(ip))));
    return networks.size ? (network) => networks.has(network) : undefined;
  }
}

/** The packet socket of an interface, and the UDP socket that is bound to the server's port there. */
function openSockets(name: string, index: number): { fd: number; port: number; shared: boolean } {
  const { fd: port, shared } = takePort(name, index);
  try {
    return { fd: openPacket(index, udpFilter(SERVER_PORT), name), port, shared };
  } catch (error) {
    libc.close(port);
    throw error;
  }
}

function ipv4Of({ addresses }: Interface): number[] {
  return addresses.filter(({ bytes }) => bytes.length === 4).map(({ bytes }) => new Ip(4, bytes).u32);
}
