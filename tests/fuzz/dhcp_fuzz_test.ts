/** Mutated DHCP packets to dhcpd. */
import assert from "node:assert/strict";
import { anySeed } from "../lab/property.ts";
import { fuzz } from "./dhcp_fuzz.ts";

Deno.test("DHCP: mutated packets make no exception and no reply that is out of bounds", () => {
  const seed = anySeed();
  const seen = fuzz(20_000, seed);
  // Of each kind enough to have been worth it.
  for (const what of ["bad frame", "bad message", "malformed", "answer", "commit", "unknown-client"]) {
    assert((seen[what] ?? 0) > 50, `${what}: ${seen[what]} with seed ${seed}`);
  }
});
