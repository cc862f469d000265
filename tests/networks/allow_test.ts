/** Addresses that several containers may use: one moves between two hosts, as keepalived moves it, with ARP by busybox's arping. */
import assert from "node:assert/strict";
import { delay } from "../../services/common/async.ts";
import { OverlayLab } from "../lab/overlay.ts";
import type { Attached } from "../lab/overlay_host.ts";
import { pings } from "../lab/overlay_traffic.ts";
import { until } from "../lab/until.ts";
import { type Json, Runtime } from "../cni/runtime.ts";
import { at } from "./attached.ts";

const SHARED = "10.0.0.99", ROUTER_MAC = "00:00:5e:00:01:09";

Deno.test("an address that several containers may use moves between hosts", async (t) => {
  await using lab = await OverlayLab.started();
  const [h1, h2] = [lab.host(1), lab.host(2)];
  const { id } = await h1.api.createNetwork({ ip_range: "10.0.0.0/24" });
  await lab.kv.write({
    [`/sc-net/strand/net/${id}/settings`]: JSON.stringify({
      network: { name: "blue" },
      overlay: { contain: true },
    }),
  });
  const attached = async (host: typeof h1, ...options: string[]): Promise<Attached> => {
    const container = await host.container();
    const [code, stdout, stderr] = await at(
      host,
      "attach",
      id,
      "--ns",
      container.path,
      "-o",
      "json",
      "--wait=60s",
      ...options,
    );
    assert.equal(code, 0, stderr);
    const { endpoint } = JSON.parse(stdout);
    return { container, endpoint, address: endpoint.target_veth_ip.split("/")[0] };
  };
  const one = await attached(h1, "--allow", SHARED), two = await attached(h2, "--allow", SHARED);
  const [near, far] = [await attached(h1), await attached(h2)];
  assert.deepEqual(one.endpoint.allow, [{ address: SHARED }]);

  const device = ({ endpoint }: Attached) => endpoint.target_veth_name;
  const take = async (at: Attached) => {
    await at.container.run(["ip", "address", "add", `${SHARED}/24`, "dev", device(at)]);
    await announce(at);
  };
  const announce = (at: Attached) =>
    at.container.run(["busybox", "arping", "-U", "-c", "1", "-I", device(at), SHARED], { mayFail: true });
  const leave = (at: Attached) =>
    at.container.run(["ip", "address", "del", `${SHARED}/24`, "dev", device(at)]);
  /** Where a container's frames for the address go. */
  const seen = async ({ container }: Attached) =>
    /lladdr (\S+)/.exec((await container.run(["ip", "neigh", "show", SHARED])).stdout)?.[1];
  const reached = (holder: Attached) =>
    until("it is reached from both hosts", async (see) => {
      for (const from of [near, far]) {
        const isReached = await pings(from.container, SHARED), mac = await seen(from);
        see([isReached, mac]);
        if (!isReached || mac !== holder.endpoint.target_veth_mac) return false;
      }
      return true;
    });

  await t.step("the container that announces it has it on every host, and then the other one", async () => {
    await take(one);
    await reached(one);
    await leave(one);
    await take(two);
    await reached(two);
    // Its holder is in etcd: an agent that is started again knows it.
    await h1.kill();
    await h1.start();
    await reached(two);
    // An announcement that comes within a second of the one before, and only once, counts too.
    for (const [from, to] of [[two, one], [one, two], [two, one]] as const) {
      await leave(from);
      await take(to);
      await reached(to);
    }
  });

  await t.step(
    "what is announced again before etcd has answered does not count against a later holder",
    async () => {
      const answers = ["INPUT", "-p", "tcp", "--sport", "2379", "-j", "DROP"];
      await leave(one);
      await h2.host.run(["iptables", "-I", ...answers]);
      await take(two);
      await announce(two);
      await h2.host.run(["iptables", "-D", ...answers]);
      await reached(two);
      await leave(two);
      await take(one);
      await reached(one);
      // The second announcement is looked at when a second has passed since the first one was written.
      await delay(1500);
      await reached(one);
    },
  );

  await t.step("a container that may not use it cannot take it", async () => {
    const key = `/sc-net/strand/net/${id}/held/${SHARED}`, before = (await lab.kv.under(key)).get(key);
    await take(far);
    await leave(far);
    assert.ok(await pings(near.container, SHARED));
    await reached(one);
    assert.equal((await lab.kv.under(key)).get(key), before);
  });

  await t.step("a MAC of its own comes with it", async () => {
    const router = await attached(h1, "--allow", `10.0.0.98,${ROUTER_MAC}`);
    const { container } = router,
      mac = ["link", "add", "vrrp", "link", device(router), "address", ROUTER_MAC];
    await container.run(["ip", ...mac, "type", "macvlan", "mode", "private"]);
    await container.run(["ip", "link", "set", "vrrp", "up"]);
    await container.run(["ip", "address", "add", "10.0.0.98/32", "dev", "vrrp"]);
    await until("it is reached", async () => {
      await container.run(["busybox", "arping", "-U", "-c", "1", "-I", "vrrp", "10.0.0.98"], {
        mayFail: true,
      });
      return await pings(far.container, "10.0.0.98");
    });
  });

  await t.step("a container of CNI takes it over, and another one of CNI may use a further one", async () => {
    const runtime = await Runtime.on(h2, { inProcess: true });
    const add = async (more: Json, dynamic?: Json) => {
      const container = await h2.container(), list = runtime.list(id, "1.0.0", more);
      const attachment = { container: crypto.randomUUID(), netns: container.path, ...dynamic && { dynamic } };
      await runtime.add(list, attachment);
      const endpoint = (await h2.api.endpoints({ network_id: id, hostname: "h2" }))
        .find(({ target_netns_path: path }) => path === container.path);
      assert(endpoint);
      const { target_veth_ip: address } = endpoint;
      return {
        container,
        endpoint,
        address: address.split("/")[0] ?? "",
        del: () => runtime.del(list, attachment),
      };
    };
    const three = await add({ allow: [SHARED] });
    assert.deepEqual(three.endpoint.allow, [{ address: SHARED }]);
    await leave(one);
    await take(three);
    await reached(three);
    await leave(three);
    await take(one);
    await reached(one);
    // What the runtime hands over counts first, then what the conventions have in args.
    const its = [{ address: "10.0.0.96", mac: ROUTER_MAC }, { address: "10.0.0.95" }];
    const args = { cni: { allow: ["10.0.0.95"] } };
    const both = await add({ args, capabilities: { allow: true } }, { allow: [`10.0.0.96,${ROUTER_MAC}`] });
    const by = await add({ args, allow: [SHARED] });
    assert.deepEqual([both, by].map(({ endpoint }) => endpoint.allow), its.map((one) => [one]));
    for (
      const [allow, wanted] of [["10.0.0", /allow: .*10\.0\.0.* is not an IPv4 address/], [
        "10.1.0.9",
        /outside the range/,
      ]] as const
    ) {
      await assert.rejects(add({ allow: [allow] }), wanted);
    }
    for (const made of [three, both, by]) await made.del();
  });

  await t.step("bad input, and what is claimed", async () => {
    const container = await h1.container();
    const refused = async (wanted: RegExp, ...options: string[]) => {
      const [code, , stderr] = await at(h1, "attach", id, "--ns", container.path, ...options);
      assert.ok(code !== 0, "it is not refused");
      assert.match(stderr, wanted);
    };
    await refused(/--allow: "10\.0\.0" is not an IPv4 address/, "--allow", "10.0.0");
    await refused(/--allow: "x" is not a MAC address/, "--allow", "10.0.0.97,x");
    await refused(/10\.1\.0\.9 is outside the range/, "--allow", "10.1.0.9");
    await refused(/10\.0\.0\.1 .* belongs to the gateway/, "--allow", "10.0.0.1");
    await refused(new RegExp(`${near.address} .* belongs to endpoint`), "--allow", near.address);
    await refused(/10\.0\.0\.99 .* belongs to endpoint .*, which may use it/, "--ip", SHARED);
    await refused(/is the MAC of endpoint/, "--allow", `10.0.0.97,${near.endpoint.target_veth_mac}`);
    const again = ["--ns", one.container.path, "--allow"];
    assert.deepEqual((await at(h1, "attach", id, ...again, SHARED))[0], 0);
    assert.match(
      (await at(h1, "attach", id, ...again, "10.0.0.97"))[2],
      /not with the further addresses 10\.0\.0\.97/,
    );
    assert.match(
      (await at(h1, "attach", id, "--device", "tap0", "--allow", SHARED))[2],
      /--allow: it is about one machine/,
    );
    // It is free when the last one that may use it is gone.
    await h1.api.deleteEndpoint(one.endpoint.id);
    await refused(/which may use it/, "--ip", SHARED);
    await h2.api.deleteEndpoint(two.endpoint.id);
    const [code, , stderr] = await at(h1, "attach", id, "--ns", container.path, "--ip", SHARED);
    assert.equal(code, 0, stderr);
    assert.equal((await lab.kv.under(`/sc-net/strand/net/${id}/held/${SHARED}`)).size, 0);
  });
});
