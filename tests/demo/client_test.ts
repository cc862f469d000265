/** The demo's own DHCP and DNS client, against dnsmasq. */
import assert from "node:assert/strict";
import { Lab, strandCommand } from "../lab/host.ts";

Deno.test("the demo's own client takes a lease from dnsmasq, and asks it for names", async () => {
  await using lab = await Lab.create("client");
  const segment = await lab.segment("lan");
  const server = await lab.host("server", { segment, address: "10.0.0.1/24" });
  const client = await lab.host("client", { segment, mac: "00:00:11:11:00:01" });
  const dnsmasq = server.spawn([
    ...[
      "dnsmasq",
      "--keep-in-foreground",
      "--conf-file=/dev/null",
      "--no-resolv",
      "--no-hosts",
      "--log-facility=-",
    ],
    ...["--interface=eth0", "--bind-interfaces", "--no-ping", "--leasefile-ro", "--user=root", "--pid-file="],
    ...[
      "--dhcp-range=10.0.0.50,10.0.0.60,1h",
      "--dhcp-host=00:00:11:11:00:01,10.0.0.55",
      "--local=/mini.net/",
    ],
    ...["--host-record=whiskey.mini.net,10.0.0.10"],
  ]);
  await dnsmasq.line(/DHCP, sockets bound|DHCP, IP range/);
  const { stdout } = await client.run(strandCommand(["demo", "lease", "eth0"]));
  assert.match(stdout, /^lease of 10\.0\.0\.55 obtained, lease time 3600$/m);
  assert.match((await client.run(["ip", "-brief", "address", "show", "eth0"])).stdout, / 10\.0\.0\.55\/24 /);

  const query = async (...args: string[]) =>
    (await client.run(strandCommand(["demo", "ask", "10.0.0.1", ...args]))).stdout.trim();
  assert.equal(await query("whiskey.mini.net", "A"), "10.0.0.10");
  assert.equal(await query("10.0.0.10", "PTR"), "whiskey.mini.net.");
  assert.equal(await query("nobody.mini.net", "A"), "NXDOMAIN");
});
