/** Pages of a network that is much larger than most: what they cost does not grow with what they do not show. */
import assert from "node:assert/strict";
import type { Config } from "../common/config.ts";
import { Ip } from "../common/ip.ts";
import { endpointRecord, network } from "../overlay/testing.ts";
import { leanSchema } from "../store/lean_records.ts";
import { MemoryStore } from "../store/memory_store.ts";
import { nexSchema } from "../store/records.ts";
import { SandKeys } from "../store/sand_keys.ts";
import { type SandRecord, sandSchema } from "../store/sand_records.ts";
import { appOf } from "./app.tsx";
import { Cluster } from "./cluster.ts";
import { HostRepairs } from "./host_repairs.ts";
import type { Rates } from "./rates/rates.ts";
import { viewsOf } from "./views.tsx";

/** STRAND_LEASES: as many as a /16 has, 50,000, are made in some seconds. */
const LEASES = Number(Deno.env.get("STRAND_LEASES") ?? 10_000), HOSTS = 200;
/** In ms of processor time. */
const LIMIT = 1000;
const keys = new SandKeys(), id = "320a669f-e465-4806-ab46-f2e6620c4311";
const BEGIN = Ip.parse("10.64.0.2").u32;
const mac = (n: number) =>
  `02:84:${(n + 0x1000000 * 2).toString(16).padStart(8, "0").replace(/(..)(?=.)/g, "$1:")}`;

/** Processor time of this thread, in ms: the load of another one, which may run another test, is not this page's. */
const spent = () => Number(Deno.readTextFileSync("/proc/thread-self/schedstat").split(" ")[0]) / 1e6;

function overlay() {
  const records: [string, unknown][] = [
    [keys.network(id), { ...network, id, ip_range: "10.64.0.0/16", gateway: "10.64.0.1/16" }],
    [keys.networkName("wide"), { id }],
    [keys.settings(id), { network: { name: "wide", domain: "wide.example" }, overlay: {} }],
  ];
  for (let i = 0; i < HOSTS; i++) {
    records.push([keys.networkHost(id, `h${i}`), { id, created_at: "", mtu: 1450 }]);
    records.push([keys.applied(id, `h${i}`), { revision: i % 10 ? 2 : 1 }]);
  }
  for (let n = 0; n < LEASES; n++) records.push(lease(n));
  return records.map(([key, value]): [string, string] => [key, JSON.stringify(value)]);
}

function lease(n: number, expires = "2100-01-01T00:00:00Z"): [string, unknown] {
  const record = endpointRecord(`E${n}`, {
    network_id: id,
    hostname: `h${n % HOSTS}`,
    host_ip: `192.0.2.${1 + n % HOSTS}`,
    target_veth_ip: `${Ip.from4(BEGIN + n)}/16`,
    target_veth_mac: mac(n),
    strand_name: `vm-${n}`,
    kind: "dhcp",
    expires_at: expires,
    strand_port: "tap0",
  });
  return [keys.networkEndpoint(id, `E${n}`), record];
}

function members() {
  const records: [string, unknown][] = [
    ["/net/lan", {
      name: "lan",
      subnet4: "10.64.0.0/16",
      Range4: { begin: "10.64.0.2", end: "10.64.255.250" },
    }],
  ];
  for (let n = 0; n < LEASES; n++) {
    const address = `${Ip.from4(BEGIN + n)}`, expires = { seconds: 4_102_444_800 };
    records.push([`/member/${mac(n)}`, {
      ...{ mac: mac(n), net: "lan", dynamic: true, name: `vm-${n}` },
      ip4: { address, expires },
    }]);
    records.push([`/member/ip4/${address}`, mac(n)]);
  }
  return records.map(([key, value]): [string, string] => [
    key,
    typeof value === "string" ? value : JSON.stringify(value),
  ]);
}

function setUp(lan: [string, string][], large: [string, string][]) {
  const names = new MemoryStore(nexSchema, Object.fromEntries(lan));
  const store = new MemoryStore<SandRecord>(leanSchema(sandSchema(keys)), Object.fromEntries(large));
  const cluster = new Cluster({ names: names.mirror, overlays: store.mirror, keys, followed: store.mirror });
  const config = { dashboard: { write: false } } as Config;
  const app = appOf({
    cluster,
    views: viewsOf(cluster, {
      config,
      rates: {} as Rates,
      repairs: new HostRepairs(store.mirror, () => {}),
      report: () => assert.fail("it is not asked"),
    }),
    mayChange: false,
    onError: (error) => assert.fail(String(error)),
  });
  const page = async (path: string) => {
    const begun = spent(),
      answer = await app.fetch(new Request(`http://dashboard${path}`)),
      text = await answer.text();
    assert.equal(answer.status, 200, text);
    return { text, took: spent() - begun };
  };
  return { store, page };
}

/** The blocks of 256 addresses that a page shows. */
const blocks = (text: string) => text.match(/<th scope="row">10\.64\.\d+\.0\/24<\/th>/g)?.length;
const BLOCKS = Math.ceil((LEASES + 2) / 256);

Deno.test("the page of a large network takes less than a second, and after a change of one lease half of the first time", async () => {
  const { store, page } = setUp([], overlay());
  const first = await page("/networks/wide");
  assert.equal(blocks(first.text), BLOCKS);
  assert.ok(first.took < LIMIT, `${first.took} ms`);
  for (const query of ["leases.filter=vm-4999", "machines.sort=-state", "leases.page=100"]) {
    const { took } = await page(`/networks/wide?${query}`);
    assert.ok(took < LIMIT, `${query}: ${took} ms`);
  }
  const [key, value] = lease(7, "2100-01-01T01:00:00Z");
  store.write({ guards: [], ops: [{ put: key, value: JSON.stringify(value) }] });
  const { took, text } = await page("/networks/wide.json?leases.sort=-expires&leases.size=1");
  assert.equal(JSON.parse(text).leases.rows[0].expires, "2100-01-01T01:00:00.000Z");
  assert.ok(took < first.took / 2, `${took} ms after the change, ${first.took} ms at first`);
});

Deno.test("the page of as many machines that share a LAN takes less than a second", async () => {
  const { page } = setUp(members(), []);
  for (const query of ["", "?leases.filter=vm-4999"]) {
    const { took, text } = await page(`/networks/lan${query}`);
    assert.equal(blocks(text), BLOCKS);
    assert.ok(took < LIMIT, `${query}: ${took} ms`);
  }
});
