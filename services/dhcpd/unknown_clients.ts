/** The list of clients that dhcpd ignored because no network here has them. */
import { Ip } from "../common/ip.ts";
import type { Note } from "../common/http_status.ts";
import type { Log } from "../common/log.ts";
import { printable } from "../common/refusal.ts";
import { inMacRange } from "../nex/network.ts";
import type { NexView } from "../nex/view.ts";

/** The most clients that are remembered. */
const MOST = 20;

interface UnknownClient {
  readonly link: string;
  readonly reason: string;
  readonly count: number;
  /** In ms since the epoch. */
  readonly last: number;
}

/** The clients that were last ignored because they belong to no network here: for the log at debug, and for `strand status`. */
export class UnknownClients {
  /** By MAC, the one that was received last at the end. */
  readonly #clients = new Map<string, UnknownClient>();

  constructor(private readonly view: NexView, private readonly log: Log) {}

  /**
   * @param name The interface that the message was received on.
   * @param link The address that identifies the client's link, where it is behind a relay or a router, as a 32-bit
   *   value.
   * @param inform The message is an INFORM: the client has an address and asks for parameters only.
   * @param now In ms since the epoch.
   */
  note(name: string, mac: string, link: number | undefined, inform: boolean, now: number): void {
    const address = link === undefined ? undefined : Ip.from4(link);
    const where = address ? `${name} from ${address}` : name;
    const reason = this.#reason(mac, address, inform);
    const count = (this.#clients.get(mac)?.count ?? 0) + 1;
    this.#clients.delete(mac);
    this.#clients.set(mac, { link: where, reason, count, last: now });
    if (this.#clients.size > MOST) this.#clients.delete(this.#clients.keys().next().value ?? "");
    this.log.debug({ mac, link: where }, `an unknown client: ${reason}`);
  }

  /** The entries that `strand status dhcpd` shows, the last one first. */
  notes(now: number): Note[] {
    return [...this.#clients].reverse().map(([mac, { link, reason, count, last }]) => ({
      what: `unknown client ${mac}`,
      value: printable(
        `on ${link}, ${count > 1 ? `${count} times, ` : ""}${
          Math.floor((now - last) / 1000)
        } s ago: ${reason}`,
      ),
    }));
  }

  #reason(mac: string, link: Ip | undefined, inform: boolean): string {
    const { view } = this;
    if (link && !view.networkAt(link)) return `no network's subnet has ${link}`;
    if (inform) return "its address is in no network on its link";
    const [home] = view.memberships(mac).flatMap((member) => view.networkOf(member)?.name ?? []);
    if (home !== undefined) return `a member of ${home}, which is not on its link`;
    for (const network of view.networks()) {
      if (inMacRange(network, mac)) {
        return `in the macrange of ${network.name}, which is not on its link`;
      }
    }
    return "no member, and in no macrange";
  }
}
