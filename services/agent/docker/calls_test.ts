import assert from "node:assert/strict";
import { Ip } from "../../common/ip.ts";
import { Refusal } from "../../common/refusal.ts";
import { endpoint, network } from "../http/testing.ts";
import type { DockerApi } from "./api.ts";
import { answerCall } from "./calls.ts";
import { ADDRESS_SPACE, PoolRequests } from "./pools.ts";

const ID = network.id, DID = "d".repeat(64), EID = "e".repeat(64);
const ids = { NetworkID: DID, EndpointID: EID };

/** Calls one method of an agent in memory: status, answer, and what the agent was asked for. */
function plugin(given: Partial<DockerApi> = {}) {
  const calls: unknown[][] = [], faults: unknown[] = [], pools = new PoolRequests();
  const note = (...what: unknown[]) =>
    Promise.resolve(void calls.push(what.map((w) => w instanceof Ip ? `${w}` : w)));
  const api: DockerApi = {
    network: (id) => {
      if (id !== ID) throw new Refusal("not-found", `there is no network "${id}"`);
      return network;
    },
    claim: (id, address) => note("claim", id, address).then(() => address ?? Ip.parse("10.0.0.2")),
    release: (id, address) => note("release", id, address),
    addNetwork: (id, to) => note("addNetwork", id, to),
    removeNetwork: (id) => note("removeNetwork", id),
    createEndpoint: (ids, { address, mac, allowed }) =>
      note("createEndpoint", ids, address, mac, ...allowed).then(() => endpoint),
    endpoint: () => endpoint,
    join: (id, sandbox) => note("join", id, sandbox).then(() => "sand0002"),
    leave: (id) => note("leave", id),
    deleteEndpoint: (id) => note("deleteEndpoint", id),
    ...given,
  };
  return {
    calls,
    faults,
    async call(method: string, body: unknown = {}) {
      const bytes = new TextEncoder().encode(typeof body === "string" ? body : JSON.stringify(body));
      const { status, body: text, type } = await answerCall(
        api,
        `/${method}`,
        bytes,
        (e) => faults.push(e),
        pools,
      );
      assert.equal(type, "application/vnd.docker.plugins.v1.2+json");
      return { status, ...JSON.parse(text) };
    },
  };
}

Deno.test("the plugin says what it is", async () => {
  const { call } = plugin();
  assert.deepEqual(await call("Plugin.Activate", ""), {
    status: 200,
    Implements: ["NetworkDriver", "IpamDriver"],
  });
  assert.deepEqual(await call("NetworkDriver.GetCapabilities", ""), {
    status: 200,
    Scope: "local",
    ConnectivityScope: "global",
  });
  const { RequiresMACAddress, RequiresRequestReplay } = await call("IpamDriver.GetCapabilities", "");
  assert.deepEqual([RequiresMACAddress, RequiresRequestReplay], [false, false]);
  const { LocalDefaultAddressSpace, GlobalDefaultAddressSpace } = await call(
    "IpamDriver.GetDefaultAddressSpaces",
    "",
  );
  // What an engine from 27 on asks for in a global space it takes, whatever routes the host has.
  assert.deepEqual([LocalDefaultAddressSpace, GlobalDefaultAddressSpace], [ADDRESS_SPACE, ADDRESS_SPACE]);
});

Deno.test("a pool is the network's range, however often it is asked for", async () => {
  const { call, calls } = plugin();
  const pool = { AddressSpace: "sand-local", Pool: "", SubPool: "", Options: { "sand-id": ID }, V6: false };
  const answer = {
    status: 200,
    PoolID: ID,
    Pool: "10.0.0.0/24",
    Data: { "com.docker.network.gateway": "10.0.0.1/24" },
  };
  for (const Pool of ["", "10.0.0.0/24", "10.0.0.7/24"]) {
    assert.deepEqual(await call("IpamDriver.RequestPool", { ...pool, Pool }), answer);
  }
  const refused = async (given: object, message: RegExp) => {
    const { status, Err, Error } = await call("IpamDriver.RequestPool", { ...pool, ...given });
    assert.deepEqual([status, message.test(Err) ? "" : Err, Error], [200, "", Err]);
  };
  await refused({ Pool: "10.1.0.0/24" }, /^Pool: 10\.1\.0\.0\/24 is not 10\.0\.0\.0\/24.*--subnet/);
  await refused({ SubPool: "10.0.0.0/28" }, /^SubPool: .*--ip-range/);
  await refused({ V6: true }, /^V6: .*--ipv6/);
  await refused({ Options: null }, /^sand-id: missing.*--ipam-opt sand-id=ID/);
  await refused({ Options: { "sand-id": "x" } }, /^there is no network/);
  await refused(
    { Options: { "sand-id": "a\nb" } },
    /^sand-id: it is neither the id nor the name of a network/,
  );
  await refused({ Options: { "sand-id": crypto.randomUUID() } }, /^there is no network/);
  assert.deepEqual(await call("IpamDriver.ReleasePool", { PoolID: ID }), { status: 200 });
  assert.deepEqual(calls, []);
});

Deno.test("an address is claimed, the gateway's is answered alone", async () => {
  const { call, calls } = plugin();
  const address = async (given: object) => {
    const { Address, Err } = await call("IpamDriver.RequestAddress", { PoolID: ID, Address: "", ...given });
    return Address ?? Err;
  };
  const gateway = { Options: { RequestAddressType: "com.docker.network.gateway" } };
  assert.equal(await address(gateway), "10.0.0.1/24");
  assert.equal(await address({ ...gateway, Address: "10.0.0.1" }), "10.0.0.1/24");
  assert.match(await address({ ...gateway, Address: "10.0.0.9" }), /^Address: 10\.0\.0\.9 .*--gateway/);
  assert.deepEqual(calls, []);
  const mac = { "com.docker.network.endpoint.macaddress": "02:00:00:00:00:05" };
  assert.equal(await address({ Options: mac }), "10.0.0.2/24");
  assert.equal(await address({ Address: "10.0.0.77", Options: null }), "10.0.0.77/24");
  assert.match(await address({ Address: "fd00::1" }), /^Address: "fd00::1" is not/);
  assert.match(await address({ PoolID: "other" }), /^PoolID: .*"other"/);
  assert.deepEqual(await call("IpamDriver.ReleaseAddress", { PoolID: ID, Address: "10.0.0.77" }), {
    status: 200,
  });
  assert.deepEqual(calls, [["claim", ID, undefined], ["claim", ID, "10.0.0.77"], [
    "release",
    ID,
    "10.0.0.77",
  ]]);
});

Deno.test("a network is one of ours, with its range or none", async () => {
  const { call, calls } = plugin();
  const create = (given: object = {}) =>
    call("NetworkDriver.CreateNetwork", {
      NetworkID: DID,
      Options: {
        "com.docker.network.enable_ipv4": true,
        "com.docker.network.enable_ipv6": false,
        "com.docker.network.generic": { "sand-id": ID.toUpperCase() },
        "com.docker.network.of.a.newer.engine": { a: [1] },
      },
      IPv4Data: [{ AddressSpace: "sand-local", Gateway: "10.0.0.1/24", Pool: "10.0.0.0/24" }],
      IPv6Data: [],
      ...given,
    });
  assert.deepEqual(await create(), { status: 200 });
  assert.deepEqual(await create({ IPv4Data: [{ Pool: "0.0.0.0/0" }], IPv6Data: null }), { status: 200 });
  assert.deepEqual(calls, [["addNetwork", DID, ID], ["addNetwork", DID, ID]]);
  assert.match((await create({ IPv4Data: [{ Pool: "172.18.0.0/16" }] })).Err, /--ipam-driver sand/);
  assert.match(
    (await create({ IPv4Data: [{ Pool: "10.0.0.0/24", AuxAddresses: { router: "10.0.0.9/24" } }] })).Err,
    /^AuxAddresses: router/,
  );
  assert.match((await create({ IPv6Data: [{ Pool: "fd00::/64" }] })).Err, /^IPv6Data: .*--ipv6/);
  assert.match((await create({ Options: {} })).Err, /^sand-id: missing.*--opt sand-id=ID/);
  const no4 = {
    "com.docker.network.enable_ipv4": false,
    "com.docker.network.generic": { "sand-id": ID },
  };
  assert.match((await create({ Options: no4, IPv4Data: null })).Err, /^IPv4Data: .*--ipv4=false/);
  assert.deepEqual(calls.length, 2);
  assert.deepEqual(await call("NetworkDriver.DeleteNetwork", { NetworkID: DID }), { status: 200 });
  assert.deepEqual(calls.slice(2), [["removeNetwork", DID]]);
});

Deno.test("an endpoint is made, joined, told of, left and deleted", async () => {
  const { call, calls } = plugin();
  const create = (Interface: object | null) =>
    call("NetworkDriver.CreateEndpoint", { ...ids, Interface, Options: { any: [] } });
  // An engine takes it for an error when it gets back what it gave.
  const given = { Address: "10.0.0.5/24", AddressIPv6: "", MacAddress: "02:00:00:00:00:05" };
  assert.deepEqual(await create(given), { status: 200, Interface: {} });
  assert.deepEqual(await create({ ...given, MacAddress: "" }), {
    status: 200,
    Interface: { MacAddress: endpoint.target_veth_mac },
  });
  assert.deepEqual((await create(null)).Interface, {
    Address: endpoint.target_veth_ip,
    MacAddress: endpoint.target_veth_mac,
  });
  assert.match((await create({ ...given, AddressIPv6: "fd00::5/64" })).Err, /^AddressIPv6: /);
  const allow = async (text: unknown) =>
    (await call("NetworkDriver.CreateEndpoint", { ...ids, Options: { "sand-allow": text } })).Err;
  assert.equal(await allow(" 10.0.0.99  10.0.0.98,00:00:5E:00:01:09 "), undefined);
  assert.match(await allow("10.0.0"), /^sand-allow: "10\.0\.0" is not an IPv4 address/);
  assert.match(await allow("10.0.0.99,x"), /^sand-allow: "x" is not a MAC address/);
  assert.match(await allow("10.0.0.99,01:00:5e:00:00:12"), /^sand-allow\.mac: .* multicast address/);
  assert.match(await allow(["10.0.0.99"]), /^sand-allow: a text is needed/);
  assert.match(
    await allow(Array.from({ length: 17 }, (_, i) => `10.0.0.${i + 2}`).join(" ")),
    /^sand-allow: 17 addresses are more/,
  );
  const sandbox = { ...ids, SandboxKey: "/var/run/docker/netns/9eab503ff89d", Options: {} };
  assert.deepEqual(await call("NetworkDriver.Join", sandbox), {
    status: 200,
    InterfaceName: { SrcName: "sand0002", DstPrefix: "sand" },
  });
  const { Value } = await call("NetworkDriver.EndpointOperInfo", ids);
  assert.deepEqual([Value["sand-id"], Value["sand-endpoint-id"]], [ID, endpoint.id]);
  for (
    const method of ["ProgramExternalConnectivity", "RevokeExternalConnectivity", "Leave", "DeleteEndpoint"]
  ) {
    assert.deepEqual(await call(`NetworkDriver.${method}`, ids), { status: 200 });
  }
  const docker = { network: DID, endpoint: EID };
  assert.deepEqual(calls, [
    ["createEndpoint", docker, "10.0.0.5", "02:00:00:00:00:05"],
    ["createEndpoint", docker, "10.0.0.5", undefined],
    ["createEndpoint", docker, undefined, undefined],
    [
      ...["createEndpoint", docker, undefined, undefined],
      ...[{ address: "10.0.0.99" }, { address: "10.0.0.98", mac: "00:00:5e:00:01:09" }],
    ],
    ["join", EID, "/var/run/docker/netns/9eab503ff89d"],
    ["leave", EID],
    ["deleteEndpoint", EID],
  ]);
});

Deno.test("what does not concern it is answered, what it does not know is told from a refusal", async () => {
  const { call, calls } = plugin();
  for (const method of ["DiscoverNew", "DiscoverDelete", "FreeNetwork"]) {
    const data = { DiscoveryType: 1, DiscoveryData: { Address: "192.0.2.1", self: true } };
    assert.deepEqual(await call(`NetworkDriver.${method}`, data), { status: 200 });
  }
  assert.deepEqual(await call("NetworkDriver.AllocateNetwork", { NetworkID: DID }), {
    status: 200,
    Options: {},
  });
  for (
    const method of [
      "NetworkDriver.GwAllocCheck",
      "VolumeDriver.Create",
      "NetworkDriver.constructor",
      "x",
      "",
    ]
  ) {
    const { status, Err } = await call(method);
    assert.ok(status === 404 && Err, method);
  }
  for (const body of ["", "{", "[]", '{"NetworkID":5}', "\xff"]) {
    const { status, Err } = await call("NetworkDriver.Join", body);
    assert.ok(status === 400 && Err, body);
  }
  const generic = { Options: { "com.docker.network.generic": { "sand-id": ID } } };
  for (const NetworkID of [undefined, "", null, "../network/x", "a".repeat(129)]) {
    const { status, Err } = await call("NetworkDriver.CreateNetwork", { ...generic, NetworkID });
    assert.ok(status === 400 && /^NetworkID: .* is needed/.test(Err), Err);
  }
  assert.match((await call("NetworkDriver.CreateEndpoint", { NetworkID: DID })).Err, /^EndpointID: /);
  assert.deepEqual(calls, []);
});

Deno.test("a refusal is a sentence, a fault of ours is told to the log too", async () => {
  const refused = plugin({ join: () => Promise.reject(new Refusal("unavailable", "etcd is away")) });
  assert.deepEqual(await refused.call("NetworkDriver.Join", ids), { status: 200, Err: "etcd is away" });
  assert.deepEqual(refused.faults, []);
  const failed = plugin({ join: () => Promise.reject(new Error("EINVAL")) });
  assert.match((await failed.call("NetworkDriver.Join", ids)).Err, /EINVAL/);
  assert.equal(failed.faults.length, 1);
});
