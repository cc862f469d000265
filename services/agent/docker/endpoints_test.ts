import assert from "node:assert/strict";
import { SandKeys } from "../../store/sand_keys.ts";
import type { Plan, StoreOp } from "../../store/types.ts";
import { Ip } from "../../common/ip.ts";
import type { Context } from "../context.ts";
import { VethNames } from "../endpoints/veth_names.ts";
import type { Workers } from "../reconcile/networks.ts";
import { DockerEndpoints } from "./endpoints.ts";

const keys = new SandKeys();

/** An agent whose mirror shows what etcd has only once that was confirmed. */
function lagging() {
  const done: string[] = [];
  let shown = false;
  const endpoint = { id: "e1", network: "n1", record: { strand_docker: { network: "d1", endpoint: "x1" } } };
  const network = { id: "n1", name: "blue", ip_range: "10.0.0.0/24" };
  const view = {
    keys,
    endpointsOn: () => shown ? [endpoint] : [],
    endpoint: () => shown ? endpoint : undefined,
    network: () => shown ? network : undefined,
    guard: (key: string) => ({ key, modRevision: 0 }),
  };
  const commit = ({ ops }: Plan) => {
    done.push(...ops.map((op: StoreOp) => "put" in op ? `put ${op.put}` : `remove ${op.remove}`));
    return Promise.resolve({ committed: true, revision: 9 });
  };
  const store = {
    mirror: { state: { revision: 1 }, version: () => 0, reached: () => Promise.resolve() },
    committer: { commit, commitGrouped: commit },
    confirmed: () => {
      shown = true;
      return Promise.resolve();
    },
    hold: (id: string) => {
      done.push(`hold ${id}`);
      return Promise.reject(new Error("the test ends here"));
    },
  };
  const context = {
    view,
    store,
    host: { hostname: "h1" },
    storeGuard: { assertNotHeld: () => {} },
  } as unknown as Context;
  const writer = {
    delete: (id: string) => {
      done.push(`delete ${id}`);
      return Promise.resolve(8);
    },
  };
  const worker = { writer, whenApplied: () => Promise.resolve(), forget: () => {} };
  const workers = { use: () => Promise.resolve({ worker, release: () => {} }) } as unknown as Workers;
  return { docker: new DockerEndpoints(context, workers, new VethNames(), () => {}), done };
}

Deno.test("a network of Docker's is removed with endpoints that the mirror does not show yet", async () => {
  const { docker, done } = lagging();
  await docker.removeNetwork("d1");
  assert.deepEqual(done, ["delete e1", `remove ${keys.dockerNetwork("d1")}`]);
});

Deno.test("an endpoint is deleted, and an address given back, also where the mirror does not show it or its network yet", async () => {
  const deleting = lagging();
  await deleting.docker.delete("e1");
  assert.deepEqual(deleting.done, ["delete e1"]);
  const releasing = lagging();
  await assert.rejects(releasing.docker.release("n1", Ip.parse("10.0.0.9")), /the test ends here/);
  assert.deepEqual(releasing.done, ["hold n1"]);
});
