/** The tests' own etcd: errors when it ends, and ports in use. */
import assert from "node:assert/strict";
import { freePort } from "./free_port.ts";
import { labCluster, labEtcd } from "./etcd.ts";
import { until } from "./until.ts";

Deno.test("an etcd that ended by itself is told with what it wrote, and is disposed of all the same", async () => {
  const elsewhere = ["--listen-client-urls=http://192.0.2.1:1"];
  await assert.rejects(labEtcd({ args: elsewhere }), /m0 ended by itself .*\n[^]*192\.0\.2\.1:1/);
  await using etcd = await labEtcd();
  Deno.kill(etcd.pid, "SIGTERM");
  await until("it is gone", async () => {
    return await etcd.healthy(0).then(() => false, (error) => /m0 ended by itself/.test(error.message));
  });
});

Deno.test("a cluster of which another program has taken a port is started with other ports", async () => {
  using other = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const ports = [freePort(), other.addr.port];
  const [etcd] = await labCluster(1, {}, () => ports.shift() ?? freePort());
  assert.ok(etcd);
  await using _ = etcd;
  await etcd.healthy();
});

Deno.test("an etcd that has ended is not waited for to stand still", async () => {
  await using etcd = await labEtcd();
  // This program has not been told yet of an end that comes while it waits.
  Deno.kill(etcd.pid, "SIGKILL");
  assert.throws(() => etcd.freeze(), /m0 does not stand still; its threads: (Z|$)/);
});
