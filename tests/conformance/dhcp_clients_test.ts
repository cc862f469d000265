import assert from "node:assert/strict";
import type { NetworkRecord } from "../../services/store/records.ts";
import type { Process } from "../lab/host.ts";
import { until } from "../lab/until.ts";
import { clients } from "./dhcp_clients.ts";
import { DhcpLab } from "./dhcp_lab.ts";

const mini: NetworkRecord = {
  name: "mini",
  subnet4: "10.0.0.0/24",
  gateways: ["10.0.0.1"],
  nameservers: ["10.0.0.1"],
  dhcp4server: "10.0.0.1",
  domain: "mini.net",
  Range4: { begin: "10.0.0.10", end: "10.0.0.254" },
  macRange: { begin: "00:00:99:00:00:00", end: "00:00:99:00:00:ff" },
};

/** The address in the nth line that fits, once there are that many. */
async function event(process: Process, fits: RegExp, n = 1): Promise<string> {
  const lines = () => process.lines.filter((line) => fits.test(line));
  await until(`${fits} for the ${n}th time`, () => lines().length >= n || !process.alive, 25_000)
    .catch((error) => assert.fail(`${error.message}\n${process.tail(40)}`));
  return /(\d+\.){3}\d+/.exec(lines()[n - 1] ?? "")?.[0] ?? assert.fail(process.tail(40));
}

Deno.test("udhcpc, dhclient, dhcpcd: lease, renew, rebind when a replica is killed, release, the same again", async () => {
  await using lab = await DhcpLab.create({ ...mini, leaseDuration: 12 });
  // Renewals by unicast go to the first alone; both answer broadcasts.
  const first = await lab.server("s1", "10.0.0.2/24", "10.0.0.1/32");
  const second = await lab.server("s2", "10.0.0.3/24");
  const killed = await lab.replica(first);
  const left = await lab.replica(second);

  const stations = await Promise.all(clients.map(async (client, i) => {
    const mac = `00:00:99:00:00:0${i + 1}`;
    const host = await lab.client(client.name, mac);
    return { client, mac, host, process: client.start(host), address: "" };
  }));
  const expires = (mac: string) => lab.view.member(mac)?.expires ?? 0;
  for (const station of stations) {
    station.address = await event(station.process, station.client.bound);
    await until("the lease is in etcd", () => lab.view.member(station.mac)?.ip4 === station.address);
  }
  assert.equal(new Set(stations.map(({ address }) => address)).size, 3);

  const requests = left.server.counts.request;
  for (const { client, process, mac, address } of stations) {
    const before = expires(mac);
    client.renew?.(process);
    assert.equal(await event(process, client.renewed), address, client.name);
    await until(
      `${client.name}'s lease is longer`,
      () => expires(mac) > before || client.renew !== undefined,
    );
  }
  assert.equal(left.server.counts.request, requests, "renewals were unicast to the other replica");

  await killed.stop();
  const atItsEnd = stations.map(({ mac }) => expires(mac));
  for (const [i, { client, process, mac, address }] of stations.entries()) {
    await until(`${client.name}'s lease is longer`, () => expires(mac) > (atItsEnd[i] ?? 0), 25_000);
    assert.equal(await event(process, client.renewed, 2), address, client.name);
    assert.equal(lab.view.member(mac)?.ip4, address);
  }
  await until(
    "renewals were broadcast to the replica that is left",
    () => left.server.counts.request >= requests + 3,
    25_000,
  );

  await lab.replica(first);
  for (const { client, host, process, mac } of stations) {
    await client.release(host, process);
    await until(`${client.name}'s lease is gone`, () => lab.view.member(mac) === undefined);
  }

  // Not in order: the lowest free address would be somebody else's.
  for (const { client, host, address } of stations.reverse()) {
    assert.equal(await event(client.start(host), client.bound), address, `${client.name} again`);
  }
});
