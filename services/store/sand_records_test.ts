import assert from "node:assert/strict";
import { SandKeys } from "./sand_keys.ts";
import { sandSchema, writeSandRecord } from "./sand_records.ts";

const keys = new SandKeys("/sc-net/");
const { parse } = sandSchema(keys);

const network = {
  id: "N",
  created_at: "2018-03-01T10:11:12.123456789+01:00",
  name: "net-sc-N",
  type: "overlay",
  ns_handle_path: "/var/run/netns/sc-ns-N",
  vxlan_vni: 4,
  ip_range: "10.0.0.0/24",
  gateway: "10.0.0.1/24",
};
const endpoint = {
  id: "E",
  network_id: "N",
  hostname: "h1",
  host_ip: "192.0.2.1",
  api_hostname: "h1.example.net",
  created_at: "2018-03-01T10:11:12.000000001Z",
  target_netns_path: "",
  overlay_veth_name: "",
  overlay_veth_mac: "",
  target_veth_name: "",
  target_veth_mac: "02:84:0a:00:00:02",
  target_veth_ip: "10.0.0.2/24",
  active: false,
};

Deno.test("SandKeys reads back every key that it builds, and no other", () => {
  const mac = "52:54:00:00:00:05";
  const table: [string, string, Record<string, string>][] = [
    [keys.networkName("blue"), "/sc-net/strand/network-names/blue", { kind: "network-name", name: "blue" }],
    [keys.settings("N"), "/sc-net/strand/net/N/settings", { kind: "settings", network: "N" }],
    [keys.reservation("N", mac), `/sc-net/strand/net/N/member/${mac}`, {
      kind: "reservation",
      network: "N",
      mac,
    }],
    [keys.withheldAddress("N", "10.0.0.9"), "/sc-net/strand/net/N/withheld/10.0.0.9", {
      kind: "withheld-address",
      network: "N",
      address: "10.0.0.9",
    }],
    [keys.network("N"), "/sc-net/network/N", { kind: "network", network: "N" }],
    [keys.hostEndpoint("h", "E"), "/sc-net/node-endpoints/h/E", {
      kind: "host-endpoint",
      host: "h",
      id: "E",
    }],
    [keys.networkEndpoint("N", "E"), "/sc-net/network-endpoints/N/E", {
      kind: "network-endpoint",
      network: "N",
      id: "E",
    }],
    [keys.hostNetwork("h", "N"), "/sc-net/nodes/h/networks/N", {
      kind: "host-network",
      host: "h",
      network: "N",
    }],
    [keys.networkHost("N", "h"), "/sc-net/nodes-networks/N/h", {
      kind: "network-host",
      network: "N",
      host: "h",
    }],
    [keys.allocation("N"), "/sc-net/ipalloc/N", { kind: "allocation", network: "N" }],
    [keys.dockerNetwork("D"), "/sc-net/docker-networks/D", { kind: "docker-network", id: "D" }],
    [keys.dockerEndpoint("D"), "/sc-net/docker-endpoints/D", { kind: "docker-endpoint", id: "D" }],
    [keys.applied("N", "h"), "/sc-net/strand/applied/N/h", { kind: "applied", network: "N", host: "h" }],
    [keys.cursor("N"), "/sc-net/strand/cursor/N", { kind: "cursor", network: "N" }],
    [keys.deleted("N"), "/sc-net/strand/deleted/N", { kind: "deleted", network: "N" }],
  ];
  for (const [key, wanted, meaning] of table) {
    assert.equal(key, wanted);
    assert.deepEqual(keys.read(key), meaning);
  }
  for (
    const key of [
      "/network/N",
      "/sc-net/network/",
      "/sc-net/network/N/x",
      "/sc-net/nodes/h/N",
      "/sc-net/other/x",
    ]
  ) {
    assert.equal(keys.read(key), undefined, key);
  }
  assert.equal(keys.allocationLocks("N"), "/etcd-lock/ipalloc-lock/N/");
  assert.equal(keys.vniLocks, "/etcd-lock/vni-idgen/");
  assert.deepEqual([keys.isLock(`${keys.vniLocks}694d`), keys.isLock(keys.network("N"))], [true, false]);
});

Deno.test("records keep unknown fields and the text of times when they are written again", () => {
  for (
    const [key, record] of [
      [keys.network("N"), { ...network, later: { a: [1] } }],
      [keys.hostEndpoint("h1", "E"), { ...endpoint, later: null }],
      [keys.networkEndpoint("N", "E"), endpoint],
      [keys.networkHost("N", "h1"), { id: "N", created_at: network.created_at, later: "x" }],
    ] as const
  ) {
    const read = parse(key, JSON.stringify(record));
    assert.ok(read);
    assert.deepEqual(JSON.parse(writeSandRecord(read.value)), record);
  }
});

Deno.test("a record without the fields that came later is read, one that lies under another's key is not", () => {
  const { active: _, api_hostname: __, ...old } = endpoint;
  const read = parse(keys.hostEndpoint("h1", "E"), JSON.stringify(old));
  assert.deepEqual(read?.value, { ...endpoint, api_hostname: "" });
  const bad: [string, unknown, RegExp][] = [
    [keys.hostEndpoint("h2", "E"), endpoint, /hostname: "h1" under the key of "h2"/],
    [keys.networkEndpoint("N", "F"), endpoint, /id: "E" under the key of "F"/],
    [keys.hostEndpoint("h1", "E"), { ...endpoint, network_id: "" }, /network_id: no network's id/],
    [keys.hostEndpoint("h1", "E"), { ...endpoint, network_id: "../N" }, /network_id: no network's id/],
    [keys.networkEndpoint("N", "E"), { ...endpoint, target_veth_ip: "10.0.0.2" }, /target_veth_ip: no IPv4/],
    [keys.networkEndpoint("N", "E"), { ...endpoint, target_veth_mac: "x" }, /target_veth_mac: no MAC/],
    [
      keys.hostEndpoint("h1", "E"),
      { ...endpoint, overlay_veth_name: "br0" },
      /overlay_veth_name: not sand .*"br0"/,
    ],
    [keys.hostEndpoint("h1", "E"), { ...endpoint, overlay_veth_name: "sand00000" }, /overlay_veth_name/],
    [keys.hostEndpoint("h1", "E"), { ...endpoint, target_veth_name: "../../x" }, /target_veth_name/],
    [keys.hostEndpoint("h1", "E"), { ...endpoint, target_veth_name: "é".repeat(8) }, /target_veth_name/],
    [keys.hostEndpoint("h1", "E"), { ...endpoint, target_netns_path: "netns/c1" }, /target_netns_path/],
    [
      keys.hostEndpoint("h1", "E"),
      { ...endpoint, target_netns_path: "/run/c1\0x" },
      /target_netns_path.*u0000/,
    ],
    [
      keys.hostEndpoint("h1", "E"),
      { ...endpoint, target_netns_path: "/proc/thread-self/ns/net" },
      /target_netns_path/,
    ],
    [keys.hostEndpoint("h1", "E"), { ...endpoint, strand_host_veth: "eth0" }, /strand_host_veth.*"eth0"/],
    [keys.networkEndpoint("N", "E"), { ...endpoint, hostname: "a/b" }, /hostname/],
  ];
  for (const [key, record, reason] of bad) assert.throws(() => parse(key, JSON.stringify(record)), reason);
});

Deno.test("of a network's record that cannot be read whole, what can be is, with the reason", () => {
  const bad: [string, string, RegExp, Record<string, unknown>][] = [
    ["N", JSON.stringify({ ...network, ip_range: "" }), /^ip_range: no IPv4 CIDR/, {
      ...network,
      ip_range: "",
    }],
    ["N", JSON.stringify({ ...network, vxlan_vni: "4" }), /^vxlan_vni/, { ...network, vxlan_vni: 0 }],
    ["N", JSON.stringify({ ...network, vxlan_vni: 1 << 24 }), /^vxlan_vni/, { ...network, vxlan_vni: 0 }],
    ["M", JSON.stringify(network), /^id: "N" under the key of "M"/, { ...network, id: "M" }],
    ["N", "<html>", /^not JSON: <html>/, { id: "N", name: "", vxlan_vni: 0, ip_range: "", gateway: "" }],
  ];
  for (const [id, text, reason, known] of bad) {
    const record = parse(keys.network(id), text);
    assert.ok(record?.kind === "network");
    assert.match(record.broken ?? "", reason);
    for (const [field, value] of Object.entries(known)) assert.equal(record.value[field], value, field);
  }
});
