import assert from "node:assert/strict";
import { FollowedParts, newPart } from "./followed_parts.ts";
import { Listing, RecordTable } from "./table.ts";

const encode = (text: string) => new TextEncoder().encode(text);
const kv = (key: string, value: string, modRevision: number) => ({
  key,
  value: encode(value),
  createRevision: 1,
  modRevision,
});

function numbers() {
  const bad: string[] = [];
  const parse = (key: string, value: string) => {
    if (key === "/foreign") return undefined;
    if (!/^\d+$/.test(value)) throw new Error("no number");
    return Number(value);
  };
  const part = newPart("/", true);
  const parts = new FollowedParts();
  parts.add(part);
  return {
    bad,
    part,
    parts,
    table: new RecordTable<number>({ prefixes: ["/"], parse }, (key) => bad.push(key)),
  };
}

Deno.test("Table keeps the good record behind a bad one, until a good one or a removal", () => {
  const { bad, part, table } = numbers();
  table.put(part, kv("/a", "1", 5));
  assert.equal(table.put(part, kv("/a", "x", 6)), undefined);
  assert.deepEqual([
    table.entries.get("/a")?.record,
    table.entries.get("/a")?.modRevision,
    table.version("/a"),
  ], [1, 5, 6]);
  assert.deepEqual([...table.quarantined], [["/a", "no number"]]);
  assert.deepEqual(bad, ["/a"]);
  const change = table.put(part, kv("/a", "2", 7));
  assert.deepEqual([change?.before?.record, change?.after?.record, table.quarantined.size], [1, 2, 0]);
  table.put(part, kv("/a", "x", 8));
  assert.equal(table.remove(part, "/a", 9)?.before?.record, 2);
  assert.deepEqual([table.version("/a"), table.quarantined.size, [...table.keys()]], [0, 0, []]);
});

Deno.test("Table knows the version of keys that are not ours without keeping them", () => {
  const { part, table } = numbers();
  assert.equal(table.put(part, kv("/foreign", "?", 3)), undefined);
  assert.deepEqual([table.version("/foreign"), table.entries.size], [3, 0]);
});

Deno.test("Listing changes the table by the difference only, and a bad record is reported once", () => {
  const { bad, part, parts, table } = numbers();
  for (
    const [key, value] of [["/same", "1"], ["/new", "2"], ["/gone", "3"], ["/bad", "x"], [
      "/turned",
      "4",
    ]] as const
  ) {
    table.put(part, kv(key, value, 5));
  }
  const listing = new Listing(table);
  listing.add(part, [kv("/same", "1", 5), kv("/new", "22", 9), kv("/bad", "x", 5)]);
  listing.add(part, [kv("/turned", "x", 9), kv("/fresh", "6", 9)]);
  const changes = listing.replace(parts, 10).map((
    { key, before, after },
  ) => [key, before?.record, after?.record]);
  assert.deepEqual(changes.sort(), [["/fresh", undefined, 6], ["/gone", 3, undefined], ["/new", 2, 22]]);
  assert.deepEqual(bad, ["/bad", "/turned"]);
  assert.equal(table.entries.get("/turned")?.record, 4);
});

Deno.test("a listing of a restored store replaces records of higher revisions", () => {
  const { part, parts, table } = numbers();
  table.put(part, kv("/a", "9", 900));
  const listing = new Listing(table);
  listing.add(part, [kv("/a", "4", 400)]);
  assert.equal(listing.replace(parts, 10).length, 1);
  assert.equal(table.entries.get("/a")?.modRevision, 400);
});

Deno.test("A listing after the first one removes what is gone, and keeps what is the same", () => {
  const { bad, part, parts, table } = numbers();
  const first = new Listing(table);
  first.add(part, [kv("/same", "1", 5), kv("/gone", "2", 5), kv("/bad", "x", 5), kv("/foreign", "?", 5)]);
  assert.deepEqual(first.replace(parts, 10).map(({ key }) => key), ["/same", "/gone"]);
  assert.deepEqual([bad, part.size], [["/bad"], 4]);
  const again = new Listing(table);
  again.add(part, [kv("/same", "1", 5), kv("/foreign", "?", 5), kv("/fresh", "3", 12)]);
  assert.deepEqual(again.replace(parts, 13).map(({ key, after }) => [key, after?.record]), [
    ["/gone", undefined],
    ["/fresh", 3],
  ]);
  assert.deepEqual([...table.keys()], ["/same", "/fresh", "/foreign"]);
  assert.deepEqual([table.quarantined.size, part.size], [0, 3]);
  assert.deepEqual(new Listing(table).replace(parts, 14).map(({ key }) => key), ["/same", "/fresh"]);
  assert.deepEqual([[...table.keys()], part.size], [[], 0]);
});
