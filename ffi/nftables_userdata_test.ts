import assert from "node:assert/strict";
import { sourceAddress, transportBits, typeOf } from "./nftables_userdata.ts";

// As nft 1.0.6 writes it for `typeof @th,96,24 . ip saddr` and `typeof @th,96,24`.
const VNI = "000407000000 011e 000400000000 010400000000 020403000000 030460000000 040418000000";
const SOURCE = "000407000000 010c 00040c000000 01040b000000";

Deno.test("nft(8) finds the parts of a set's key as it writes them itself", () => {
  const bytes = (text: string) => Uint8Array.fromHex(text.replaceAll(" ", ""));

  assert.deepEqual(
    typeOf(transportBits(96, 24), sourceAddress()),
    bytes(`000400000000 0346 00040d000000 013e 0026 ${VNI} 0114 ${SOURCE}`),
  );
  assert.deepEqual(typeOf(transportBits(96, 24)), bytes(`000402000000 0326 ${VNI}`));
});
