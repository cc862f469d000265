import assert from "node:assert/strict";
import { endpointRecord, lab, network } from "../overlay/testing.ts";
import { AttachedMachines } from "./attached.ts";

const claim = {
  start: "s",
  boot: "b",
  lock: "l",
  lease: "1",
  since: "2026-01-02T03:04:05Z",
  host_ip: "192.0.2.1",
  machine: "",
  version: "0.1.0",
};

function setUp() {
  const it = lab(), held: string[] = [];
  it.put({ [it.keys.network(network.id)]: network, [it.keys.networkName("blue")]: { id: network.id } });
  const attached = new AttachedMachines(
    {
      mirror: it.store.mirror,
      confirmed: () => Promise.resolve(),
      holdAll: (ids: readonly string[]) => {
        held.push(...ids);
        return Promise.resolve(() => void held.splice(0, ids.length));
      },
      nameClaims: () => Promise.resolve(new Map([["h1", claim], ["h9", claim]])),
    } as unknown as ConstructorParameters<typeof AttachedMachines>[0],
    it.view,
    (name) => name === "mini",
  );
  return {
    ...it,
    attached,
    held,
    /** A host has the network; undefined: its agent is one of SAND's. */
    host(name: string, applied?: number) {
      const presence = { id: network.id, ...applied !== undefined && { mtu: 1450, names: true } };
      it.put({
        [it.keys.hostNetwork(name, network.id)]: presence,
        [it.keys.networkHost(network.id, name)]: presence,
        ...applied !== undefined && { [it.keys.applied(network.id, name)]: { revision: applied } },
      });
    },
  };
}

Deno.test("an endpoint is told with the hosts that have applied it, that have not, and that do not say", async () => {
  const it = setUp();
  for (const n of [3, 2, 1]) {
    it.putEndpoint(
      endpointRecord(`E${n}`, { hostname: `h${n}`, target_veth_ip: `10.0.0.${n}/24`, active: true }),
    );
  }
  it.host("h1", 100);
  it.host("h2", 1);
  it.host("h3");
  it.host("h4", 1); // It has no endpoint any more, and nothing to apply.
  const told = await it.attached.endpoints("blue");
  assert.deepEqual(told.map(({ address }) => address), ["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
  const { hosts, applied, pending, silent, net, kind, active } = told[0] ?? {};
  assert.deepEqual({ hosts, applied, pending, silent, net, kind, active }, {
    hosts: 3,
    // A revision that did not exist when it was told is none.
    applied: 0,
    pending: ["h1", "h2"],
    silent: ["h3"],
    net: "blue",
    kind: "netns",
    active: true,
  });
  assert.deepEqual(it.held, [], "nothing is followed any more");
  assert.deepEqual(await it.attached.endpoints(network.id.toUpperCase()), told);
  assert.deepEqual(await it.attached.endpoints(""), told);
});

Deno.test("hosts are told with their agents: running ones, those that are gone, SAND's, and those without a network", async () => {
  const it = setUp();
  it.host("h1", 1);
  it.host("h2", 1);
  it.host("h3");
  it.putEndpoint(endpointRecord("E", { hostname: "h3", host_ip: "192.0.2.3", active: true }));
  it.putEndpoint(endpointRecord("F", { hostname: "h1", active: true }));
  const short = async (of: string) =>
    (await it.attached.hosts(of)).map(({ name, vtep, version, running, silent, behind, networks }) =>
      [name, vtep, version, running, silent, behind, networks].join(" ")
    );
  assert.deepEqual(await short("blue"), [
    "h1 192.0.2.1 0.1.0 true false 2 1",
    "h2   false false 0 1",
    "h3 192.0.2.3  false true 0 1",
  ]);
  assert.deepEqual((await short("")).at(-1), "h9 192.0.2.1 0.1.0 true false 0 0");
});

Deno.test("what is no overlay network is refused with a sentence", async () => {
  const { attached } = setUp();
  await assert.rejects(attached.endpoints("nope"), {
    code: "not-found",
    message: 'there is no network "nope"',
  });
  await assert.rejects(attached.hosts("mini"), {
    code: "forbidden",
    message: /^network mini has no overlay/,
  });
});
