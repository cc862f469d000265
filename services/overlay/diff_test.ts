import assert from "node:assert/strict";
import { diff, diffVeth, lostVeths } from "./diff.ts";
import type { KernelOp } from "./ops.ts";
import { type NetworkState, PARTLY_PINNED, type PeerState, type VethState } from "./state.ts";
import { forAll } from "../../tests/lab/property.ts";
import { networkState, vethState } from "./testing.ts";
import { perform, singly } from "./testing_kernel.ts";

function performAll(state: NetworkState | undefined, ops: readonly KernelOp[]): NetworkState | undefined {
  return ops.reduce(perform, state);
}

const desired = networkState({ vni: 4, mtu: 8950 }, {
  veths: new Map([["sand0001", vethState({ netns: "/c1", name: "sand0002", mtu: 8950 })]]),
  arp: new Map([[0x0a000003, 0x02840a000003]]),
  fdb: new Map([[0x02840a000003, 0xc0000202]]),
});

Deno.test("diff() builds everything from nothing, in an order that the kernel takes", () => {
  const ops = diff(undefined, desired);
  assert.deepEqual(ops.map(({ op }) => op), [
    "namespace-add",
    "loopback-up",
    "bridge-add",
    "bridge-address-add",
    "bridge-set",
    "vxlan-add",
    "vxlan-set",
    "fdb-set",
    "arp-set",
    "veth-add",
    "veth-set",
    "peer-set",
  ]);
  assert.deepEqual(performAll(undefined, ops), desired);
});

Deno.test("diff() is empty where nothing is to be done, and takes all away with the namespace", () => {
  assert.deepEqual(diff(desired, desired), []);
  assert.deepEqual(diff(undefined, undefined), []);
  assert.deepEqual(diff(desired, undefined), [{ op: "namespace-remove" }]);
});

Deno.test("diff() takes over from an old agent without touching what carries traffic", () => {
  const old = { ...desired, vxlan: { ...desired.vxlan, learning: true } } as NetworkState;
  assert.deepEqual(diff(old, desired), [{ op: "vxlan-set", learning: false }]);
});

Deno.test("diff() replaces an entry that moved in place, and removes what is foreign", () => {
  const actual: NetworkState = {
    ...desired,
    arp: new Map([[0x0a000003, 0x02840a000009], [0x0a000007, 1]]),
    fdb: new Map([[0x02840a000003, 0xc0000203], [5, 6]]),
    flood: new Set([7]),
  };
  assert.deepEqual(diff(actual, desired), [
    { op: "arp-remove", addresses: new Set([0x0a000007]) },
    { op: "fdb-remove", macs: new Set([5]) },
    { op: "flood-remove", vteps: new Set([7]) },
    { op: "fdb-set", entries: desired.fdb },
    { op: "arp-set", entries: desired.arp },
  ]);
});

Deno.test("diff() recreates a vxlan0 that has another VNI, with all its entries", () => {
  const actual = { ...desired, vxlan: { ...desired.vxlan, vni: 5 } } as NetworkState;
  const ops = diff(actual, desired);
  assert.deepEqual(ops.map(({ op }) => op), [
    "vxlan-remove",
    "vxlan-add",
    "vxlan-set",
    "fdb-set",
    "arp-set",
  ]);
  assert.deepEqual(performAll(actual, ops), desired);
});

Deno.test("diff() leaves Docker's end of a veth alone but for its MTU, and says which veths are lost", () => {
  const docker = new Map<string, VethState>([["sand0005", {
    mtu: 8950,
    inBridge: true,
    up: true,
    peer: undefined,
  }]]);
  const wanted = { ...desired, veths: docker };
  const peer: PeerState = { netns: "?", name: "eth0", mac: "x", addresses: [], mtu: 1, up: false };
  const actual = { ...wanted, veths: new Map([["sand0005", { mtu: 8950, inBridge: true, up: true, peer }]]) };
  assert.deepEqual(diff(actual, wanted), [
    { op: "peer-set", veth: "sand0005", netns: "?", at: "eth0", mtu: 8950 },
  ]);
  assert.deepEqual(lostVeths(actual, wanted), []);
  assert.deepEqual(lostVeths({ ...actual, veths: new Map() }, wanted), ["sand0005"]);
  assert.deepEqual(diff({ ...actual, veths: new Map() }, wanted), []);
});

Deno.test("from any state one batch leads to what is wanted, cut short anywhere too, and a second does nothing", () => {
  forAll({ runs: 2000, choices: 400, seed: 7 }, (random) => {
    const actual = randomState(random, true), wanted = randomState(random, false);
    const ops = diff(actual, wanted);
    const end = performAll(actual, ops);
    assert.deepEqual(ours(end, wanted), wanted);
    assert.deepEqual(diff(end, wanted), []);
    const steps = singly(ops);
    const cut = performAll(actual, steps.slice(0, random(steps.length + 1)));
    const after = performAll(cut, diff(cut, wanted));
    assert.deepEqual(ours(after, wanted), wanted, "cut short");
  });
});

Deno.test("add and delete are symmetric: there and back leaves what was there", () => {
  forAll({ runs: 500, choices: 400, seed: 8 }, (random) => {
    const a = randomState(random, false), b = randomState(random, false);
    const there = performAll(a, diff(a, b));
    const back = performAll(there, diff(there, a));
    assert.deepEqual(ours(back, a), a);
  });
});

Deno.test("the difference of 100,000 entries that are right is none, each looked at once", () => {
  let looked = 0;
  class Counted extends Map<number, number> {
    override get(key: number): number | undefined {
      looked++;
      return super.get(key);
    }
    override has(key: number): boolean {
      looked++;
      return super.has(key);
    }
  }
  const rows = Array.from({ length: 100_000 }, (_, i) => i);
  const table = () => ({
    arp: new Counted(rows.map((i) => [0x0a000000 + i, 0x02840a000000 + i])),
    fdb: new Counted(rows.map((i) => [0x02840a000000 + i, 0xc0000200 + (i & 15)])),
  });
  assert.deepEqual(diff({ ...desired, ...table() }, { ...desired, ...table() }), []);
  // Of each table's entry, whether it is wanted, and whether it is as it is wanted.
  assert.equal(looked, 4 * 100_000);
});

/** Without what is the container's: addresses that it has given itself. */
function ours(state: NetworkState | undefined, wanted: NetworkState | undefined): NetworkState | undefined {
  if (!state || !wanted) return state;
  const veths = new Map<string, VethState>();
  for (const [name, { peer }] of wanted.veths) {
    const veth = state.veths.get(name);
    if (!veth?.peer || !peer) continue;
    const addresses = peer.addresses.filter((address) => veth.peer?.addresses.includes(address));
    veths.set(name, { ...veth, peer: { ...veth.peer, addresses } });
  }
  return { ...state, veths: state.veths.size === veths.size ? veths : state.veths };
}

/** @param found Anything that a dump may find; else something that may be wanted. */
function randomState(random: (n: number) => number, found: boolean): NetworkState | undefined {
  if (random(5) === 0) return undefined;
  const flag = () => found ? random(2) === 0 : true;
  const mtu = () => found ? 1400 + random(2) * 50 : 1450;
  const table = (keys: number, values: number) =>
    new Map(Array.from({ length: random(8) }, () => [random(keys), random(values)] as const));
  const bridge = found && random(3) === 0 ? undefined : {
    up: flag(),
    mtu: mtu(),
    addresses: found
      ? [["10.0.0.1/24"], ["10.0.0.9/24", "10.0.0.1/24"], []][random(3)] ?? []
      : ["10.0.0.1/24"],
  };
  const inBridge = () => bridge !== undefined && flag();
  const vxlan = found && random(3) === 0 ? undefined : {
    vni: random(found ? 3 : 2),
    port: found ? 4789 + random(2) : 4789,
    proxy: flag(),
    rootUnderlay: flag(),
    learning: found && random(2) === 0,
    mtu: mtu(),
    inBridge: inBridge(),
    up: flag(),
  };
  const peer = () => ({
    netns: `/c${random(2)}`,
    name: `sand100${random(2)}`,
    mac: `02:84:0a:00:00:0${random(2)}`,
    addresses: Array.from({ length: 1 + (found ? random(2) : 0) }, (_, i) => `10.0.${i}.${random(3)}/24`),
    mtu: mtu(),
    up: flag(),
  });
  const veths = Array.from({ length: random(4) }, (): [string, VethState] => [`sand000${random(4)}`, {
    mtu: mtu(),
    inBridge: inBridge(),
    up: flag(),
    ...random(3) === 0 ? { hostEnd: `sand200${random(2)}` } : {},
    ...random(2) === 0
      ? { pinned: found && random(4) === 0 ? PARTLY_PINNED : `02:84:0a:00:00:0${random(3)}` }
      : {},
    peer: found && random(4) === 0 ? undefined : peer(),
  }]);
  // What is no port is known behind none.
  for (const [i, [name, { pinned, ...rest }]] of veths.entries()) {
    if (pinned && !rest.inBridge) veths[i] = [name, rest];
  }
  const addresses = new Map(veths).values().flatMap(({ peer }) => peer?.addresses ?? [])
    .map((address) => address.slice(0, -"/24".length)).toArray();
  const uplink = !bridge || random(2) === 0 ? {} : {
    uplink: {
      name: `sandh${random(found ? 2 : 1)}`,
      mtu: mtu(),
      sound: flag(),
      routes: new Set(
        found ? ["10.0.0.0", "10.0.0.1"].filter(() => flag()) : addresses.filter(() => random(2)),
      ),
      ...flag() ? { transfer: found && flag() ? "" : `169.254.192.${random(2)}` } : {},
    },
  };
  const tables = vxlan
    ? { arp: table(12, 4), fdb: table(12, 4), flood: new Set(random(3) === 0 ? [random(3), random(9)] : []) }
    : { arp: new Map(), fdb: new Map(), flood: new Set<number>() };
  const behind = found && !vxlan?.inBridge ? [] : [...table(9, 1).keys()];
  const proxy = {
    port: found ? vxlan?.inBridge === true && flag() : true,
    arp: table(12, 4),
    fdb: new Set(behind),
    ...(!found || vxlan?.inBridge) && flag() ? { closed: true as const } : {},
  };
  const proxied = bridge && random(2) === 0 && (proxy.port || proxy.arp.size || proxy.fdb.size);
  return {
    loopbackUp: flag(),
    bridge,
    vxlan,
    veths: new Map(veths),
    ...tables,
    ...uplink,
    ...proxied ? { proxy } : {},
    ...flag() ? { broadcast: random(found ? 3 : 2) } : {},
    ...flag() ? { egress: (["closed", "routed", "edited"] as const)[random(found ? 3 : 2)] ?? "closed" } : {},
    ...random(2) === 0 ? {} : {
      containment: {
        rules: (["drop", "count", "edited"] as const)[random(found ? 3 : 2)] ?? "drop",
        own: new Set(["sand0001", "sand0001 02:84:0a:00:00:02", "sand0002 10.0.0.2"].filter(() => flag())),
      },
    },
  };
}

Deno.test("diff() adds what is a port's own before it removes anything, and makes edited rules again with all of it", () => {
  const own = new Set(["sand0001", "sand0001 10.0.0.2"]);
  const wanted = { ...desired, containment: { rules: "drop", own } } as const;
  const found = (rules: "drop" | "count" | "edited", ...own: string[]) =>
    diff({ ...desired, containment: { rules, own: new Set(own) } }, wanted);
  const add = (replaces: boolean) => [{ op: "containment-add", rules: "drop", add: own, replaces }];
  assert.deepEqual(diff(desired, wanted), add(false));
  assert.deepEqual(found("drop", ...own), []);
  assert.deepEqual(found("count", ...own), add(true));
  assert.deepEqual(found("edited"), add(true));
  assert.deepEqual(found("drop", "sand0001", "sand0002"), [
    { op: "containment-set", add: new Set(["sand0001 10.0.0.2"]) },
    { op: "containment-unset", remove: new Set(["sand0002"]) },
  ]);
  assert.deepEqual(diff(wanted, desired), [{ op: "containment-remove" }]);
});

Deno.test("diff() gives a container its routes along with its address, and leaves them to it afterwards", () => {
  const [full] = desired.veths.values();
  assert.ok(full?.peer);
  const { peer } = full, routes = [{ dst: "0.0.0.0/0", gw: "10.0.0.1" }];
  const wanted = { ...full, peer: { ...peer, routes } };
  const added = (actual: VethState | undefined) =>
    diffVeth("sand0001", actual, wanted).flatMap((op) => op.op === "peer-set" ? [op.addRoutes] : []);
  assert.deepEqual(added(undefined), [routes]);
  assert.deepEqual(added({ ...full, peer: { ...peer, addresses: [] } }), [routes]);
  assert.deepEqual(added({ ...full, peer: { ...peer, up: false } }), [routes]);
  assert.deepEqual(added({ ...full, peer: { ...peer, mtu: 1500 } }), [undefined]);
  assert.deepEqual(diffVeth("sand0001", full, wanted), []);
});

Deno.test("diff() makes the host's way to endpoints, mends it and takes it away again", () => {
  const [name = ""] = desired.veths.keys(), [veth] = desired.veths.values();
  const [address = ""] = veth?.peer?.addresses[0]?.split("/") ?? [];
  const uplink = { name: "sandh320a669fe4", mtu: 1450, sound: true, routes: new Set([address]) };
  const wanted = { ...desired, uplink };
  const add = { op: "uplink-route-add", veth: name, uplink: uplink.name, address };
  assert.deepEqual(diff(desired, wanted), [{ op: "uplink-add", name: uplink.name, mtu: 1450 }, add]);
  assert.deepEqual(diff({ ...desired, uplink: { ...uplink, routes: new Set() } }, wanted), [add]);
  const broken = { ...desired, uplink: { ...uplink, sound: false } };
  assert.deepEqual(diff(broken, wanted), [{ op: "uplink-set", name: uplink.name, mtu: 1450 }]);
  const more = { ...desired, uplink: { ...uplink, routes: new Set([address, "10.0.0.77"]) } };
  assert.deepEqual(diff(more, wanted), [{
    op: "uplink-route-remove",
    uplink: uplink.name,
    address: "10.0.0.77",
  }]);
  assert.deepEqual(diff(wanted, desired), [{ op: "uplink-remove" }]);
  // With a way to the world: the rules are there first, and go last.
  const open = { ...wanted, egress: "closed" as const, uplink: { ...uplink, transfer: "169.254.192.1" } };
  const link = { name: uplink.name, mtu: 1450, transfer: "169.254.192.1" };
  const rules = { op: "egress-add", rules: "closed", replaces: false };
  assert.deepEqual(diff(desired, open), [rules, { op: "uplink-add", ...link }, add]);
  assert.deepEqual(diff(wanted, open), [rules, { op: "uplink-set", ...link }]);
  assert.deepEqual(diff(open, desired), [{ op: "uplink-remove" }, { op: "egress-remove" }]);
  assert.deepEqual(diff({ ...open, egress: "edited" }, open), [{ ...rules, replaces: true }]);
  const other = { ...desired, uplink: { ...uplink, name: "sandh0000000000" } };
  assert.deepEqual(diff(other, wanted).map(({ op }) => op), [
    "uplink-remove",
    "uplink-add",
    "uplink-route-add",
  ]);
});

Deno.test("diff() has br0 know an endpoint's MAC before it answers for it, and takes both away again", () => {
  const [[name, veth] = ["", undefined]] = desired.veths;
  assert.ok(veth);
  const pinned = "02:84:0a:00:00:02";
  const proxy = { port: true, arp: new Map([[0x0a000001, 0], [0x0a000002, 3]]), fdb: new Set([9]) };
  const wanted = { ...desired, veths: new Map([[name, { ...veth, pinned }]]), proxy };
  assert.deepEqual(diff(desired, wanted), [
    { op: "proxy-set", port: true, arp: proxy.arp, fdb: proxy.fdb },
    { op: "veth-set", name, pinned },
  ]);
  const drifted = {
    ...wanted,
    proxy: { port: true, arp: new Map([[0x0a000002, 4], [7, 7]]), fdb: new Set([8]) },
  };
  assert.deepEqual(diff(drifted, wanted), [
    { op: "proxy-remove", arp: new Set([7]), fdb: new Set([8]) },
    { op: "proxy-set", arp: proxy.arp, fdb: proxy.fdb },
  ]);
  assert.deepEqual(diff(wanted, desired), [
    { op: "proxy-remove", port: true, arp: new Set(proxy.arp.keys()), fdb: proxy.fdb },
    { op: "veth-unpin", name, mac: pinned },
  ]);
  const partly = { ...desired, veths: new Map([[name, { ...veth, pinned: PARTLY_PINNED }]]) };
  assert.deepEqual(diff(partly, desired), [{ op: "veth-unpin", name }]);
  assert.deepEqual(diff({ ...partly, proxy }, wanted), [{ op: "veth-set", name, pinned }]);
});

Deno.test("diff() recreates a veth whose outer end is not where it should be", () => {
  const [name = ""] = desired.veths.keys(), [veth] = desired.veths.values();
  assert.ok(veth);
  const wanted = { ...veth, hostEnd: "sand2001" };
  for (
    const [from, to] of [[veth, wanted], [wanted, veth], [{ ...veth, hostEnd: "sand2002" }, wanted]] as const
  ) {
    const [first, second] = diffVeth(name, from, to);
    assert.equal(first?.op, "veth-remove");
    assert.ok(second?.op === "veth-add" && second.hostEnd === to.hostEnd);
  }
});
