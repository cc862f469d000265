/** A host that was rebooted, or whose agent did not run for a while. */
import assert from "node:assert/strict";
import { OverlayLab } from "../lab/overlay.ts";
import { pings, reaches, SteadyPing } from "../lab/overlay_traffic.ts";
import { quickly } from "../lab/quickly.ts";
import { until } from "../lab/until.ts";

Deno.test("hosts that were rebooted, whose agent did not run for a while, or that other programs have changed", async (t) => {
  await using lab = await OverlayLab.started({ hosts: 3 });
  const [h1, h2, h3] = [lab.host(1), lab.host(2), lab.host(3)];

  await t.step("a host that was rebooted starts clean, and the others do not notice", async () => {
    const { id } = await h1.api.createNetwork(), other = await h1.api.createNetwork();
    const a = await h1.attach(id), b = await h2.attach(id), c = await h3.attach(id, { wait: "20s" });
    await h1.attach(other.id);
    await lab.agree();
    await using steady = new SteadyPing(b.container, c.address);
    await steady.flowing();

    await h1.reboot();
    await h1.start();
    await until("its endpoints are inactive", async () => {
      const its = await h2.api.endpoints({ hostname: "h1" });
      return its.length === 2 && its.every(({ active }) => !active);
    });
    await lab.agree();
    assert.ok(!(await pings(b.container, a.address)));
    // The address is the inactive endpoint's, which can be deleted as any other.
    await assert.rejects(h2.api.createEndpoint(id, { ipv4_address: a.address }), /409/);
    await h1.api.deleteEndpoint(a.endpoint.id);
    const again = await h1.attach(id, { ipv4_address: a.address, wait: "20s" });
    await reaches(b.container, again.address);
    await lab.agree();
    await steady.noneLost(100);
  });

  await lab.clear();
  await t.step("what was deleted while an agent was down is gone within a second of its start", async () => {
    const { id } = await h1.api.createNetwork(), a = await h1.attach(id);
    let newest = await h2.attach(id);
    const stays = await h2.attach(id, { wait: "20s" });
    await lab.agree();
    for (const end of ["stop", "kill"] as const) {
      await quickly(1000, async (begin) => {
        await h1[end]();
        const mine = await h1.container();
        await h2.api.deleteEndpoint(newest.endpoint.id);
        newest = await h2.attach(id);
        assert.ok(await pings(a.container, stays.address), "networks stay when their agent ends");
        // No periodic check comes in between.
        await h1.start({ STRAND_AGENT_CHECK_EVERY: "3600" });
        begin();
        await lab.agree({ hosts: [h1] });
        await reaches(a.container, newest.address);
        await h1.removeContainer(mine);
      });
      await lab.agree();
    }

    // A host that is gone for good leaves endpoints that others may delete, if they say so.
    await h2.reboot();
    await assert.rejects(h1.api.deleteEndpoint(stays.endpoint.id), /404 .*h2.*force/);
    for (const endpoint of await h1.api.endpoints({ hostname: "h2" })) {
      await h1.api.deleteEndpoint(endpoint.id, { force: true });
    }
    await until("h1 has no entry of h2", async () => {
      return (await lab.differences([h1])).every((line) => /h2.* without an endpoint$/.test(line));
    });
    await h2.start();
    await lab.agree();
    // The next step has it check every second.
    await h1.stop();
    await h1.start({ STRAND_AGENT_CHECK_EVERY: "1" });
  });

  await lab.clear();
  await t.step(
    "what is changed behind the agent's back is put right at its next check, and counted",
    async () => {
      const { id } = await h1.api.createNetwork();
      const a = await h1.attach(id), b = await h2.attach(id, { wait: "20s" });
      await lab.agree();
      const veth = a.endpoint.overlay_veth_name, peer = a.endpoint.target_veth_name;
      const inside = `nsenter --net=${h1.namespaceOf(id)}`, target = `nsenter --net=${a.container.path}`;
      const changes = [
        `${inside} bridge fdb del ${b.endpoint.target_veth_mac} dev vxlan0 dst 10.99.0.12 self`,
        `${inside} ip neighbour add 10.0.0.99 lladdr 02:00:00:00:00:99 dev vxlan0 nud permanent`,
        `${inside} bridge fdb append 00:00:00:00:00:00 dev vxlan0 dst 10.99.0.12 self permanent`,
        `${inside} ip link del vxlan0`,
        `${inside} ip link set ${veth} nomaster`,
        `${inside} ip link del ${veth}`,
        `${inside} ip address del 10.0.0.1/24 dev br0`,
        `${inside} ip link set vxlan0 type vxlan learning`,
        `${inside} ip link set br0 down`,
        `${target} ip address flush dev ${peer}`,
        `${target} ip link set ${peer} down`,
      ];
      const drift = async () => {
        const { body } = await h1.api.status("/metrics");
        return [...body.matchAll(/^agent_\w*drift\w*(?:\{.*\})? (\d+)$/gm)].reduce(
          (sum, [, n]) => sum + Number(n),
          0,
        );
      };
      let counted = await drift();
      for (const change of changes) {
        const isCounted = async () => {
          await h1.host.run(h1.host.enter(["sh", "-ec", change]));
          const seen = until("counted", async () => await drift() > counted, 15_000);
          return await seen.then(() => true, () => false);
        };
        // A comparison for another reason, as for what the other host has just told, repairs it too, and counts nothing.
        let tries = 0;
        while (!(await isCounted())) assert.ok(++tries < 3, `${change}: not counted`);
        counted = await drift();
        await lab.agree().catch((error) => assert.fail(`${change}: ${error.message}`));
        await reaches(a.container, b.address);
      }
      // An endpoint that is made before the check has come is set up all the same.
      for (const change of ["ip link del br0", "ip link del vxlan0"]) {
        await h1.host.run(h1.host.enter(["sh", "-ec", `${inside} ${change}`]));
        const { container } = await h1.attach(id);
        await lab.agree();
        await reaches(container, b.address);
      }
    },
  );

  await lab.clear();
  await t.step("an agent that starts compares each of its networks once", async () => {
    for (let i = 0; i < 8; i++) await h3.attach((await h3.api.createNetwork()).id);
    await h3.stop();
    // No periodic check comes in between.
    await h3.start({ STRAND_AGENT_CHECK_EVERY: "3600" });
    await lab.agree();
    const compared = async () => {
      const { body } = await h3.api.status("/metrics");
      return Number(/^agent_reconcile_seconds_count\{kind="all".*\} (\d+)$/m.exec(body)?.[1]);
    };
    await until("each is compared", async (see) => see(await compared()) >= 8);
    assert.equal(await compared(), 8);
  });
});
