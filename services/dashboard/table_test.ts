import assert from "node:assert/strict";
import { TablePage, type TableSpec } from "./table.ts";

const spec: TableSpec<{ n?: number; name: string }> = {
  id: "t",
  caption: "Things",
  sort: "n",
  none: "none",
  columns: [
    { key: "n", title: "N", text: ({ n }) => n },
    { key: "name", title: "Name", text: ({ name }) => name },
  ],
};
const rows = [{ n: 10, name: "b" }, { name: "none" }, { n: 9, name: "c" }, { n: 2, name: "a" }];
const shown = (query: string) =>
  new TablePage(spec, rows, new URLSearchParams(query)).rows.map(({ name }) => name).join(" ");

Deno.test("a Sheet sorts numbers as such, in both directions, and what is missing last", () => {
  assert.equal(shown(""), "a c b none");
  assert.equal(shown("t.sort=-n"), "b c a none");
  assert.equal(shown("t.sort=-name"), "none c b a");
});

Deno.test("a Sheet's page beyond the last one is the last one", () => {
  assert.equal(shown("t.size=3&t.page=2"), "none");
  assert.equal(shown("t.size=3&t.page=99"), "none");
  assert.equal(shown("t.filter=nothing&t.page=2"), "");
});
