/** `strand dashboard` over a real etcd that nexd has filled: each view as a page and as JSON, and what it refuses. */
import assert from "node:assert/strict";
import { MOST_STREAMS } from "../../services/dashboard/events.ts";
import { certificates } from "../lab/certificates.ts";
import { run, strandCommand } from "../lab/host.ts";
import { until } from "../lab/until.ts";
import { LabServices } from "../lab/services.ts";
import { changes } from "./changes.ts";
import { DashboardLab, HOSTILE, type Json } from "./lab.ts";
import { overAll } from "./over_all.ts";
import { throughTime } from "./through_time.ts";

const names = (rows: readonly Json[]) => rows.map(({ name }) => name);

Deno.test("the dashboard shows networks, hosts and machines, as pages and as JSON", async (t) => {
  await using lab = await DashboardLab.start();
  const blue = await lab.idOf("blue"), soon = Math.floor(Date.now() / 1000) + 3600;
  await lab.endpoint(blue, "e1", "host1", 11, { strand_name: "cache", strand_aliases: ["memory"] });
  await lab.endpoint(blue, "e2", HOSTILE, 12);
  await lab.endpoint(blue, "e3", "host1", 6, {
    kind: "dhcp",
    expires_at: new Date(soon * 1000).toISOString(),
    target_veth_mac: "52:54:00:00:00:06",
    target_veth_ip: "10.0.0.2/24",
  });
  const claim = {
    start: "1",
    boot: "1",
    lock: "1",
    lease: "1",
    since: "2026-01-02T03:04:05Z",
    version: "9.8.7",
  };
  const client = "00:00:22:22:00:01", refused = "00:00:22:22:00:02";
  await lab.write({
    "/sc-net/strand/names/host1": claim,
    [`/member/${client}`]: {
      mac: client,
      net: "mini",
      dynamic: true,
      client_name: HOSTILE,
      ip4: { address: "10.1.0.20", expires: { seconds: soon } },
    },
    "/member/ip4/10.1.0.20": client,
    "/strand/nex/withheld/10.1.0.30": { net: "mini", mac: refused, until: soon },
  });
  await until(
    "the client is shown",
    async (see) => see(await lab.rows("/find?q=22:22:00:01", "machines")).length > 0,
  );

  await t.step("the first page says what is wrong and what to do", async () => {
    let health: Json = {};
    let etcd: Json = {};
    // On a busy machine etcd may answer late, and is not ready for a moment then.
    await until("a host without an agent is reported, and etcd and the dashboard are ready", async (see) => {
      health = see(await lab.json("/"));
      const { rows } = health["services"] as { rows: Json[] };
      etcd = rows.find(({ service }) => service === "etcd") ?? {};
      return JSON.stringify(health["problems"]).includes("its agent does not run") &&
        etcd["ready"] === true && rows.some(({ service, ready }) => service === "dashboard" && ready);
    });
    assert.match(String(etcd["version"]), /^3\./);
    assert.deepEqual(health["counts"], { networks: 3, machines: 6, leases: 2, hosts: 2 });
    const page = await lab.page("/");
    assert.match(page, /its agent does not run, or cannot reach etcd: 1 endpoints stay as they are/);
    assert.match(page, /→ on .*strand status agent/);
    assert.match(page, /<h2 id="title-">Services of this machine, and members of etcd/);
    assert.match(page, /<html lang="en">.*<a class="skip" href="#main">/s);
    assert.deepEqual((await lab.json("/health.json"))["counts"], health["counts"]);
  });

  await t.step("networks of both kinds, with what is in use", async () => {
    const rows = await lab.rows("/networks", "networks");
    assert.deepEqual(
      rows.map(({ name, kind, range, machines, leases, hosts, used, size }) => [
        name,
        kind,
        range,
        machines,
        leases,
        hosts,
        used,
        size,
      ]),
      [
        ["blue", "overlay", "10.0.0.0/24", 3, 1, 2, 4, 253],
        ["mini", "lan", "10.1.0.0/24", 3, 1, 0, 4, 90],
        ["wide", "lan", "10.64.0.0/16", 0, 0, 0, undefined, undefined],
      ],
    );
    assert.match(await lab.page("/networks"), /<a href="\/networks\/blue">blue<\/a>.*4 of 253 \(1\.6 %\)/s);
  });

  await t.step("a network with its addresses, endpoints, leases and names", async () => {
    const model = await lab.json("/networks/blue");
    const { grid } = model["addresses"] as { grid: { address: string; state: string }[] };
    assert.equal(grid.length, 256);
    const states = Object.fromEntries(
      grid.filter(({ state }) => state !== "free").map((a) => [a.address, a.state]),
    );
    assert.deepEqual(states, {
      "10.0.0.0": "outside",
      "10.0.0.1": "gateway",
      "10.0.0.5": "reserved",
      "10.0.0.2": "leased",
      "10.0.0.11": "attached",
      "10.0.0.12": "attached",
      "10.0.0.255": "outside",
    });
    const mini = await lab.json("/networks/mini.json"),
      its = mini["addresses"] as typeof model & { grid: Json[] };
    assert.equal(its.grid[30]?.["state"], "declined");
    assert.equal(its.grid[20]?.["state"], "leased");
    assert.deepEqual(
      (model["names"] as { rows: Json[] }).rows.map(({ name, addresses }) => `${name} ${addresses}`),
      [
        "cache.blue.example 10.0.0.11",
        "db.blue.example 10.0.0.5",
        "memory.blue.example 10.0.0.11",
        "web.blue.example 10.0.0.2",
      ],
    );
    const page = await lab.page("/networks/blue");
    assert.match(page, /<li class="leased" title="10\.0\.0\.2 leased/);
    assert.match(page, /<h2 id="title-leases">Leases .*?(5\d min|1 h)/s);
    assert.match(page, /<dt>leaseduration<\/dt><dd>14400 s<\/dd>/);
    assert.match(await lab.page("/networks/wide"), /No address is in use\./);
    assert.deepEqual((await lab.json("/networks/nowhere", 404))["error"], 'there is no network "nowhere"');
  });

  await t.step("hosts, with what they have not applied", async () => {
    const rows = await lab.rows("/hosts?sort=-name", "hosts");
    assert.deepEqual(
      rows.map((
        { name, vtep, agent, version, endpoints, behind },
      ) => [name, vtep, agent, version, endpoints, behind]),
      [
        ["host1", "192.0.2.11", "runs", "9.8.7", 2, 3],
        [HOSTILE, "192.0.2.12", "away", "", 1, 3],
      ],
    );
  });

  await t.step(
    "a machine is found by a part of its MAC, address or name, in networks of both kinds",
    async () => {
      const found = async (q: string) =>
        (await lab.rows(`/find?q=${encodeURIComponent(q)}`, "machines")).map(({ network, name, address }) =>
          `${network} ${name} ${address}`
        );
      assert.deepEqual(await found("WHISK"), ["mini whiskey.mini.net 10.1.0.10"]);
      assert.deepEqual(await found("0.0.11"), ["blue cache 10.0.0.11"]);
      assert.deepEqual(await found("memo"), ["blue cache 10.0.0.11"]);
      assert.deepEqual(await found("00-00-22-22-00"), ["mini  10.1.0.20"]);
      assert.deepEqual(await found("5254.00000005"), []);
      assert.deepEqual(await found("525400000005"), ["blue db 10.0.0.5"]);
      assert.deepEqual(await found("nothing has this"), []);
      assert.match(
        await lab.page("/find?q=cache"),
        /<a href="\/machines\/02%3A84%3A0a%3A00%3A00%3A0b\?network=blue">/,
      );
    },
  );

  await t.step("a machine's page has everything that is known of it", async () => {
    const page = await lab.page("/machines/52:54:00:00:00:06");
    assert.match(page, /<h1>Machine web<\/h1>/);
    for (const text of ["10.0.0.2", "host1", "192.0.2.6", "dhcp", "on 0 of 2 hosts", "/run/netns/n6"]) {
      assert.ok(page.includes(text), text);
    }
    const { machines } = await lab.json("/machines/00:00:11:11:00:02?network=mini") as { machines: Json[] };
    assert.deepEqual(names(machines), ["tango.mini.net"]);
    assert.equal(
      (await lab.json("/machines/00:00:11:11:00:02?network=blue", 404))["error"] !== undefined,
      true,
    );
  });

  await t.step("tables sort, filter and page as their URL says", async () => {
    const of = async (query: string) =>
      (await lab.json(`/networks/mini?${query}`))["machines"] as Json & { rows: Json[] };
    const addresses = async (query: string) => (await of(query)).rows.map(({ address }) => address);
    assert.deepEqual(await addresses("machines.sort=-address"), ["10.1.0.20", "10.1.0.11", "10.1.0.10"]);
    assert.deepEqual(await addresses("machines.size=2&machines.page=2"), ["10.1.0.20"]);
    const { matching, total, rows } = await of("machines.filter=tango");
    assert.deepEqual([matching, total, names(rows)], [1, 3, ["tango.mini.net"]]);
    const page = await lab.page("/networks/mini?machines.size=1&machines.sort=-name&leases.filter=x");
    assert.match(page, /aria-sort="descending"/);
    assert.match(page, /href="\/networks\/mini\?[^"]*leases\.filter=x[^"]*machines\.page=2[^"]*" rel="next"/);
    for (
      const [query, sentence] of [
        ["sort=name", /there is no parameter "sort"; known are machines\.sort/],
        ["machines.sort=colour", /machines\.sort: "colour" is no column; known are name/],
        ["machines.page=0", /machines\.page: "0" is not a whole number from 1/],
        ["machines.size=501", /machines\.size: "501" is not a whole number from 1 to 500/],
        [`machines.filter=${"x".repeat(101)}`, /machines\.filter: .* longer than 100 characters/],
        ["leases.page=1&leases.page=2", /leases\.page: is there twice/],
      ] as const
    ) assert.match(String((await lab.json(`/networks/mini?${query}`, 400))["error"]), sentence);
  });

  await t.step("what etcd holds is text on every page, whatever it is", async () => {
    const paths = [
      "/",
      "/hosts",
      "/matrix",
      "/networks/blue",
      "/find?q=onerror",
      `/machines/${client}`,
      "/machines/e2",
    ];
    for (
      const path of [
        ...paths,
        `/networks/${encodeURIComponent(HOSTILE)}`,
        `/find?q=${encodeURIComponent(HOSTILE)}`,
      ]
    ) {
      const text = await lab.page(
        path,
        path.startsWith("/networks/%3C") || path === "/machines/e2" ? 404 : 200,
      )
        .catch(() => lab.page(path));
      assert.ok(!text.includes("<img"), `${path}: ${text}`);
      assert.doesNotMatch(text, / style=|<script>/, path);
    }
    assert.ok((await lab.page("/hosts")).includes("&lt;img src=x onerror="));
  });

  await t.step("nothing but its own files is loaded, and they are there", async () => {
    const answer = await fetch(lab.at("/")), page = await answer.text();
    const policy = answer.headers.get("content-security-policy") ?? "";
    assert.match(
      policy,
      /^default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self';/,
    );
    assert.match(policy, /frame-ancestors 'none'/);
    assert.doesNotMatch(policy, /unsafe|\*|https?:/);
    assert.equal(answer.headers.get("x-content-type-options"), "nosniff");
    assert.equal(answer.headers.get("referrer-policy"), "same-origin");
    const files = [...page.matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)].map(([, path = ""]) => path);
    assert.equal(files.length, 4);
    for (const path of files) {
      const file = await fetch(lab.at(path));
      assert.equal(file.status, 200, path);
      assert.ok((await file.text()).length > 100, path);
      // A browser keeps it for as long as pages name this content of it.
      assert.equal(file.headers.get("cache-control"), "private, max-age=31536000, immutable", path);
      const other = await fetch(lab.at(path.replace(/.$/, "x")));
      assert.equal(other.headers.get("cache-control"), "no-store");
      await other.body?.cancel();
    }
    assert.equal(answer.headers.get("cache-control"), "no-store");
  });

  await t.step("what it does not know, and what comes for another name, is refused", async () => {
    for (
      const path of [
        "/nothing",
        "/networks/blue/more",
        "/assets/x",
        "/%00",
        "/machines/zz",
      ]
    ) {
      await lab.page(path, 404);
    }
    await lab.page("/networks?colour=1", 400);
    for (const method of ["POST", "PUT", "DELETE"]) {
      const answer = await fetch(lab.at("/networks"), { method });
      assert.equal(answer.status, 405);
      await answer.body?.cancel();
    }
    const withHost = (host: string) => curl(["-H", `Host: ${host}`, lab.at("/networks.json")]);
    for (const host of ["evil.example", "10.0.0.1", "127.0.0.1.evil.example"]) {
      assert.equal(await withHost(host), "403");
    }
    const fromElsewhere = (mode: string, dest: string, more: readonly string[] = []) =>
      curl([
        ...["Site: cross-site", `Mode: ${mode}`, `Dest: ${dest}`].flatMap((
          one,
        ) => ["-H", `Sec-Fetch-${one}`]),
        ...more,
        lab.at("/networks"),
      ]);
    assert.equal(await fromElsewhere("navigate", "document"), "200");
    assert.equal(await fromElsewhere("navigate", "iframe"), "403");
    assert.equal(await fromElsewhere("no-cors", "script"), "403");
    assert.equal(await fromElsewhere("cors", "empty"), "403");
    assert.equal(await fromElsewhere("navigate", "document", ["-H", "Host: evil.example"]), "403");
    // A form of another site sends its origin with POST.
    assert.equal(
      await fromElsewhere("navigate", "document", ["-X", "POST", "-H", "Origin: http://evil.example"]),
      "403",
    );
    assert.equal(await fromElsewhere("navigate", "document", ["-X", "POST"]), "405");
    for (const host of ["localhost:1", "[::1]", "127.0.0.1"]) assert.equal(await withHost(host), "200", host);
  });

  await t.step("an open page is told which networks have changed, and as many pages as may be", async () => {
    const first = await stream(lab.at("/events"));
    assert.equal(first.status, 200);
    assert.equal(first.type, "text/event-stream");
    await lab.apply(
      "kind: MemberList\nnet: mini\nlist:\n- {mac: 00:00:11:11:00:03, name: foxtrot.mini.net}\n",
    );
    await first.has(/event: changed\ndata: \[[^\n]*"network:mini"/);
    await lab.write({ "/sc-net/strand/names/host3": claim });
    await first.has(/data: \[[^\n]*"hosts"/);
    await lab.write({ [`/sc-net/strand/applied/${blue}/host1`]: { revision: 3 } });
    await first.has(/data: \[[^\n]*"network:blue"/);
    const others = await Promise.all(
      Array.from({ length: MOST_STREAMS - 1 }, () => stream(lab.at("/events"))),
    );
    assert.ok(others.every(({ status }) => status === 200));
    const more = await stream(lab.at("/events"));
    assert.equal(more.status, 503);
    for (const one of [first, more, ...others]) one.close();
  });

  for (const [name, holds] of [...overAll, ...changes, ...throughTime]) await t.step(name, () => holds(lab));

  await t.step("with etcd away, pages say so and show what is known", async () => {
    await lab.etcd.kill();
    await until(
      "it is noticed",
      async (see) => see(await lab.page("/networks")).includes("etcd cannot be followed since"),
    );
    const page = await lab.page("/networks/blue");
    assert.match(page, /what is shown is of revision \d+/);
    assert.ok(page.includes("cache"));
    assert.match(await lab.page("/history"), /Known since revision \d+/);
    await until("the health says so", async (see) => {
      const { etcd, problems } = see(await lab.json("/")) as { etcd: Json; problems: Json[] };
      return etcd["inSync"] === false &&
        problems.some(({ where, what }) => where === "etcd" && String(what).includes("does not answer"));
    });
  });
});

/** A stream of events as it comes. */
async function stream(url: string) {
  const stop = new AbortController(), answer = await fetch(url, { signal: stop.signal });
  let text = "";
  const reading = (async () => {
    for await (const piece of answer.body?.pipeThrough(new TextDecoderStream()) ?? []) text += piece;
  })().catch(() => {}); // It is closed.
  return {
    status: answer.status,
    type: answer.headers.get("content-type"),
    has: (what: RegExp) => until(`the stream has ${what}`, (see) => what.test(see(text))),
    close() {
      stop.abort();
      void reading;
    },
  };
}

/** The status of an answer. */
async function curl(args: readonly string[]): Promise<string> {
  return (await run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", ...args])).stdout;
}

Deno.test("the dashboard is not served to other machines without certificates of clients", async () => {
  for (const listen of ["0.0.0.0:8090", "192.0.2.1:8090", "[::]:8090", ":8090"]) {
    const { code, stderr } = await run(strandCommand(["dashboard", "--metrics-listen", "127.0.0.1:0"]), {
      env: { STRAND_DASHBOARD_LISTEN: listen },
      mayFail: true,
    });
    assert.equal(code, 1, listen);
    assert.match(
      stderr,
      /STRAND_DASHBOARD_LISTEN: dashboard\.listen: \S+ can be reached from elsewhere: set dashboard/,
    );
  }
});

Deno.test("elsewhere than on loopback, the dashboard is for clients with certificates alone", async () => {
  await using certs = await certificates();
  const tls = `tls: {cert: ${
    certs.path("server")
  }, key: ${certs.dir}/server-key.pem, ca: ${certs.dir}/ca.pem}`;
  // There is no etcd: the page is there all the same, and says so.
  await using services = await LabServices.create("http://127.0.0.1:1", { dashboard: tls });
  const env = {
    STRAND_DASHBOARD_LISTEN: `0.0.0.0:${services.dashboardPort}`,
    STRAND_DASHBOARD_WRITE: "true",
  };
  const dashboard = services.launch("dashboard", env);
  await dashboard.line(/the page is at https:/);
  const url = `https://localhost:${services.dashboardPort}/networks`,
    trust = ["-s", "--cacert", `${certs.dir}/ca.pem`];
  const own = ["--cert", `${certs.dir}/client.pem`, "--key", `${certs.dir}/client-key.pem`];
  const page = await run(["curl", ...trust, ...own, url]);
  assert.match(page.stdout, /nothing was read yet.*There is no network\./s);
  // Who asks for a change is logged by the name in the certificate; here there is no nexd that would make it.
  const yaml = ["-H", "Content-Type: application/yaml", "--data-binary", "kind: Network\nname: a"];
  const change = await run(["curl", ...trust, ...own, ...yaml, url.replace("networks", "apply.json?plan=0")]);
  assert.match(change.stdout, /"error":"127\.0\.0\.1:\d+ cannot be reached: nothing listens there"/);
  await dashboard.line(/a change by the dashboard is refused: .*by="?client\b/);
  const without = await run(["curl", ...trust, url], { mayFail: true });
  assert.notEqual(without.code, 0);
  assert.equal(without.stdout, "");
});
