/**
 * Every operation in every version, and every error code that the specification and docs/CNI.md name. The oldest and the
 * newest version, and the first case of each code, are tried with the plugin as a process, the others without one.
 */
import assert from "node:assert/strict";
import { OverlayLab } from "../lab/overlay.ts";
import type { OverlayHost } from "../lab/overlay_host.ts";
import { pings } from "../lab/overlay_traffic.ts";
import { until } from "../lab/until.ts";
import { type Environment, environmentOf, interfaceIn, type Json, PluginError, Runtime } from "./runtime.ts";

const versions = ["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"];
const knows = (version: string, since: string) => versions.indexOf(version) >= versions.indexOf(since);

/** The error that it ends with. */
async function refused(call: Promise<unknown>): Promise<PluginError> {
  const error = await call.then((value) => new Error(`done: ${JSON.stringify(value)}`), (error) => error);
  if (error instanceof PluginError) return error;
  throw error;
}

/** Two hosts; on the first one the plugin is executed, or called in this process. */
interface Made {
  readonly lab: OverlayLab;
  readonly h1: OverlayHost;
  readonly h2: OverlayHost;
  readonly executed: Runtime;
  readonly called: Runtime;
}

Deno.test("CNI: every operation in every version, and every error code", async (t) => {
  await using lab = await OverlayLab.started();
  const [h1, h2] = [lab.host(1), lab.host(2)];
  const [executed, called] = [await Runtime.on(h1), await Runtime.on(h1, { inProcess: true })];
  const made = { lab, h1, h2, executed, called };
  await t.step("every operation in every version", (t) => everyOperation(t, made));
  await t.step("every error code", (t) => everyCode(t, made));
});

async function everyOperation(t: Deno.TestContext, { lab, h1, h2, executed, called }: Made): Promise<void> {
  const network = await h1.api.createNetwork({ name: "blue" });
  const there = await h2.attach(network.id);
  const dns = { nameservers: ["10.0.0.1"], domain: "blue.net", search: ["blue.net"], options: ["ndots:1"] };

  const { stdout } = await executed.execute("strand", { CNI_COMMAND: "VERSION" }, '{"cniVersion":"0.4.0"}');
  assert.deepEqual(JSON.parse(stdout), { cniVersion: "0.4.0", supportedVersions: versions });
  const silent = await executed.execute("strand", { CNI_COMMAND: "VERSION" }, "");
  assert.deepEqual(JSON.parse(silent.stdout), { cniVersion: "1.1.0", supportedVersions: versions });

  for (const version of versions) {
    await t.step(version, async () => {
      const runtime = version === versions[0] || version === versions.at(-1) ? executed : called;
      const container = await h1.container(),
        attachment = { container: `v-${version}`, netns: container.path };
      const list = runtime.list("blue", version, { dns });
      const result = await runtime.add(list, attachment);
      const [endpoint] = await h1.api.endpoints({ hostname: "h1" });
      assert.ok(endpoint);
      const mtu = knows(version, "1.1.0") ? { mtu: 1450 } : {};
      assert.deepEqual(result, {
        cniVersion: version,
        interfaces: [
          {
            name: endpoint.overlay_veth_name,
            mac: endpoint.overlay_veth_mac,
            sandbox: h1.namespaceOf(network.id),
            ...mtu,
          },
          { name: "eth0", mac: endpoint.target_veth_mac, sandbox: container.path, ...mtu },
        ],
        ips: [{
          ...knows(version, "1.0.0") ? {} : { version: "4" },
          address: endpoint.target_veth_ip,
          gateway: "10.0.0.1",
          interface: 1,
        }],
        dns,
      });
      assert.deepEqual(await interfaceIn(container, "eth0"), {
        mtu: 1450,
        mac: endpoint.target_veth_mac,
        up: true,
        addresses: [endpoint.target_veth_ip],
      });
      await until("the other host is reached", () => pings(container, there.address));

      if (knows(version, "0.4.0")) await runtime.check(list, attachment);
      else assert.equal((await refused(runtime.check(list, attachment))).code, 1);
      if (knows(version, "1.1.0")) {
        await runtime.status(list);
        await runtime.gc(list, [attachment]);
        assert.ok(await interfaceIn(container, "eth0"));
        await runtime.gc(list, []);
        assert.equal(await interfaceIn(container, "eth0"), undefined);
      } else {
        const errors = [await refused(runtime.status(list)), await refused(runtime.gc(list, []))];
        for (const { code, answer } of errors) assert.deepEqual([code, answer["cniVersion"]], [1, version]);
      }
      await runtime.del(list, attachment);
      await runtime.del(list, attachment);
      await runtime.del(list, { container: attachment.container });
      assert.equal(await interfaceIn(container, "eth0"), undefined);
      await lab.agree();
    });
  }
  await lab.clear();
}

async function everyCode(t: Deno.TestContext, { lab, h1, executed, called: runtime }: Made): Promise<void> {
  await h1.api.createNetwork({ name: "blue" });
  const tiny = await h1.api.createNetwork({ name: "tiny", ip_range: "10.1.0.0/30", gateway: "10.1.0.1/30" });
  for (let i = 0; i < 2; i++) await h1.api.createNetwork({ name: "twice" });
  const first = await h1.container(), second = await h1.container();
  const conf: Json = { cniVersion: "1.1.0", name: "lab", type: "strand", network: "blue", agent: h1.socket };
  const env = environmentOf({ container: "c1", netns: first.path });
  const added = await runtime.call("ADD", conf, env) as Json;
  const checked: Json = { ...conf, prevResult: added };
  await runtime.call("CHECK", checked, env);
  await runtime.call("ADD", { ...conf, network: tiny.id }, {
    ...env,
    CNI_CONTAINERID: "c2",
    CNI_IFNAME: "tiny0",
  });
  const other = { ...env, CNI_CONTAINERID: "c3", CNI_NETNS: second.path };
  const with_ = (more: Json): Json => ({ ...conf, ...more });
  const without = (...names: (keyof Environment)[]): Environment =>
    Object.fromEntries(Object.entries(other).filter(([name]) => !names.includes(name as keyof Environment)));

  const rows: [operation: string, config: Json | string, env: Environment, code: number, says: RegExp][] = [
    [
      "ADD",
      with_({ cniVersion: "0.2.0" }),
      other,
      1,
      /"0\.2\.0" .*0\.3\.0, 0\.3\.1, 0\.4\.0, 1\.0\.0, 1\.1\.0/,
    ],
    ["ADD", with_({ cniVersion: undefined }), other, 1, /cniVersion: "0\.1\.0"/],
    ["CHECK", with_({ cniVersion: "0.3.1" }), env, 1, /CHECK came with 0\.4\.0/],
    ["STATUS", with_({ cniVersion: "1.0.0" }), {}, 1, /STATUS came with 1\.1\.0/],
    ["GC", with_({ cniVersion: "1.0.0" }), {}, 1, /GC came with 1\.1\.0/],
    ["ADD", with_({ netwrok: "blue" }), other, 2, /netwrok: "blue" .*network/],
    ["ADD", with_({ isGateway: "yes" }), other, 7, /isGateway: "yes" is not true or false/],
    ["ADD", with_({ hostInterface: 1 }), other, 7, /hostInterface: 1 is not true or false/],
    ["ADD", with_({ ipMasq: true }), other, 2, /ipMasq: true/],
    ["ADD", with_({ ipam: { type: "host-local" } }), other, 2, /ipam\.type: "host-local"/],
    ["ADD", with_({ ipam: { routes: [{ dst: "0.0.0.0/0", table: 7 }] } }), other, 2, /routes\[0\]\.table: 7/],
    [
      "ADD",
      with_({ runtimeConfig: { bandwidth: { ingressRate: 1 } } }),
      other,
      2,
      /runtimeConfig\.bandwidth: /,
    ],
    [
      "CHECK",
      checked,
      { ...env, CNI_CONTAINERID: "nobody" },
      3,
      /container nobody has no eth0 in network lab/,
    ],
    ["JUMP", conf, other, 4, /CNI_COMMAND: "JUMP"/],
    ["ADD", conf, {}, 4, /CNI_CONTAINERID: missing.*CNI_NETNS: missing.*CNI_IFNAME: missing/],
    ["ADD", conf, without("CNI_NETNS"), 4, /CNI_NETNS: missing/],
    ["CHECK", checked, without("CNI_IFNAME"), 4, /CNI_IFNAME: missing/],
    ["DEL", conf, without("CNI_CONTAINERID"), 4, /CNI_CONTAINERID: missing/],
    ["DEL", conf, without("CNI_IFNAME"), 4, /CNI_IFNAME: missing/],
    ["ADD", conf, { ...other, CNI_CONTAINERID: "-c" }, 4, /CNI_CONTAINERID: "-c"/],
    ["ADD", conf, { ...other, CNI_IFNAME: "a/b" }, 4, /CNI_IFNAME: "a\/b"/],
    ["ADD", conf, { ...other, CNI_IFNAME: "sixteen_letters0" }, 4, /CNI_IFNAME: /],
    ["ADD", conf, { ...other, CNI_ARGS: "IP" }, 4, /CNI_ARGS: "IP"/],
    ["ADD", conf, { ...other, CNI_ARGS: "IP=blue" }, 4, /CNI_ARGS: IP=blue/],
    ["ADD", conf, { ...other, CNI_NETNS: "/run/netns/nowhere" }, 4, /CNI_NETNS: .*nowhere/],
    ["ADD", conf, { ...other, CNI_NETNS: "/etc/hostname" }, 4, /CNI_NETNS: .*not a network namespace/],
    ["ADD", conf, { ...other, CNI_NETNS: h1.host.path }, 4, /CNI_NETNS: .*agent's own network namespace/],
    ["ADD", "{", other, 6, /not JSON/],
    ["ADD", "[]", other, 6, /not a JSON object/],
    ["ADD", "", other, 6, /not JSON/],
    ["ADD", with_({ cniVersion: "new" }), other, 6, /cniVersion: "new"/],
    ["ADD", with_({ cniVersion: 1 }), other, 6, /cniVersion: 1/],
    ["ADD", with_({ name: undefined }), other, 7, /name: /],
    ["DEL", with_({ name: "a/b" }), other, 7, /name: "a\/b"/],
    ["ADD", with_({ agent: "agent.sock" }), other, 7, /agent: "agent\.sock"/],
    ["ADD", with_({ network: "red" }), other, 7, /no network "red".*network-create/],
    ["ADD", with_({ network: "twice" }), other, 7, /2 networks are called "twice"/],
    ["ADD", with_({ network: "320a669f-e465-4806-ab46-f2e6620c4311" }), other, 7, /no network "320a669f/],
    ["ADD", with_({ isDefaultGateway: "yes" }), other, 7, /isDefaultGateway: "yes"/],
    ["ADD", with_({ ipam: { routes: [{ dst: "::/0" }] } }), other, 7, /routes\[0\]\.dst: "::\/0"/],
    [
      "ADD",
      with_({ ipam: { routes: [{ dst: "0.0.0.0/0", gw: "192.0.2.1" }] } }),
      other,
      7,
      /by 192\.0\.2\.1/,
    ],
    ["ADD", with_({ mac: "01:00:5e:00:00:01" }), other, 7, /multicast/],
    ["ADD", with_({ runtimeConfig: { ips: ["10.9.0.1"] } }), other, 7, /10\.9\.0\.1/],
    ["ADD", with_({ runtimeConfig: { ips: ["10.0.0.8", "10.0.0.9"] } }), other, 7, /ips: .*one address/],
    ["CHECK", conf, env, 7, /prevResult: missing/],
    ["GC", conf, {}, 7, /valid-attachments: missing/],
    ["ADD", with_({ agent: "/run/nowhere.sock" }), other, 11, /agent at \/run\/nowhere\.sock is not there/],
    ["DEL", with_({ agent: "/run/nowhere.sock" }), other, 11, /is not there/],
    ["STATUS", with_({ agent: "/run/nowhere.sock" }), {}, 50, /is not there/],
    ["STATUS", with_({ network: "red" }), {}, 50, /no network "red"/],
    ["ADD", conf, env, 100, /container c1 has eth0 in network lab already/],
    ["ADD", conf, { ...env, CNI_CONTAINERID: "c4" }, 100, /interface called eth0 in .* already/],
    ["ADD", with_({ runtimeConfig: { ips: ["10.0.0.2/24"] } }), other, 100, /10\.0\.0\.2/],
    ["ADD", with_({ mac: "02:84:0a:00:00:02" }), other, 100, /02:84:0a:00:00:02/],
    ["ADD", with_({ network: "tiny" }), other, 101, /tiny/],
    [
      "CHECK",
      { ...checked, prevResult: { ...added, ips: [] } },
      env,
      103,
      /eth0 has the address 10\.0\.0\.2\/24/,
    ],
    ["CHECK", checked, { ...env, CNI_NETNS: second.path }, 103, /not in /],
  ];
  const codes = new Set<number>();
  for (const [operation, config, env, code, says] of rows) {
    const by = codes.has(code) ? runtime : executed;
    codes.add(code);
    await t.step(`${operation} ${code} ${says.source}`, async () => {
      const stdin = typeof config === "string" ? config : JSON.stringify(config);
      const ended = await by.perform("strand", { CNI_COMMAND: operation, ...env }, stdin);
      assert.equal(ended.code, 1, ended.stdout);
      const answer = JSON.parse(ended.stdout) as Json;
      assert.deepEqual([answer["code"], ended.stderr], [code, ""], ended.stdout);
      assert.match(`${answer["msg"]}`, says);
      assert.ok(versions.includes(`${answer["cniVersion"]}`));
    });
  }

  await t.step("5: standard input that cannot be read", async () => {
    const [file = "", ...args] = h1.host.enter(["sh", "-c", `exec ${runtime.path.split(":")[0]}/strand </`]);
    const { stdout } = await new Deno.Command(file, { args, env: { CNI_COMMAND: "STATUS" } }).output();
    assert.equal(JSON.parse(new TextDecoder().decode(stdout)).code, 5);
  });
  await t.step("102: the network is being deleted", async () => {
    const red = await h1.api.createNetwork({ name: "red" });
    await lab.kv.write({
      [`/sc-net/strand/deleted/${red.id}`]: JSON.stringify({ created_at: red.created_at }),
      // While an older agent has it, it stays until that agent releases it.
      [`/sc-net/nodes-networks/${red.id}/old`]: JSON.stringify({ id: red.id, created_at: red.created_at }),
    });
    await until("the agent knows", async () => {
      const error = await refused(
        runtime.call("ADD", with_({ network: red.id }), other).then(async (done) => {
          await runtime.call("DEL", conf, other);
          return done;
        }),
      ).catch(() => undefined);
      return error?.code === 102;
    });
    await lab.kv.removeUnder(`/sc-net/nodes-networks/${red.id}/`);
  });
  await t.step(
    "51 and 11: etcd is away; 50: the agent has not begun; 103: what is lost cannot be had back",
    async () => {
      await lab.etcd.kill();
      await until("h1 says so", async (see) => see(await h1.api.status("/readyz")).status === 503);
      const status = await refused(runtime.call("STATUS", conf));
      assert.equal(status.code, 51);
      assert.match(status.text, /etcd/);
      for (const operation of ["ADD", "DEL"]) {
        assert.equal(
          (await refused(runtime.call(operation, conf, operation === "ADD" ? other : env))).code,
          11,
        );
      }
      await h1.stop();
      h1.launch();
      await until(
        "the agent listens",
        async () => await h1.api.request({ path: "/version" }).then(() => true, () => false),
      );
      assert.equal((await refused(runtime.call("STATUS", conf))).code, 50);
      assert.equal((await refused(runtime.call("ADD", conf, other))).code, 11);
      await lab.etcd.start();
      await h1.ready();
      await runtime.call("STATUS", conf);
      await runtime.call("CHECK", checked, env);
      await h1.removeContainer(first);
      const gone = await refused(runtime.call("CHECK", checked, env));
      assert.equal(gone.code, 103);
      assert.match(gone.text, /not active/);
      for (const [CNI_CONTAINERID, CNI_IFNAME] of [["c1", "eth0"], ["c2", "tiny0"]] as const) {
        await runtime.call("DEL", conf, { CNI_CONTAINERID, CNI_IFNAME });
      }
      await lab.agree();
      assert.deepEqual(await h1.api.endpoints(), []);
    },
  );
}
