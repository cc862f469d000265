/** What the dashboard's views over all networks and hosts show: their matrix, their map and the rates. */
import assert from "node:assert/strict";
import { until } from "../lab/until.ts";
import { type DashboardLab, HOSTILE, type Json } from "./lab.ts";
import { claim } from "./sample.ts";

type Step = readonly [name: string, holds: (lab: DashboardLab) => Promise<void>];

const namesIn = (table: unknown) => (table as { rows: Json[] }).rows.map(({ name }) => name);

/** A name about as long as etcd's key allows SAND's clients to make it, with a character where a filter has its end. */
const LONG = `${"<b>".repeat(33)}😀${"<b>".repeat(48)}x`;

export const overAll: readonly Step[] = [
  ["/matrix has the endpoints of each network on each host, and what that has not applied", async (lab) => {
    const blue = await lab.idOf("blue");
    await lab.apply("kind: Network\nname: green\nsubnet4: 10.0.8.0/24\noverlay: {}\n");
    const green = await lab.idOf("green");
    await lab.endpoint(green, "e9", LONG, 9, { target_veth_ip: "10.0.8.9/24" });
    let model: Json = {};
    // What its host has applied is written after the endpoint.
    await until("the endpoint is in it, with what its host has applied", async (see) => {
      model = see(await lab.json("/matrix"));
      return namesIn(model["hosts"]).includes(LONG) &&
        !JSON.stringify(model["cells"]).includes('"applied":0');
    });
    assert.deepEqual(namesIn(model["networks"]), ["blue", "green"]);
    assert.deepEqual(namesIn(model["hosts"]), [LONG, HOSTILE, "host1", "host3"]);
    const newest = (model["networks"] as { rows: Json[] }).rows.map(({ newest }) => newest);
    assert.deepEqual(model["cells"], [
      [null, { endpoints: 1, applied: 2, behind: 1 }],
      [{ endpoints: 1, applied: 2, behind: 3 }, null],
      [{ endpoints: 2, applied: 3, behind: 3 }, null],
      [null, null],
    ]);
    assert.ok(newest.every((revision) => Number(revision) > 3), `${newest}`);
    const page = await lab.page("/matrix");
    assert.match(page, /<td class="number warn">2, 3 behind<\/td>/);
    assert.ok(page.includes("&lt;b&gt;") && !page.includes("<b>"), page);
    // A host that has applied all of a network is behind no more.
    await lab.write({ [`/sc-net/strand/applied/${blue}/host1`]: { revision: Number(newest[0]) } });
    await until("host1 is in step", async (see) => {
      const { cells } = see(await lab.json("/matrix?hosts.filter=host1"));
      return JSON.stringify(cells).includes('"behind":0');
    });
  }],
  ["/matrix is searched for hosts and for networks, and shows of the one what has the other", async (lab) => {
    const of = async (query: string) => {
      const { hosts, networks } = await lab.json(`/matrix?${query}`);
      return { hosts: namesIn(hosts), networks: namesIn(networks) };
    };
    assert.deepEqual(await of("hosts.filter=HOST1"), { hosts: ["host1"], networks: ["blue"] });
    assert.deepEqual(await of("networks.filter=green"), { hosts: [LONG], networks: ["green"] });
    assert.deepEqual(await of("networks.filter=blue&hosts.filter=onerror"), {
      hosts: [HOSTILE],
      networks: ["blue"],
    });
    assert.deepEqual(await of("networks.filter=green&hosts.filter=host1"), { hosts: [], networks: [] });
    assert.deepEqual(await of("hosts.size=1&hosts.page=3&networks.size=1&networks.sort=-name"), {
      hosts: ["host1"],
      networks: ["green"],
    });
    const page = await lab.page("/matrix?hosts.size=1&networks.size=1&networks.page=2");
    assert.match(page, /href="\/matrix\?[^"]*networks\.page=2[^"]*hosts\.page=2" rel="next"/);
    assert.match(page, /href="\/matrix\?[^"]*networks\.page=1" rel="prev"/);
    assert.match(await lab.page("/matrix?hosts.filter=nothing"), /No host/);
    for (
      const [query, sentence] of [
        ["networks.size=51", /networks\.size: "51" is not a whole number from 1 to 50/],
        ["hosts.size=201", /hosts\.size: "201" is not a whole number from 1 to 200/],
        ["networks.sort=colour", /networks\.sort: "colour" is no column; known are name/],
      ] as const
    ) assert.match(String((await lab.json(`/matrix?${query}`, 400))["error"]), sentence);
  }],
  ["/map draws hosts and their networks, and its tables say the same", async (lab) => {
    const model = await lab.json("/map"), { rows } = model["hosts"] as { rows: Json[] };
    assert.deepEqual(rows.map(({ name, on }) => [name, on]), [
      [LONG, [{ network: "green", endpoints: 1 }]],
      [HOSTILE, [{ network: "blue", endpoints: 1 }]],
      ["host1", [{ network: "blue", endpoints: 2 }]],
      ["host3", []],
    ]);
    // No agent answers here, so no probe is known.
    assert.equal((model["failures"] as Json)["total"], 0);
    const page = await lab.page("/map?hosts.sort=-on");
    assert.match(
      page,
      /<svg class="map few"[^>]* role="img" aria-label="4 hosts around 2 networks; 0 probes between hosts fail/,
    );
    assert.ok(page.includes("<title>&lt;img src=x onerror="));
    assert.ok(!page.includes("<img") && !page.includes("<b>") && !page.includes(" style="), page);
    assert.equal(page.match(/<circle/g)?.length, 4);
    // Each host's name leads to it, also where the filter has only a part of it.
    const links = [...page.matchAll(/href="(\/hosts\?filter=[^"]+)"/g)].map(([, href = ""]) => href);
    const found = await Promise.all(links.map(async (href) => namesIn((await lab.json(href))["hosts"])));
    assert.deepEqual(found.flat().sort(), [LONG, HOSTILE, "host1", "host3"]);
    // A picture that is fetched again does not move.
    const svg = (text: string) => /<svg class="map.*<\/svg>/s.exec(text)?.[0];
    assert.equal(svg(await lab.page("/map")), svg(page));
    assert.match(String((await lab.json("/map?sort=name", 400))["error"]), /known are hosts\.sort/);
  }],
  ["of more than 200 hosts no map is drawn, and the matrix is named", async (lab) => {
    const keys = Array.from({ length: 200 }, (_, i) => `/sc-net/strand/names/many-${i}`);
    const halves = [keys.slice(0, keys.length / 2), keys.slice(keys.length / 2)];
    for (const some of halves) await lab.write(Object.fromEntries(some.map((key) => [key, claim])));
    await until("there are more", async (see) => see(await lab.json("/map"))["count"] === 204);
    const page = await lab.page("/map");
    assert.match(
      page,
      /There are 204 hosts, and a map shows up to 200: the <a href="\/matrix">matrix<\/a> has all of them\./,
    );
    assert.ok(!page.includes("<svg"));
    for (const some of halves) await lab.remove(...some);
    await until("they are gone", async (see) => see(await lab.json("/map"))["count"] === 4);
  }],
  ["/rates has what services count, and names those that cannot be asked with what to set", async (lab) => {
    let model: Json = {};
    // On a busy machine a service may answer too late at first, and is among the unanswered then.
    await until("all were asked, and those that run have answered", async (see) => {
      model = see(await lab.json("/rates"));
      const { rows } = model["rates"] as { rows: Json[] }, unanswered = model["unanswered"] as Json[];
      return rows.length === 4 && unanswered.length === 2 &&
        JSON.stringify(unanswered).includes("ECONNREFUSED 127.0.0.9");
    });
    const { rows } = model["rates"] as { rows: Json[] };
    assert.deepEqual(rows.map(({ service, measure }) => `${service} ${measure}`).sort(), [
      ...["dashboard errors", "dashboard requests"],
      ...["nexd errors", "nexd requests"],
    ]);
    assert.ok(rows.every(({ rates }) => (rates as unknown[]).length === 240));
    const [named, ...others] = (model["unanswered"] as Json[]).toReversed();
    assert.deepEqual(named, {
      where: "127.0.0.9:9641",
      what: "its metrics cannot be read: connect ECONNREFUSED 127.0.0.9:9641",
      fix:
        "let the service's metrics-listen be an address that this machine reaches, or correct dashboard.metrics",
    });
    // dhcpd, agent and gatewayd are not missed where nothing asks for them.
    assert.match(String(others.map(({ where }) => where)), /^dnsd at 127\.0\.0\.1:\d+$/);
    assert.match(
      String(others[0]?.["fix"]),
      /strand dnsd.*dnsd\.metrics-listen, or name where it runs in dashboard\.metrics/,
    );
    const page = await lab.page("/rates?filter=nexd&sort=-now");
    assert.equal(page.match(/<svg class="line"/g)?.length, 2);
    assert.doesNotMatch(page, / style=|<script>/);
    assert.match(page, /deploy\/dashboards\/strand\.json/);
    await lab.page("/rates?sort=colour", 400);
  }],
  ["/networks says how many hosts are behind, and which MTU is used", async (lab) => {
    const rows = await lab.rows("/networks", "networks");
    assert.deepEqual(
      rows.filter(({ kind }) => kind === "overlay").map((
        { name, behind, hosts, mtu },
      ) => [name, behind, hosts, mtu]),
      [["blue", 1, 2, 1450], ["green", 1, 1, 1450]],
    );
    assert.deepEqual(rows.filter(({ kind }) => kind === "lan").map(({ behind, mtu }) => [behind, mtu]), [
      [undefined, undefined],
      [undefined, undefined],
    ]);
    assert.match(await lab.page("/networks?sort=-behind"), /1 of 2 hosts/);
  }],
];
