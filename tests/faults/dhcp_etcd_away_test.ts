import assert from "node:assert/strict";
import { feedZones } from "../../services/dnsd/feed.ts";
import { startDns } from "../../services/dnsd/server.ts";
import { clients } from "../conformance/dhcp_clients.ts";
import { DhcpLab } from "../conformance/dhcp_lab.ts";
import { run } from "../lab/host.ts";
import { until } from "../lab/until.ts";

const udhcpc = clients.find(({ name }) => name === "udhcpc") ?? assert.fail("udhcpc");

Deno.test("etcd killed and restarted: clients renew and names resolve throughout, and the mirror is right afterwards", async () => {
  await using lab = await DhcpLab.create({
    name: "mini",
    subnet4: "10.0.0.0/24",
    dhcp4server: "10.0.0.1",
    domain: "mini.net",
    Range4: { begin: "10.0.0.10", end: "10.0.0.254" },
    macRange: { begin: "00:00:99:00:00:00", end: "00:00:99:00:00:ff" },
  });
  const replica = await lab.replica(await lab.server("s1", "10.0.0.1/24"));
  const dns = await startDns({ listen: ["127.0.0.1:0"] });
  const stopFeed = feedZones(lab.view, dns.zones, {
    ttl: 1,
    revision: () => lab.store.mirror.state.revision,
  });
  const port = dns.addresses[0]?.split(":")[1] ?? "";
  const dig = async (name: string) =>
    (await run(["dig", "+short", "+tries=1", "@127.0.0.1", "-p", port, name])).stdout.trim();
  try {
    const stations = await Promise.all([1, 2, 3].map(async (n) => {
      const mac = `00:00:99:00:00:0${n}`;
      const host = await lab.client(`c${n}`, mac);
      const process = udhcpc.start(host);
      await process.line(udhcpc.bound, 20_000);
      await until("the lease is in the mirror", () => lab.view.member(mac)?.ip4 !== undefined);
      return { mac, process, address: lab.view.member(mac)?.ip4 ?? "" };
    }));
    const ops = [{
      put: "/member/04:00:00:00:00:01",
      value: `{"mac":"04:00:00:00:00:01","net":"mini","name":"fixed.mini.net","ip4":{"address":"10.0.0.5"}}`,
    }];
    await lab.store.committer.commit({ guards: [], ops });
    await until("the name is served", async () => await dig("fixed.mini.net") === "10.0.0.5");

    const renewAll = async (nth: number) => {
      for (const { process } of stations) udhcpc.renew?.(process);
      for (const { process, address } of stations) {
        const renewals = () => process.lines.filter((line) => udhcpc.renewed.test(line));
        await until(`renewal ${nth}`, () => renewals().length >= nth, 15_000).catch((e) =>
          assert.fail(`${e.message}\n${process.tail(20)}`)
        );
        assert.ok(renewals()[nth - 1]?.endsWith(address), "the same address");
        assert.ok(!process.lines.some((line) => /nak|lost|failed/i.test(line)), process.tail(10));
      }
    };
    await renewAll(1);
    await lab.etcd.kill();
    await renewAll(2);
    assert.equal(await dig("fixed.mini.net"), "10.0.0.5");
    assert.equal(
      replica.lines.filter((line) => / (WARN|ERROR) /.test(line)).length <= 2,
      true,
      replica.lines.join("\n"),
    );
    await lab.etcd.start();
    assert.equal(await dig("fixed.mini.net"), "10.0.0.5");
    await renewAll(3);
    await until("the mirror follows again", () => lab.store.mirror.state.inStep);
    await lab.store.committer.commit({
      guards: [],
      ops: [{
        put: "/member/04:00:00:00:00:02",
        value:
          `{"mac":"04:00:00:00:00:02","net":"mini","name":"later.mini.net","ip4":{"address":"10.0.0.6"}}`,
      }],
    });
    await until("what is new is served", async () => await dig("later.mini.net") === "10.0.0.6");
    for (const { mac, address } of stations) {
      const stored = await lab.store.connection.get(`/member/${mac}`);
      const record = JSON.parse(new TextDecoder().decode(stored?.value)) as { ip4: { address: string } };
      assert.equal(record.ip4.address, address);
      assert.equal(lab.view.member(mac)?.modRevision, stored?.modRevision, "the mirror is as etcd is");
    }
  } finally {
    stopFeed();
    await dns.stop();
  }
});
