/** Mutated DNS packets to dnsd. */
import assert from "node:assert/strict";
import { anySeed } from "../lab/property.ts";
import { fuzzDns } from "./dns_fuzz.ts";

const count = Number(Deno.env.get("FUZZ_COUNT") ?? 50_000);
const seed = anySeed();

Deno.test(`mutated DNS packets: ${count} with seed ${seed}`, () => {
  const { outcomes } = fuzzDns(count, seed);
  for (
    const outcome of [
      "dropped",
      "forwarded",
      "aliases",
      "rcode 0",
      "rcode 1",
      "rcode 3",
      "rcode 5",
      "rcode 16",
    ]
  ) {
    assert((outcomes[outcome] ?? 0) > 0, `no packet was ${outcome}`);
  }
});
