/** nexd and dnsd while etcd is out of reach. */
import assert from "node:assert/strict";
import { labEtcd } from "../lab/etcd.ts";
import { LabServices } from "../lab/services.ts";
import { quickly } from "../lab/quickly.ts";
import { until } from "../lab/until.ts";

Deno.test("etcd away: nexd reads on, refuses writes at once with one sentence, names resolve, and all is well when it is back", async () => {
  await using etcd = await labEtcd();
  await using services = await LabServices.create(etcd.endpoint);
  const nexd = await services.start("nexd");
  await services.start("dnsd");
  await services.nex("apply", `${import.meta.dirname}/../../examples/mini.yml`);
  // A name of several members: each query begins with the next of their addresses, and each address has its PTR.
  const list = [10, 11].map((i) =>
    `- {mac: "02:00:00:00:01:0${i - 10}", name: www, shared: true, ip4: 10.0.0.${i - 8}}\n`
  );
  const spec = `${services.directory}/www.yml`;
  await Deno.writeTextFile(spec, `kind: MemberList\nnet: mini\nlist:\n${list.join("")}`);
  await services.nex("apply", spec);
  await until("dnsd has both", async (see) => see(await services.dig("www.mini.net")).includes("\n"));
  const www = await Promise.all([1, 2].map(() => services.dig("www.mini.net")));
  assert.deepEqual(www.sort(), ["10.0.0.2\n10.0.0.3", "10.0.0.3\n10.0.0.2"]);
  for (const address of ["10.0.0.2", "10.0.0.3"]) {
    assert.equal(await services.dig("-x", address), "www.mini.net.");
  }
  await etcd.kill();
  const refused = await quickly(5000, () => services.tryNex("add", "member", "mini", "02:00:00:00:00:01"));
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /etcd at .* cannot be used/);
  assert.equal(refused.stderr.trim().split("\n").length, 1);
  const problem = async () =>
    (await services.status()).services.find(({ service }) => service === "nexd")?.problems[0];
  // At first it only knows that the connection is not there.
  await until("nexd says why it cannot follow etcd", async (see) => {
    const { what = "", fix = "" } = see(await problem()) ?? {};
    return /^start it, or correct etcd\.endpoints/.test(fix) &&
      /^etcd cannot be followed since \d+ s \(connect ECONNREFUSED .*\); goes on from/.test(what);
  });
  assert.match((await services.tryNex("get", "members", "mini")).stdout, /whiskey\.mini\.net/);
  assert.equal(await services.dig("whiskey.mini.net"), "10.0.0.10");

  await etcd.start();
  await until(
    "writes are taken again",
    async () => (await services.tryNex("add", "member", "mini", "02:00:00:00:00:01")).code === 0,
  );
  assert.match((await services.tryNex("get", "members", "mini")).stdout, /02:00:00:00:00:01 .*10\.0\.0\.13/);
  assert.equal(nexd.alive, true);
  assert.equal((await nexd.stop("SIGTERM", 60_000)).code, 0, "a stop is orderly");
});
