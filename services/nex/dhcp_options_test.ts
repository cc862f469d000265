import assert from "node:assert/strict";
import { printable, Refusal } from "../common/refusal.ts";
import { checkOption, encodeOption } from "./dhcp_options.ts";

const good: readonly (readonly [number, string, string])[] = [
  [1, "255.255.255.0", "ffffff00"],
  [2, "-3600", "fffff1f0"],
  [3, "10.0.0.1", "0a000001"],
  [6, "10.0.0.1, 10.0.0.2", "0a0000010a000002"],
  [6, "10.0.0.1 10.0.0.2", "0a0000010a000002"],
  [13, "65535", "ffff"],
  [15, "mini.net", "6d696e692e6e6574"],
  [19, "true", "01"],
  [20, "off", "00"],
  [23, "64", "40"],
  [24, "4294967295", "ffffffff"],
  [25, "68, 296", "00440128"],
  [26, " 1450 ", "05aa"],
  [33, "10.1.0.1 10.0.0.1", "0a0100010a000001"],
  [42, "10.0.0.3", "0a000003"],
  [43, "0x0104Abcd", "0104abcd"],
  [67, "pxelinux.0", "7078656c696e75782e30"],
  [68, "0x", ""],
  // RFC 3397 §3's example, in our order: the second name's tail points into the first.
  [119, "eng.apple.com. marketing.apple.com", "03656e67056170706c6503636f6d00096d61726b6574696e67c004"],
  [119, "a.net, a.net", "0161036e657400c000"],
  [121, "10.1.2.0/23 via 10.0.0.1, 0.0.0.0/0 via 10.0.0.2", "170a01020a000001000a000002"],
  [121, "10.17.255.255/12,10.0.0.1", "0c0a100a000001"],
  [121, "10.0.0.9/32 10.0.0.1", "200a0000090a000001"],
  [224, "of the site", "6f66207468652073697465"],
  [224, "0X00fF", "00ff"],
];

for (const [number, value, hex] of good) {
  Deno.test(`encodeOption(${number}, "${value}")`, () => {
    assert.equal(encodeOption(number, value).toHex(), hex);
  });
}

const bad: readonly (readonly [number, string])[] = [
  [1, "255.255.255"],
  [2, "2147483648"],
  [3, ""],
  [3, "10.0.0.1, router"],
  [6, "2001:db8::1"],
  [13, "65536"],
  [15, ""],
  [15, "a\nb"],
  [19, "perhaps"],
  [23, "256"],
  [24, "-1"],
  [26, "1450.5"],
  [26, "0x05a"],
  [33, "10.0.0.1"],
  [43, "text"],
  [119, "a..net"],
  [119, "a.net.."],
  [119, `${"a".repeat(64)}.net`],
  [121, "10.1.0.0/16"],
  [121, "10.1.0.0/33 10.0.0.1"],
  [121, "2001:db8::/32 10.0.0.1"],
  [51, "3600"],
  [53, "5"],
  [82, "0x00"],
  [0, "1"],
  [255, "1"],
  [256, "1"],
  [-1, "1"],
  [1.5, "1"],
];

for (const [number, value] of bad) {
  Deno.test(`checkOption(${number}, ${JSON.stringify(value)}) is refused, naming both`, () => {
    assert.throws(() => checkOption(number, value), (error) => {
      assert(error instanceof Refusal);
      assert.equal(error.code, "invalid");
      assert(
        error.message.includes(String(number)) && error.message.includes(`"${printable(value)}"`),
        error.message,
      );
      return true;
    });
  });
}

Deno.test("checkOption() refuses a value that would fill the packet", () => {
  assert.throws(() => checkOption(15, "a".repeat(1025)), /1025 bytes, over 1024/);
});
