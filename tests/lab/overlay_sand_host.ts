/**
 * A host of SAND's Go agent, which follows a network's endpoints in etcd one event at a time and has `ip` and `bridge` do what they
 * say. It is as strict as such an agent may be: an endpoint that it knows by its id stays where it was, whatever its record says.
 */
import { recordHistory } from "../faults/history/record.ts";
import { type LabHost, run } from "./host.ts";
import type { OverlayLab } from "./overlay.ts";
import type { ApiEndpoint } from "./overlay_api.ts";
import { endpointByHand, makeByHand, networkByHand, recordsByHand } from "./overlay_by_hand.ts";
import type { OverlayHost } from "./overlay_host.ts";
import { addressOf } from "./overlay_reference.ts";
import { encodeBits } from "./overlay_store.ts";

/** What happened to an endpoint's record under network-endpoints/. */
export interface EndpointEvent {
  readonly revision: number;
  readonly id: string;
  /** What was written; undefined: the record was deleted. */
  readonly endpoint: ApiEndpoint | undefined;
}

/** The network blue, 10.0.0.0/24, made by a SAND agent, and that agent's host with one container in it. */
export class SandHost {
  readonly address = "10.0.0.9";
  /** Every event that it has followed, the oldest first. */
  readonly events: EndpointEvent[] = [];
  #followed = 0;
  readonly #known = new Map<string, ApiEndpoint>();

  private constructor(
    private readonly lab: OverlayLab,
    private readonly host: OverlayHost,
    /** The network's id. */
    readonly network: string,
    readonly container: LabHost,
    /** Its own endpoint's, under both keys, and the network's. */
    readonly records: Readonly<Record<string, string>>,
    private readonly own: string,
    /** The bit set of the claims as it was written. */
    readonly bits: string,
  ) {}

  /** @param host One without an agent of ours. @param unknown Fields of the records of the network, its claims and the endpoint that no agent of ours knows. */
  static async create(lab: OverlayLab, host: OverlayHost, unknown: object): Promise<SandHost> {
    const container = await host.container();
    const network = { ...networkByHand(7, "10.0.0.0/24", "10.0.0.1/24"), name: "blue", ...unknown };
    const endpoint = { ...endpointByHand(network, host, "10.0.0.9", container.path), ...unknown };
    const bits = encodeBits(256, [0, 1, 9, 255]), all = recordsByHand(network, [endpoint], bits);
    const claims = `/sc-net/ipalloc/${network.id}`;
    await lab.kv.write({
      ...all,
      [claims]: JSON.stringify({ ...JSON.parse(all[claims] ?? ""), ...unknown }),
    });
    await makeByHand(host, network, [endpoint]);
    const settled = Object.entries(all).filter(([key]) => key !== claims);
    const own = `/sc-net/network-endpoints/${network.id}/${endpoint.id}`;
    return new SandHost(lab, host, network.id, container, Object.fromEntries(settled), own, bits);
  }

  /** Does what all events say that it has not followed yet, in etcd's order. */
  async follow(): Promise<void> {
    const { kv, store, etcd } = this.lab, prefix = `/sc-net/network-endpoints/${this.network}/`;
    const newest = await kv.revision(), followed = this.#followed;
    for (const { revision, writes } of await recordHistory(store, etcd.endpoint, newest)) {
      if (revision <= followed) continue;
      this.#followed = revision;
      for (const { key, value } of writes) {
        if (!key.startsWith(prefix) || key === this.own) continue;
        const id = key.slice(prefix.length), endpoint = value === undefined ? undefined : JSON.parse(value);
        this.events.push({ revision, id, endpoint });
        await this.#take(id, endpoint);
      }
    }
  }

  async #take(id: string, endpoint: ApiEndpoint | undefined): Promise<void> {
    const known = this.#known.get(id), isActive = endpoint?.active === true;
    if (isActive === (known !== undefined)) return;
    const entry = known ?? endpoint;
    if (!entry) return;
    const { target_veth_mac: mac, host_ip: vtep } = entry, operation = known ? "del" : "add";
    const script = [
      `ip neighbour ${operation} ${addressOf(entry)} lladdr ${mac} dev vxlan0 nud permanent`,
      `bridge fdb ${operation} ${mac} dev vxlan0 dst ${vtep} self permanent`,
    ].join("\n");
    await run(["nsenter", `--net=${this.host.namespaceOf(this.network)}`, "sh", "-ec", script]);
    if (known) this.#known.delete(id);
    else this.#known.set(id, entry);
  }
}
