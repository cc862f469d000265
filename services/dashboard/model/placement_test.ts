import assert from "node:assert/strict";
import { Space } from "../../overlay/space.ts";
import type { OverlayEndpoint } from "../../overlay/overlay_endpoint.ts";
import { endpointRecord } from "../../overlay/testing.ts";
import { addHosts, endpointsSince, type HostState, noHostState } from "../../overlay_names/attached.ts";
import { HostStates } from "./host_states.ts";
import { lagOf, mtuOf } from "./lag.ts";
import type { HostRow } from "./hosts.ts";
import type { NetworkRow } from "./network_row.ts";
import { placementOf } from "./placement.ts";

const presence = (mtu?: number) => ({ id: "", created_at: "", ...mtu !== undefined && { mtu } });

function endpoint(id: string, host: string, modified: number): OverlayEndpoint {
  const hot = { address: -1, mac: -1, vtep: -1 }, times = { created: modified, modified };
  const record = endpointRecord(id), network = "n";
  return {
    id,
    host,
    network,
    hot,
    ...times,
    record,
    active: true,
    entries: [],
    address: undefined,
    mac: undefined,
    vtep: undefined,
  };
}

/** What a network says of one of its hosts. */
function state(space: Space, host: string): HostState {
  const its = noHostState();
  addHosts(space, (name) => name === host ? its : noHostState());
  return its;
}

/** So many networks over so many hosts, each host with `each` of the networks and an endpoint in each. */
function fleet(networkCount: number, hostCount: number, each: number) {
  const spaces = Array.from({ length: networkCount }, () => new Space());
  const hosts = Array.from({ length: hostCount }, (_, i): HostRow => {
    const name = `host-${i}`;
    for (let j = 0; j < each; j++) {
      const n = (i * each + j) % networkCount, space = spaces[n];
      space?.setHost(name, presence(1450));
      space?.set(`${n}-${i}`, endpoint(`${n}-${i}`, name, i + 1));
      space?.setApplied(name, hostCount - 100);
    }
    const counts = { networks: each, endpoints: each, applied: 1, behind: 0 };
    return { name, vtep: "", version: "", agent: "runs", ...counts };
  });
  const networks = spaces.map((_, n): NetworkRow => ({
    name: `net-${n}`,
    id: `${n}`,
    kind: "overlay",
    range: "",
    domain: "",
    machines: 1,
    leases: 0,
    hosts: 1,
  }));
  return { all: { hosts, networks }, spaceOf: (id: string) => spaces[Number(id)] ?? new Space() };
}

Deno.test("of 1,000 networks and 10,000 hosts a page of the matrix has 25 hosts and 12 networks, whatever is searched for", () => {
  const { all, spaceOf } = fleet(1000, 10_000, 5);
  const states = all.networks.map(({ id = "" }) => new HostStates(spaceOf(id)));
  const of = (query: string) => placementOf(all, (id) => states[Number(id)], new URLSearchParams(query));
  const sizes = ({ hosts, networks, cells }: ReturnType<typeof of>) => [
    hosts.matching,
    networks.matching,
    cells.length,
    cells[0]?.length,
  ];
  assert.deepEqual(sizes(of("")), [10_000, 1000, 25, 12]);
  assert.deepEqual(sizes(of("hosts.page=400&networks.page=84")), [10_000, 1000, 25, 4]);
  // What is searched for brings what belongs to it: a host its five networks, a network its fifty hosts.
  assert.deepEqual(sizes(of("hosts.filter=host-9999")), [1, 5, 1, 5]);
  assert.deepEqual(sizes(of("networks.filter=net-999")), [50, 1, 25, 1]);
  assert.deepEqual(sizes(of("hosts.size=200&networks.size=50")), [10_000, 1000, 200, 50]);
  const { cells } = of("hosts.filter=host-9999&networks.filter=net-999");
  // Of its fifty hosts one wrote an endpoint after revision 9,900, which all have applied.
  assert.deepEqual(cells, [[{ endpoints: 1, applied: 9900, behind: 1 }]]);
});

Deno.test("a host that says nothing of a network is behind by nothing, as its row and its network have it", () => {
  const { all, spaceOf } = fleet(1, 1, 1),
    space = spaceOf("0"),
    at = (host: string) => state(space, host).behind;
  // The first has told what it has applied, the second nothing yet, the third has SAND's agent, and the fourth has no presence.
  space.setApplied("host-0", 50);
  space.setHost("starts", presence(1450));
  space.setHost("sand", presence());
  const names = ["host-0", "starts", "sand", "absent"];
  names.forEach((name, i) => space.set(name, endpoint(name, name, 100 + i)));
  const hosts = names.flatMap((name) =>
    all.hosts.slice(0, 1).map((row) => ({ ...row, name, behind: at(name) }))
  );
  const { cells, hosts: { rows } } = placementOf(
    { ...all, hosts },
    (id) => new HostStates(spaceOf(id)),
    new URLSearchParams(),
  );
  const behind = Object.fromEntries(rows.map(({ name }, i) => [name, cells[i]?.[0]?.behind]));
  assert.deepEqual(behind, { "host-0": 4, starts: 5, sand: undefined, absent: undefined });
  assert.deepEqual(Object.fromEntries(hosts.map(({ name, behind }) => [name, behind || undefined])), behind);
  assert.equal(lagOf(space).behind, 2);
});

Deno.test("endpoints since a revision are counted as one by one", () => {
  const space = new Space(), revisions = [5, 3, 9, 9, 1];
  revisions.forEach((modified, i) => space.set(`${i}`, endpoint(`${i}`, "h", modified)));
  const since = endpointsSince(space);
  assert.equal(since.newest, 9);
  for (let revision = 0; revision < 11; revision++) {
    assert.equal(since.count(revision), revisions.filter((one) => one > revision).length, `${revision}`);
  }
  assert.equal(endpointsSince(new Space()).count(0), 0);
});

Deno.test("the MTU of a network is the least that is believed, or that of SAND's agents", () => {
  const of = (...mtus: (number | undefined)[]) => {
    const space = new Space();
    mtus.forEach((mtu, i) => space.setHost(`${i}`, presence(mtu)));
    return mtuOf(space);
  };
  assert.deepEqual(of(), {});
  assert.deepEqual(of(1450, 1450), { mtu: 1450, largestMtu: 1450 });
  assert.deepEqual(of(8950, 1400, 9), { mtu: 1400, largestMtu: 8950 });
  assert.deepEqual(of(8950, undefined), { mtu: 1450, largestMtu: 8950 });
});
