import assert from "node:assert/strict";
import type { EndpointRecord } from "../store/sand_records.ts";
import { desiredState } from "./desired.ts";
import { planApplied, planPresence } from "./hosts.ts";
import { NetworkNeighbours } from "./neighbours.ts";
import type { NetworkState } from "./state.ts";
import { endpointRecord, lab, network, networkState, vethState } from "./testing.ts";
import { forAll } from "../../tests/lab/property.ts";
import { quickly } from "../../tests/lab/quickly.ts";
import { perform } from "./testing_kernel.ts";

const options = { hostname: "h1", underlayMtu: 1500 };

/** An active endpoint on host N with the address 10.0.0.N. */
function endpoint(id: string, host: number, last: number, fields: Partial<EndpointRecord> = {}) {
  return endpointRecord(id, {
    hostname: `h${host}`,
    host_ip: `192.0.2.${host}`,
    target_netns_path: `/run/${id}`,
    overlay_veth_name: `sand${/^\d{1,4}$/.test(id) ? id.padStart(4, "0") : "ffff"}`,
    target_veth_name: "sandffff",
    target_veth_mac: `02:84:0a:00:00:${last.toString(16).padStart(2, "0")}`,
    target_veth_ip: `10.0.0.${last}/24`,
    active: true,
    ...fields,
  });
}

function setUp(...endpoints: EndpointRecord[]) {
  const it = lab();
  it.put({ [it.keys.network(network.id)]: network });
  for (const record of endpoints) it.putEndpoint(record);
  return it;
}

Deno.test("desiredState() has the local veths, and an ARP and an FDB entry for each active endpoint elsewhere", () => {
  const it = setUp(
    endpoint("1", 1, 2),
    endpoint("2", 2, 3),
    endpoint("3", 2, 4, { active: false }),
    endpoint("4", 1, 5, { active: false }),
  );
  const { state, problems } = desiredState(it.view, network.id, options);
  assert.deepEqual(problems, []);
  const expected = networkState({ vni: 1, mtu: 1450 }, {
    veths: new Map([["sand0001", vethState({ netns: "/run/1", name: "sandffff", mtu: 1450 })]]),
    arp: new Map([[0x0a000003, 0x02840a000003]]),
    fdb: new Map([[0x02840a000003, 0xc0000202]]),
  });
  assert.deepEqual(state, expected);
});

Deno.test("desiredState() is nothing without an endpoint here, or without the network", () => {
  const it = setUp(endpoint("2", 2, 3));
  assert.equal(desiredState(it.view, network.id, options).state, undefined);
  it.putEndpoint(endpoint("1", 1, 2));
  assert.ok(desiredState(it.view, network.id, options).state);
  it.put({ [it.keys.network(network.id)]: undefined });
  assert.equal(desiredState(it.view, network.id, options).state, undefined);
});

Deno.test("desiredState() leaves Docker's end of a veth to Docker", () => {
  const docker = { network: "D", endpoint: "E" };
  for (const fields of [{ target_netns_path: "" }, { strand_docker: docker }]) {
    const it = setUp(endpoint("1", 1, 2, fields));
    const veth = desiredState(it.view, network.id, options).state?.veths.get("sand0001");
    assert.deepEqual(veth, { mtu: 1450, inBridge: true, up: true, peer: undefined });
  }
});

Deno.test("the MTU is the underlay's less 50, and 1450 while an old agent or its device is there", () => {
  const it = setUp(endpoint("1", 1, 2));
  const mtu = (underlayMtu: number, currentMtu?: number) =>
    desiredState(it.view, network.id, { hostname: "h1", underlayMtu, currentMtu }).state?.vxlan?.mtu;
  assert.deepEqual([mtu(9000), mtu(1400), mtu(9000, 8950), mtu(9000, 1450)], [8950, 1350, 8950, 1450]);
  it.put({ [it.keys.networkHost(network.id, "h2")]: { id: network.id, created_at: "" } });
  assert.deepEqual([mtu(9000), mtu(9000, 8950)], [1450, 1450]);
  it.commit(planApplied(it.view, network.id, "h2", 7));
  assert.equal(mtu(9000), 8950, "the agent there is ours by now");
  it.commit(planPresence(it.view, network.id, { hostname: "h2", mtu: 4000, now: "" }));
  assert.deepEqual([mtu(9000), mtu(3000)], [4000, 2950], "the least of what its hosts can have");
});

Deno.test("of two active endpoints with one address or MAC the older is programmed, the other reported", () => {
  const it = setUp(
    endpoint("1", 1, 2),
    endpoint("2", 2, 3),
    endpoint("3", 3, 3, { target_veth_mac: "02:00:00:00:00:01" }),
    endpoint("4", 3, 9, { target_veth_mac: "02:84:0a:00:00:03" }),
    endpoint("5", 3, 2),
    endpoint("6", 3, 1),
    endpoint("7", 3, 8, { host_ip: "" }),
  );
  const { state, problems } = desiredState(it.view, network.id, options);
  assert.deepEqual(state?.arp, new Map([[0x0a000003, 0x02840a000003]]));
  assert.deepEqual(state?.fdb, new Map([[0x02840a000003, 0xc0000202]]));
  assert.equal(problems.length, 5);
  assert.match(
    problems[0] ?? "",
    /^network blue: endpoint 3 on h3 has the address or MAC of endpoint 2 on h2/,
  );
  assert.match(problems[3] ?? "", /endpoint 6 on h3 has the address 10\.0\.0\.1, which no endpoint can have/);
  // The leaked one goes: its address is the other's from now on.
  it.put({
    [it.keys.hostEndpoint("h2", "2")]: undefined,
    [it.keys.networkEndpoint(network.id, "2")]: undefined,
  });
  assert.equal(desiredState(it.view, network.id, options).state?.arp.get(0x0a000003), 0x020000000001);
});

Deno.test("Neighbours.opsFor() keeps the tables as desiredState() has them after any change", () => {
  forAll({ runs: 40, choices: 500, seed: 11 }, (random) => {
    // In some runs so many are on this host that it answers ARP itself.
    const proxied = random(2) === 1;
    const idle = Array.from(
      { length: proxied ? 130 : 0 },
      (_, i) => endpoint(`idle${i}`, 1, 100 + i, { active: false }),
    );
    const it = setUp(endpoint("0", 1, 250), ...idle);
    let kernel: NetworkState | undefined = desiredState(it.view, network.id, options).state;
    it.view.subscribe((changes) => {
      const { endpoints = [] } = changes.get(network.id) ?? {};
      kernel = new NetworkNeighbours(it.view, network.id, "h1", proxied).opsFor(endpoints).reduce(
        perform,
        kernel,
      );
    });
    for (let n = random(80); n > 0; n--) {
      const id = `${1 + random(8)}`, known = it.view.endpoint(id);
      if (known && random(3) === 0) {
        it.store.write({
          guards: [],
          ops: known.entries.map(({ key }) => ({ remove: key })),
        });
      } else {
        // Few addresses and MACs, so that old agents seem to have given each several times.
        const mac = `02:00:00:00:00:0${random(4)}`;
        const host = known ? Number(known.host.slice(1)) : 1 + random(3);
        const record = endpoint(id, host, 2 + random(4), { target_veth_mac: mac, active: random(4) > 0 });
        if (random(2)) it.putEndpoint(record);
        else {
          const value = JSON.stringify(record);
          const keys = [it.keys.hostEndpoint(`h${host}`, id), it.keys.networkEndpoint(network.id, id)];
          it.store.write({ guards: [], ops: keys.map((put) => ({ put, value })) });
        }
      }
      const wanted = desiredState(it.view, network.id, options).state;
      assert.equal(wanted?.proxy !== undefined, proxied);
      const tables = (state: NetworkState | undefined) => [state?.arp, state?.fdb, state?.proxy];
      assert.deepEqual(tables(kernel), tables(wanted));
    }
  });
});

Deno.test("desiredState() of 20,000 endpoints takes a moment, and one change does not depend on them", async () => {
  const it = lab();
  it.put({ [it.keys.network(network.id)]: { ...network, ip_range: "10.0.0.0/16", gateway: "10.0.0.1/16" } });
  const ops = Array.from({ length: 20_000 }, (_, i) => {
    const [c, d] = [(i + 2) >> 8, (i + 2) & 255];
    const record = endpoint(`${i}`, i ? 2 : 1, 0, {
      target_veth_ip: `10.0.${c}.${d}/16`,
      target_veth_mac: `02:84:0a:00:${c.toString(16).padStart(2, "0")}:${d.toString(16).padStart(2, "0")}`,
    });
    return { put: it.keys.networkEndpoint(network.id, record.id), value: JSON.stringify(record) };
  });
  for (const op of ops) it.store.write({ guards: [], ops: [op] });
  const whole = await quickly(1000, () => {
    const started = performance.now();
    assert.equal(desiredState(it.view, network.id, options).state?.arp.size, 19_999);
    return performance.now() - started;
  });
  const some = it.view.endpoint("19999");
  // A hundred changes, each of which takes a twentieth of all at the most.
  await quickly(100 * whole / 20, () => {
    for (let i = 0; i < 100; i++) {
      new NetworkNeighbours(it.view, network.id, "h1").opsFor([{ before: some, after: some }]);
    }
  });
});

Deno.test("a multicast or all-zero MAC gets no entry, and no other endpoint loses its own over it", () => {
  const it = setUp(
    endpoint("1", 1, 2),
    endpoint("2", 2, 3, { target_veth_mac: "01:00:5e:00:00:01" }),
    endpoint("3", 2, 4, { target_veth_mac: "00:00:00:00:00:00" }),
    endpoint("4", 2, 5),
  );
  const { state, problems } = desiredState(it.view, network.id, options);
  assert.deepEqual([...state?.fdb.keys() ?? []], [0x02840a000005]);
  assert.equal(problems.length, 2);
});

Deno.test("desiredState() has br0 answer ARP for all endpoints and the gateway from 128 here on, until fewer than 64 are", () => {
  const it = setUp(
    endpoint("away", 2, 200),
    endpoint("idle", 2, 201, { active: false }),
    ...Array.from({ length: 127 }, (_, i) => endpoint(`${i}`, 1, 2 + i)),
  );
  const state = (proxied = false) => desiredState(it.view, network.id, { ...options, proxied }).state;
  assert.equal(state()?.proxy, undefined);
  assert.equal(state()?.veths.get("sand0000")?.pinned, undefined);
  it.putEndpoint(endpoint("127", 1, 150));
  const { proxy, veths } = state() ?? {};
  assert.deepEqual(proxy?.port, true);
  assert.deepEqual(proxy?.fdb, new Set([0x02840a0000c8]));
  assert.equal(proxy?.arp.size, 1 + 128 + 1);
  assert.equal(proxy?.arp.get(0x0a000001), 0);
  assert.equal(proxy?.arp.get(0x0a0000c8), 0x02840a0000c8);
  assert.equal(proxy?.arp.get(0x0a000096), 0x02840a000096);
  assert.equal(veths?.get("sand0127")?.pinned, "02:84:0a:00:00:96");
  const remove = (id: number) =>
    it.store.write({
      guards: [],
      ops: it.view.endpoint(`${id}`)!.entries.map(({ key }) => ({ remove: key })),
    });
  for (let i = 0; i < 64; i++) remove(i);
  assert.equal(state()?.proxy, undefined);
  assert.ok(state(true)?.proxy);
  remove(64);
  assert.equal(state(true)?.proxy, undefined);
});

Deno.test("a network has the port that it was made with, and 4789 while another host has an old agent", () => {
  const it = setUp(endpoint("1", 1, 2));
  const port = () => desiredState(it.view, network.id, options).state?.vxlan?.port;
  assert.equal(port(), 4789);
  it.put({ [it.keys.network(network.id)]: { ...network, strand_vxlan_port: 4790 } });
  assert.equal(port(), 4790);
  // This host's own word is not written yet: an agent of ours is about to.
  it.put({ [it.keys.networkHost(network.id, "h1")]: { id: network.id, created_at: "" } });
  assert.equal(port(), 4790);
  it.put({ [it.keys.networkHost(network.id, "h2")]: { id: network.id, created_at: "" } });
  assert.equal(port(), 4789);
  it.commit(planPresence(it.view, network.id, { hostname: "h2", mtu: 1450, now: "" }));
  assert.equal(port(), 4790);
});
