/** nex over TLS, with right and wrong certificates. */
import assert from "node:assert/strict";
import { certificates } from "../lab/certificates.ts";
import { nexProcess } from "../lab/nex.ts";
import { labNexd } from "./nexd.ts";

Deno.test("TLS: the right certificates work, each wrong one gets its sentence", async (t) => {
  await using certs = await certificates();
  await using stranger = await certificates("stranger");
  const server = { cert: certs.path("server"), key: certs.path("server-key") };
  const ca = ["--ca-file", certs.path("ca")];
  const client = ["--cert-file", certs.path("client"), "--key-file", certs.path("client-key")];
  const one = async (address: string, options: string[], code: number, says: RegExp) => {
    const output = await nexProcess(address, [...options, "get", "networks"]);
    assert.equal(output.code, code, output.stderr);
    assert.match(output.stderr, says);
  };
  await t.step("one-way", async (t) => {
    await using nexd = await labNexd(server);
    await t.step("by address and by name", async () => {
      await one(nexd.address, ca, 0, /^$/);
      await one(nexd.address.replace("127.0.0.1", "localhost"), ca, 0, /^$/);
    });
    await t.step(
      "an authority that did not sign it",
      () =>
        one(
          nexd.address,
          ["--ca-file", stranger.path("ca")],
          1,
          /not signed by an authority in --ca-file\n$/,
        ),
    );
    await t.step("no TLS to a server with it", () => one(nexd.address, [], 1, /server does that wants TLS/));
    await t.step(
      "a file that is no certificate",
      () =>
        one(nexd.address, ["--ca-file", certs.path("ca-key")], 1, /--ca-file: .*holds no PEM certificate\n$/),
    );
    await t.step(
      "a certificate without its key",
      () => one(nexd.address, [...ca, "--cert-file", certs.path("client")], 1, /--key-file/),
    );
  });
  await t.step("mutual", async (t) => {
    await using nexd = await labNexd({ ...server, ca: certs.path("ca") });
    await t.step("with a certificate", () => one(nexd.address, [...ca, ...client], 0, /^$/));
    await t.step(
      "without one",
      () =>
        one(
          nexd.address,
          ca,
          1,
          /cannot be reached: (it wants a client|it closed the connection .* another client) certificate/,
        ),
    );
    await t.step("with a stranger's", () => {
      const theirs = ["--cert-file", stranger.path("client"), "--key-file", stranger.path("client-key")];
      return one(nexd.address, [...ca, ...theirs], 1, /^nex: 127\.0\.0\.1:\d+ cannot be reached: [^\n]+\n$/);
    });
  });
});
