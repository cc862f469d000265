/** A replica of dhcpd that is cut off from etcd beside a healthy one. */
import assert from "node:assert/strict";
import { openMini } from "../../services/nex/testing.ts";
import { DhcpLab } from "../conformance/dhcp_lab.ts";
import { option, scapy, type ScapyMessage } from "../conformance/dhcp_scapy.ts";
import type { LabHost } from "../lab/host.ts";
import { Relay } from "../lab/relay.ts";
import { until } from "../lab/until.ts";

const first = "00:00:99:00:00:01", second = "00:00:99:00:00:02", third = "00:00:99:00:00:03";
const server = ["server_id", "10.0.0.1"] as const;

async function macOf(host: LabHost): Promise<string> {
  const { stdout } = await host.run(["ip", "-br", "link", "show", "eth0"]);
  return /([0-9a-f]{2}:){5}[0-9a-f]{2}/.exec(stdout)?.[0] ?? "";
}

Deno.test("a dhcpd that is cut off from etcd sends no NAK and no offer to clients of the healthy one, but renews what it knows", async () => {
  await using lab = await DhcpLab.create(openMini("00:00:99:00:00"));
  using relay = new Relay(() => lab.etcd.endpoint);
  const hosts = {
    healthy: await lab.server("healthy", "10.0.0.2/24", "10.0.0.1/32"),
    cutOff: await lab.server("cutoff", "10.0.0.3/24", "10.0.0.1/32"),
  };
  await lab.replica(hosts.healthy);
  const cutOff = await lab.replica(hosts.cutOff, ["eth0"], relay.endpoint);
  const { counts } = cutOff.server;
  const macs = { healthy: await macOf(hosts.healthy), cutOff: await macOf(hosts.cutOff) };
  const client = await lab.client("client", first);
  // One host speaks for all clients: what is sent to their addresses must reach it.
  for (const address of ["10.0.0.10/24", "10.0.0.12/24"]) {
    await client.run(["ip", "address", "add", address, "dev", "eth0"]);
  }
  const exchange = async (to: keyof typeof hosts, message: ScapyMessage) =>
    (await scapy(client, [{ to: "10.0.0.1", ...message, toMac: macs[to] }]))[0] ?? null;
  const named = (mac: string, address: string): ScapyMessage => ({
    type: "request",
    mac,
    options: [["requested_addr", address], server],
  });
  const renewal = (mac: string, address: string): ScapyMessage => ({
    type: "request",
    mac,
    ciaddr: address,
    from: address,
  });
  const type = async (...args: Parameters<typeof exchange>) =>
    option(await exchange(...args), "message-type")?.[0];

  const types = async (...messages: ScapyMessage[]) =>
    (await scapy(client, messages.map((message) => ({ to: "10.0.0.1", ...message, toMac: macs.cutOff }))))
      .map((answer) => option(answer, "message-type")?.[0]);

  assert.deepEqual(await types(named(first, "10.0.0.10"), named(third, "10.0.0.12")), [5, 5]);
  await until(
    "the leases are in etcd",
    () => lab.view.member(first) !== undefined && lab.view.size.members === 2,
  );

  void relay.swallowReplies();
  // The address passes from one client to another, and the dhcpd that is cut off does not see it.
  await until("it is released", async (see) => {
    // It gets no answer, and a busy dhcpd may have dropped it.
    await exchange("healthy", {
      type: "release",
      mac: first,
      ciaddr: "10.0.0.10",
      from: "10.0.0.10",
      options: [server],
    });
    return see(lab.view.member(first)) === undefined;
  });
  assert.equal(await type("healthy", named(second, "10.0.0.10")), 5);
  const silent = counts.ignored["store-away"];
  const unanswered = (message: ScapyMessage) => ({ ...message, silent: true });
  await until("it gave up", async (see) => {
    const answer = await type("cutOff", unanswered(renewal(second, "10.0.0.10")));
    assert.equal(answer, undefined, "before the cut is noticed");
    return see(counts.ignored["store-away"]) > silent;
  });
  await until(
    "the cut is noticed",
    () => cutOff.lines.some((line) => line.includes("cannot be followed")),
    60_000,
  );
  const answers = await types(
    unanswered(renewal(second, "10.0.0.10")),
    unanswered(named(second, "10.0.0.10")),
    unanswered(named(first, "10.0.0.10")),
    unanswered({ type: "discover", mac: first }),
    renewal(third, "10.0.0.12"), // a lease that it knows
  );
  assert.deepEqual(answers, [undefined, undefined, undefined, undefined, 5]);
  assert.equal(counts.nak, 0);

  relay.cut();
  await until(
    "it answers again",
    async () => await type("cutOff", { ...renewal(second, "10.0.0.10"), timeout: 1, tries: 1 }) === 5,
  );
  const naks = counts.nak;
  assert.equal(await type("cutOff", named(first, "10.0.0.10")), 6, "a NAK where it is due");
  // A busy dhcpd may be asked more than once.
  assert(counts.nak > naks);
});
