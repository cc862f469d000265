import assert from "node:assert/strict";
import { painter } from "../colour.ts";
import { table } from "./status.ts";

const rows = [
  {
    service: "etcd",
    address: "http://127.0.0.1:2379",
    reachable: true,
    ready: true,
    revision: 5,
    problems: [],
  },
  {
    service: "nexd",
    address: "127.0.0.1:9640",
    reachable: false,
    ready: false,
    problems: [{ what: "it does not answer", fix: "start it" }],
  },
];

Deno.test("table() has a warning in a line of its own", () => {
  const [etcd] = rows;
  assert(etcd);
  const coloured = table(
    [{ ...etcd, warnings: ["etcd 3.4.23 is old"] }],
    (colour, text) => `<${colour}>${text}`,
  );
  assert.match(coloured, /\n\n<yellow>etcd: etcd 3\.4\.23 is old\n$/);
});

Deno.test("table() is the same with colours and without, but for the colours", () => {
  const plain = table(rows, painter(false));
  assert.equal(
    plain,
    `SERVICE  ADDRESS                STATE        REVISION  LAG
etcd     http://127.0.0.1:2379  ready        5         -
nexd     127.0.0.1:9640         unreachable  -         -

nexd: it does not answer
  → start it
`,
  );
  const coloured = table(rows, (colour, text) => `<${colour}>${text}</>`);
  assert.match(coloured, / <green>ready<\/> /);
  assert.match(coloured, / <red>unreachable<\/> /);
  assert.equal(coloured.replaceAll(/<\/?\w*>/g, ""), plain);
});
