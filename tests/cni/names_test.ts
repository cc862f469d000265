/** The names of pods and containers as names in overlay networks: which they get, and what resolves them. */
import assert from "node:assert/strict";
import { until } from "../lab/until.ts";
import { dig, GatewayLab, resolve } from "../overlay_names/gateway_lab.ts";
import { type Json, Runtime } from "./runtime.ts";

Deno.test("CNI: a pod's name is its endpoint's, where it can be one and is free, and the result says what resolves it", async (t) => {
  await using it = await GatewayLab.started({ hosts: 2 });
  const [one, two] = [it.host(1), it.host(2)];
  const blue = await it.network("blue", { domain: "blue.example" });
  const plain = await one.api.createNetwork({ name: "plain", ip_range: "10.1.0.0/24" });
  const runtimes = new Map(
    await Promise.all(
      [one, two].map(async (host) => [host, await Runtime.on(host, { inProcess: true })] as const),
    ),
  );
  let made = 0;
  /** Attaches a new container that has this name for its runtime. */
  const add = async (host: typeof one, name: string, more: Json = {}, network = blue) => {
    const netns = await host.container(), runtime = runtimes.get(host);
    assert.ok(runtime);
    const list = runtime.list(network, "1.0.0", more), container = `id${made++}`;
    const attachment = { container, netns: netns.path, args: `IgnoreUnknown=1;K8S_POD_NAME=${name}` };
    const result = await runtime.add(list, attachment);
    const [{ address = "" } = {}] = result["ips"] as { address: string }[];
    const ip = address.split("/")[0] ?? "";
    const known = (await host.api.endpoints({ network_id: network }))
      .find(({ target_veth_ip }) => target_veth_ip === address);
    return { netns, ip, name: known?.name, dns: result["dns"], del: () => runtime.del(list, attachment) };
  };

  const web = await add(one, "web"), db = await add(two, "DB-0");
  await t.step("names resolve on both hosts by what the result says", async () => {
    assert.deepEqual([web.name, db.name], ["web", "db-0"]);
    const dns = { nameservers: ["10.0.0.1"], domain: "blue.example", search: ["blue.example"] };
    assert.deepEqual([web.dns, db.dns], [dns, dns]);
    await until("web is known at db", async (see) => {
      return see(await dig(db.netns, "web.blue.example")).lines.join() === web.ip;
    });
    const conf = `nameserver ${dns.nameservers[0]}\nsearch ${dns.search[0]}\n`;
    await until("db is known at web", async () => await resolve(web.netns, conf, "db-0") === db.ip);
  });

  await t.step("the first has a name; another one starts without it, and log and status say so", async () => {
    const second = await add(two, "WEB");
    assert.equal(second.name, undefined);
    const says = /container id\d+ in network blue has no name: web belongs to endpoint \S+ on h1/;
    await two.agent.line(says);
    assert.match((await two.api.status("/readyz")).body, says);
    assert.equal((await two.api.status("/readyz")).status, 200);
    assert.deepEqual((await dig(db.netns, "web.blue.example")).lines, [web.ip]);
    await second.del();
    await until(
      "status says it no more",
      async (see) => !see((await two.api.status("/readyz")).body).includes("has no name"),
    );
  });

  await t.step("what is reserved, or the gateway's, is taken too", async () => {
    await it.reserve(blue, "52:54:00:00:00:77", { name: "vm", ip4: "10.0.0.77" });
    await it.reserve(blue, "52:54:00:00:00:78", { name: "mail", ip4: "10.0.0.78" });
    await until("the agent knows", async (see) => {
      const tried = await add(one, "vm");
      await tried.del();
      return see(tried.name) === undefined;
    });
    for (const name of ["gateway", "ns"]) {
      const tried = await add(one, name);
      assert.equal(tried.name, undefined);
      await tried.del();
    }
    // The MAC's own name goes before the container's.
    const mail = await add(one, "post", { mac: "52:54:00:00:00:78" });
    assert.deepEqual([mail.ip, mail.name], ["10.0.0.78", "mail"]);
    assert.doesNotMatch((await one.api.status("/readyz")).body, /has no name/);
    await mail.del();
  });

  await t.step("what is no label is left out, and the log says so", async () => {
    for (const name of ["web.blue", "a".repeat(64), "tail-"]) {
      const tried = await add(one, name);
      assert.equal(tried.name, undefined);
      await one.agent.line(new RegExp(`${name}.* is not one label of a name`));
      await tried.del();
    }
    assert.doesNotMatch((await one.api.status("/readyz")).body, /has no name/);
  });

  await t.step(
    "names can be switched off; dns is merged key by key, and a plain network has neither",
    async () => {
      const quiet = await add(one, "quiet", { names: false, dns: { search: ["example.org"] } });
      assert.equal(quiet.name, undefined);
      assert.deepEqual(quiet.dns, {
        nameservers: ["10.0.0.1"],
        domain: "blue.example",
        search: ["example.org"],
      });
      await quiet.del();
      const other = await add(one, "web", {}, plain.id);
      assert.deepEqual([other.name, other.dns], [undefined, undefined]);
      await other.del();
      await assert.rejects(add(one, "web", { names: "no" }), /names: .*no.* is not true or false/);
    },
  );

  await t.step("without DNS at the gateway, a network's own name servers are given, or none", async () => {
    const given = async (settings: object) => {
      await it.settings(blue, settings);
      const tried = await add(one, "late");
      await tried.del();
      return tried.dns;
    };
    const overlay = { dns: false }, network = { name: "blue" };
    await until("none", async (see) => see(await given({ network, overlay })) === undefined);
    const nameservers = ["10.0.0.1", "10.0.0.53"];
    await until("the other one", async (see) => {
      const dns = see(await given({ network: { ...network, nameservers }, overlay }));
      return JSON.stringify(dns) === '{"nameservers":["10.0.0.53"]}';
    });
  });
});
