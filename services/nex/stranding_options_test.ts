import assert from "node:assert/strict";
import { strandingOptions } from "./stranding_options.ts";

Deno.test("options that say another mask, or a router outside the subnet, are found in whatever form", () => {
  const of = (...options: readonly (readonly [number, string])[]) =>
    strandingOptions({
      name: "blue",
      subnet4: "10.0.0.0/24",
      options: options.map(([number, value]) => ({ number, value })),
    });
  assert.deepEqual(
    of([1, "255.255.255.0"], [3, "10.0.0.1, 10.0.0.254"], [6, "192.0.2.53"], [26, "1400"]),
    [],
  );
  assert.deepEqual(of([1, "0xffffff00"], [3, "nonsense"]), []);
  assert.deepEqual(of([1, "255.255.0.0"], [3, "10.0.0.1 10.0.1.1"]), [
    'options: number 1 (value "255.255.0.0"): the mask of the subnet is 255.255.255.0',
    'options: number 3 (value "10.0.0.1 10.0.1.1"): the router 10.0.1.1 is outside the subnet 10.0.0.0/24',
  ]);
  assert.equal(of([3, "0x0a000101"]).length, 1);
  assert.deepEqual(
    strandingOptions({ name: "six", subnet6: "2001:db8::/64", options: [{ number: 3, value: "10.0.0.1" }] }),
    [],
  );
});
