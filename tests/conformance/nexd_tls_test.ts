/** nexd over TLS, with and without client certificates. */
import assert from "node:assert/strict";
import { certificates } from "../lab/certificates.ts";
import { labEtcd } from "../lab/etcd.ts";
import type { Output } from "../lab/host.ts";
import { nexHere } from "../lab/nex.ts";
import { LabServices } from "../lab/services.ts";

Deno.test("nexd over TLS: clients that trust its authority get in, with a certificate where one is asked for", async (t) => {
  await using etcd = await labEtcd();
  await using ours = await certificates();
  await using theirs = await certificates("stranger");
  const files = (
    certs: typeof ours,
    name: string,
  ) => ["--cert-file", certs.path(name), "--key-file", certs.path(`${name}-key`)];
  const attempt = (port: number, ...args: string[]) =>
    nexHere(`127.0.0.1:${port}`, [...args, "get", "networks"]);
  const refused = ({ code, stderr }: Output, what: RegExp) => {
    assert.equal(code, 1);
    assert.match(stderr, what);
    assert.equal(stderr.trim().split("\n").length, 1, `one line: ${stderr}`);
  };

  await t.step("one-way", async () => {
    const tls = `tls: {cert: ${ours.path("server")}, key: ${ours.path("server-key")}}`;
    await using services = await LabServices.create(etcd.endpoint, { nexd: tls });
    await services.start("nexd");
    const trusted = await attempt(services.nexdPort, "--ca-file", ours.path("ca"));
    assert.equal(trusted.code, 0, trusted.stderr);
    refused(await attempt(services.nexdPort, "--ca-file", theirs.path("ca")), /certificate/);
    refused(await attempt(services.nexdPort), /TLS|--ca-file/);
    refused(await attempt(services.nexdPort, "--ca-file", "/nowhere.pem"), /\/nowhere\.pem/);
  });

  await t.step("mutual", async () => {
    const tls = `tls: {cert: ${ours.path("server")}, key: ${ours.path("server-key")}, ca: ${
      ours.path("ca")
    }}`;
    await using services = await LabServices.create(etcd.endpoint, { nexd: tls });
    await services.start("nexd");
    const ca = ["--ca-file", ours.path("ca")];
    assert.equal((await attempt(services.nexdPort, ...ca, ...files(ours, "client"))).code, 0);
    refused(await attempt(services.nexdPort, ...ca), /certificate/);
    refused(await attempt(services.nexdPort, ...ca, ...files(theirs, "client")), /certificate/);
  });
});
