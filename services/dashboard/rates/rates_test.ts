import assert from "node:assert/strict";
import { loadConfig } from "../../common/config.ts";
import { MOST_METRICS } from "../../common/config_schema.ts";
import type { HostPort } from "../../common/host_port.ts";
import { serviceNames } from "../../store/machine_status.ts";
import { ratesModel } from "../model/rates.ts";
import { pathOf } from "../pages/sparkline.tsx";
import {
  EVERY,
  LARGEST,
  PATIENCE,
  Rates,
  ROUNDS,
  scrapeMetrics,
  type ScrapeTarget,
  targetsOf,
} from "./rates.ts";

const at = (port: number): ScrapeTarget => ({ at: { host: "127.0.0.1", port } });
const text = (queries: number) =>
  `strand_info{service="dnsd"} 1\ndnsd_events_total{event="queries"} ${queries}\n`;

function lab(targets: readonly ScrapeTarget[]) {
  let now = 0;
  const answers = new Map<number, string | Error>();
  const scrape = ({ port }: HostPort) => {
    const answer = answers.get(port) ?? new Error("connect ECONNREFUSED");
    return typeof answer === "string" ? Promise.resolve(answer) : Promise.reject(answer);
  };
  const rates = new Rates(targets, scrape, () => now);
  const round = async (port: number, answer: string | Error, seconds = 15) => {
    now += seconds * 1000;
    answers.set(port, answer);
    await rates.round();
  };
  const of = () => {
    const line = rates.lines().find(({ measure }) => measure === "queries");
    return line && { total: line.total, rates: line.rates.filter((rate) => !Number.isNaN(rate)) };
  };
  return { rates, round, of };
}

Deno.test("rates are what was counted between two answers, by the seconds between them", async () => {
  const { rates, round, of } = lab([at(1)]);
  await round(1, text(100));
  assert.deepEqual(of(), { total: 0, rates: [] });
  await round(1, text(130));
  await round(1, text(130));
  assert.deepEqual(of(), { total: 30, rates: [2, 0] });
  // An answer that is missing makes a gap, and what happened meanwhile counts once it is there again.
  await round(1, new Error("no answer in 3 s"));
  assert.deepEqual(rates.unanswered().map(({ why }) => why), ["no answer in 3 s"]);
  await round(1, text(160));
  assert.deepEqual(of(), { total: 60, rates: [2, 0, 1] });
  assert.deepEqual(rates.unanswered(), []);
  // It was started again.
  await round(1, text(5));
  await round(1, text(20));
  assert.deepEqual(of(), { total: 75, rates: [2, 0, 1, 1] });
});

Deno.test("an hour is kept and no more, and a service that is gone for an hour is forgotten", async () => {
  const { rates, round, of } = lab([at(1)]);
  for (let i = 0; i < ROUNDS + 10; i++) await round(1, text(15 * i));
  assert.deepEqual(of(), { total: 15 * ROUNDS, rates: Array(ROUNDS).fill(1) });
  for (let i = 0; i < ROUNDS - 1; i++) await round(1, new Error("gone"));
  assert.equal(of()?.total, 15);
  await round(1, new Error("gone"));
  assert.deepEqual(rates.lines(), []);
  await round(1, text(1_000_000));
  await round(1, text(1_000_015));
  assert.deepEqual(of(), { total: 15, rates: [1] });
});

Deno.test("one that is no service of Strand, and one that does not answer, leave the others alone", async () => {
  const { rates, round, of } = lab([at(1), at(2), { ...at(3), own: "nexd" }]);
  await round(2, "<b>");
  await round(1, text(0));
  await round(1, text(15));
  assert.equal(of()?.total, 15);
  assert.deepEqual(rates.unanswered().map(({ target, why }) => [target.own, why]), [
    [undefined, "what answers there is no service of Strand: its metrics have no strand_info"],
    ["nexd", "connect ECONNREFUSED"],
  ]);
  assert.deepEqual([...rates.named()], ["dnsd"]);
});

Deno.test("a service that has stopped has no rate now, and keeps those of the hour", async () => {
  const { rates, round } = lab([at(1)]), config = loadConfig({ env: {} });
  const row = () => ratesModel(rates, config, new URLSearchParams("sort=-now&filter=queries")).rates.rows[0];
  await round(1, text(0));
  await round(1, text(30));
  assert.deepEqual([row()?.now, row()?.mean, row()?.most], [2, 2, 2]);
  await round(1, new Error("connect ECONNREFUSED"));
  assert.deepEqual([row()?.now, row()?.mean, row()?.most, row()?.total], [undefined, 2, 2, 30]);
  await round(1, text(60));
  assert.deepEqual([row()?.now, row()?.mean], [1, 1.5]);
});

Deno.test("all services are asked at once, so that those that hang do not make a round longer than one of them does", async () => {
  const metrics = Array.from({ length: MOST_METRICS }, (_, i) => ({ host: "192.0.2.1", port: i + 1 }));
  const config = loadConfig({ env: {} }),
    targets = targetsOf({ ...config, dashboard: { ...config.dashboard, metrics } });
  assert.equal(targets.length, MOST_METRICS + serviceNames.length);
  const held = Promise.withResolvers<string>();
  let scrapes = 0;
  const rates = new Rates(targets, () => {
    scrapes++;
    return held.promise;
  });
  const round = rates.round();
  assert.equal(scrapes, targets.length);
  held.resolve(text(1));
  await round;
  assert.ok(PATIENCE < EVERY);
});

Deno.test("the page of rates leads to the dashboard of deploy/ in Grafana, where the configuration says where that is", () => {
  const { uid } = JSON.parse(
    Deno.readTextFileSync(new URL("../../../deploy/dashboards/strand.json", import.meta.url)),
  );
  const modelWith = (grafana?: string) => {
    const config = loadConfig({ env: grafana === undefined ? {} : { STRAND_DASHBOARD_GRAFANA: grafana } });
    return ratesModel(lab([]).rates, config, new URLSearchParams());
  };
  assert.equal("grafana" in modelWith(), false);
  for (
    const [at, base] of [
      ["https://grafana.example", "https://grafana.example"],
      ["HTTP://grafana.example:3000/", "http://grafana.example:3000"],
      ['https://monitor.example/"><b>/', "https://monitor.example/%22%3E%3Cb%3E"],
    ] as const
  ) assert.equal(modelWith(at).grafana, `${base}/d/${uid}?from=now-1h&to=now`);
});

Deno.test("a line is as high as its highest number, with gaps where nothing is known", () => {
  assert.equal(pathOf([null, 2, 4, null, 0]), "M1 12h1L2 0h1M4 24h1");
  assert.equal(pathOf([0, 0]), "M0 24h1L1 24h1");
  assert.equal(pathOf([]), "");
});

Deno.test("metrics that are too large, or come with another status, are refused", async () => {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, ({ url }) => {
    const size = answers.shift() ?? 0;
    assert.equal(new URL(url).pathname, "/metrics");
    return size ? new Response("x".repeat(size)) : new Response("no", { status: 404 });
  });
  const answers = [LARGEST, 3 * LARGEST], { hostname: host, port } = server.addr as Deno.NetAddr;
  assert.equal((await scrapeMetrics({ host, port })).length, LARGEST);
  await assert.rejects(scrapeMetrics({ host, port }), /its answer has more than 1048576 bytes/);
  await assert.rejects(scrapeMetrics({ host, port }), /it answers with status 404/);
  await server.shutdown();
});
