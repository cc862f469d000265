import assert from "node:assert/strict";
import { planPresence } from "../../overlay/hosts.ts";
import { endpointRecord, lab, network } from "../../overlay/testing.ts";
import { until } from "../../../tests/lab/until.ts";
import type { Plan } from "../../store/types.ts";
import type { HostNetwork } from "./host_network.ts";
import { AppliedStatus, isAwaited } from "./status.ts";

/** A network with an endpoint on h1, and what h1 tells of it; `attempt` stands for each try to write to etcd. */
function telling(
  attempt: (plan: () => Plan | undefined, commit: (plan: Plan | undefined) => void) => void,
  longestSilence = 5,
) {
  const it = lab(), log = { debug: () => {} };
  it.put({ [it.keys.network(network.id)]: network });
  it.commit(planPresence(it.view, network.id, { hostname: "h1", mtu: 1450, now: "now" }));
  it.putEndpoint(endpointRecord("E", { hostname: "h1" }));
  const told = () => it.view.space(network.id).applied.get("h1");
  const commit = (plan: () => Plan | undefined) =>
    Promise.resolve().then(() => attempt(plan, (planned) => assert.ok(it.commit(planned))));
  const context = { view: it.view, host: { hostname: "h1" }, storeGuard: {}, log };
  const status = new AppliedStatus(
    { id: network.id, steady: true, context, commit } as unknown as HostNetwork,
    longestSilence,
  );
  return { status, told };
}

Deno.test("an applied revision is published again after etcd has refused the write", async () => {
  let tries = 0;
  const { status, told } = telling((plan, commit) => {
    assert.deepEqual([status.applied > 0, told()], [true, undefined], "known here before it is told");
    if (++tries < 3) throw new Error("no space");
    commit(plan());
  });
  status.publish(1, false);
  await until("it is told", () => told() !== undefined);
  await status.close();
  assert.equal(tries, 3);
});

Deno.test("a revision that is applied while an older one is written, as the agent ends, is told too", async () => {
  let closed: Promise<void> | undefined;
  const revisions: unknown[] = [];
  const { status, told } = telling((plan, commit) => {
    commit(plan());
    revisions.push(told());
    if (closed) return;
    status.publish(2, false);
    closed = status.close();
  }, 3_600_000);
  status.publishSoon(1);
  status.publish(1, false);
  await until("it ends", () => closed !== undefined);
  await closed;
  assert.deepEqual(revisions, [1, 2]);
});

Deno.test("requests wait for what other hosts do for a container, not for machines behind ports, nor for what is a host's own", () => {
  const it = lab();
  it.put({ [it.keys.network(network.id)]: network });
  const endpoint = (hostname: string, kind?: string) => {
    it.putEndpoint(endpointRecord(`${hostname} ${kind}`, { hostname, ...kind !== undefined && { kind } }));
    return it.view.endpoint(`${hostname} ${kind}`);
  };
  const container = endpoint("h2"), leased = endpoint("h2", "dhcp"), own = endpoint("h1");
  for (
    const [one, expected] of [[container, true], [leased, false], [endpoint("h2", "static"), false], [
      own,
      false,
    ]] as const
  ) {
    assert.ok(one);
    for (
      const change of [{ before: undefined, after: one }, { before: one, after: undefined }, {
        before: one,
        after: one,
      }]
    ) {
      assert.equal(isAwaited(change, "h1"), expected, `${one.id}`);
    }
  }
  assert.equal(isAwaited({ before: container, after: leased }, "h1"), true);
  assert.equal(isAwaited({ before: own, after: container }, "h1"), true);
});
