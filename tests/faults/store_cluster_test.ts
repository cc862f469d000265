/** The store with three etcd members, of which some are down, killed, hung or cut off. */
import assert from "node:assert/strict";
import { Refusal } from "../../services/common/refusal.ts";
import type { TlsMaterial } from "../../services/common/tls.ts";
import { UnknownOutcome } from "../../services/store/errors.ts";
import { certificates } from "../lab/certificates.ts";
import { labCluster, type LabEtcd, labEtcd } from "../lab/etcd.ts";
import { create, type LabStore, labStore, put } from "../lab/store.ts";
import { until } from "../lab/until.ts";

async function withCluster(run: (members: LabEtcd[]) => Promise<void>): Promise<void> {
  const members = await labCluster(3);
  try {
    await run(members);
  } finally {
    for (const member of members) await member[Symbol.asyncDispose]();
  }
}

function at(members: readonly LabEtcd[], i: number): LabEtcd {
  const member = members[i];
  assert(member);
  return member;
}

/** The member that a store uses now: the first, unless a busy machine's was late to answer. */
async function usedBy(store: LabStore, members: readonly LabEtcd[]): Promise<LabEtcd> {
  const { member, stream } = await store.connection.watch();
  stream.on("error", () => {});
  stream.cancel();
  return at(members, members.findIndex(({ endpoint }) => endpoint === member.endpoint));
}

Deno.test("with the first of three members down from the start, reads, commits and the mirror work", () =>
  withCluster(async (members) => {
    await at(members, 0).kill();
    using store = labStore(members.map(({ endpoint }) => endpoint), { timeoutMs: 3_000 });
    await store.mirror.ready();
    await until("a leader", () => store.committer.commit(create("/a/x", 1)).then(() => true, () => false));
    await until("seen", () => store.mirror.get("/a/x") !== undefined);
    const answers = async () => (await store.connection.status()).map(({ problem }) => problem === undefined);
    await until("the others answer", async (see) => see(await answers()).join() === "false,true,true");
  }));

Deno.test("a member killed under load costs no acknowledged write, and the mirror moves to another", () =>
  withCluster(async (members) => {
    using store = labStore(members.map(({ endpoint }) => endpoint), { timeoutMs: 3_000 });
    await store.mirror.ready();
    const acknowledged = new Map<string, number>();
    let stop = false;
    const writers = Array.from({ length: 8 }, async (_, worker) => {
      for (let i = 0; !stop; i++) {
        const key = `/a/${worker}-${i}`;
        const outcome = await store.committer.commitGrouped(create(key, i)).catch(() => undefined);
        if (outcome?.committed) acknowledged.set(key, outcome.revision);
        else await new Promise((resolve) => setTimeout(resolve, 20));
      }
    });
    for (const member of members) {
      const before = acknowledged.size;
      await until("writes go on", (see) => see(acknowledged.size) > before + 100);
      await member.kill();
      const down = acknowledged.size;
      await until("writes go on with one down", (see) => see(acknowledged.size) > down + 100);
      await member.start();
    }
    stop = true;
    await Promise.all(writers);
    await until("all seen", () => [...acknowledged.keys()].every((key) => store.mirror.get(key)));
    for (const [key, revision] of acknowledged) assert.equal(store.mirror.get(key)?.modRevision, revision);
    const keys = store.changes.map(({ key }) => key);
    assert.equal(new Set(keys).size, keys.length, "each seen once");
  }));

Deno.test("a member cut off from the others, or hanging, is left for one that is not", () =>
  withCluster(async (members) => {
    using store = labStore(members.map(({ endpoint }) => endpoint), { timeoutMs: 2_000 });
    await store.mirror.ready();
    await until("in sync", () => store.mirror.state.inSync);
    await until("it is used", () => store.committer.commit(put("/a/first", 1)).then(() => true, () => false));
    const used = await usedBy(store, members);
    used.freeze();
    try {
      // Where the others take long to choose a leader, it is not even known that it will not be written.
      await assert.rejects(
        store.committer.commit(put("/a/x", 1)),
        (error) =>
          error instanceof UnknownOutcome ||
          error instanceof Refusal && /the change may or may not have been made/.test(error.message),
      );
      await until(
        "commits by another",
        () => store.committer.commit(put("/a/y", 2)).then(() => true, () => false),
      );
      await until("mirror by another", (see) => see(store.mirror.get("/a/y")?.record.n) === 2);
    } finally {
      used.thaw();
    }
  }));

Deno.test("what the watch does not tell because its member hangs does not count as skipped", () =>
  withCluster(async (members) => {
    const [used, ...others] = members.map(({ endpoint }) => endpoint);
    using store = labStore([used ?? "", ...others], { checkEveryMs: 100 });
    using writer = labStore(others);
    await until("in sync", () => store.mirror.state.inSync);
    at(members, 0).freeze();
    try {
      const write = (n: number) => writer.committer.commit(put("/a/x", n)).then(() => true, () => false);
      await until("a leader", () => write(1));
      await until("seen", () => store.mirror.get("/a/x") !== undefined);
      await until("written", () => write(2));
      await until("seen", () => store.mirror.get("/a/x")?.record.n === 2);
    } finally {
      at(members, 0).thaw();
    }
    assert.deepEqual([store.mirror.state.missed, store.mirror.state.relists], [0, 0]);
  }));

Deno.test("with two of three members down, writes and reads are refused and the mirror falls out of sync", () =>
  withCluster(async (members) => {
    using store = labStore(members.map(({ endpoint }) => endpoint), { timeoutMs: 2_000 });
    await store.mirror.ready();
    await until("written", () => store.committer.commit(put("/a/x", 1)).then(() => true, () => false));
    await until("seen", () => store.mirror.get("/a/x") !== undefined);
    await at(members, 1).kill();
    await at(members, 2).kill();
    await until("noticed", () => !store.mirror.state.inSync);
    await assert.rejects(store.committer.commit(put("/a/x", 2)));
    await assert.rejects(store.connection.get("/a/x"), { code: "unavailable" });
    assert.equal(store.mirror.get("/a/x")?.record.n, 1, "reads go on from what is here");
    await Promise.all([at(members, 1).start(), at(members, 2).start()]);
    await until("in sync", () => store.mirror.state.inSync);
  }));

Deno.test("TLS: etcd's certificate is checked, ours is shown, and what is wrong is said", async () => {
  await using certs = await certificates();
  await using strangers = await certificates("stranger");
  const args = [
    `--cert-file=${certs.path("server")}`,
    `--key-file=${certs.path("server-key")}`,
    `--trusted-ca-file=${certs.path("ca")}`,
    "--client-cert-auth",
  ];
  await using etcd = await labEtcd({ scheme: "https", args });
  const ca = await certs.read("ca"), cert = await certs.read("client"), key = await certs.read("client-key");
  using store = labStore([etcd.endpoint], { tls: { ca, cert, key } });
  await store.mirror.ready();
  const outcome = await store.committer.commit(put("/a/x", 1));
  assert(outcome.committed);
  await store.mirror.reached(outcome.revision, ["/a/x"]);
  const [status] = await store.connection.status();
  assert.equal(status?.problem, undefined);

  const byName = etcd.endpoint.replace("127.0.0.1", "localhost");
  using named = labStore([byName], { tls: { ca, cert, key } });
  assert.equal((await named.connection.get("/a/x"))?.modRevision, outcome.revision);

  const wrong = async (endpoint: string, tls: TlsMaterial | undefined, reason: RegExp) => {
    let refusal: unknown;
    // A handshake that a busy machine does not end in time says nothing of what is wrong.
    await until("it is heard of", async (see) => {
      using store = labStore([endpoint], { tls, timeoutMs: 20_000 });
      refusal = await store.connection.get("/a/x").catch((error) => error);
      return !/: no (connection|answer)/i.test(see(`${refusal}`));
    });
    assert(refusal instanceof Refusal, `not refused, though ${reason}`);
    assert.equal(refusal.code, "unavailable");
    assert.match(refusal.message, reason);
  };
  const other = await strangers.read("ca");
  await wrong(
    etcd.endpoint,
    { ca: other, cert, key },
    /cannot be used: unable to verify the first certificate \(is etcd\.cacert the authority that signed it\?\)$/,
  );
  for (
    const [from, name, reason] of [
      [strangers, "client", /\(does its --trusted-ca-file have the authority of etcd\.cert\?\)$/],
      [certs, "expired", /\(etcd\.cert expired on \d{4}-.* UTC\)$/],
    ] as const
  ) {
    await wrong(
      etcd.endpoint,
      { ca, cert: await from.read(name), key: await from.read(`${name}-key`) },
      reason,
    );
  }
  await wrong(
    etcd.endpoint,
    { ca, cert: undefined, key: undefined },
    /does it expect a client certificate/,
  );
  await wrong(etcd.endpoint.replace("https", "http"), undefined, /does it expect https/);

  const elsewhere = [`--cert-file=${certs.path("elsewhere")}`, `--key-file=${certs.path("elsewhere-key")}`];
  await using impostor = await labEtcd({ scheme: "https", args: elsewhere });
  await wrong(
    impostor.endpoint,
    { ca, cert: undefined, key: undefined },
    /cannot be used: Hostname.*127\.0\.0\.1 is not in the cert's list/,
  );
  await wrong(
    impostor.endpoint.replace("127.0.0.1", "localhost"),
    { ca, cert: undefined, key: undefined },
    /does not match/,
  );

  const byImpostorsName = impostor.endpoint.replace("127.0.0.1", "localhost");
  for (const endpoint of [etcd.endpoint, byName, impostor.endpoint, byImpostorsName]) {
    using unchecked = labStore([endpoint], { tls: { ca: other, cert, key, unverified: true } });
    assert.ok((await unchecked.connection.head()).revision > 0, endpoint);
  }
  assert.throws(() => labStore([etcd.endpoint]), { code: "invalid", message: /^etcd\.cacert: missing/ });
});
