/** `strand attach --device`: machines behind devices of two hosts are in a network with their addresses and names. */
import assert from "node:assert/strict";
import { deviceFailpoints } from "../../services/agent/failpoints.ts";
import { curl } from "../lab/curl.ts";
import { type LabHost, run } from "../lab/host.ts";
import { pings, reaches } from "../lab/overlay_traffic.ts";
import { until } from "../lab/until.ts";
import { at } from "./attached.ts";
import { dig, GatewayLab } from "../overlay_names/gateway_lab.ts";
import { ipIn, Machine } from "../overlay_names/ports.ts";

const ip = async (host: LabHost, line: string) => (await host.run(["ip", ...line.split(" ")])).stdout;
const names = async (host: LabHost) =>
  JSON.parse(await ip(host, "-j link show")).map(({ ifname }: { ifname: string }) => ifname) as string[];

Deno.test("strand attach --device", async (t) => {
  await using it = await GatewayLab.started({ hosts: 2 });
  const [one, two] = [it.host(1), it.host(2)];
  const blue = await it.network("blue", { domain: "blue.example" });
  await it.reserve(blue, "52:54:00:00:00:05", { name: "db", ip4: "10.0.0.5" });
  const device = (mac: string) => Machine.behind(one, "vm0", mac);
  let vm = await device("52:54:00:00:00:05");

  await t.step(
    "a machine behind a device has its address, its name and its way, on a host with nothing else",
    async () => {
      assert.deepEqual(await at(one, "attach", "blue", "--device", "vm0"), [
        0,
        "device vm0 attached: a port of blue\n",
        "",
      ]);
      assert.deepEqual(await at(one, "attach", "blue", "--device", "vm0"), [
        0,
        "device vm0 unchanged: a port of blue\n",
        "",
      ]);
      assert.ok(!(await names(one.host)).includes("vm0"));
      const { address } = await vm.lease();
      if (address !== "10.0.0.5") {
        throw new Error(`its address is "${address}"; ${await it.report(one, blue)}`);
      }
      const web = await two.attach(blue, { name: "web", wait: "20s" });
      await until(
        "db is known at web",
        async (see) => see(await dig(web.container, "db.blue.example")).lines[0] === "10.0.0.5",
      );
      await until("it is reached by its name's address", () => pings(web.container, "10.0.0.5"));
      await reaches(vm.host, web.address);
    },
  );

  await t.step(
    "an agent that is killed finds it in its place, and a device that comes back is a port again",
    async () => {
      await one.kill();
      await one.start();
      assert.ok(await pings(vm.host, "10.0.0.1"));
      await vm.remove();
      await until(
        "status says so",
        async (see) =>
          /vm0 is no port of network blue: there is no interface/.test(
            see((await one.api.status("/readyz")).body),
          ),
      );
      vm = await device("52:54:00:00:00:05");
      await until("it has its address again", async (see) => see((await vm.lease()).address) === "10.0.0.5");
      await until(
        "nothing is wrong",
        async (see) => !see((await one.api.status("/readyz")).body).includes("vm0"),
      );
    },
  );

  await t.step("after a reboot, which leaves no namespace, the device is taken in again", async () => {
    await one.kill();
    await vm.remove();
    const namespace = one.namespaceOf(blue);
    await run(["umount", namespace]);
    await Deno.remove(namespace);
    vm = await device("52:54:00:00:00:05");
    await one.start();
    await until("it has its address again", async (see) => see((await vm.lease()).address) === "10.0.0.5");
  });

  await t.step(
    "a port that gets another name has its own again, and goes back to the host by that",
    async () => {
      const inside = (line: string) => ipIn(one.namespaceOf(blue), line);
      // A link is down while its name is changed (before Linux 6.2). The agent puts it up, and gives it its own name again.
      const rename = () =>
        until("vm0 is named vm9", async () => {
          await inside("link set vm0 down");
          return await inside("link set vm0 name vm9").then(() => true, () => false);
        });
      await rename();
      await until("it is vm0 again", async (see) => / vm0[:@]/.test(see(await inside("-o link"))));
      await until("its machine is reached", async (see) => see((await vm.lease()).address) === "10.0.0.5");
      assert.doesNotMatch(await inside("-o link"), /vm9/);
      await one.kill();
      await rename();
      await one.start();
      await until("it is vm0 once more", async (see) => / vm0[:@]/.test(see(await inside("-o link"))));
      await until("its machine is reached", async (see) => see((await vm.lease()).address) === "10.0.0.5");
      await one.kill();
      await rename();
      // It is given back at once, and not looked for first.
      await one.start();
      assert.deepEqual(await at(one, "detach", "blue", "--device", "vm0"), [0, "device vm0 detached\n", ""]);
      const shown = await ip(one.host, "link show vm0");
      assert.doesNotMatch(shown, /alias/);
      assert.deepEqual((await at(one, "attach", "blue", "--device", "vm0"))[2], "");
      await until("its machine is reached", async (see) => see((await vm.lease()).address) === "10.0.0.5");
    },
  );

  await t.step("what cannot be a port is refused, and stays as it is", async () => {
    await ip(one.host, "link add br9 type bridge");
    await ip(one.host, "link add d1 type veth peer name d2");
    await ip(one.host, "link set d1 master br9");
    await ip(one.host, "address add 192.0.2.77/24 dev d2");
    await ip(one.host, "link add low0 mtu 1000 type veth peer name low1");
    await ip(one.host, "link add mac0 link low0 type macvlan");
    const before = await ip(one.host, "-br link");
    const cases: [string, string, string][] = [
      ["blue", "none", 'there is no interface "none" on this host'],
      ["blue", "lo", "lo is a name of the agent's own interfaces"],
      ["blue", "a/b", '"a/b" is not the name of an interface, like tap0'],
      ["blue", "br9", "br9 is a bridge: attach one of its ports, or a veth whose other end is one of them"],
      ["blue", "d1", 'd1 is a port of br9 already: take it out with "ip link set d1 nomaster"'],
      [
        "blue",
        "d2",
        'd2 has the address 192.0.2.77/24, which it would lose: remove it with "ip address del 192.0.2.77/24 dev d2"',
      ],
      ["blue", "mac0", "mac0 cannot have the network's MTU, 1450"],
      ["blue", "eth0", "eth0 carries the packets between the hosts, which would lose each other"],
    ];
    for (const [net, name, sentence] of cases) {
      assert.deepEqual(await at(one, "attach", net, "--device", name), [
        1,
        "",
        `strand: --device: ${sentence}\n`,
      ]);
    }
    await it.network("red");
    const [code, , error] = await at(one, "attach", "red", "--device", "vm0");
    assert.deepEqual([code, error], [
      1,
      "strand: --device: vm0 is a port of network blue already: detach it there first\n",
    ]);
    assert.equal((await at(one, "attach", "blue"))[0], 2);
    assert.equal((await at(one, "attach", "blue", "--device", "vm0", "--name", "x"))[0], 2);
    assert.equal((await at(one, "detach", "red", "--device", "vm0"))[0], 1);
    assert.equal((await curl(["http://127.0.0.1:9999/ports"], one.host)).status, 403);
    assert.equal(await ip(one.host, "-br link"), before);
  });

  await t.step("docs/VMS.md: a tap is a port, and the host's again", async () => {
    const page = await Deno.readTextFile(new URL("../../docs/VMS.md", import.meta.url));
    const lines = [...page.matchAll(/^```sh\n([^]*?)^```$/gm)].flatMap(([, block = ""]) =>
      block.trim().split("\n")
    );
    assert.equal(lines.length, 3);
    for (const line of lines) {
      const [command, ...args] = line.split(" ");
      if (command === "ip") await ip(one.host, args.join(" "));
      else assert.deepEqual((await at(one, args[0] as "attach", ...args.slice(1)))[2], "");
      assert.equal((await names(one.host)).includes("tap0"), args[0] !== "attach", line);
    }
  });

  await t.step(
    "detached, it is the host's again, and the network leaves the host with its last port",
    async () => {
      // Another program has made it a port: its lease is none of a device that was detached.
      const other = await Machine.on(one, blue, "52:54:00:00:00:09");
      assert.match((await other.lease()).address, /^10\./);
      assert.deepEqual(await at(one, "detach", "blue", "--device", "vm0"), [0, "device vm0 detached\n", ""]);
      assert.ok((await names(one.host)).includes("vm0"));
      assert.deepEqual(await at(one, "detach", "blue", "--device", "vm0"), [
        1,
        "",
        "strand: --device: vm0 is a port of no network on this host\n",
      ]);
      await until(
        "its lease has ended, and no other",
        async (see) =>
          see((await it.leases(blue)).map(({ target_veth_mac }) => target_veth_mac)).join() === other.mac,
      );
    },
  );
});

Deno.test("an agent that is killed, or dies at any step with a device, goes on as if it had not", async (t) => {
  await using it = await GatewayLab.started({ hosts: 1 });
  const one = it.host(1), blue = await it.network("blue"), place = `${one.directory}/failpoint`;
  const start = async () => {
    await Deno.writeTextFile(place, "");
    await one.start({ STRAND_FAILPOINT: place });
  };
  await one.stop();
  await start();
  for (const name of deviceFailpoints.filter((name) => name.startsWith("lease:"))) {
    await t.step(name, async () => {
      const device = `vm${name.length}`, mac = `52:54:00:00:00:${name.length}`;
      const machine = await Machine.behind(one, device, mac);
      assert.equal((await at(one, "attach", "blue", "--device", device))[0], 0);
      await Deno.writeTextFile(place, name);
      const requesting = machine.lease().catch(() => {});
      await until("the agent has died", () => !one.running);
      await start();
      await requesting;
      const { address } = await machine.lease();
      assert.deepEqual((await it.leases(blue)).map(({ target_veth_mac }) => target_veth_mac), [mac]);
      assert.ok(await pings(machine.host, "10.0.0.1"));
      assert.equal((await machine.lease()).address, address);
      one.devices.set(device, blue);
      await it.lab.agree();
      one.devices.delete(device);
      assert.equal((await at(one, "detach", "blue", "--device", device))[0], 0);
      await machine.remove();
      for (const { id } of await it.leases(blue)) await one.api.deleteEndpoint(`${id}`);
    });
  }
  await it.reserve(blue, "52:54:00:00:00:05", { name: "db", ip4: "10.0.0.5" });
  const vm = await Machine.behind(one, "vm0", "52:54:00:00:00:05");
  let isPort = false;
  for (const name of deviceFailpoints.filter((name) => !name.startsWith("lease:"))) {
    await t.step(name, async () => {
      const verb = name === "device:detached" || name === "device:returned" ? "detach" : "attach";
      if (isPort !== (verb === "detach")) {
        assert.equal((await at(one, isPort ? "detach" : "attach", "blue", "--device", "vm0"))[0], 0);
      }
      await Deno.writeTextFile(place, name);
      assert.equal((await at(one, verb, "blue", "--device", "vm0"))[0], 1);
      await until("the agent has died", () => !one.running);
      await start();
      await until("it is a port", async (see) => see((await vm.lease()).address) === "10.0.0.5");
      assert.ok(await pings(vm.host, "10.0.0.1"));
      assert.ok(!(await names(one.host)).includes("vm0"));
      assert.equal(
        (await at(one, "attach", "blue", "--device", "vm0"))[1],
        "device vm0 unchanged: a port of blue\n",
      );
      isPort = true;
    });
  }
  assert.equal((await at(one, "detach", "blue", "--device", "vm0"))[0], 0);
  assert.ok((await names(one.host)).includes("vm0"));

  await t.step(
    "a network that is deleted gives its devices back, also when the agent was killed",
    async () => {
      const gone = await it.network("gone");
      await Machine.behind(one, "vm9", "52:54:00:00:00:05");
      await at(one, "attach", "gone", "--device", "vm9");
      await one.kill();
      await it.lab.kv.write({ [`/sc-net/network/${gone}`]: undefined });
      await start();
      await until("it is the host's again", async (see) => see(await names(one.host)).includes("vm9"));
      await until(
        "status says so",
        async (see) => see((await one.api.status("/readyz")).body).includes("vm9 is no port of network"),
      );
    },
  );
});
