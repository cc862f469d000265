import { namespaceGone } from "../../overlay/endpoints.ts";
import { vethOwners } from "../../overlay/faults.ts";
import type { OverlayEndpoint } from "../../overlay/space.ts";
import { sinceBoot } from "../context.ts";
import { notDone } from "./apply.ts";
import type { HostNetwork } from "./host_network.ts";
import type { Problems } from "./problems.ts";
import { Vanished } from "./vanished.ts";

export interface NamespacesGone {
  /** Names of veths whose endpoint's namespace is gone. */
  readonly gone: Set<string>;
  /** The same where that cannot be told yet: what is there of them stays as it is. */
  readonly unknown: Set<string>;
  /** Which namespace is at each endpoint's path by now. */
  readonly identities: ReadonlyMap<OverlayEndpoint, string>;
}

/** Looks for the containers' namespaces that a network's endpoints on this host are in. */
export class TargetNamespaces {
  readonly #vanished = new Vanished();

  constructor(private readonly network: HostNetwork, private readonly problems: Problems) {}

  /** When the next one may be known to be gone, in ms; undefined: none is missing. */
  get dueInMs(): number | undefined {
    return this.#vanished.dueInMs;
  }

  /** The endpoint is inactive by now, or its namespace is there. */
  forget(endpoint: string): void {
    this.#vanished.forget(endpoint);
  }

  /** @param isCertain True for an endpoint whose namespace is gone for certain when it is not found once. */
  check(isCertain: (endpoint: string) => boolean): NamespacesGone {
    const gone = new Set<string>(),
      unknown = new Set<string>(),
      identities = new Map<OverlayEndpoint, string>();
    const { endpoints, context: { kernel } } = this.network, owners = vethOwners(endpoints);
    this.#vanished.keep(new Set([...endpoints].flatMap(({ id, active }) => active ? [id] : [])));
    for (const endpoint of endpoints) {
      const { id, active, record } = endpoint;
      if (!active || record.target_netns_path === "") continue;
      // The veth of that name is another endpoint's.
      if ((owners.get(record.overlay_veth_name) ?? endpoint) !== endpoint) continue;
      try {
        const found = kernel.identity(record.target_netns_path);
        const identity = found && sinceBoot(found);
        if (identity !== undefined) identities.set(endpoint, identity);
        if (!namespaceGone(endpoint, identity)) {
          this.#vanished.forget(id);
          continue;
        }
        const certain = isCertain(id) || this.#vanished.missed(id);
        (certain ? gone : unknown).add(record.overlay_veth_name);
      } catch (error) {
        this.problems.endpoints.set(id, notDone(id, "set up", error));
        unknown.add(record.overlay_veth_name);
      }
    }
    return { gone, unknown, identities };
  }
}
