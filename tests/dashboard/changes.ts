/** Changes by the dashboard: what a dry run shows, what is applied and deleted, and what is refused. Steps of dashboard_test.ts. */
import assert from "node:assert/strict";
import { LARGEST_BODY } from "../../services/common/http/body.ts";
import { MOST_TEXT } from "../../services/dashboard/write/applying.ts";
import { run } from "../lab/host.ts";
import { until } from "../lab/until.ts";
import { type DashboardLab, HOSTILE, type Json } from "./lab.ts";

const FORM = "application/x-www-form-urlencoded", YAML = "application/yaml";

/** In order: each begins with what the one before has left. */
export const changes: readonly (readonly [name: string, holds: (lab: DashboardLab) => Promise<void>])[] = [
  ["a form shows what a file would change, field by field, and applies exactly that", byForm],
  ["a program has the same as JSON, and applies nothing that differs from what it was shown", byProgram],
  [
    "what is wrong is said with field, value and what would be right, stays as it was typed, and changes nothing",
    wrong,
  ],
  ["networks and members are offered as the file that would make them", offered],
  ["what goes is shown first, and is deleted when its name is typed", deleted],
  ["a change from another site, under another name, too large or of another kind is refused", refused],
];

const network = (more = "", name = "small", subnet = "10.9.0.0/24") =>
  `kind: Network\nname: ${name}\nsubnet4: ${subnet}\n${more}`;
const members = (list: string, net = "small") => `kind: MemberList\nnet: ${net}\nlist:\n${list}`;

/** Sends a form as a browser does from a page of the dashboard. */
async function form(
  lab: DashboardLab,
  path: string,
  fields: Record<string, string>,
  status = 200,
): Promise<string> {
  const answer = await fetch(lab.at(path), {
    method: "POST",
    headers: { "origin": lab.at(""), "content-type": FORM, "accept": "text/html" },
    body: new URLSearchParams(fields),
  });
  const text = await answer.text();
  assert.equal(answer.status, status, text);
  assert.match(answer.headers.get("content-security-policy") ?? "", /form-action 'self'/);
  return text;
}

/** Sends what a program does. */
async function send(lab: DashboardLab, path: string, body: string, status = 200, type = YAML): Promise<Json> {
  const answer = await fetch(lab.at(path), {
    method: "POST",
    headers: { "content-type": type, "accept": "application/json" },
    body,
  });
  const text = await answer.text();
  assert.equal(answer.status, status, text);
  return JSON.parse(text);
}

const field = (page: string, name: string) =>
  new RegExp(`name="${name}" value="([^"]*)"`).exec(page)?.[1] ?? "";
const of = (lab: DashboardLab, ...args: string[]) => lab.services.nex("get", ...args);

async function byForm(lab: DashboardLab) {
  const text = network("domain: small.example\n").replaceAll("\n", "\r\n");
  const plan = await form(lab, "/apply", { spec: text });
  assert.match(plan, /This would be done:<\/strong> 1 created/);
  assert.match(plan, /<td>domain<\/td><td class="code"><\/td><td class="code"><ins>small\.example<\/ins>/);
  assert.doesNotMatch(await of(lab, "networks"), /small/);

  const shown = { spec: text, force: "false", prune: "false", plan: field(plan, "plan") };
  assert.match(await form(lab, "/apply", shown), /Applied:<\/strong> 1 created/);
  assert.match(await of(lab, "networks"), /small/);
  await lab.dashboard.line(/network small created, by the dashboard.*by="?a client at 127\.0\.0\.1/);

  const again = await form(lab, "/apply", { spec: text });
  assert.match(again, /Nothing would change:<\/strong> 1 unchanged/);
  assert.doesNotMatch(again, /<input type="hidden" name="plan"/);
}

async function byProgram(lab: DashboardLab) {
  const text = network("domain: small.test\nleaseduration: 900\n"), machine = "00:00:99:00:00:01";
  const { plan, objects, applied } = await send(lab, "/apply", text);
  assert.equal(applied, false);
  assert.deepEqual(objects, [{
    kind: "network",
    name: "small",
    action: "updated",
    changes: [
      { field: "domain", before: "small.example", after: "small.test" },
      { field: "leaseduration", before: "", after: "900 s" },
    ],
  }]);
  // Something changes meanwhile: the same file would now do something else.
  await lab.apply(network("domain: small.example\nnameservers: [10.9.0.2]\n"));
  const stale = await send(lab, `/apply?plan=${plan}`, text, 409);
  assert.match(String(stale["error"]), /nothing was applied: what would happen now is not what was shown/);
  assert.match(JSON.stringify(stale["objects"]), /"nameservers","before":"10\.9\.0\.2","after":""/);
  assert.match(await of(lab, "network", "small"), /small\.example/);
  // Nor is another text applied than the one that was shown.
  await send(lab, `/apply?plan=${stale["plan"]}`, text.replace("900", "901"), 409);
  assert.equal((await send(lab, `/apply.json?plan=${stale["plan"]}`, text))["applied"], true);
  assert.match(await of(lab, "network", "small"), /small\.test/);

  // Members, with the options of strand apply.
  const one = members(
    `- {mac: "${machine}", name: a, ip4: 10.9.0.9}\n- {mac: "00:00:99:00:00:02", name: b, ip4: 10.9.0.10}\n`,
  );
  await lab.apply(one);
  const other = members(`- {mac: "${machine}", name: a, ip4: 10.9.0.20}\n`);
  assert.match(String((await send(lab, "/apply", other, 409))["error"]), /exists with another ip4/);
  const body = { spec: other, force: true, prune: true };
  const all = await send(lab, "/apply", JSON.stringify(body), 200, "application/json");
  assert.deepEqual((all["objects"] as Json[]).map(({ name, action, changes }) => [name, action, changes]), [
    ["a.small.test", "updated", [{ field: "ip4", before: "10.9.0.9", after: "10.9.0.20" }]],
    ["b.small.test", "deleted", [
      { field: "name", before: "b.small.test", after: "" },
      { field: "ip4", before: "10.9.0.10", after: "" },
    ]],
  ]);
  await send(lab, "/apply", JSON.stringify({ ...body, plan: all["plan"] }), 200, "application/json");
  assert.equal(await of(lab, "members", "small"), `${machine} a.small.test 10.9.0.20\n`);
  await lab.dashboard.line(/member b\.small\.test of network small deleted, by the dashboard/);
}

async function wrong(lab: DashboardLab) {
  const before = await of(lab, "networks");
  const cases = [
    ["", /the text: holds no document of kind Network or MemberList/],
    [network("leaseduration: soon\n"), /line 4: leaseduration: "soon" is not a whole number/],
    [network("domian: a.b\n"), /line 4: domian: unknown key; did you mean domain\?/],
    [
      network("range4: {begin: 10.9.1.1, end: 10.9.1.2}\n"),
      /range4\.begin: 10\.9\.1\.1 lies outside the subnet/,
    ],
    [
      network("", "other", "10.9.0.0/25"),
      /network other: subnet4: 10\.9\.0\.0\/25 overlaps 10\.9\.0\.0\/24 of network small/,
    ],
    [
      network(`# ${"x".repeat(MOST_TEXT)}\n`),
      /spec: the text has \d+ characters; at most 262144 are taken here/,
    ],
    [members("- {mac: x}\n"), /list\[0\]\.mac: "x" is not a MAC address/],
    [members("- {mac: 00:00:99:00:00:05}\n", "nowhere"), /there is no network "nowhere"/, 404],
    [network().replace("small", JSON.stringify(HOSTILE)), /name/],
    ["&a [*a]", /not a mapping/],
    ["[".repeat(20_000), /more than 100 lists and mappings lie in one another/],
    [network().replace("/24", "/24\u202e"), /subnet4/],
  ] as const;
  for (const [spec, sentence, status = 400] of cases) {
    assert.match(String((await send(lab, "/apply", spec, status))["error"]), sentence, spec.slice(0, 80));
  }
  const page = await form(lab, "/apply", {
    spec: network(`domain: ${JSON.stringify(`${HOSTILE}</textarea>`)}\n`),
  }, 400);
  assert.match(page, /role="alert" id="error">the text: document 1, line 4: domain: /);
  assert.match(page, /aria-invalid="true" aria-describedby="error"/);
  assert.match(page, /domain: &quot;&lt;img src=x onerror=/);
  assert.doesNotMatch(page, /<img/);
  const several = `${network("domian: a\ngateways: [x]\n", "other", "10.9.0.0/25")}---\n` +
    `${network("", "third", "10.9.0.0/26")}---\n${members("- {mac: y}\n")}`;
  const { error, refused } = await send(lab, "/apply", several, 400);
  assert.match(String(error), /^the text: document 1, line 4: domian: unknown key/);
  assert.deepEqual(
    (refused as Json[]).map(({ document, line, field }) => [document, line, field]),
    [[1, 4, "domian"], [1, 5, "gateways[0]"], [2, 9, "subnet4"], [3, 14, "list[0].mac"]],
  );
  const all = await form(lab, "/apply", { spec: several }, 400);
  assert.match(
    all,
    /These 3 are refused too:.*gateways\[0\].*overlaps 10\.9\.0\.0\/24 of network small.*list\[0\]\.mac/s,
  );
  for (
    const [body, sentence] of [
      ["{", /no JSON/],
      ["[]", /no JSON object/],
      ['{"spec": 1}', /spec: needs a text/],
      ['{"spce": "x"}', /no field "spce"; known are spec, force/],
      ['{"spec": "x", "force": "maybe"}', /force: "maybe" is not true or false/],
    ] as const
  ) assert.match(String((await send(lab, "/apply", body, 400, "application/json"))["error"]), sentence);
  assert.match(String((await send(lab, "/apply?spec=x", network(), 400))["error"]), /spec: is there twice/);
  await send(lab, "/apply", "<a/>", 415, "application/xml");
  assert.equal(await of(lab, "networks"), before);
}

async function offered(lab: DashboardLab) {
  const { spec } = await lab.json("/apply?network=small");
  assert.equal(spec, await of(lab, "network", "small", "-o", "yaml"));
  assert.equal(
    (await send(lab, "/apply", String(spec)) as { objects: Json[] }).objects[0]?.["action"],
    "unchanged",
  );
  const member = await lab.json("/apply?network=small&member=00:00:99:00:00:01");
  assert.match(
    String(member["spec"]),
    /^kind: MemberList\nnet: small\nlist:\n {2}- mac: "00:00:99:00:00:01"\n/,
  );
  assert.equal(member["force"], true);
  const endpoint = await lab.json("/apply?network=blue&member=02:84:0a:00:00:0b");
  assert.match(
    String(endpoint["spec"]),
    /mac: "02:84:0a:00:00:0b"\n {4}name: cache\n {4}ip4: 10\.0\.0\.11\n/,
  );
  assert.match(
    await lab.page("/networks/small"),
    /<a href="\/apply\?network=small">Edit<\/a><a href="\/delete\?network=small">/,
  );
  assert.match(await lab.page("/machines/00:00:99:00:00:01"), /<a href="[^"]*">Edit the member<\/a>/);
  await lab.json("/apply?network=nowhere", 404);
  await lab.json("/apply?network=small&member=00:00:99:00:00:77", 404);
  await lab.json("/apply?member=00:00:99:00:00:01", 400);
}

async function deleted(lab: DashboardLab) {
  const query = "network=small&member=00:00:99:00:00:01", page = await lab.page(`/delete?${query}`);
  assert.match(page, /<li>its name a\.small\.test<\/li><li>its reservation of 10\.9\.0\.20<\/li>/);
  const target = { network: "small", member: "00:00:99:00:00:01", plan: field(page, "plan") };
  const typo = await form(lab, "/delete", { ...target, confirm: "a" }, 400);
  assert.match(typo, /confirm: &quot;a&quot; is not a\.small\.test/);
  await form(lab, "/delete", { ...target, confirm: "a.small.test", plan: "0" }, 409);
  assert.match(await of(lab, "members", "small"), /a\.small\.test/);
  assert.match(await form(lab, "/delete", { ...target, confirm: "a.small.test" }), /It is deleted\./);
  assert.equal(await of(lab, "members", "small"), "");
  await lab.dashboard.line(/member a\.small\.test of network small deleted, by the dashboard/);
  await until("the history names the client for whom nexd has deleted it", async (see) => {
    const [newest] = see(await lab.rows(`/history?q=${target.member}`, "events"));
    return newest?.["by"] === "nexd for a client at 127.0.0.1";
  });

  const json = (body: Json, status = 200) =>
    send(lab, "/delete", JSON.stringify(body), status, "application/json");
  // Its endpoints have to go first, as nexd says too.
  const blue = await json({ network: "blue" });
  assert.match(String(blue["refused"]), /it still has 3 endpoints: .*\bcache on host1\b/);
  const no = await json({ network: "blue", plan: blue["plan"] as string, confirm: "blue" }, 409);
  assert.match(String(no["error"]), /network blue still has endpoints/);
  const small = await json({ network: "small" });
  await json({ network: "small", plan: small["plan"] as string, confirm: "small" });
  assert.doesNotMatch(await of(lab, "networks"), /small/);
  await json({ network: "small" }, 404);
  await json({}, 400);

  // Leases come and go; a network with many of them can be deleted all the same.
  const { plan } = await json({ network: "mini" }), soon = Math.floor(Date.now() / 1000) + 3600;
  const client = {
    mac: "00:00:22:22:00:09",
    net: "mini",
    dynamic: true,
    ip4: { address: "10.1.0.29", expires: { seconds: soon } },
  };
  await lab.write({ [`/member/${client.mac}`]: client, [`/member/ip4/${client.ip4.address}`]: client.mac });
  await until(
    "the lease is shown",
    async (see) => JSON.stringify(see(await json({ network: "mini" }))).includes("10.1.0.29"),
  );
  assert.equal((await json({ network: "mini" }))["plan"], plan);

  // An endpoint goes by its host's agent.
  const requests: string[] = [];
  await using agent = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, ({ method, url }) => {
    requests.push(`${method} ${new URL(url).pathname}`);
    return new Response(null, { status: 204 });
  });
  const api = `127.0.0.1:${(agent.addr as Deno.NetAddr).port}`, id = await lab.idOf("blue");
  await lab.endpoint(id, "e9", "host9", 19, { api_hostname: api, strand_name: "nine" });
  const machine = "/machines/02:84:0a:00:00:13";
  await until(
    "it is known",
    async (see) => see(await (await fetch(lab.at(machine))).text()).includes("Delete the endpoint"),
  );
  const nine = await json({ network: "blue", endpoint: "e9" });
  assert.deepEqual(nine["goes"], [
    "the interface of nine in this network, on host9",
    "its address 10.0.0.19, which others are given after a while",
  ]);
  await json({ network: "blue", endpoint: "e9", plan: nine["plan"] as string, confirm: "nine" });
  assert.deepEqual(requests, ["DELETE /endpoints/e9"]);
}

async function refused(lab: DashboardLab) {
  const before = await of(lab, "networks"), text = network("", "evil"), own = lab.at("");
  const headers = (...all: string[]) => all.flatMap((header) => ["-H", header]);
  const post = async (status: number, args: readonly string[], path = "/apply") => {
    const { stdout } = await run([
      ...["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--data-urlencode", `spec=${text}`],
      ...args,
      lab.at(path),
    ]);
    assert.equal(stdout, String(status), args.join(" "));
  };
  // A form of another site, as browsers send it, with and without what newer ones say of it.
  await post(403, headers("Origin: http://evil.example"));
  await post(403, headers("Origin: null"));
  await post(
    403,
    headers("Origin: http://evil.example", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"),
  );
  await post(
    403,
    headers("Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"),
  );
  await post(403, headers("Sec-Fetch-Site: same-site"));
  // Another port of this machine is another site.
  await post(403, headers("Origin: http://127.0.0.1:1"));
  await post(403, []);
  await post(403, headers("Content-Type: text/plain"));
  await post(403, headers("Origin: http://evil.example", "Content-Type: application/json"));
  // A name that another site has pointed here.
  const rebound = [
    "Host: evil.example:8090",
    "Origin: http://evil.example:8090",
    "Sec-Fetch-Site: same-origin",
  ];
  await post(403, headers(...rebound));
  await post(403, headers("Host: evil.example", "Content-Type: application/yaml"));
  await post(200, headers(`Origin: ${own}`, "Sec-Fetch-Site: same-origin"));
  for (const path of ["/networks", "/", "/apply/more", "/events"]) {
    await post(405, headers(`Origin: ${own}`), path);
  }
  const get = await fetch(lab.at(`/apply?${new URLSearchParams({ spec: text })}`));
  assert.equal(get.status, 400);
  await get.body?.cancel();
  for (const method of ["PUT", "DELETE", "PATCH"]) {
    const answer = await fetch(lab.at("/apply"), { method });
    assert.equal(answer.status, 405);
    await answer.body?.cancel();
  }
  await send(lab, "/apply", "#".repeat(LARGEST_BODY + 1), 413);
  assert.equal(await of(lab, "networks"), before);
}
