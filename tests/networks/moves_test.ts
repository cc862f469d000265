/** Machines that come to another port, of their host or another one, with neither DHCP nor a word to the agents. */
import assert from "node:assert/strict";
import type { OverlayHost } from "../lab/overlay_host.ts";
import { pings, reaches } from "../lab/overlay_traffic.ts";
import { until } from "../lab/until.ts";
import { GatewayLab } from "../overlay_names/gateway_lab.ts";
import { Machine } from "../overlay_names/ports.ts";
import { at } from "./attached.ts";

const VM = "52:54:00:00:00:05", FIXED = "52:54:00:00:00:07";

Deno.test("a machine that comes to another port is there once its old one is known to be left", async (t) => {
  await using it = await GatewayLab.started({ hosts: 2 });
  const [one, two] = [it.host(1), it.host(2)];
  const blue = await it.network("blue", { domain: "blue.example", overlay: { contain: true } });
  const [web, far] = [await one.attach(blue, { name: "web" }), await two.attach(blue, { name: "far" })];
  const attached = async (host: OverlayHost, device: string, mac = VM) => {
    const machine = await Machine.behind(host, device, mac);
    assert.deepEqual((await at(host, "attach", "blue", "--device", device))[2], "");
    return machine;
  };
  /** What a machine has after its lease, on another host: it was migrated, and goes on. */
  const goesOn = async (machine: Machine, address: string) => {
    await machine.host.run(["ip", "address", "replace", `${address}/24`, "dev", "eth0"]);
    await machine.host.run(["ping", "-c", "1", "-W", "1", "10.0.0.1"], { mayFail: true });
  };
  const places = async () =>
    (await it.leases(blue)).map(({ hostname, strand_port, strand_name }) =>
      [hostname, strand_port, strand_name].join(" ")
    );
  const refused = async (host: OverlayHost) => (await host.api.status("/readyz")).body;
  const vm = await attached(one, "vm0"), { address } = await vm.lease("-x", "hostname:vm");
  const [{ id = "", expires_at: ends } = {}] = await it.leases(blue);
  await reaches(far.container, address);
  let moved = await attached(two, "vm1");

  await t.step("while it answers at its old port, another one with its MAC is not taken in", async () => {
    await goesOn(moved, address);
    await until("status names it", async (see) => {
      const body = await refused(two);
      see(body);
      await moved.host.run(["ping", "-c", "1", "-W", "1", "10.0.0.1"], { mayFail: true });
      return body.includes(`${VM} sends at vm1, a port of network blue, and is not taken in`) &&
        body.includes("still sends at vm0 on h1");
    });
    assert.deepEqual(await places(), ["h1 vm0 vm"]);
    assert.ok(await pings(far.container, address));
    assert.ok(await pings(vm.host, web.address));
    assert.equal(await pings(moved.host, far.address), false);
  });

  await t.step("nor while it sends there and answers no ARP, as a machine with a filter does", async () => {
    await vm.host.run(["ip", "link", "set", "eth0", "arp", "off"]);
    // Many times within the 0.8 s of silence that count as gone, on a busy machine too.
    const sends = vm.host.spawn(["nice", "-n", "-20", "ping", "-i", "0.1", "10.0.0.1"]);
    const { body } = await two.api.status("/metrics"),
      pattern = /agent_machine_moves_total\{result="refused"\} (\d+)/;
    const before = Number(pattern.exec(body)?.[1]);
    try {
      await until("it was looked for twice more", async (see) => {
        await moved.host.run(["ping", "-c", "1", "-W", "1", far.address], { mayFail: true });
        assert.deepEqual(await places(), ["h1 vm0 vm"]);
        return see(Number(pattern.exec((await two.api.status("/metrics")).body)?.[1])) >= before + 2;
      });
    } finally {
      await sends.stop("SIGKILL");
    }
  });

  await t.step("once it answers no more there, it is taken in, with its lease under another id", async () => {
    // As a hypervisor pauses it: the device and its carrier stay.
    await vm.host.run(["ip", "address", "flush", "dev", "eth0"]);
    await until("it is reached from both hosts", async () => {
      await moved.host.run(["ping", "-c", "1", "-W", "1", far.address], { mayFail: true });
      return await pings(far.container, address) && await pings(web.container, address);
    });
    assert.deepEqual(await places(), ["h2 vm1 vm"]);
    const [lease] = await it.leases(blue);
    assert.equal(lease?.expires_at, ends);
    assert.notEqual(lease?.id, id);
    await until(
      "status says it no more",
      async (see) => !see(await refused(two)).includes("is not taken in"),
    );
    await two.agent.line(
      new RegExp(`${VM} \\(${address}\\), which is at vm1 now, has moved here from vm0 on h1`),
    );
  });

  await t.step("where its old device is gone, its first frame is enough", async () => {
    await vm.remove();
    await moved.remove();
    const back = await attached(one, "vm2");
    await goesOn(back, address);
    await until("it is there again", async () => (await places())[0] === "h1 vm2 vm");
    await until("it is reached", () => pings(far.container, address));
    await reaches(back.host, web.address);
    // On the same host, too, and a lease is renewed where it is.
    await back.remove();
    moved = await attached(one, "vm3");
    assert.equal((await moved.lease()).address, address);
    await until("it is at its new port", async () => (await places())[0] === "h1 vm3 vm");
    await reaches(far.container, address);
  });

  await t.step("what is a container's never moves by a frame, also where that is away", async () => {
    const posing = await attached(two, "vm4", web.endpoint.target_veth_mac);
    await goesOn(posing, web.address);
    await until("status names it", async (see) => {
      const body = await refused(two);
      see(body);
      return body.includes("which is no machine behind a device");
    });
    assert.ok(await pings(far.container, web.address));
    const { body } = await two.api.status("/metrics");
    assert.match(body, /agent_machine_moves_total\{result="moved"\} 1/);
    assert.match(body, /agent_machine_moves_total\{result="refused"\} [1-9]/);
  });

  await t.step("a member with a fixed address moves too, and its new port names it", async () => {
    await it.reserve(blue, FIXED, { name: "db", ip4: "10.0.0.77" });
    const fixed = await attached(one, "vm6", FIXED);
    assert.deepEqual((await at(one, "attach", "blue", "--device", "vm6", "--members", "db"))[2], "");
    await goesOn(fixed, "10.0.0.77");
    await reaches(far.container, "10.0.0.77");
    await fixed.remove();
    const there = await attached(two, "vm7", FIXED);
    await goesOn(there, "10.0.0.77");
    await until("it is reached there", () => pings(web.container, "10.0.0.77"));
    const shown = JSON.parse((await at(two, "attach", "blue", "--device", "vm7", "-o", "json"))[1]);
    assert.deepEqual(shown.port.members, [FIXED]);
    // It stays when the hosts look at their lists again.
    await one.kill();
    await one.start();
    assert.ok(await pings(web.container, "10.0.0.77"));
  });

  await t.step(
    "a host that gives no answer keeps what is its; a port that names the machine has it",
    async () => {
      await one.stop();
      await moved.remove();
      const again = await attached(two, "vm5");
      await goesOn(again, address);
      await until("status names it", async (see) => {
        const body = await refused(two);
        see(body);
        return body.includes("does not say whether it is there");
      });
      assert.deepEqual(await places(), ["h1 vm3 vm"]);
      await it.reserve(blue, VM, { name: "vm", ip4: address });
      assert.deepEqual((await at(two, "attach", "blue", "--device", "vm5", "--members", "vm"))[2], "");
      await until("it is reached", () => pings(far.container, address));
      await one.start();
    },
  );
});
