/** DHCP clients behind relays (dhcrelay, dnsmasq) of other links. */
import assert from "node:assert/strict";
import type { LabHost } from "../lab/host.ts";
import { until } from "../lab/until.ts";
import { clients, contained } from "./dhcp_clients.ts";
import { DhcpLab } from "./dhcp_lab.ts";

const relays: readonly { name: string; command: string; says: RegExp; around: boolean }[] = [
  {
    name: "dhcrelay",
    around: false,
    // With -a it puts its own option 82 in, and takes only replies that bring it back.
    command: "dhcrelay -4 -d -a --no-pid -id eth0 -iu eth1 10.0.0.2",
    says: /Sending on/,
  },
  {
    name: "dnsmasq",
    // Its way to the server's address, and back, is by another interface of the server.
    around: true,
    command: "dnsmasq -d --conf-file=/dev/null --port=0 --log-dhcp --dhcp-relay=10.5.0.1,10.0.0.2",
    says: /DHCP relay from 10\.5\.0\.1/,
  },
];

for (const { name, command, says, around } of relays) {
  Deno.test(`through ${name}: udhcpc, dhclient, dhcpcd lease, renew, release, and get the same address again`, async () => {
    const macRange = { begin: "00:00:99:00:00:00", end: "00:00:99:00:00:ff" };
    // Its macRange overlaps the other's, as that of guests does in each network.
    const home = {
      name: "home",
      subnet4: "10.0.0.0/24",
      Range4: { begin: "10.0.0.10", end: "10.0.0.99" },
      macRange: { ...macRange, end: "00:00:99:00:00:0f" },
    };
    await using lab = await DhcpLab.create(home, {
      name: "edge",
      subnet4: "10.5.0.0/24",
      gateways: ["10.5.0.1"],
      dhcp4server: "10.0.0.2",
      Range4: { begin: "10.5.0.10", end: "10.5.0.99" },
      macRange,
      leaseDuration: 12,
    });
    const server = await lab.server("server", "10.0.0.2/24");
    const edge = await lab.lab.segment("edge");
    const relay = await lab.lab.host("relay", { segment: edge, address: "10.5.0.1/24" });
    const backbone = around ? await lab.lab.segment("backbone") : lab.lan,
      prefix = around ? "10.6.0" : "10.0.0";
    if (around) await lab.lab.join(server, backbone, { name: "eth1", address: `${prefix}.2/24` });
    await lab.lab.join(relay, backbone, { name: "eth1", address: `${prefix}.5/24` });
    await relay.run(["sysctl", "-qw", "net.ipv4.ip_forward=1"]);
    await server.run(["ip", "route", "add", "10.5.0.0/24", "via", `${prefix}.5`]);
    if (around) await relay.run(["ip", "route", "add", "10.0.0.0/24", "via", `${prefix}.2`]);
    await relay.spawn(contained("", command)).line(says);
    await lab.replica(server, around ? ["eth0", "eth1"] : ["eth0"]);

    const take = async (host: LabHost, client: (typeof clients)[number]) => {
      const process = client.start(host);
      const address = /(\d+\.){3}\d+/.exec(await process.line(client.bound))?.[0] ?? "";
      // A unicast renewal goes through the relay's host, as its router.
      await host.run(["ip", "route", "replace", "default", "via", "10.5.0.1", "dev", "eth0"]);
      return { process, address };
    };
    // The same MAC on the server's own link has a lease there, and none of what follows touches it.
    const [udhcpc] = clients;
    const atHome = udhcpc?.start(await lab.client("home", "00:00:99:00:00:01"));
    assert.match(await atHome?.line(/did bound 10\.0\.0\.10/) ?? "", /bound/);
    const leases = await Promise.all(clients.map(async (client, i) => {
      const mac = `00:00:99:00:00:0${i + 1}`;
      const host = await lab.lab.host(client.name, { segment: edge, mac });
      const { process, address } = await take(host, client);
      assert.match(address, /^10\.5\.0\.1\d$/);
      const expires = () => lab.view.member(mac, "edge")?.expires ?? 0;
      await until("the lease is in etcd", (see) => see(lab.view.member(mac, "edge")?.ip4) === address);
      const first = expires();
      client.renew?.(process);
      assert.match(await process.line(client.renewed), new RegExp(address.replaceAll(".", "\\.")));
      await until("the lease is longer", () => expires() > first || client.renew !== undefined);
      return { client, mac, host, process, address };
    }));
    // Not before each has a lease: a slow one could be given what another has just released.
    await Promise.all(leases.map(async ({ client, mac, host, process, address }) => {
      // What comes within milliseconds of a renewal, or waited for seconds in dhcpd's socket, may be of the lease before it, and
      // ends nothing: another one does.
      await until(`${client.name}'s lease is gone`, async () => {
        await client.release(host, process.alive ? process : (await take(host, client)).process);
        return await until("it is gone", () => lab.view.member(mac, "edge") === undefined, 8_000)
          .then(() => true, () => false);
      });
      assert.equal((await take(host, client)).address, address);
    }));
    assert.equal(lab.view.member("00:00:99:00:00:01", "home")?.ip4, "10.0.0.10");
  });
}
