/** Keeps the sockets of all gateways of this host, and the reasons why some gateways have none. */
import { messageOf } from "../../common/refusal.ts";
import type { Ip } from "../../common/ip.ts";
import { type GatewayServices, GatewaySockets } from "./sockets.ts";

/** A network has at most one set of sockets. */
export class OpenSockets {
  readonly #sockets = new Map<string, GatewaySockets>();
  readonly #failures = new Map<string, string>();

  get(network: string): GatewaySockets | undefined {
    return this.#sockets.get(network);
  }

  /** The networks that have sockets. */
  networks(): Iterable<string> {
    return this.#sockets.keys();
  }

  /** Why the sockets of a network could not be opened when that was tried last, by the networks' ids. */
  get failures(): ReadonlyMap<string, string> {
    return this.#failures;
  }

  /**
   * Opens those of a network that has none. See {@link GatewaySockets.open}.
   *
   * @returns undefined when they cannot be opened yet, or cannot at all: then {@link failures} says why
   */
  open(network: string, path: string, address: Ip, answered: GatewayServices): GatewaySockets | undefined {
    this.#failures.delete(network);
    try {
      const sockets = GatewaySockets.open(path, address, answered);
      if (sockets) this.#sockets.set(network, sockets);
      return sockets;
    } catch (error) {
      this.#failures.set(network, messageOf(error));
      return undefined;
    }
  }

  /** Takes a network's sockets out, for the caller to close. */
  remove(network: string): GatewaySockets | undefined {
    const sockets = this.#sockets.get(network);
    this.#sockets.delete(network);
    this.#failures.delete(network);
    return sockets;
  }

  close(): void {
    for (const sockets of this.#sockets.values()) sockets.close();
  }
}
