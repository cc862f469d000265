/** A local user who replaces links in the path of a namespace while the agent opens it. */
import assert from "node:assert/strict";
import { run } from "../lab/host.ts";
import { OverlayLab } from "../lab/overlay.ts";
import { ApiError } from "../lab/overlay_api.ts";
import { pings } from "../lab/overlay_traffic.ts";
import { until } from "../lab/until.ts";

/** Points a link at one place and the other, as fast as it can, for ten seconds at most. */
const FLIP = `
import os, sys, time
link, places, end = sys.argv[1], sys.argv[2:], time.time() + 10
while time.time() < end:
    for place in places:
        os.symlink(place, link + ".new")
        os.rename(link + ".new", link)
`;

Deno.test("a user who replaces a link on the way to a namespace gets an interface neither into the host nor into a container", async () => {
  await using lab = await OverlayLab.started({ hosts: 1 });
  const h1 = lab.host(1), victim = await h1.container("victim");
  const { id } = await h1.api.createNetwork();
  const linksOf = async (prefix: string[]) => (await run([...prefix, "ip", "-br", "link"])).stdout;
  const before = await linksOf(h1.host.inside([])), lonely = await linksOf(victim.inside([]));
  // Any user may have a folder in /tmp, and links in /tmp itself.
  const folder = await Deno.makeTempDir(), inTmp = `${folder}-link`;
  await Deno.chown(folder, 65534, 65534);
  const [sleeper = "", ...args] = victim.enter(["sleep", "60"]);
  const inside = new Deno.Command(sleeper, { args }).spawn();
  const flippers: Deno.ChildProcess[] = [];
  try {
    const places = [`/proc/${inside.pid}/ns`, `/proc/${h1.agent.pid}/ns`];
    for (const link of [`${folder}/flip`, inTmp]) {
      const args = [
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        "/usr/bin/python3",
        "-c",
        FLIP,
        link,
        ...places,
      ];
      flippers.push(new Deno.Command("setpriv", { args, stderr: "null" }).spawn());
      await until("the link is there", () => Deno.lstat(link).then(() => true, () => false));
      for (let i = 0; i < 40; i++) {
        await assert.rejects(h1.api.createEndpoint(id, { netns: `${link}/net` }), (error) => {
          assert(error instanceof ApiError && error.status === 400, String(error));
          assert.match(error.sentence, /ns_handle_path: .*is a link that others than root can change/);
          return true;
        });
      }
    }
    assert.equal(await linksOf(h1.host.inside([])), before);
    assert.equal(await linksOf(victim.inside([])), lonely);

    // What root alone can change is followed: /var/run is a link.
    const [one, two] = [await h1.container(), await h1.container()];
    const own = `${folder}.root`;
    await Deno.mkdir(own);
    await Deno.symlink("/var/run/netns", `${own}/netns`);
    const endpoint = await h1.api.createEndpoint(id, { netns: one.path.replace("/run/", "/var/run/") });
    const other = await h1.api.createEndpoint(id, { netns: two.path.replace("/run/netns", `${own}/netns`) });
    assert(endpoint.active);
    await until("they reach each other", () => pings(one, other.target_veth_ip.split("/")[0] ?? ""));
    await h1.api.deleteEndpoint(other.id);
    await Deno.remove(own, { recursive: true });
  } finally {
    for (const process of [inside, ...flippers]) {
      try {
        process.kill("SIGKILL");
      } catch {
        // It has ended by itself.
      }
      await process.status;
    }
    for (const path of [folder, inTmp, `${inTmp}.new`]) {
      await Deno.remove(path, { recursive: true }).catch(() => {});
    }
  }
});
