/** A large store for the dashboard's benchmark: networks, hosts and endpoints in etcd, as agents leave them there. */
import { Ip } from "../../services/common/ip.ts";
import { SandKeys } from "../../services/store/sand_keys.ts";
import { openStore } from "../../services/store/store.ts";
import { type BenchHost, CREATED, endpoint, networkId, networkRecord } from "./endpoint_fill.ts";

export interface Size {
  readonly networks: number;
  readonly hosts: number;
  /** In all networks together. */
  readonly endpoints: number;
}

/** All networks have the same range. */
const RANGE = "10.0.0.0/24";
/** Under what etcd takes in one transaction; and so many transactions at once. */
const OPERATIONS = 120, AT_ONCE = 8;

const keys = new SandKeys();
type Values = [key: string, value: unknown][];

export const networkName = (n: number) => `net-${n}`;
export const hostName = (n: number) => `rack${Math.floor(n / 40)}-host${n}`;
export const machineName = (n: number) => `vm-${n}`;

function place(n: number): BenchHost {
  return { name: hostName(n), ip: `${Ip.from4(0xac100000 + n + 1)}` };
}

/** Endpoint number `n` and its host: each network has as many as any other, no two of them on the same host. */
export function endpointOf({ networks, hosts, endpoints }: Size, n: number) {
  const number = 1 + n % networks, i = Math.floor(n / networks);
  const host = place((Math.floor(i * hosts * networks / endpoints) + 7 * number) % hosts);
  const { id, value } = endpoint({ number, range: RANGE }, i, host, `/run/netns/${machineName(n)}`);
  // Every fifth is a machine that leases its address.
  const leased = n % 5 === 0 && { kind: "dhcp", expires_at: "2100-01-01T00:00:00Z", strand_port: "tap0" };
  const network = networkId(number);
  return {
    number,
    network,
    host: host.name,
    key: keys.networkEndpoint(network, id),
    value: { ...value, strand_name: machineName(n), ...leased },
  };
}

/** A store that writes, and follows nothing. */
export class Writer implements Disposable {
  readonly #store: ReturnType<typeof openStore>;

  constructor(endpoint: string) {
    this.#store = openStore<unknown>({
      endpoints: [endpoint],
      schema: { prefixes: ["/none/"], parse: () => undefined },
    });
  }

  /** Returns the revision of the last of several transactions. */
  async write(values: Values): Promise<number> {
    let last = 0;
    const left = [...values].reverse();
    await Promise.all(Array.from({ length: AT_ONCE }, async () => {
      while (left.length) {
        const ops = left.splice(-OPERATIONS).map(([put, value]) => ({ put, value: JSON.stringify(value) }));
        const outcome = await this.#store.committer.commit({ guards: [], ops });
        if (outcome.committed) last = Math.max(last, outcome.revision);
      }
    }));
    return last;
  }

  [Symbol.dispose](): void {
    this.#store.close();
  }
}

/** Fills etcd; every host's agent runs and has applied everything. */
export async function fill(writer: Writer, size: Size): Promise<void> {
  const numbers = Array.from({ length: size.networks }, (_, i) => 1 + i);
  await writer.write(numbers.flatMap((number): Values => {
    const id = networkId(number), name = networkName(number);
    const settings = { network: { name, domain: `${name}.example` }, overlay: {} };
    return [
      [keys.network(id), networkRecord({ number, range: RANGE })],
      [keys.settings(id), settings],
      [keys.networkName(name), { id }],
    ];
  }));
  const all = Array.from({ length: size.endpoints }, (_, n) => endpointOf(size, n));
  const revision = await writer.write(all.map(({ key, value }) => [key, value]));
  await writer.write(all.flatMap(({ network: id, host }): Values => {
    const presence = { id, created_at: CREATED, mtu: 1450, probe_vni: 16_777_000, names: true };
    return [[keys.networkHost(id, host), presence], [keys.applied(id, host), { revision }]];
  }));
  await writer.write(Array.from({ length: size.hosts }, (_, n) => {
    const { name, ip } = place(n), start = crypto.randomUUID(), boot = crypto.randomUUID();
    const lock = { lock: "00:1a:131", lease: "694d81f3b5e1c103", since: CREATED };
    return [keys.nameClaim(name), { start, boot, ...lock, host_ip: ip, machine: name, version: "0.1.0" }];
  }));
}
