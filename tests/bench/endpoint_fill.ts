/** Overlay networks for benchmarks, written straight into etcd as agents leave them. */
import { BitSet } from "../../services/overlay/bit_set.ts";
import { macFor } from "../../services/overlay/create_endpoints.ts";
import { Cidr, Ip } from "../../services/common/ip.ts";
import { SandKeys } from "../../services/store/sand_keys.ts";
import { type SandRecord, writeSandRecord } from "../../services/store/sand_records.ts";
import type { EtcdKv } from "../lab/etcd_kv.ts";
import type { Pair } from "./endpoint_watch.ts";

/** A host as records name it. */
export interface BenchHost {
  readonly name: string;
  /** The VTEP. */
  readonly ip: string;
}

/** One network with an active endpoint in each of `here`, and `away` active endpoints of hosts that do not run. */
export interface Filling {
  /** A small number: of it are made its id and its VNI. */
  readonly number: number;
  readonly range: string;
  readonly here: readonly { readonly host: BenchHost; readonly netns: string }[];
  readonly away: number;
}

/** An endpoint that is not there yet. */
export interface Spare {
  readonly pair: Pair;
  /** Its two keys with their value, to be written. */
  readonly records: Readonly<Record<string, string>>;
}

export const CREATED = "2026-01-01T00:00:00.000000000Z";
/** The other hosts; each network is on all of them. */
const ELSEWHERE: readonly BenchHost[] = Array.from({ length: 9 }, (_, i) => ({
  name: `away${i}`,
  ip: `10.99.1.${i + 1}`,
}));
/** Under what etcd takes in one transaction; and so many transactions at once. */
const OPERATIONS = 120, AT_ONCE = 4;

const uuid = (group: string, number: number) =>
  `00000000-0000-4000-${group}-${number.toString(16).padStart(12, "0")}`;

export function networkId(number: number): string {
  return uuid("8000", number);
}

/** Networks under one ETCD_PREFIX. */
export class Fill {
  readonly #keys: SandKeys;

  constructor(private readonly kv: EtcdKv, prefix?: string) {
    this.#keys = new SandKeys(prefix);
  }

  async write(networks: readonly Filling[], mtu: number): Promise<void> {
    await this.#write(networks.flatMap((network) => Object.entries(this.#network(network, mtu))));
    // No agent waits for the hosts that do not run: they have applied all that is there.
    const revision = await this.kv.revision();
    await this.#write(
      networks.flatMap(({ number, away }) =>
        ELSEWHERE.slice(0, away).map(({ name }): [string, string] => [
          this.#keys.applied(networkId(number), name),
          writeSandRecord({ revision }),
        ])
      ),
    );
  }

  async #write(records: [string, string][]): Promise<void> {
    const writer = async () => {
      while (records.length) await this.kv.write(Object.fromEntries(records.splice(-OPERATIONS)));
    };
    await Promise.all(Array.from({ length: AT_ONCE }, writer));
  }

  /** An endpoint of another host, `after` those that the network was written with. */
  spare(network: Filling, after: number): Spare {
    const host = ELSEWHERE[0]!;
    const { id, address, mac, value } = endpoint(network, network.here.length + network.away + after, host);
    return {
      pair: { address: `${address}`, mac, vtep: host.ip },
      records: this.#endpoint(network, id, host, value),
    };
  }

  #network(network: Filling, mtu: number): Record<string, string> {
    const { number, range, here, away } = network, id = networkId(number), keys = this.#keys;
    const cidr = Cidr.parse(range), size = Number(cidr.size);
    const taken = BitSet.empty(size);
    for (const bit of [0, 1, size - 1]) taken.add(bit);
    const records: Record<string, string> = { [keys.network(id)]: writeSandRecord(networkRecord(network)) };
    const places = [
      ...here,
      ...Array.from({ length: away }, (_, i) => ({ host: ELSEWHERE[i % ELSEWHERE.length]!, netns: "/away" })),
    ];
    for (const [i, { host, netns }] of places.entries()) {
      taken.add(i + 2);
      const made = endpoint(network, i, host, netns);
      Object.assign(records, this.#endpoint(network, made.id, host, made.value));
      const presence = writeSandRecord({ id, created_at: CREATED, mtu });
      records[keys.hostNetwork(host.name, id)] = presence;
      records[keys.networkHost(id, host.name)] = presence;
    }
    records[keys.allocation(id)] = writeSandRecord({
      id,
      address_range: range,
      address_count: size,
      bit_set: taken.encode(),
    });
    return records;
  }

  #endpoint({ number }: Filling, id: string, host: BenchHost, value: SandRecord["value"]) {
    const text = writeSandRecord(value), network = networkId(number);
    return {
      [this.#keys.hostEndpoint(host.name, id)]: text,
      [this.#keys.networkEndpoint(network, id)]: text,
    };
  }
}

/** A network's record; its gateway has the first address. */
export function networkRecord({ number, range }: Pick<Filling, "number" | "range">) {
  const id = networkId(number), { first, prefix } = Cidr.parse(range);
  return {
    id,
    created_at: CREATED,
    name: `net-sc-${id}`,
    type: "overlay",
    ns_handle_path: "",
    vxlan_vni: number,
    ip_range: range,
    gateway: `${Ip.from4(first.u32 + 1)}/${prefix}`,
  };
}

/** The network's endpoint number `i`. */
export function endpoint(
  { number, range }: Pick<Filling, "number" | "range">,
  i: number,
  host: BenchHost,
  netns = "/away",
) {
  const { first, prefix } = Cidr.parse(range);
  const address = Ip.from4(first.u32 + 2 + i), mac = macFor(address), id = uuid("9000", number * 2 ** 20 + i);
  const veth = (side: number) => `sand${(2 * i + side & 0xffff).toString(16).padStart(4, "0")}`;
  const value = {
    id,
    network_id: networkId(number),
    hostname: host.name,
    host_ip: host.ip,
    api_hostname: host.ip,
    created_at: CREATED,
    target_netns_path: netns,
    overlay_veth_name: veth(0),
    overlay_veth_mac: `06${mac.slice(2)}`,
    target_veth_name: veth(1),
    target_veth_mac: mac,
    target_veth_ip: `${address}/${prefix}`,
    active: true,
  };
  return { id, address, mac, value };
}
