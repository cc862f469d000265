/** Checks which of a network's endpoints have lost the namespace of their container, and since when. */
import { namespaceGone } from "../../overlay/endpoints.ts";
import { vethOwners } from "../../overlay/faults.ts";
import type { OverlayEndpoint } from "../../overlay/overlay_endpoint.ts";
import { sinceBoot } from "../context.ts";
import { notDone } from "./apply.ts";
import type { HostNetwork } from "./host_network.ts";
import type { Problems } from "./problems.ts";
import { Vanished } from "./vanished.ts";

export interface NamespacesGone {
  /** Names of veths whose endpoint's namespace is gone. */
  readonly gone: Set<string>;
  /** Names of veths for which that is not certain yet: they stay as they are. */
  readonly unknown: Set<string>;
  /** The identity of the namespace that is at each endpoint's path now. */
  readonly identities: ReadonlyMap<OverlayEndpoint, string>;
}

/** Checks whether the container namespaces of a network's endpoints on this host still exist. */
export class TargetNamespaces {
  readonly #vanished = new Vanished();

  constructor(private readonly network: HostNetwork, private readonly problems: Problems) {}

  /** The milliseconds until the next missing namespace counts as gone; undefined: none is missing. */
  get dueInMs(): number | undefined {
    return this.#vanished.dueInMs;
  }

  /** Forgets an endpoint that is inactive now, or whose namespace exists. */
  forget(endpoint: string): void {
    this.#vanished.forget(endpoint);
  }

  /**
   * Checks all endpoints. @param isCertain True for an endpoint whose namespace counts as gone when it is not found
   * once.
   */
  check(isCertain: (endpoint: string) => boolean): NamespacesGone {
    const gone = new Set<string>(),
      unknown = new Set<string>(),
      identities = new Map<OverlayEndpoint, string>();
    const { endpoints, context: { kernel } } = this.network, owners = vethOwners(endpoints);
    this.#vanished.keep(new Set([...endpoints].flatMap(({ id, active }) => active ? [id] : [])));
    for (const endpoint of endpoints) {
      const { id, active, record } = endpoint;
      if (!active || record.target_netns_path === "") continue;
      // The veth of that name belongs to another endpoint.
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
