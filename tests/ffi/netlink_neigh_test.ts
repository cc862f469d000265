/** ARP and FDB entries set, listed and deleted through netlink, compared with ip and bridge. */
import assert from "node:assert/strict";
import { Netlink } from "../../ffi/netlink.ts";
import {
  deleteNeighbours,
  dumpArp,
  dumpNeighbours,
  type Neighbours,
  setBoth,
  setNeighbours,
} from "../../ffi/netlink_neigh.ts";
import { run } from "../lab/host.ts";
import { TestNamespace } from "./namespaces.ts";

const hex = (octets: Uint8Array) => [...octets].map((octet) => octet.toString(16).padStart(2, "0")).join(":");

/** Entry i: 10.x.x.x has 02:84:…; `vteps` gives the remote hosts instead. */
function pairs(count: number, address: (i: number) => number[], from = 0): Neighbours {
  const addresses = new Uint8Array(count * 4);
  const macs = new Uint8Array(count * 6);
  for (let i = 0; i < count; i++) {
    addresses.set(address(i + from), i * 4);
    macs.set([2, 0x84, 10, (i + from) >> 16, (i + from) >> 8, i + from], i * 6);
  }
  return { count, width: 4, addresses, macs };
}
const member = (i: number) => [10, i >> 16, (i >> 8) & 255, i & 255];
const host = (i: number) => [192, 168, 7, i % 9];

/** Entries as text, in order: address and MAC. */
function texts({ count, width, addresses, macs }: Neighbours): string[] {
  return Array.from({ length: count }, (_, i) => {
    const address = addresses.subarray(i * width, (i + 1) * width);
    return `${width === 4 ? address.join(".") : hex(address)} ${hex(macs.subarray(i * 6, i * 6 + 6))}`;
  }).sort();
}

interface IpNeighbour {
  readonly dst: string;
  readonly lladdr: string;
  readonly state: readonly string[];
}
interface BridgeEntry {
  readonly mac: string;
  readonly dst: string;
  readonly state: string;
  readonly flags: readonly string[];
}

/** A namespace with a vxlan device that has neither learned nor been told anything. */
async function overlay(): Promise<
  { namespace: TestNamespace; netlink: Netlink; ifindex: number } & Disposable
> {
  const namespace = new TestNamespace();
  try {
    const ip = ["ip", "-n", namespace.name, "link"];
    await run([...ip, "add", "vxlan0", "type", "vxlan", "id", "5", "dstport", "4789", "nolearning", "proxy"]);
    await run([...ip, "set", "vxlan0", "up"]);
    const [link] = await namespace.ip("link", "show", "vxlan0");
    const netlink = new Netlink(namespace.fd);
    const dispose = () => {
      netlink.close();
      namespace[Symbol.dispose]();
    };
    return { namespace, netlink, ifindex: link?.ifindex ?? 0, [Symbol.dispose]: dispose };
  } catch (error) {
    namespace[Symbol.dispose]();
    throw error;
  }
}

Deno.test("ip and bridge see the entries that are set, as permanent; deleted ones are gone", async () => {
  using lab = await overlay();
  const { namespace, netlink, ifindex } = lab;
  // More than one batch.
  const arp = pairs(1200, member), fdb = pairs(1200, host);
  assert.deepEqual(await setNeighbours(netlink, "arp", ifindex, arp), []);
  assert.deepEqual(await setNeighbours(netlink, "fdb", ifindex, fdb), []);
  const neighbours = await namespace.ip<IpNeighbour>("neigh", "show", "dev", "vxlan0");
  assert.deepEqual(neighbours.map(({ dst, lladdr }) => `${dst} ${lladdr}`).sort(), texts(arp));
  assert(neighbours.every(({ state }) => state.join() === "PERMANENT"));
  const entries = await namespace.bridge<BridgeEntry>("fdb", "show", "dev", "vxlan0");
  assert.deepEqual(entries.map(({ dst, mac }) => `${dst} ${mac}`).sort(), texts(fdb));
  assert(entries.every(({ state, flags }) => state === "permanent" && flags.join() === "self"));

  for (const [table, wanted] of [["arp", arp], ["fdb", fdb]] as const) {
    const dumped = await dumpNeighbours(netlink, table, ifindex);
    assert.deepEqual(texts(dumped), texts(wanted));
    assert(dumped.exact.every(Boolean));
    assert.deepEqual(await deleteNeighbours(netlink, table, ifindex, wanted), []);
    // What is not there is gone.
    assert.deepEqual(await deleteNeighbours(netlink, table, ifindex, wanted), []);
    assert.equal((await dumpNeighbours(netlink, table, ifindex)).count, 0);
  }
  assert.deepEqual(await namespace.ip("neigh", "show", "dev", "vxlan0"), []);
});

Deno.test("the ARP tables of several devices come in one dump, each apart", async () => {
  using lab = await overlay();
  const { namespace, netlink, ifindex } = lab;
  await run(["ip", "-n", namespace.name, "link", "add", "br0", "type", "bridge"]);
  const bridge = netlink.index("br0"), ofBridge = pairs(3, member), ofVxlan = pairs(700, member, 100);
  assert.deepEqual(await setNeighbours(netlink, "arp", bridge, ofBridge), []);
  assert.deepEqual(await setNeighbours(netlink, "arp", ifindex, ofVxlan), []);
  const tables = await dumpArp(netlink, [bridge, ifindex, 9999]);
  const found = [...tables].map(([index, table]) => [index, texts(table)]);
  assert.deepEqual(found, [[bridge, texts(ofBridge)], [ifindex, texts(ofVxlan)], [9999, []]]);
  assert.deepEqual([...(await dumpArp(netlink, [bridge])).keys()], [bridge]);
});

Deno.test("an entry that has moved replaces the old one, and the old one's delete leaves it", async () => {
  using lab = await overlay();
  const { namespace, netlink, ifindex } = lab;
  const before = pairs(3, host), after = pairs(3, (i) => [172, 16, 0, i]);
  await setNeighbours(netlink, "fdb", ifindex, before);
  await setNeighbours(netlink, "fdb", ifindex, after);
  assert.deepEqual(await deleteNeighbours(netlink, "fdb", ifindex, before), []);
  const entries = await namespace.bridge<BridgeEntry>("fdb", "show", "dev", "vxlan0");
  assert.deepEqual(entries.map(({ dst, mac }) => `${dst} ${mac}`).sort(), texts(after));
});

Deno.test("what others have made, or the kernel has learned, is listed but not exact", async () => {
  using lab = await overlay();
  const { namespace, netlink, ifindex } = lab;
  await setNeighbours(netlink, "arp", ifindex, pairs(1, member));
  await setNeighbours(netlink, "fdb", ifindex, pairs(1, host));
  const fdb = ["bridge", "-n", namespace.name, "fdb", "append", "dev", "vxlan0"];
  await run([...fdb, "02:00:00:00:00:01", "dst", "1.2.3.4", "self", "dynamic"]);
  await run([...fdb, "02:00:00:00:00:02", "dst", "1.2.3.4", "self", "permanent", "vni", "77"]);
  await run([...fdb, "02:00:00:00:00:03", "dst", "1.2.3.4", "self", "permanent", "port", "99"]);
  await run([...fdb, "02:00:00:00:00:04", "dst", "2001:db8::1", "self", "permanent"], { mayFail: true });
  const ip = ["ip", "-n", namespace.name, "neigh", "add", "dev", "vxlan0"];
  await run([...ip, "10.9.9.9", "lladdr", "02:00:00:00:00:05", "nud", "stale"]);
  await run([...ip, "2001:db8::5", "lladdr", "02:00:00:00:00:05", "nud", "permanent"]);
  for (const table of ["arp", "fdb"] as const) {
    const found = await dumpNeighbours(netlink, table, ifindex);
    assert.equal(found.exact.reduce((sum, exact) => sum + exact, 0), 1, table);
    assert.equal(found.count, table === "arp" ? 2 : 4);
  }
  const six = await dumpNeighbours(netlink, "arp", ifindex, 16);
  assert.deepEqual(texts(six), ["20:01:0d:b8:00:00:00:00:00:00:00:00:00:00:00:05 02:00:00:00:00:05"]);
});

Deno.test("IPv6 entries are set, listed and deleted", async () => {
  using lab = await overlay();
  const { namespace, netlink, ifindex } = lab;
  const addresses = Uint8Array.of(0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9);
  const six: Neighbours = { count: 1, width: 16, addresses, macs: Uint8Array.of(2, 0, 0, 0, 0, 9) };
  assert.deepEqual(await setNeighbours(netlink, "arp", ifindex, six), []);
  const [seen] = await namespace.ip<IpNeighbour>("-6", "neigh", "show", "dev", "vxlan0");
  assert.deepEqual([seen?.dst, seen?.lladdr, seen?.state], ["2001:db8::9", "02:00:00:00:00:09", [
    "PERMANENT",
  ]]);
  assert.deepEqual(texts(await dumpNeighbours(netlink, "arp", ifindex, 16)), texts(six));
  assert.deepEqual(await deleteNeighbours(netlink, "arp", ifindex, six), []);
  assert.equal((await dumpNeighbours(netlink, "arp", ifindex, 16)).count, 0);
});

Deno.test("entries that the kernel refuses come back with their places, and the others are made", async () => {
  using lab = await overlay();
  const { netlink, ifindex } = lab;
  const wanted = pairs(700, member);
  // The entry for unknown MACs cannot be replaced.
  const refused = [0, 300, 511, 512, 699];
  for (const i of refused) wanted.macs.set([0, 0, 0, 0, 0, 0], i * 6);
  const fdb = { ...wanted, addresses: pairs(700, host).addresses };
  const failures = await setNeighbours(netlink, "fdb", ifindex, fdb);
  assert.deepEqual(
    failures.map(({ index, errno }) => [index, errno]),
    refused.map((i) => [i, 95]),
  );
  assert.equal((await dumpNeighbours(netlink, "fdb", ifindex)).count, 695);
  const gone = await setNeighbours(netlink, "arp", 9999, pairs(600, member));
  assert.equal(gone.length, 600);
  assert.deepEqual(gone.map(({ index }) => index), Array.from({ length: 600 }, (_, i) => i));
  assert(gone.every(({ errno }) => errno === 19));
  assert.equal((await dumpNeighbours(netlink, "fdb", 9999)).count, 0);
});

Deno.test("entries of both tables are set together, few or many, and each refused one has its place in its own table", async () => {
  using lab = await overlay();
  const { netlink, ifindex } = lab, none = pairs(0, member);
  for (const [fdb, arp] of [[2, 3], [0, 1], [1, 0], [100, 100]] as const) {
    const entries = { fdb: pairs(fdb, host), arp: pairs(arp, member) };
    assert.deepEqual(await setBoth(netlink, ifindex, entries), { fdb: [], arp: [] });
    for (const table of ["fdb", "arp"] as const) {
      assert.deepEqual(texts(await dumpNeighbours(netlink, table, ifindex)), texts(entries[table]));
      await deleteNeighbours(netlink, table, ifindex, entries[table]);
    }
  }
  assert.deepEqual(await setBoth(netlink, ifindex, { fdb: none, arp: none }), { fdb: [], arp: [] });
  const fdb = pairs(3, host), arp = pairs(3, member);
  fdb.macs.set([0, 0, 0, 0, 0, 0], 6);
  const failures = await setBoth(netlink, ifindex, { fdb, arp });
  assert.deepEqual(failures.fdb.map(({ index, errno }) => [index, errno]), [[1, 95]]);
  assert.deepEqual(failures.arp, []);
  assert.equal((await dumpNeighbours(netlink, "fdb", ifindex)).count, 2);
  assert.deepEqual(texts(await dumpNeighbours(netlink, "arp", ifindex)), texts(arp));
  const gone = await setBoth(netlink, 9999, { fdb, arp });
  for (const table of ["fdb", "arp"] as const) {
    assert.deepEqual(gone[table].map(({ index }) => index), [0, 1, 2], table);
  }
});

Deno.test("calls on one socket wait for each other, and a closed one refuses", async () => {
  using lab = await overlay();
  const { netlink, ifindex } = lab;
  const parts = Array.from({ length: 20 }, (_, i) => pairs(100, member, i * 100));
  const results = await Promise.all(parts.flatMap((part) => [
    setNeighbours(netlink, "arp", ifindex, part),
    dumpNeighbours(netlink, "arp", ifindex),
  ]));
  assert.equal(results.length, 40);
  const last = dumpNeighbours(netlink, "arp", ifindex);
  netlink.close();
  assert.equal((await last).count, 2000);
  await assert.rejects(dumpNeighbours(netlink, "arp", ifindex), { message: /closed netlink socket/ });
});
