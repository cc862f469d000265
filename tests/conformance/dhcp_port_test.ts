/** Other DHCP servers on the host of a dhcpd: each serves its own interfaces, whichever started first. */
import assert from "node:assert/strict";
import { openMini } from "../../services/nex/testing.ts";
import type { LabHost, Process } from "../lab/host.ts";
import { until } from "../lab/until.ts";
import { contained } from "./dhcp_clients.ts";
import { DhcpLab } from "./dhcp_lab.ts";
import { option, scapy } from "./dhcp_scapy.ts";

const mac = "00:00:99:00:00:01";

const network = openMini(mac);

/** One host with the lan on eth0 and what stands for virtual machines on eth1, and a client on each. */
async function beside() {
  const lab = await DhcpLab.create(network);
  const server = await lab.server("server", "10.0.0.1/24");
  const virtual = await lab.lab.segment("virtual");
  await lab.lab.join(server, virtual, { name: "eth1", address: "10.8.0.1/24" });
  return {
    lab,
    server,
    client: await lab.client("client", mac),
    guest: await lab.lab.host("guest", { segment: virtual, mac }),
  };
}

interface Peer {
  readonly command: readonly string[];
  readonly says: RegExp;
  /** What dhcpd says when it starts after this one. */
  readonly warns: RegExp | undefined;
}

const masq = (...args: string[]) =>
  contained(
    "",
    `dnsmasq -d --conf-file=/dev/null --port=0 --no-ping --dhcp-leasefile=/tmp/leases ${args.join(" ")}`,
  );
const range = "--dhcp-range=10.8.0.10,10.8.0.99";
const started = /DHCP, IP range|DHCP, sockets bound/;
const isc = "authoritative; ddns-update-style none; ping-check false; " +
  "subnet 10.8.0.0 netmask 255.255.255.0 { range 10.8.0.10 10.8.0.99; }";

const peers: Record<string, Peer> = {
  // As libvirt starts it for each of its networks.
  dnsmasq: {
    command: masq("--interface=eth1 --except-interface=lo --bind-dynamic", range),
    says: started,
    warns: undefined,
  },
  // Its socket is on no interface, but lets others have the port.
  "ISC's dhcpd": {
    command: contained(
      isc,
      `sh -c 'tail -n +2 /tmp/script > /tmp/conf; touch /tmp/leases;
      exec dhcpd -4 -f -d --no-pid -cf /tmp/conf -lf /tmp/leases eth1'`,
    ),
    says: /Server starting service/,
    warns: /another DHCP server or relay listens on every interface.*interface=eth0/,
  },
};

/** Takes a lease, renews it by unicast, and tells what was answered to each message. */
async function leased(host: LabHost, server: string, address: string): Promise<unknown[]> {
  const request = { type: "request", mac, timeout: 5, tries: 6 };
  const first = await scapy(host, [
    { ...request, type: "discover" },
    { ...request, options: [["requested_addr", address], ["server_id", server]] },
  ]);
  await host.run(["ip", "address", "add", `${address}/24`, "dev", "eth0"]);
  const renewal = await scapy(host, [{ ...request, ciaddr: address, from: address, to: server }]);
  return [...first, ...renewal].map((
    answer,
  ) => [answer?.from, answer?.yiaddr, option(answer, "message-type")]);
}

for (const [name, { command, says, warns }] of Object.entries(peers)) {
  for (const first of ["dhcpd", name]) {
    Deno.test(`dhcpd and ${name} serve an interface each of one host, ${first} started first`, async () => {
      const { lab, server, client, guest } = await beside();
      await using _ = lab;
      const start = () => server.spawn(command).line(says);
      if (first === name) await start();
      const replica = await lab.replica(server);
      if (first !== name) await start();
      const [ours, theirs] = await Promise.all([
        leased(client, "10.0.0.1", "10.0.0.10"),
        leased(guest, "10.8.0.1", "10.8.0.10"),
      ]);
      const all = (server: string, address: string) => [2, 5, 5].map((type) => [server, address, [type]]);
      assert.deepEqual(ours, all("10.0.0.1", "10.0.0.10"));
      // ISC's gives the highest address first.
      assert.deepEqual(theirs.map((answer) => (answer as unknown[])[0]), Array(3).fill("10.8.0.1"));
      assert.deepEqual(replica.server.contested, []);
      // A busy machine's etcd may be warned of as well.
      const lines = replica.lines.filter((line) => / (WARN|ERROR) (?!.*\betcd\b)/.test(line));
      assert.equal(lines.length, first === name && warns ? 1 : 0, lines.join(""));
      if (first === name && warns) assert.match(lines[0] ?? "", warns);
    });
  }
}

Deno.test("a second server on the same interface, or one that shares no port, is named; whichever started first", async () => {
  const { lab, server } = await beside();
  await using _ = lab;
  const while_ = async (args: string, body: (process: Process) => Promise<void>) => {
    const process = server.spawn(masq(args, "--dhcp-range=10.0.0.10,10.0.0.99", range));
    try {
      await process.line(started);
      await body(process);
    } finally {
      await process.stop();
    }
  };
  await while_("--interface=eth0 --bind-interfaces", async () => {
    await assert.rejects(lab.replica(server), {
      code: "unavailable",
      message:
        "dhcpd.interfaces: eth0: another DHCP server or relay listens on UDP port 67 of this interface; " +
        "stop it, or leave the interface to it",
    });
  });
  await while_("--interface=eth1", async () => {
    await assert.rejects(lab.replica(server), {
      code: "unavailable",
      message:
        "dhcpd.interfaces: eth0: another DHCP server or relay has UDP port 67 of every interface for itself; " +
        "stop it, or have it bind its own alone (dnsmasq: bind-interfaces)",
    });
  });
  const replica = await lab.replica(server);
  assert.deepEqual(replica.server.contested, []);
  await while_("--interface=eth0 --bind-interfaces", async () => {
    assert.deepEqual(replica.server.contested, ["eth0"]);
    await assert.rejects(lab.replica(server), { code: "unavailable", message: /of this interface/ });
  });
  await until("it is gone", (see) => see(replica.server.contested.length) === 0);
});
