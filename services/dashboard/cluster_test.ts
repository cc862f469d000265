import assert from "node:assert/strict";
import { anySeed, forAll, type Random } from "../../tests/lab/property.ts";
import { endpointRecord, network } from "../overlay/testing.ts";
import { leanSchema } from "../store/lean_records.ts";
import { MemoryStore } from "../store/memory_store.ts";
import { nexSchema } from "../store/records.ts";
import { SandKeys } from "../store/sand_keys.ts";
import { type SandRecord, sandSchema } from "../store/sand_records.ts";
import { Cluster, type Topic } from "./cluster.ts";
import { hostRows } from "./model/hosts.ts";
import { findMachines, machineById, machinesOf, MOST_FOUND } from "./model/machines.ts";
import { networkRows } from "./model/networks.ts";

const keys = new SandKeys(), NOW = Date.parse("2026-01-01T00:00:00Z");
const ids = [1, 2].map((n) => `320a669f-e465-4806-ab46-f2e6620c431${n}`);
const schema = leanSchema(sandSchema(keys));

const names = new MemoryStore(nexSchema).mirror;

/** A cluster as the dashboard follows etcd. */
function clusterOver(networks: readonly string[]) {
  const initial = networks.map((id) => [keys.network(id), JSON.stringify({ ...network, id })]);
  const store = new MemoryStore<SandRecord>(schema, Object.fromEntries(initial));
  const put = (key: string, value: unknown) => {
    const op = value === undefined ? { remove: key } : { put: key, value: JSON.stringify(value) };
    store.write({ guards: [], ops: [op] });
  };
  const overlays = store.mirror;
  return { store, put, cluster: new Cluster({ names, overlays, keys, followed: overlays }) };
}

const mac = (n: number) => `02:84:0a:00:00:0${n}`;

/** A change of a key, which has the same meaning whatever was before. */
function change(random: Random): [key: string, value: unknown] {
  const id = ids[random(2)] ?? "", n = random(4), host = `h${random(3)}`, gone = random(4) === 0;
  switch (random(8)) {
    case 0:
    case 1:
    case 2: {
      const record = endpointRecord(`E${n}`, {
        network_id: id,
        hostname: host,
        host_ip: `192.0.2.${host.slice(1)}`,
        target_veth_ip: random(4) ? `10.0.0.${10 + n}/24` : "",
        target_veth_mac: [mac(n), mac(n).toUpperCase(), mac(n).replaceAll(":", "-"), ""][random(4)] ?? "",
        ...random(2) && { strand_name: `web${n}`, strand_aliases: ["www"] },
        ...!random(3) && { kind: "dhcp", expires_at: "2026-01-01T01:00:00Z" },
        ...!random(4) && { strand_allowed: [{ address: "10.0.0.77" }] },
      });
      return [keys.networkEndpoint(id, `E${n}`), gone ? undefined : record];
    }
    case 3:
      return [
        keys.networkHost(id, host),
        gone ? undefined : { id, created_at: "", mtu: [1450, 9000][random(2)] },
      ];
    case 4:
      return [keys.applied(id, host), gone ? undefined : { revision: random(60) }];
    case 5: {
      const record = {
        mac: mac(n),
        ...random(2) && { name: `db${n}` },
        ...random(2) && { ip4: `10.0.0.${20 + n}` },
      };
      return [keys.reservation(id, mac(n)), gone ? undefined : record];
    }
    case 6:
      return [
        [keys.settings(id), gone ? undefined : { network: { name: "set", domain: `d${n}.example` } }],
        [keys.network(id), gone ? undefined : { ...network, id, ip_range: `10.0.0.0/2${4 + random(2)}` }],
        [keys.networkName(`net${n}`), gone ? undefined : { id }],
      ][random(3)] as [string, unknown];
    default:
      return [
        [
          keys.withheldAddress(id, `10.0.0.3${n}`),
          gone ? undefined : { mac: mac(n), until: NOW / 1000 + 60 },
        ],
        [keys.heldAddress(id, "10.0.0.77"), gone ? undefined : { endpoint: `E${n}` }],
      ][random(2)] as [string, unknown];
  }
}

const TEXTS = [
  "web",
  "www",
  "db1",
  "10.0.0.1",
  "02:84",
  "02-84-0a",
  "84:0a:00:00:00:01",
  "e2",
  "0:0",
  "nothing",
];

/** All that lists and pages of machines show. */
function shown(cluster: Cluster) {
  return {
    hosts: hostRows(cluster, NOW),
    networks: networkRows(cluster, NOW),
    machines: cluster.networks().map((one) => machinesOf(cluster, one, NOW)),
    found: TEXTS.map((text) => findMachines(cluster, text, NOW).machines),
    byId: [mac(1), "E2", "e2"].map((id) => machineById(cluster, id, undefined, NOW)),
  };
}

Deno.test("after each change the dashboard shows what one that has just been started shows, of whole records", () => {
  forAll({ runs: 30, choices: 150, seed: anySeed() }, (random, isOver) => {
    const { store, put, cluster } = clusterOver(ids);
    while (!isOver()) {
      put(...change(random));
      if (random(3) === 0) assert.deepEqual(shown(cluster), shown(copyOf(store)));
    }
  });
});

/** A cluster over whole records with the revisions of a store. */
function copyOf(store: MemoryStore<SandRecord>): Cluster {
  const whole = sandSchema(keys);
  const entries = [...store.values].flatMap(([key, { value, ...revisions }]) => {
    const record = whole.parse(key, value);
    return record ? { key, record, ...revisions } : [];
  });
  const byKey = new Map(entries.map((entry) => [entry.key, entry]));
  const overlays = {
    ...store.mirror,
    entries: () => entries.values(),
    get: (key: string) => byKey.get(key),
    subscribe: () => () => {},
  };
  return new Cluster({ names, overlays, keys, followed: store.mirror });
}

Deno.test("a text is found wherever a machine has it, and nowhere else", () => {
  forAll({ runs: 30, choices: 150, seed: anySeed() }, (random, isOver) => {
    const { put, cluster } = clusterOver(ids);
    while (!isOver()) {
      const [key, value] = change(random);
      if (value && !key.startsWith(keys.networks)) put(key, value);
    }
    const all = cluster.networks().flatMap((one) => machinesOf(cluster, one, NOW));
    for (const text of TEXTS) {
      const bare = text.replace(/[:-]/g, ""), isMac = bare.length >= 4 && /^[\da-f]+$/.test(bare);
      const wanted = all.filter(({ mac, address, name, endpoint, aliases }) =>
        isMac && mac.replaceAll(":", "").includes(bare) ||
        [mac, address, name, endpoint, ...aliases].some((one) => one?.toLowerCase().includes(text))
      );
      assert.deepEqual(findMachines(cluster, text, NOW).machines, wanted, text);
    }
  });
});

Deno.test("a change is told of the network that it is in, by its name, and one of a name by both", () => {
  const [id = ""] = ids, told: Topic[][] = [];
  const { put, cluster } = clusterOver([id]);
  cluster.subscribe((topics) => told.push([...topics]));
  put(keys.applied(id, "h1"), { revision: 1 });
  put(keys.networkName("blue"), { id });
  put(keys.networkHost(id, "h1"), { id, mtu: 1450 });
  put(keys.nameClaim("h1"), { start: "1", boot: "1", lock: "1", lease: "1", since: "" });
  assert.deepEqual(told, [[`network:${id}`], ["network:blue"], ["network:blue"], ["hosts"]]);
});

Deno.test("of many machines a thousand are found", () => {
  const [id = ""] = ids, { put, cluster } = clusterOver([id]);
  const add = (n: number) =>
    put(
      keys.networkEndpoint(id, `E${n}`),
      endpointRecord(`E${n}`, { network_id: id, strand_name: `vm${n}` }),
    );
  for (let n = 0; n < MOST_FOUND; n++) add(n);
  const of = (text: string) => {
    const { machines, isCut } = findMachines(cluster, text, NOW);
    return [machines.length, isCut];
  };
  assert.deepEqual(of("vm"), [MOST_FOUND, false]);
  add(MOST_FOUND);
  assert.deepEqual([of("vm"), of(`vm${MOST_FOUND}`)], [[MOST_FOUND, true], [1, false]]);
});
