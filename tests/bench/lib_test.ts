/** The benchmarks' own functions for statistics, measurements and results. */
import assert from "node:assert/strict";
import { cpuSeconds, interleaved, median, plot, rssMiB, table, writeSection } from "./lib.ts";

Deno.test("median() of odd and even counts", () => {
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([4, 1, 2, 3]), 2.5);
});

Deno.test("interleaved() takes ratios round by round, ours over theirs", async () => {
  const side = (name: string, values: number[]) => ({
    name,
    round: () => Promise.resolve([{ size: "1", metric: "speed", unit: "q/s", value: values.shift() ?? 0 }]),
  });
  const result = await interleaved("x", [side("ours", [10, 20, 90]), side("peer", [5, 20, 10])], 3);
  assert.deepEqual(result.rows.map((r) => [r.side, r.median, r.min, r.max, r.rounds]), [
    ["ours", 20, 10, 90, 3],
    ["peer", 10, 5, 20, 3],
  ]);
  assert.deepEqual(result.ratios, [{ bench: "x", size: "1", metric: "speed", against: "peer", median: 2 }]);
  assert.match(table(result), /\| peer \| 1 .*\| 2\.00/);
  assert.match(plot(result, "speed"), /<svg[^]*peer 1[^]*<\/svg>/);
});

Deno.test("cpuSeconds() and rssMiB() read this process", () => {
  assert(cpuSeconds(Deno.pid) > 0);
  assert(rssMiB(Deno.pid) > 10);
});

Deno.test("writeSection() replaces its own part and keeps the others", async () => {
  const file = await Deno.makeTempFile();
  try {
    await writeSection(file, "dns", "one");
    await writeSection(file, "dhcp", "two");
    await writeSection(file, "dns", "three");
    assert.equal(
      await Deno.readTextFile(file),
      "<!-- begin dns -->\nthree\n<!-- end dns -->\n\n<!-- begin dhcp -->\ntwo\n<!-- end dhcp -->\n",
    );
  } finally {
    await Deno.remove(file);
  }
});
