import assert from "node:assert/strict";
import type { Config } from "../../common/config.ts";
import type { Call } from "../../nexd/client/prune.ts";
import type { Cluster } from "../cluster.ts";
import { Deleting } from "./deleting.ts";
import { OutcomeUnknown } from "./outcome.ts";

/** An agent's answer: a status with a sentence, or none at all. */
type Answer = 204 | "none" | { readonly status: number; readonly error: string };

/** Deletes an endpoint whose host's agent has two addresses. @param here That of this machine; absent: there is none. */
async function deleted(
  answers: readonly Answer[],
  { here, patience = 60_000 }: { here?: Answer; patience?: number } = {},
) {
  const over = new AbortController(), ended = Promise.withResolvers<Response>(), requests: string[] = [];
  const answer = (name: string, of: Answer | undefined) => {
    requests.push(name);
    if (of === undefined) assert.fail(`${name} is asked`);
    if (of === "none") return ended.promise;
    if (of === 204) return new Response(null, { status: 204 });
    return Response.json({ error: of.error }, { status: of.status });
  };
  const folder = await Deno.makeTempDir(), path = `${folder}/agent.sock`;
  const quiet = { signal: over.signal, onListen() {} };
  const first = Deno.serve({ ...quiet, hostname: "127.0.0.1", port: 0 }, () => answer("first", answers[0]));
  const { port } = first.addr as Deno.NetAddr;
  const servers: Deno.HttpServer<Deno.Addr>[] = [first];
  servers.push(Deno.serve({ ...quiet, hostname: "127.0.0.2", port }, () => answer("second", answers[1])));
  if (here) servers.push(Deno.serve({ ...quiet, path }, () => answer("here", here)));
  const record = {
    id: "e9",
    network_id: "n",
    hostname: "host9",
    host_ip: "127.0.0.2",
    api_hostname: `127.0.0.1:${port}`,
  };
  const space = { endpoints: new Map([["e9", { record, host: "host9" }]]), reservations: new Map() };
  const cluster = { network: () => ({ kind: "overlay", space }) } as unknown as Cluster;
  const config = { agent: { listen: { port }, socket: { path } } } as unknown as Config;
  try {
    await new Deleting(cluster, config, patience).delete((() => {}) as unknown as Call, {
      network: "blue",
      endpoint: "e9",
    });
    return { requests };
  } catch (error) {
    return { requests, error };
  } finally {
    ended.resolve(new Response());
    over.abort();
    await Promise.all(servers.map(({ finished }) => finished));
    await Deno.remove(folder, { recursive: true });
  }
}

const gone = { status: 404, error: 'there is no endpoint "e9"' };

Deno.test("an endpoint that is gone once its agent has given no answer in time is deleted", async () => {
  assert.deepEqual(await deleted(["none", gone], { patience: 2000 }), { requests: ["first", "second"] });
});

Deno.test("an endpoint whose agent gives no answer in time may be deleted", async () => {
  const { error } = await deleted(["none", "none"], { patience: 300 });
  assert.ok(error instanceof OutcomeUnknown);
  assert.match(error.message, /gave no answer within 0\.3 s/);
});

Deno.test("an agent's own failure is no refusal", async () => {
  const { requests, error } = await deleted([{ status: 503, error: "etcd is away" }]);
  assert.ok(error instanceof OutcomeUnknown);
  assert.deepEqual([error.code, error.message], ["unavailable", "the agent of host9: etcd is away"]);
  assert.deepEqual(requests, ["first"]);
});

Deno.test("an agent's refusal is told, and this machine's agent does not refuse for another", async () => {
  const no = { status: 409, error: "no" };
  const refused = await deleted([no]);
  assert.deepEqual((refused.error as OutcomeUnknown).code, "forbidden");
  const { requests, error } = await deleted([gone, gone], { here: { status: 409, error: "it is on host9" } });
  assert.deepEqual(requests, ["first", "second", "here"]);
  assert.match(
    String(error),
    /endpoint e9 is on host9, whose agent takes it away: there is no endpoint "e9"/,
  );
  assert.deepEqual((error as OutcomeUnknown).code, "unavailable");
});
