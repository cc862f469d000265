import assert from "node:assert/strict";
import { applyHref, deleteHref, explainHref, findHref, hostHref, machineHref, networkHref } from "./links.ts";
import { fittingRows, LONGEST_FILTER, type TableSpec } from "./table.ts";

const spec: TableSpec<string> = {
  id: "",
  caption: "",
  sort: "name",
  none: "",
  columns: [{ key: "name", title: "", text: (name) => name }],
};

/** Names with characters of two code units, whole, cut by the longest filter, or with one half missing. */
const names = [
  "a😀",
  `${"a".repeat(LONGEST_FILTER - 1)}😀`,
  "a\ud800",
  "\udc00a",
  "a\ud800b",
  "\ud800".repeat(300),
];

Deno.test("a link to a host finds it, whatever its name, also where the filter cuts a character or has half of one", () => {
  for (const name of ["web", "a/b?&", ...names]) {
    const filter = new URL(hostHref(name), "http://d").searchParams.get("filter") ?? "";
    assert.ok(filter.length > 0 && filter.length <= LONGEST_FILTER, JSON.stringify(name));
    assert.deepEqual(fittingRows(spec, [name, "other"], filter), [name]);
  }
});

Deno.test("each link can be made of any name", () => {
  for (const name of names) {
    const hrefs = [
      ...[
        networkHref(name),
        machineHref(name),
        machineHref("1", name),
        findHref(name),
        explainHref(name, name),
      ],
      ...[hostHref(name), applyHref(name, name), deleteHref(name, { member: name, endpoint: name })],
    ];
    for (const href of hrefs) assert.ok(new URL(href, "http://d").href.endsWith(href), href);
  }
  assert.equal(networkHref("a.json"), "/networks/a%2Ejson");
});
