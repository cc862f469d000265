import assert from "node:assert/strict";
import { FollowedParts, newPart } from "./followed_parts.ts";

function partsOf(...prefixes: string[]) {
  const parts = new FollowedParts();
  for (const prefix of prefixes) parts.add(newPart(prefix));
  return parts;
}

Deno.test("Parts.of() finds the part of a key: below a slash, or the key itself", () => {
  const parts = partsOf("/a/", "/n/hosts/h1/", "/ipalloc/N");
  const found = (key: string) => parts.of(key)?.prefix;
  assert.deepEqual(["/a/x", "/a/", "/a/x/y//z", "/n/hosts/h1/x", "/ipalloc/N"].map(found), [
    "/a/",
    "/a/",
    "/a/",
    "/n/hosts/h1/",
    "/ipalloc/N",
  ]);
  assert.deepEqual(
    ["/a", "/ab/x", "/n/hosts/x", "/n/hosts/h1", "/ipalloc/N2", "/ipalloc/N/x", "", "/", "x"].map(found),
    Array(9).fill(undefined),
  );
  assert.equal(partsOf("/").of("/x/y")?.prefix, "/");
  assert.equal(partsOf("x/").of("x/y")?.prefix, "x/");
});

Deno.test("Parts knows a former part from its successor", () => {
  const parts = partsOf("/a/");
  const former = newPart("/b/");
  parts.add(former);
  parts.delete(former);
  assert.equal(parts.has(former), false);
  parts.add({ ...former });
  assert.deepEqual([parts.has(former), parts.get("/b/")?.prefix, parts.all().length], [false, "/b/", 2]);
});
