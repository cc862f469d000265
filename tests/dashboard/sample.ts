/** A small data centre in etcd for the browser's tests and the pictures: the same hosts, networks and machines each time. */
import { FakeAgents } from "./fake_agents.ts";
import { DashboardLab, type Json } from "./lab.ts";

export const HOSTS = ["rack1-a", "rack1-b", "rack2-a", "rack2-b"] as const;

/** Names of machines with how many there are; their addresses begin at 10.20.0.11. */
const ROLES = [["web", 8], ["api", 6], ["db", 3], ["cache", 4], ["queue", 2], ["build", 5]] as const;

const files = `kind: Network
name: shop
subnet4: 10.20.0.0/24
domain: shop.example
overlay: {}
---
kind: MemberList
net: shop
list:
- {mac: 52:54:00:00:20:c8, name: backup, ip4: 10.20.0.200}
- {mac: 52:54:00:00:20:c9, name: mail, ip4: 10.20.0.201}
---
kind: Network
name: storage
subnet4: 10.21.0.0/24
overlay: {}
---
kind: Network
name: voice
subnet4: 10.22.0.0/24
overlay: {}
---
kind: Network
name: office
subnet4: 10.30.0.0/24
gateways: [10.30.0.1]
range4: {begin: 10.30.0.10, end: 10.30.0.199}
domain: office.example
---
kind: MemberList
net: office
list:
- {mac: 00:16:3e:00:00:01, name: printer.office.example, ip4: 10.30.0.10}
- {mac: 00:16:3e:00:00:02, name: scanner.office.example, ip4: 10.30.0.11}
- {mac: 00:16:3e:00:00:03, name: whiskey.office.example, ip4: 10.30.0.12}
---
kind: Network
name: plant
subnet4: 10.64.0.0/16
domain: plant.example
---
kind: MemberList
net: plant
list:
- {mac: 00:16:3e:00:01:01, name: press.plant.example, ip4: 10.64.0.10}
- {mac: 00:16:3e:00:01:02, name: crane.plant.example, ip4: 10.64.7.20}
`;

/** Further networks with an overlay: how many machines each host has in it. */
const FURTHER = { storage: [2, 0, 3, 0], voice: [4, 4, 0, 1] };

const hex = (n: number) => n.toString(16).padStart(2, "0");
export const claimOf = (host: string) => `/sc-net/strand/names/${host}`;
export const claim = {
  start: "1",
  boot: "1",
  lock: "1",
  lease: "1",
  since: "2026-01-02T03:04:05Z",
  version: "0.1.0",
};

/** Starts a dashboard over it, and what stands in for its hosts' agents. */
export async function startSample(): Promise<{ lab: DashboardLab; agents: FakeAgents }> {
  const lab = await DashboardLab.start(files, ["dnsd"]);
  try {
    const agents = lab.stack.use(new FakeAgents(HOSTS));
    await write(lab, agents);
    return { lab, agents };
  } catch (error) {
    await lab[Symbol.asyncDispose]();
    throw error;
  }
}

async function write(lab: DashboardLab, agents: FakeAgents): Promise<void> {
  const shop = await lab.idOf("shop"), soon = Math.floor(Date.now() / 1000) + 3600;
  const names = ROLES.flatMap(([role, count]) => Array.from({ length: count }, (_, i) => `${role}-${i + 1}`));
  const values: Record<string, unknown> = {};
  const add = (network: string, at: number, n: number, name: string, more: Json, subnet = 20) => {
    const host = HOSTS[at] ?? "", id = `${subnet === 20 ? "e" : `f${subnet}`}${hex(n)}`;
    const endpoint = {
      id,
      network_id: network,
      hostname: host,
      host_ip: `192.0.2.${11 + at}`,
      target_netns_path: `/run/netns/${name}`,
      api_hostname: agents.addresses.get(host) ?? "",
      overlay_veth_name: "",
      target_veth_name: "",
      target_veth_mac: `02:84:0a:${hex(subnet)}:00:${hex(n)}`,
      target_veth_ip: `10.${subnet}.0.${n}/24`,
      active: true,
      ...more,
    };
    values[`/sc-net/node-endpoints/${host}/${id}`] = endpoint;
    values[`/sc-net/network-endpoints/${network}/${id}`] = endpoint;
  };
  for (const [i, name] of names.entries()) {
    const leased = name.startsWith("build");
    add(shop, i % HOSTS.length, 11 + i, name, {
      strand_name: name,
      ...leased && { kind: "dhcp", expires_at: new Date((soon + 60 * i) * 1000).toISOString() },
    });
  }
  const presence = { id: shop, created_at: "2026-01-02T03:04:05Z", mtu: 1450, names: true };
  for (const host of HOSTS) {
    values[`/sc-net/nodes-networks/${shop}/${host}`] = presence;
    values[claimOf(host)] = claim;
  }
  const further: [id: string, hosts: string[]][] = [];
  for (const [i, [name, counts]] of Object.entries(FURTHER).entries()) {
    const id = await lab.idOf(name), its = HOSTS.filter((_, at) => counts[at]);
    further.push([id, its]);
    for (const host of its) values[`/sc-net/nodes-networks/${id}/${host}`] = { ...presence, id };
    let n = 10;
    for (const [at, count] of counts.entries()) {
      for (let j = 0; j < count; j++) add(id, at, ++n, `${name}-${n}`, {}, 21 + i);
    }
  }
  await lab.write(values);
  // Of the other hosts with an agent that has mended something, this one is as it was before these were published.
  await lab.write({
    "/sc-net/strand/repairs/rack1-a": {
      since: "2026-01-02T03:04:05Z",
      networks: [
        {
          id: shop,
          times: 2,
          differences: 3,
          last: "2026-01-03T04:05:06Z",
          ops: { "fdb-set": 2, "arp-set": 1 },
        },
      ],
    },
  });
  const revision = await lab.write(leases(soon));
  for (const [id, hosts] of [[shop, HOSTS] as const, ...further]) {
    await lab.write(applied(id, revision, hosts));
  }
}

/** Says of hosts that they have applied everything up to a revision of etcd. */
export function applied(shop: string, revision: number, hosts: readonly string[] = HOSTS): Json {
  return Object.fromEntries(hosts.map((host) => [`/sc-net/strand/applied/${shop}/${host}`, { revision }]));
}

/** Clients of the network `office`, with addresses that are held or were declined. */
function leases(soon: number): Json {
  const clients = Array.from({ length: 24 }, (_, i) => {
    const mac = `00:16:3e:10:00:${hex(i + 1)}`, address = `10.30.0.${40 + i}`;
    return [
      [`/member/${mac}`, {
        mac,
        net: "office",
        dynamic: true,
        client_name: `laptop-${i + 1}`,
        ip4: { address, expires: { seconds: soon + 97 * i } },
      }],
      [`/member/ip4/${address}`, mac],
    ] as const;
  });
  return {
    ...Object.fromEntries(clients.flat()),
    "/strand/nex/withheld/10.30.0.80": { net: "office", mac: "00:16:3e:10:00:fe", until: soon },
    "/strand/nex/withheld/10.30.0.81": { net: "office", mac: "00:16:3e:10:00:ff", until: soon },
  };
}
