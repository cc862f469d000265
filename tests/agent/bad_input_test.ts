/** Invalid requests and records: an agent refuses each with a sentence, and leaves nothing half-made. */
import assert from "node:assert/strict";
import { Process, run, strandCommand } from "../lab/host.ts";
import { OverlayLab } from "../lab/overlay.ts";
import { type NewEndpoint, sentenceOf } from "../lab/overlay_api.ts";
import { reaches } from "../lab/overlay_traffic.ts";

const UNKNOWN_ID = "6f9619ff-8b86-4011-b42d-00c04fc964ff";

Deno.test("what an agent refuses, it refuses with a sentence, and nothing is left half-made", async (t) => {
  await using lab = await OverlayLab.started();
  const [h1, h2] = [lab.host(1), lab.host(2)];
  const { id } = await h1.api.createNetwork({ name: "web" });
  const good = await h1.attach(id), far = await h2.attach(id, { wait: "20s" });
  await lab.agree();
  await lab.probesTold();
  const before = await lab.kv.under("/sc-net/");

  const assertRefused = async (
    method: string,
    path: string,
    body: unknown,
    status: number,
    sentence: RegExp,
  ) => {
    const text = typeof body === "string" ? body : JSON.stringify(body);
    const answer = await h1.api.request({ method, path, body: text });
    const said = `${method} ${path} ${text?.slice(0, 200)}: ${answer.status} ${answer.body}`;
    assert.equal(answer.status, status, said);
    const error = sentenceOf(answer.body);
    assert.notEqual(error, answer.body, said);
    assert.match(error, sentence, said);
    assert.ok(error.length < 300 && !error.includes("\n"), said);
  };
  const endpoint = (
    options: Omit<NewEndpoint, "wait"> & Record<string, unknown>,
    status: number,
    says: RegExp,
  ) => {
    const { netns, ...rest } = options;
    const active = netns === undefined ? {} : { activate: true, activate_params: { ns_handle_path: netns } };
    return assertRefused("POST", "/endpoints", { network_id: id, ...active, ...rest }, status, says);
  };

  await t.step("namespace paths", async () => {
    const { directory } = h1, netns = good.container.path;
    await Deno.writeTextFile(`${directory}/file`, "no namespace");
    await Deno.writeTextFile(`${directory}/empty`, "");
    await Deno.symlink(netns, `${directory}/link`);
    await run(["mkfifo", `${directory}/fifo`]);
    // Mounted where only that process sees it: here its file is empty.
    const elsewhere = `${directory}/elsewhere`;
    await Deno.writeTextFile(elsewhere, "");
    const holder = new Process([
      "unshare",
      "--mount",
      "--propagation",
      "private",
      "sh",
      "-c",
      `mount --bind ${netns} ${elsewhere} && echo mounted && exec sleep 1000`,
    ]);
    await holder.line(/mounted/);
    const paths: [string, RegExp][] = [
      [`${directory}/missing`, /missing/],
      [`${directory}/missing/ns`, /missing/],
      ["", /ns_handle_path/],
      ["relative/path", /relative/],
      [directory, /not a/],
      [`${directory}/`, /./],
      [`${directory}/file`, /not a network namespace/],
      [`${directory}/empty`, /not a network namespace/],
      [`${directory}/fifo`, /not a network namespace/],
      [`${directory}/link`, /symbolic link/],
      [elsewhere, /not a network namespace/],
      ["/proc/self/ns/mnt", /not a network namespace/],
      ["/dev/zero", /not a network namespace/],
      [h1.namespaceOf(id), /namespace of an overlay network/],
      [`${netns}\u0000`, /./],
      [`/${"x".repeat(5000)}`, /./],
    ];
    for (const [path, says] of paths) await endpoint({ netns: path }, 400, says);
    await endpoint({ activate: true }, 400, /ns_handle_path/);
    await endpoint({ activate: true, activate_params: {} }, 400, /ns_handle_path/);
    await holder.stop("SIGKILL");
  });

  await t.step("a path that is swapped all the time", async () => {
    const link = `${h1.directory}/swapped`;
    const swap = new Process([
      "sh",
      "-c",
      `while :; do
      ln -sfn ${good.container.path} ${link}; rm -f ${link}; touch ${link}; rm -f ${link}; done`,
    ]);
    for (let i = 0; i < 40; i++) await endpoint({ netns: link }, 400, /swapped/);
    await swap.stop("SIGKILL");
  });

  await t.step("addresses", async () => {
    const refused: [string, number, RegExp][] = [
      ["10.0.1.9", 400, /10\.0\.1\.9.*outside.*10\.0\.0\.0\/24.*web/],
      ["9.255.255.255", 400, /outside/],
      ["10.0.0.0", 400, /network address/],
      ["10.0.0.255", 400, /broadcast address/],
      ["10.0.0.1", 409, /gateway/],
      [good.address, 409, /belongs to endpoint .* on h1/],
      [far.address, 409, /belongs to endpoint .* on h2/],
      ["10.0.0", 400, /ipv4_address/],
      ["10.0.0.256", 400, /ipv4_address/],
      ["10.0.0.7/33", 400, /ipv4_address/],
      ["fd00::1", 400, /ipv4_address/],
      ["ten", 400, /ipv4_address/],
    ];
    for (const [ipv4_address, status, says] of refused) {
      await endpoint({ ipv4_address }, status, says);
      await endpoint({ ipv4_address, netns: good.container.path }, status, says);
    }
    await endpoint({ mac_address: "02:00:00:00:00" }, 400, /mac_address/);
    await endpoint({ mac_address: "01:00:5e:00:00:01" }, 400, /group address|multicast/);
    await endpoint({ mac_address: far.endpoint.target_veth_mac }, 409, /belongs to endpoint/);
  });

  await t.step("networks", async () => {
    const network = (body: unknown, status: number, says: RegExp) =>
      assertRefused("POST", "/networks", body, status, says);
    await network({ ip_range: "10.0.0.5/24" }, 400, /10\.0\.0\.0\/24/);
    await network({ ip_range: "10.0.0.0/9" }, 400, /ip_range.*\/10/);
    await network({ ip_range: "10.0.0.0/31" }, 400, /ip_range.*\/30/);
    await network({ ip_range: "10.0.0.0" }, 400, /ip_range/);
    await network({ ip_range: "fd00::/64" }, 400, /ip_range/);
    await network({ ip_range: "10.0.0.0/24", gateway: "10.0.1.1/24" }, 400, /gateway/);
    await network({ gateway: "10.0.0.0/24" }, 400, /gateway/);
    await network({ id: "web" }, 400, /id/);
    await network({ id: "web/../web" }, 400, /id/);
    await network({ id: "6f9619ff-8b86-1011-b42d-00c04fc964ff" }, 400, /id/);
    await network({ type: "vlan" }, 400, /type/);
    await network({ id }, 409, /web/);
    await assertRefused("DELETE", `/networks/${id}`, undefined, 400, /endpoints/);
    await assertRefused("DELETE", `/networks/${UNKNOWN_ID}`, undefined, 404, new RegExp(UNKNOWN_ID));
    await assertRefused("GET", `/networks/${UNKNOWN_ID}`, undefined, 404, new RegExp(UNKNOWN_ID));
    await assertRefused("GET", "/networks/web", undefined, 404, /web/);
    await assertRefused("DELETE", `/endpoints/${UNKNOWN_ID}`, undefined, 404, new RegExp(UNKNOWN_ID));
    await assertRefused("DELETE", `/endpoints/${far.endpoint.id}`, undefined, 404, /h2/);
    await assertRefused("POST", "/endpoints", { network_id: UNKNOWN_ID }, 404, new RegExp(UNKNOWN_ID));
    await assertRefused("POST", "/endpoints", { network_id: "web" }, 404, /there is no network "web"/);
    await assertRefused("POST", "/endpoints", {}, 400, /network_id/);
  });

  await t.step("connections to what is not the network's", async () => {
    for (const ip of ["127.0.0.1", "10.0.1.2", "169.254.169.254", "10.99.0.12"]) {
      const target = `/networks/${id}?ip=${ip}&port=80`;
      await assertRefused(
        "CONNECT",
        target,
        undefined,
        400,
        /outside the range 10\.0\.0\.0\/24 of network web/,
      );
    }
  });

  await t.step("bodies", async () => {
    for (const path of ["/networks", "/endpoints"]) {
      for (const body of ["{", "no JSON", "[1]", '"text"', "7", "null", '{"id": ', "\u0000"]) {
        await assertRefused("POST", path, body, 400, /JSON|object/);
      }
      await assertRefused("POST", path, "[".repeat(100_000), 400, /JSON|object/);
    }
    for (const body of [{ name: 7 }, { ip_range: ["10.0.0.0/24"] }, { gateway: {} }, { id: false }]) {
      await assertRefused("POST", "/networks", body, 400, new RegExp(Object.keys(body)[0] ?? ""));
    }
    for (const field of ["ipv4_address", "mac_address", "network_id", "activate_params", "activate"]) {
      await assertRefused(
        "POST",
        "/endpoints",
        { network_id: id, activate: true, [field]: 7 },
        400,
        new RegExp(field),
      );
    }
    const huge = await h1.api.request({
      method: "POST",
      path: "/networks",
      body: `"${"x".repeat(10_000_000)}"`,
    });
    assert.ok([400, 413].includes(huge.status), `${huge.status}`);
    assert.notEqual(sentenceOf(huge.body), huge.body);
  });

  await t.step("nothing of it is left, and all that was there works", async () => {
    await lab.agree();
    const after = await lab.kv.under("/sc-net/"), applied = "/sc-net/strand/applied/";
    const stored = (records: ReadonlyMap<string, string>) =>
      [...records].filter(([key]) => !key.startsWith(applied));
    assert.deepEqual(stored(after), stored(before));
    assert.deepEqual((await h1.api.endpoints()).length, 2);
    await reaches(good.container, far.address);
    assert.ok(h1.running);
    assert.doesNotMatch(h1.agent.lines.join("\n"), /TypeError|ReferenceError|Uncaught|^ +at /m);
  });

  await t.step("when no VNI is left", async () => {
    await h1.stop();
    await h1.start({ MAX_VNI: "2" });
    await h1.api.createNetwork({ name: "last" });
    await assertRefused("POST", "/networks", {}, 409, /VNI/);
  });

  await t.step("an agent that cannot do its work says why in one sentence, and ends", async () => {
    await h1.stop();
    const end = async (env: Record<string, string>, before: readonly string[], says: RegExp) => {
      const command = h1.host.enter([...before, ...strandCommand(["agent"])]);
      const options = { env: { ...h1.env, ...env }, mayFail: true };
      const { code, stderr } = await run(command, options).catch((error) => {
        throw new Error(`${before} ${JSON.stringify(env)}: ${error.message}`);
      });
      assert.equal(code, 1, stderr);
      assert.match(stderr.trim().split("\n").at(-1) ?? "", says);
      assert.doesNotMatch(stderr, /^ +at /m);
    };
    await end({}, ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin"], /CAP_NET_ADMIN/);
    await end({}, ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"], /CAP_SYS_ADMIN/);
    await end({ PEER_IP: "10.99.0.99" }, [], /PEER_IP.*10\.99\.0\.99/);
    await end({ PEER_IP: "h1" }, [], /PEER_IP.*h1/);
    await end({ ETCD_HOSTS: "ftp://10.99.0.1" }, [], /ETCD_HOSTS/);
    await end({ MAX_VNI: "0" }, [], /MAX_VNI/);
    await end({ NETNS_PATH: "/dev/null" }, [], /NETNS_PATH/);
    await end({ ETCD_PREFIX: "/sand" }, [], /ETCD_PREFIX.*\/sc-net/);
  });

  await t.step("an agent is not kept from its work by an endpoint's record that cannot be one", async () => {
    const key = `/sc-net/node-endpoints/h1/${UNKNOWN_ID}`;
    await lab.kv.write({ [key]: JSON.stringify({ id: UNKNOWN_ID, network_id: "", hostname: "h1" }) });
    await h1.start();
    const { id } = await h1.api.createNetwork();
    await h1.attach(id);
    assert.match((await h1.api.status("/readyz")).body, new RegExp(key));
  });
});
