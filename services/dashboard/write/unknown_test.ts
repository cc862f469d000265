import assert from "node:assert/strict";
import type { Config } from "../../common/config.ts";
import type { Log } from "../../common/log.ts";
import { refusalOf } from "../../nexd/client/explain.ts";
import type { Call } from "../../nexd/client/prune.ts";
import { appOf } from "../app.tsx";
import type { Cluster } from "../cluster.ts";
import { writeViews } from "./views.tsx";

type Json = Record<string, unknown>;
const failed = (code: number, details: string) => Object.assign(new Error(details), { code, details });
const lost = failed(14, "read ECONNRESET");
const network = (name: string) => `kind: Network\nname: ${name}\nsubnet4: 10.9.0.0/24\n`;

/** The two views before a stand-in for nexd. @param answers What it answers to changes and, in place of its own, to other calls. */
function lab(answers: Record<string, (request: Json) => unknown>) {
  const lines: string[] = [], made = new Set<string>();
  const say = (fields: Json, message: string) => void lines.push(`${message} by=${fields["by"]}`);
  const own: typeof answers = {
    GetNetworks: () => ({ nets: ["a"] }),
    GetNetwork: ({ name }) => ({ net: { name, subnet4: "10.9.0.0/24", domain: "old" } }),
    GetMembers: () => ({ members: [] }),
    GetLeases: () => ({ leases: [] }),
    Rehearse: ({ networks }) => ({
      objects: (networks as { name: string }[]).map(({ name }) => ({
        kind: "Network",
        name,
        action: made.has(name) ? "unchanged" : "updated",
        changes: made.has(name) ? [] : [{ field: "subnet4", before: "", after: "10.9.0.0/24" }],
      })),
    }),
    ...answers,
  };
  const call = (method: string, request: Json) =>
    Promise.resolve().then(() => {
      const answer = own[method === "Apply" && request["dryRun"] ? "Rehearse" : method];
      const found = answer ? answer(request) : assert.fail(method);
      return method === "Apply" ? { refused: [], ...found as object } : found;
    });
  const app = appOf({
    cluster: {
      followed: { state: { revision: 1, inSync: true } },
      nex: { membersOf: () => [], isListed: () => false },
    } as unknown as Cluster,
    views: writeViews({ nex: { membersOf: () => [] } } as unknown as Cluster, {
      config: { dashboard: { write: true } } as Config,
      log: { info: say, warn: say } as unknown as Log,
      nexd: (work) =>
        work(call as unknown as Call).catch((error) => {
          throw refusalOf(error, "db:1");
        }),
    }),
    mayChange: true,
    onError: () => {},
  });
  const sent = async (path: string, body: Json, accept: string) => {
    const answer = await app.fetch(new Request(`http://d${path}`, { method: "POST", headers: { accept } }), {
      type: "application/json",
      body: new TextEncoder().encode(JSON.stringify(body)),
      by: "a test",
    });
    return { status: answer.status, text: await answer.text() };
  };
  const json = async (path: string, body: Json) => {
    const { status, text } = await sent(path, body, "application/json");
    return { status, ...JSON.parse(text) };
  };
  const page = (path: string, body: Json) => sent(path, body, "text/html");
  return { lines, made, json, page };
}

for (
  const [what, error] of [
    ["the connection breaks", lost],
    ["the deadline passes", failed(4, "Deadline exceeded after 600s")],
    ["the status is no refusal of nexd's", failed(13, "Received RST_STREAM with code 2")],
  ] as const
) {
  Deno.test(`where ${what} while a file is applied, the log names what may have been made, and the page what is left`, async () => {
    const { json, page, lines, made } = lab({
      Apply: () => {
        made.add("a");
        throw error;
      },
    });
    const spec = `${network("a")}---\n${network("b")}`, { plan } = await json("/apply", { spec });
    const after = await page("/apply", { spec, plan });
    assert.equal(after.status, 503, after.text);
    assert.match(after.text, /the outcome is unknown: .*; 2 objects may have been changed: what follows/);
    assert.match(after.text, /This would be done:<\/strong> 1 updated, 1 unchanged/);
    assert.match(after.text, /<textarea[^>]*>\s*kind: Network\nname: a\n/);
    assert.equal(lines.length, 2);
    assert.match(lines[0] ?? "", /^network a may have been updated, by the dashboard: .* by=a test$/);
    assert.match(lines[1] ?? "", /^network b may have been updated/);
    assert.equal((await json("/apply", { spec, plan })).status, 409, "the plan that was shown is over");
  });
}

Deno.test("a refusal after a part of a file was applied is told as an outcome that is not known", async () => {
  const { json, lines } = lab({
    Apply: () => {
      throw failed(9, "network b: it is being deleted");
    },
  });
  const spec = `${network("a")}---\n${network("b")}`, { plan } = await json("/apply", { spec });
  const { status, error, applied } = await json("/apply", { spec, plan });
  assert.deepEqual([status, applied], [409, null]);
  assert.match(error, /outcome is unknown: network b: it is being deleted; 2 objects may have been changed/);
  assert.equal(lines.length, 2);
});

Deno.test("where nexd is away for the new dry run too, the text stays and the page says to look", async () => {
  let isAway = false;
  const { json, page } = lab({
    GetNetworks: () => {
      if (isAway) throw failed(14, "No connection established. Last error: connect ECONNREFUSED");
      return { nets: [] };
    },
    Apply: () => {
      isAway = true;
      throw lost;
    },
  });
  const spec = network("a"), { plan } = await json("/apply", { spec });
  const { status, text } = await page("/apply", { spec, plan });
  assert.equal(status, 503);
  assert.match(text, /1 object may have been changed: look at what would happen now/);
  assert.match(text, /<textarea[^>]*>\s*kind: Network\nname: a\n/);
});

Deno.test("a change that nexd refuses, or was never asked for, is logged as refused", async () => {
  for (const error of [failed(9, "no"), failed(14, "No connection established. Last error: x")]) {
    const { json, lines } = lab({
      Apply: () => {
        throw error;
      },
    });
    const spec = network("a"), { plan } = await json("/apply", { spec });
    const { applied } = await json("/apply", { spec, plan });
    assert.equal(applied, false);
    assert.match(lines.join("\n"), /^a change by the dashboard is refused: .* by=a test$/);
  }
});

Deno.test("what nexd says that it has done is shown and logged, where that is not what was planned", async () => {
  const { json, lines } = lab({
    Apply: () => ({
      objects: ["unchanged", "created"].map((action) => ({ kind: "Network", name: "", action })),
    }),
  });
  const spec = `${network("a")}---\n${network("b")}`, { plan } = await json("/apply", { spec });
  const { objects, applied } = await json("/apply", { spec, plan });
  assert.equal(applied, true);
  assert.deepEqual(objects, [
    { kind: "network", name: "a", action: "unchanged", changes: [] },
    { kind: "network", name: "b", action: "created", changes: [] },
  ]);
  assert.deepEqual(lines, ["network b created, by the dashboard by=a test"]);
});

Deno.test("a member that changes without being in the file is shown, and logged once the file is applied", async () => {
  const changes = [{ field: "name", before: "www", after: "" }];
  const others = [{ kind: "Member", name: "m", action: "updated", net: "a", mac: "m", changes }];
  const made = [{ kind: "Network", name: "a", action: "created", changes: [] }];
  const { json, lines } = lab({
    Rehearse: () => ({ objects: [...made, ...others] }),
    Apply: () => ({ objects: made }),
  });
  const spec = network("a"), { plan, objects } = await json("/apply", { spec });
  assert.deepEqual(objects[1], {
    kind: "member",
    name: "m",
    action: "updated",
    network: "a",
    mac: "m",
    changes,
  });
  assert.deepEqual((await json("/apply", { spec, plan })).objects, objects);
  assert.equal(lines[1], "member m of network a updated, by the dashboard by=a test");
});

Deno.test("a deletion without an answer is logged as one that may have been made, and the page links to look", async () => {
  const { json, page, lines } = lab({
    DeleteNetwork: () => {
      throw lost;
    },
  });
  const { plan } = await json("/delete", { network: "a" });
  const { status, text } = await page("/delete", { network: "a", plan, confirm: "a" });
  assert.equal(status, 503);
  assert.match(text, /the outcome is unknown: .*; it may have been deleted/);
  assert.match(text, /<a href="\/delete\?network=a">See whether it is still there/);
  assert.match(lines.join("\n"), /^network a may have been deleted, by the dashboard: .* by=a test$/);
  assert.equal((await json("/delete", { network: "a", plan, confirm: "a" })).deleted, null);
});

Deno.test("a network that was deleted and made again is not deleted by the page of the former one", async () => {
  let domain = "old";
  const { json } = lab({
    GetNetwork: ({ name }) => ({ net: { name, subnet4: "10.9.0.0/24", domain } }),
    DeleteNetwork: () => assert.fail("it is deleted"),
  });
  const { plan } = await json("/delete", { network: "a" });
  domain = "new";
  assert.equal((await json("/delete", { network: "a", plan, confirm: "a" })).status, 409);
});

Deno.test("a member whose client has got a lease since its page is not deleted", async () => {
  const mac = "00:00:99:00:00:01", ip4: Json = { address: "10.9.0.9" };
  const { json } = lab({
    GetMembers: () => ({ members: [{ mac, name: "m", ip4 }] }),
    DeleteMembers: () => assert.fail("it is deleted"),
  });
  const { plan } = await json("/delete", { network: "a", member: mac });
  ip4["expires"] = { seconds: 2_000_000_000 };
  assert.equal((await json("/delete", { network: "a", member: mac, plan, confirm: "m" })).status, 409);
});
