/** Debian's DHCP clients (udhcpc, dhclient, dhcpcd) against dhcpd. */
import assert from "node:assert/strict";
import { heldIn } from "../../services/nex/held.ts";
import { addMembers, deleteMembers } from "../../services/nex/members.ts";
import { Nex } from "../../services/nex/nex.ts";
import { openMini } from "../../services/nex/testing.ts";
import { keyOf } from "../../services/store/keys.ts";
import { type NexNetworkRecord, writeRecord } from "../../services/store/records.ts";
import type { LabHost, Process } from "../lab/host.ts";
import { until } from "../lab/until.ts";
import { type Client, clients } from "./dhcp_clients.ts";
import { DhcpLab } from "./dhcp_lab.ts";

const mini: NexNetworkRecord = openMini("00:00:99:00:00");

/** The address in the first line that fits, once there is one; `from`: of those after that many. */
async function event(process: Process, fits: RegExp, from = 0): Promise<string> {
  const found = () => process.lines.slice(from).find((line) => fits.test(line));
  await until(`${fits}`, () => found() !== undefined || !process.alive)
    .catch((error) => assert.fail(`${error.message}\n${process.tail(40)}`));
  return /(\d+\.){3}\d+/.exec(found() ?? "")?.[0] ?? assert.fail(process.tail(40));
}

/**
 * Has a client release its lease until it is gone from etcd: a release is sent once, and dhcpd drops what has waited for more
 * than 2 s in its socket, as on a busy machine.
 */
async function released(
  client: Client,
  host: LabHost,
  process: Process,
  isGone: () => boolean,
): Promise<void> {
  await until(`${client.name}'s lease is gone`, async () => {
    const station = process.alive ? process : client.start(host);
    if (station !== process) await event(station, client.bound);
    await client.release(host, station);
    return await until("it is gone", isGone, 10_000).then(() => true, () => false);
  });
}

Deno.test("udhcpc, dhclient, dhcpcd: lease, renew, rebind when a replica is killed, release, the same again", async () => {
  await using lab = await DhcpLab.create({ ...mini, leaseDuration: 12 });
  // Renewals by unicast go to the first alone; both answer broadcasts.
  const first = await lab.server("s1", "10.0.0.2/24", "10.0.0.1/32");
  const second = await lab.server("s2", "10.0.0.3/24");
  const killed = await lab.replica(first);
  const left = await lab.replica(second);

  const expires = (mac: string) => lab.view.member(mac)?.expires ?? 0;
  const started = async (client: Client) => {
    const mac = `00:00:99:00:00:0${clients.indexOf(client) + 1}`, host = await lab.client(client.name, mac);
    const process = client.start(host), address = await event(process, client.bound);
    await until("the lease is in etcd", (see) => see(lab.view.member(mac)?.ip4) === address);
    return { client, mac, host, process, address };
  };
  const renewed = async ({ client, mac, process, address }: Awaited<ReturnType<typeof started>>) => {
    // A busy machine may be so late that a client broadcasts: then its next renewal counts.
    await until(`${client.name}'s renewal is unicast to the first replica`, async (see) => {
      const before = expires(mac), seen = process.lines.length, requests = left.server.counts.request;
      client.renew?.(process);
      assert.equal(await event(process, client.renewed, seen), address, client.name);
      if (!client.renew) await until("its lease is longer", (see) => see(expires(mac)) > before);
      return see(left.server.counts.request - requests) === 0;
    });
  };
  const [udhcpc, ...others] = clients;
  assert(udhcpc);
  const early = await Promise.all(others.map(started));
  await Promise.all(early.map(renewed));
  // Of a lease as short as this one udhcpc broadcasts the renewals that it begins itself: it comes after the others.
  const stations = [await started(udhcpc), ...early];
  await renewed(stations[0]!);
  assert.equal(new Set(stations.map(({ address }) => address)).size, 3);

  await killed.stop();
  const requests = left.server.counts.request;
  const atItsEnd = stations.map(({ mac, process }) => ({ end: expires(mac), seen: process.lines.length }));
  for (const [i, { client, process, mac, address }] of stations.entries()) {
    const { end, seen } = atItsEnd[i]!;
    await until(`${client.name}'s lease is longer`, (see) => see(expires(mac)) > end);
    assert.equal(await event(process, client.rebound, seen), address, client.name);
    assert.equal(lab.view.member(mac)?.ip4, address);
  }
  await until(
    "renewals were broadcast to the replica that is left",
    (see) => see(left.server.counts.request) >= requests + 3,
  );

  await lab.replica(first);
  for (const { client, host, process, mac } of stations) {
    await released(client, host, process, () => lab.view.member(mac) === undefined);
  }

  // Not in order: the lowest free address would be another client's.
  for (const { client, host, address } of stations.reverse()) {
    assert.equal(await event(client.start(host), client.bound), address, `${client.name} again`);
  }
});

Deno.test("udhcpc keeps the address of a member that was deleted until it releases it, and no other gets it meanwhile", async () => {
  await using lab = await DhcpLab.create(mini);
  const replica = await lab.replica(await lab.server("s1", "10.0.0.1/24"));
  const nex = new Nex(lab.store), desk = "00:00:11:00:00:01";
  await nex.change((draft) => addMembers(draft, "mini", [{ mac: desk }]));
  const [udhcpc] = clients;
  assert(udhcpc);
  const host = await lab.client("desk", desk), station = udhcpc.start(host);
  assert.equal(await event(station, udhcpc.bound), "10.0.0.10");
  await nex.change((draft) => deleteMembers(draft, "mini", [desk]));
  assert.deepEqual(heldIn(nex.view, "mini").map(({ address, mac }) => [address, mac]), [["10.0.0.10", desk]]);
  const guest = await lab.client("guest", "00:00:99:00:00:01");
  assert.equal(await event(udhcpc.start(guest, "-r 10.0.0.10"), udhcpc.bound), "10.0.0.11");
  // The member comes back: the client renews what it has all along.
  await nex.change((draft) => addMembers(draft, "mini", [{ mac: desk }]));
  udhcpc.renew?.(station);
  assert.equal(await event(station, udhcpc.renewed), "10.0.0.10");
  await nex.change((draft) => deleteMembers(draft, "mini", [desk]));
  // Its lease ends with the client's own word, though it is no member: then the address is another's. A release that was sent
  // before dhcpd knew of the deletion would count for the member's lease.
  assert.equal(heldIn(nex.view, "mini").length, 1);
  await until("dhcpd knows too", (see) => see(heldIn(replica.view, "mini").length) === 1);
  await udhcpc.release(host, station);
  await until("the address is free", (see) => see(heldIn(nex.view, "mini").length) === 0);
  const next = await lab.client("next", "00:00:99:00:00:02");
  assert.equal(await event(udhcpc.start(next), udhcpc.bound), "10.0.0.10");
});

Deno.test("a name is made a label, and goes to the machine that replaces one which does not renew", async () => {
  await using lab = await DhcpLab.create(mini);
  const replica = await lab.replica(await lab.server("s1", "10.0.0.1/24"));
  const [dead, alive, fresh] = ["00:00:99:00:00:07", "00:00:99:00:00:08", "00:00:99:00:00:09"] as const;
  const now = Math.floor(Date.now() / 1000), domain = mini.domain;
  // Both had a lease of four hours: one has a quarter of an hour left of it, the other has just renewed.
  const clientsOf = [[dead, "10.0.0.50", "nas", 900], [alive, "10.0.0.51", "tv", 14_000]] as const;
  await lab.store.committer.commit({
    guards: [],
    ops: clientsOf.flatMap(([mac, address, label, left]) => {
      const ip4 = { address, expires: { seconds: now + left } }, hostname = `${label}.${domain}`;
      return [
        { put: keyOf.member(mac), value: writeRecord({ mac, net: "mini", ip4, dynamic: true, hostname }) },
        { put: keyOf.claimIp(address), value: mac },
        { put: keyOf.claimName(hostname), value: mac },
      ];
    }),
  });
  await until("dhcpd knows them", (see) => see(lab.view.membersNamed(`tv.${domain}`).length) === 1);
  const [udhcpc] = clients;
  assert(udhcpc);
  const name = () => lab.view.member(fresh)?.name;
  const host = await lab.client("fresh", fresh);
  for (
    const [requested, label] of [["ppj's iPad", "ppj-s-ipad"], ["TV", undefined], ["NAS", "nas"]] as const
  ) {
    // In hexadecimal: as text, it would end at a blank. It asks once, since a name would be counted again with each request.
    const station = udhcpc.start(host, `-T 20 -x 0x0c:${new TextEncoder().encode(requested).toHex()}`);
    const address = await event(station, udhcpc.bound);
    await until("the lease is in etcd", (see) => see(lab.view.member(fresh)?.ip4) === address);
    assert.equal(name(), label && `${label}.${domain}`, requested);
    assert.equal(lab.view.member(fresh)?.record.client_name, label === "nas" ? undefined : requested);
    await released(udhcpc, host, station, () => lab.view.member(fresh) === undefined);
  }
  const former = lab.view.member(dead);
  assert.deepEqual([former?.name, former?.ip4, former?.expires], [undefined, "10.0.0.50", now + 900]);
  assert.deepEqual(replica.server.counts.names, { "cleaned": 1, "unusable": 0, "taken": 1, "taken-over": 1 });
});

Deno.test("one MAC on two links has a lease and an address in the network of each, and serves its members alone", async () => {
  const guests = { begin: "00:00:99:00:00:00", end: "00:00:99:00:00:ff" };
  const maxi: NexNetworkRecord = {
    name: "maxi",
    subnet4: "10.1.0.0/24",
    domain: "maxi.net",
    Range4: { begin: "10.1.0.10", end: "10.1.0.99" },
    macRange: { ...guests, end: "00:00:99:00:00:7f" },
  };
  // Its server's address is that of the interface, and it is on neither link.
  const away: NexNetworkRecord = { name: "away", subnet4: "10.9.0.0/24", dhcp4server: "10.0.0.1" };
  await using lab = await DhcpLab.create({ ...mini, macRange: guests }, maxi, away);
  const [desk, guest, lost] = ["00:00:11:00:00:01", "00:00:99:00:00:07", "00:00:11:00:00:09"] as const;
  const nex = new Nex(lab.store);
  for (const net of ["mini", "maxi"]) {
    await nex.change((d) => addMembers(d, net, [{ mac: desk, name: "desk" }]));
  }
  await nex.change((d) => addMembers(d, "away", [{ mac: lost, ip4: "10.9.0.9" }]));

  const server = await lab.server("server", "10.0.0.1/24");
  const links = { mini: lab.lan, maxi: await lab.lab.segment("maxi") };
  await lab.lab.join(server, links.maxi, { name: "eth1", address: "10.1.0.1/24" });
  const { server: dhcpd } = await lab.replica(server, ["eth0", "eth1"]);
  const [udhcpc, dhclient] = clients;
  assert(udhcpc && dhclient);
  const run = async (mac: string, net: keyof typeof links, client = udhcpc) => {
    const host = await lab.lab.host(`${net}${mac.slice(-2)}`, { segment: links[net], mac });
    return { host, client, process: client.start(host) };
  };
  const expires = (mac: string, net: string) => lab.view.member(mac, net)?.expires ?? 0;

  const atMini = await run(desk, "mini", dhclient), atMaxi = await run(desk, "maxi");
  assert.equal(await event(atMini.process, dhclient.bound), "10.0.0.10");
  assert.equal(await event(atMaxi.process, udhcpc.bound), "10.1.0.10");
  await until("both leases are in etcd", () => expires(desk, "mini") > 0 && expires(desk, "maxi") > 0);

  const visits = [await run(guest, "maxi"), await run(guest, "mini", dhclient)] as const;
  assert.equal(await event(visits[0].process, udhcpc.bound), "10.1.0.11");
  assert.equal(await event(visits[1].process, dhclient.bound), "10.0.0.11");
  await until("the guest has two leases", (see) => see(lab.view.memberships(guest).length) === 2);
  await released(udhcpc, visits[0].host, visits[0].process, () => !lab.view.member(guest, "maxi"));
  assert.equal(lab.view.member(guest, "mini")?.ip4, "10.0.0.11");

  const unknown = dhcpd.counts.ignored["unknown-client"];
  const nowhere = await run(lost, "mini");
  await until(
    "a member of a network that is on no link is not served",
    () => dhcpd.counts.ignored["unknown-client"] >= unknown + 2,
  );
  await nowhere.process.stop();

  await nex.change((d) => deleteMembers(d, "mini", [desk]));
  const before = expires(desk, "maxi");
  udhcpc.renew?.(atMaxi.process);
  assert.equal(await event(atMaxi.process, udhcpc.renewed), "10.1.0.10");
  await until("its other lease is longer", (see) => see(expires(desk, "maxi")) > before);
  assert.deepEqual([lab.view.member(desk, "mini"), expires(lost, "away")], [undefined, 0]);
});
