/** Containers that are replaced by new ones at the same namespace path. */
import assert from "node:assert/strict";
import { GRACE_MS } from "../../services/agent/reconcile/vanished.ts";
import { type LabHost, run } from "../lab/host.ts";
import { OverlayLab } from "../lab/overlay.ts";
import { reaches } from "../lab/overlay_traffic.ts";
import { until } from "../lab/until.ts";

/** Names of a namespace's interfaces, without lo. */
async function interfaces(container: LabHost): Promise<string[]> {
  const { stdout } = await container.run(["ip", "-br", "link"]);
  return stdout.split("\n").flatMap((line) => /^([^\s@]+)/.exec(line)?.[1] ?? []).filter((name) =>
    name !== "lo"
  );
}

/** Waits until a container has this interface alone: what etcd says of the old one comes before the kernel's part. */
function has(container: LabHost, name: string): Promise<void> {
  return until(`it has ${name} alone`, async (see) => see(await interfaces(container)).join() === name);
}

/** Puts another namespace at the path of a container's. */
async function replace({ netns }: LabHost): Promise<void> {
  await run(["ip", "netns", "delete", netns]);
  await run(["ip", "netns", "add", netns]);
  await run(["ip", "-n", netns, "link", "set", "lo", "up"]);
}

/** The inode of a named namespace. */
async function inodeOf(netns: string): Promise<string> {
  return (await run(["stat", "-L", "-c", "%i", `/run/netns/${netns}`])).stdout.trim();
}

/**
 * Makes a namespace, if it can be had in some tries with the inode of one that was deleted: the kernel gives free ones again,
 * lowest first. Which are free depends on what else the machine does.
 */
async function addWithInode(netns: string, inode: string): Promise<void> {
  for (let tries = 1;; tries++) {
    await run(["ip", "netns", "add", netns]);
    if (tries === 20 || await inodeOf(netns) === inode) return;
    await run(["ip", "netns", "delete", netns]);
  }
}

Deno.test("a new container at an old one's path gets its own interfaces and none of the old one's", async (t) => {
  await using lab = await OverlayLab.started({ env: { STRAND_AGENT_CHECK_EVERY: "1" } });
  const [h1, h2] = [lab.host(1), lab.host(2)];
  const blue = await h1.api.createNetwork({ name: "blue" }),
    red = await h1.api.createNetwork({ name: "red" });
  const far = await h2.attach(blue.id), near = await h2.attach(red.id, { wait: "20s" });
  const state = async (id: string) =>
    (await h1.api.endpoints({ hostname: "h1" })).find((e) => e.id === id)?.active;

  for (
    const when of ["while the agent runs", "while it is stopped", "after the old one's interface came back"]
  ) {
    await t.step(`in the same network, ${when}`, async () => {
      const old = await h1.attach(blue.id), { container } = old;
      if (when === "while it is stopped") await h1.stop();
      await replace(container);
      if (when.startsWith("after")) {
        await until(
          "it came back",
          async () => (await interfaces(container)).includes(old.endpoint.target_veth_name),
        );
      }
      if (when === "while it is stopped") await h1.start({ STRAND_AGENT_CHECK_EVERY: "600" });
      const fresh = await h1.attach(blue.id, { container });
      await until("the old one is inactive", async (see) => see(await state(old.endpoint.id)) === false);
      await has(container, fresh.endpoint.target_veth_name);
      await reaches(container, far.address);
      await lab.agree();
      if (when === "while it is stopped") {
        await h1.stop();
        await h1.start({ STRAND_AGENT_CHECK_EVERY: "1" });
        assert.deepEqual(await interfaces(container), [fresh.endpoint.target_veth_name]);
      }
      await h1.api.deleteEndpoint(old.endpoint.id);
      assert.deepEqual(await interfaces(container), [fresh.endpoint.target_veth_name]);
    });
  }

  await t.step("in another network: the old one's is not made in it afterwards", async () => {
    await h1.stop();
    await h1.start({ STRAND_AGENT_CHECK_EVERY: "600" });
    // With another endpoint there, the network is set up, and compared as a whole only for what is done here.
    await h1.attach(blue.id);
    await lab.agree();
    const inNetwork = ["nsenter", `--net=${h1.namespaceOf(blue.id)}`, "ip", "-br", "link"];
    const compared = async () => {
      const { body } = await h1.api.status("/metrics");
      return Number(/^agent_reconcile_seconds_count\{kind="all".*\} (\d+)$/m.exec(body)?.[1]);
    };
    const replacedByRed = async () => {
      const old = await h1.attach(blue.id), { container } = old;
      const inode = await inodeOf(container.netns), before = await compared();
      // Stopped until all of it is gone, so that it is told of that once.
      h1.agent.signal("SIGSTOP");
      await run(["ip", "netns", "delete", container.netns]);
      await until(
        "its interface is gone with it",
        async () => !(await run(inNetwork)).stdout.includes(old.endpoint.overlay_veth_name),
      );
      const began = performance.now();
      h1.agent.signal("SIGCONT");
      await until("the agent has missed the namespace", async (see) => see(await compared()) > before);
      await addWithInode(container.netns, inode);
      const fresh = await h1.attach(red.id, { container });
      return { old, container, fresh, lasted: performance.now() - began };
    };
    let { old, container, fresh, lasted } = await replacedByRed();
    // An agent that has looked again in between has taken it for the old one that was started again, and may do so.
    for (const times = [lasted]; lasted >= GRACE_MS; times.push(lasted)) {
      assert.ok(
        times.length < 5,
        `the agent looks again after ${GRACE_MS} ms, and it took ${times.join(", ")} ms`,
      );
      for (const { endpoint } of [old, fresh]) await h1.api.deleteEndpoint(endpoint.id);
      ({ old, container, fresh, lasted } = await replacedByRed());
    }
    assert.deepEqual(await interfaces(container), [fresh.endpoint.target_veth_name]);
    // The next comparison removes the old one in any case.
    await h1.stop();
    await h1.start({ STRAND_AGENT_CHECK_EVERY: "1" });
    await until("the old one is inactive", async (see) => see(await state(old.endpoint.id)) === false);
    await has(container, fresh.endpoint.target_veth_name);
    await reaches(container, near.address);
    await lab.agree();
  });

  await t.step("a runtime of containers gives the new one an interface of the old one's name", async () => {
    const container = await h1.container();
    const attach = async (ifname: string) => {
      using client = Deno.createHttpClient({ proxy: { transport: "unix", path: h1.socket } });
      const answer = await fetch("http://agent/attachments", {
        client,
        method: "POST",
        body: JSON.stringify({
          attachment: { network: "blue", container: crypto.randomUUID(), ifname },
          network_id: blue.id,
          netns: container.path,
        }),
      });
      assert.equal(answer.status, 201, await answer.text());
    };
    await attach("eth0");
    await h1.stop();
    await replace(container);
    await h1.start({ STRAND_AGENT_CHECK_EVERY: "1" });
    await until("it came back", async (see) => see(await interfaces(container)).includes("eth0"));
    await attach("eth0");
    assert.deepEqual(await interfaces(container), ["eth0"]);
    await lab.agree();
  });

  await t.step("a container that came back keeps what it had, and gets further networks", async () => {
    const [container, first] = await h1.attach(blue.id).then((a) => [a.container, a.endpoint] as const);
    await replace(container);
    await until(
      "it came back",
      async (see) => see(await interfaces(container)).includes(first.target_veth_name),
    );
    const second = await h1.attach(red.id, { container });
    await h1.strand(["status", "agent"]);
    await lab.agree();
    assert.deepEqual(
      (await interfaces(container)).sort(),
      [first.target_veth_name, second.endpoint.target_veth_name].sort(),
    );
    for (const { address } of [far, near]) await reaches(container, address);
  });
});
