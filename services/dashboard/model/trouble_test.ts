import assert from "node:assert/strict";
import { TablePage } from "../table.ts";
import { problemsTable, troublesOfHosts } from "./problems.ts";
import { grouped } from "./trouble.ts";

const away = (count: number) =>
  troublesOfHosts(
    Array.from({ length: count }, (_, i) => ({
      name: `host${i}`,
      agent: "away" as const,
      behind: 0,
      endpoints: 3,
    })),
  ).map((trouble, i) => ({ ...trouble, since: new Date(1000 * (count - i)).toISOString() }));

Deno.test("of 10,000 hosts that are away there is one entry with their number, ten names, the longest time and a link to all", () => {
  const all = away(10_000), [one, ...others] = grouped(all);
  assert.deepEqual(others, []);
  assert.ok(one && "count" in one);
  assert.deepEqual([one.where, one.count, one.href], ["10,000 hosts", 10_000, "/problems?kind=away"]);
  assert.deepEqual(one.first.slice(0, 3), ["host0", "host1", "host10"]);
  assert.equal(one.first.length, 10);
  assert.match(one.what, /^host0, host1, host10, .* and 9,990 more: their agents do not run/);
  assert.equal(one.since, "1970-01-01T00:00:01.000Z");
});

Deno.test("ten problems of a kind are listed one by one, beside many of another", () => {
  const broken = away(11).map((trouble) => ({ ...trouble, kind: "broken" as const }));
  assert.deepEqual(grouped([...away(10), ...broken]).map(({ kind }) => kind), [
    ...Array.from({ length: 10 }, () => "away"),
    "broken",
  ]);
});

Deno.test("all of them are a table that is paged and filtered", () => {
  const page = (query: string) =>
    new TablePage(problemsTable(20_000_000), away(10_000), new URLSearchParams(query));
  const { total, matching, pages, rows } = page("");
  assert.deepEqual([total, matching, pages, rows.length], [10_000, 10_000, 200, 50]);
  assert.deepEqual(page("filter=host77&size=2&page=2").rows.map(({ where }) => where), [
    "host host7700",
    "host host7701",
  ]);
});
