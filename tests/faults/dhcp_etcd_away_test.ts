/** DHCP clients that renew while etcd is killed and restarted. */
import assert from "node:assert/strict";
import { openMini } from "../../services/nex/testing.ts";
import { clients } from "../conformance/dhcp_clients.ts";
import { DhcpLab } from "../conformance/dhcp_lab.ts";
import { until } from "../lab/until.ts";

Deno.test("etcd is killed and comes back while udhcpc, dhclient, dhcpcd renew: no renewal fails", async () => {
  await using lab = await DhcpLab.create({ ...openMini("00:00:99:00:00"), leaseDuration: 40 });
  const replica = await lab.replica(await lab.server("server", "10.0.0.1/24"));
  const stations = await Promise.all(clients.map(async (client, i) => {
    const mac = `00:00:99:00:00:0${i + 1}`;
    const process = client.start(await lab.client(client.name, mac));
    await process.line(client.bound);
    return { client, mac, process };
  }));
  const renewals = ({ client, process }: (typeof stations)[number]) =>
    process.lines.filter((line) => client.renewed.test(line)).length;
  const expires = (mac: string) => lab.view.member(mac)?.expires ?? 0;
  await until("all leases are in etcd", () => stations.every(({ mac }) => expires(mac) > 0));
  const before = stations.map((station) => ({ done: renewals(station), expires: expires(station.mac) }));

  await lab.etcd.kill();
  const stranger = await lab.client("stranger", "00:00:99:00:00:99");
  const udhcpc = ["udhcpc", "-f", "-n", "-q", "-t", "2", "-T", "1", "-i", "eth0", "-s", "/bin/true"];
  // While the others renew, so that etcd is back long before their leases end.
  const refused = stranger.run(udhcpc, { mayFail: true });
  for (const { client, process } of stations) client.renew?.(process);
  for (const [i, station] of stations.entries()) {
    await until(`${station.client.name} renews`, (see) => see(renewals(station)) > (before[i]?.done ?? 0));
    assert.equal(expires(station.mac), before[i]?.expires, "nothing was written");
  }
  assert.equal((await refused).code, 1, "no new lease without etcd");
  const lines = () => replica.lines.filter((line) => line.includes("cannot be followed"));
  await until("it says so", (see) => see(lines()).length > 0);
  assert.equal(lines().length, 1);

  await lab.etcd.start();
  for (const [i, { client, mac, process }] of stations.entries()) {
    await until(`${client.name}'s lease is longer`, (see) => see(expires(mac)) > (before[i]?.expires ?? 0));
    // A busy machine may have been late to give it the lease.
    const since = process.lines.slice(process.lines.findIndex((line) => client.bound.test(line)) + 1);
    assert(
      !since.some((line) => /did (EXPIRE|FAIL|TIMEOUT|nak|leasefail)/.test(line)),
      process.tail(40),
    );
  }
  assert.equal((await stranger.run([...udhcpc, "-t", "60"], { mayFail: true })).code, 0);
  assert.equal(replica.server.counts.nak, 0);
});
