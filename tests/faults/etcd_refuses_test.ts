/** An etcd that answers but writes nothing, or tells nothing: full, or with its authentication on. */
import assert from "node:assert/strict";
import { dirname } from "node:path";
import { etcdBinary } from "../../services/store/etcd_process.ts";
import { labEtcd } from "../lab/etcd.ts";
import { run } from "../lab/host.ts";
import { LabServices } from "../lab/services.ts";
import { until } from "../lab/until.ts";

const mini = `${import.meta.dirname}/../../examples/mini.yml`;

/** Runs a line of a shell that has etcdctl at hand. */
async function shell(line: string, mayFail = false): ReturnType<typeof run> {
  const bin = dirname(await etcdBinary());
  return await run(["sh", "-c", `PATH=${bin}:$PATH; export ETCDCTL_API=3; ${line}`], { mayFail });
}

/**
 * What `strand status` says once the first problem of each row, or that it has none, is as expected: a busy machine's etcd, or
 * service, may be late to say it.
 */
async function statusSaying(services: LabServices, ...problems: readonly RegExp[]) {
  let status = await services.status();
  await until("status says why", async (see) => {
    status = await services.status();
    const told = see(status.services.map((row) => row.problems[0]?.what ?? ""));
    return problems.every((problem, i) => problem.test(told[i] ?? "no row"));
  });
  return status;
}

Deno.test("etcd full: nexd and status say so with what to do, and that mends it", async () => {
  await using etcd = await labEtcd({ args: ["--quota-backend-bytes=2000000"] });
  await using services = await LabServices.create(etcd.endpoint);
  await services.start("nexd");
  await services.start("dnsd");
  await until("all is well", async (see) => see(await services.status()).ok);
  assert.deepEqual((await services.status()).services.map(({ ready }) => ready), [true, true, true]);
  const filler = `head -c 200000 /dev/zero | tr '\\0' x | etcdctl --endpoints=${etcd.endpoint} put /filler`;
  await until("etcd is full", async (see) => /space exceeded/.test(see((await shell(filler, true)).stderr)));

  const refused = await services.tryNex("apply", mini);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /etcd at .* cannot be used: mvcc: database space exceeded/);
  assert.equal(refused.stderr.trim().split("\n").length, 1);
  const { ok, services: [store, nexd, dnsd] } = await statusSaying(
    services,
    /NOSPACE/,
    /space exceeded/,
    /^$/,
  );
  assert.equal(ok, false);
  assert.equal(store?.ready, false);
  assert.equal(nexd?.ready, true, "it answers from what it knows");
  assert.match(nexd?.problems[0]?.what ?? "", /etcd refuses writes since \d+ s: .*space exceeded/);
  assert.match(nexd?.problems[0]?.fix ?? "", /compact.*defrag.*alarm disarm/);
  assert.deepEqual(dnsd?.problems, [], "it writes nothing");

  // The advice, to the letter.
  assert.match(store?.problems[0]?.what ?? "", /NOSPACE/);
  const commands = store?.problems[0]?.fix.match(/etcdctl [^;,]*/g) ?? [];
  assert.equal(commands.length, 3, `${commands}`);
  for (const command of commands) await shell(command);
  await services.nex("apply", mini);
  await until("all is well", async (see) => see(await services.status()).ok);
});

Deno.test("etcd with authentication on: the refusal says so, and so does status", async () => {
  await using etcd = await labEtcd();
  await using services = await LabServices.create(etcd.endpoint);
  await services.start("nexd");
  const ctl = `etcdctl --endpoints=${etcd.endpoint}`;
  await shell(
    `${ctl} user add root:x && ${ctl} role add root && ${ctl} user grant-role root root && ${ctl} auth enable`,
  );
  const refused = await services.tryNex("apply", mini);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /etcd at .* cannot be used: user name is empty/);
  const empty = /user name is empty/;
  const { services: [store, nexd] } = await statusSaying(services, empty, empty);
  assert.equal(store?.ready, false);
  assert.match(store?.problems[0]?.what ?? "", /user name is empty/);
  assert.match(store?.problems[0]?.fix ?? "", /etcdctl auth disable/);
  assert.match(nexd?.problems[0]?.what ?? "", /user name is empty/);

  // Started now, a service waits for its store and says why.
  const late = services.launch("dnsd");
  await late.line(/user name is empty/);
  await shell(`${ctl} --user root:x auth disable`);
  await late.line(/ started /);
  await services.nex("apply", mini);
  await until("all is well", async (see) => see(await services.status()).ok);
});
