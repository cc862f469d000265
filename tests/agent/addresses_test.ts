/** Reuse of released addresses, on hosts with agents and an etcd of their own. */
import assert from "node:assert/strict";
import { OverlayLab } from "../lab/overlay.ts";

Deno.test("an address that is given back is not the next container's, on any host and in any form of request", async () => {
  await using lab = await OverlayLab.started({ env: { STRAND_AGENT_ADDRESS_GRACE: "600" } });
  const [h1, h2] = [lab.host(1), lab.host(2)];
  const { id } = await h1.api.createNetwork({ ip_range: "10.0.0.0/29" });
  const first = await h1.attach(id);
  assert.equal(first.address, "10.0.0.2");
  await h1.api.deleteEndpoint(first.endpoint.id);
  const second = await h2.attach(id, { wait: "20s" });
  assert.equal(second.address, "10.0.0.3");
  await h2.api.deleteEndpoint(second.endpoint.id);
  const third = await h1.attachAs(id, await h1.container());
  assert.equal(third.address, "10.0.0.4");
  // Who asks for one has it at once, with its MAC, and the order goes on over a restart.
  const requested = await h1.attach(id, { ipv4_address: "10.0.0.3" });
  assert.equal(requested.endpoint.target_veth_mac, "02:84:0a:00:00:03");
  await h1.stop();
  await h1.start();
  // All at once, in one transaction: those that were never used, and then the one that was given back.
  const rest = await Promise.all([1, 2, 3].map(() => h1.attach(id)));
  assert.deepEqual(rest.map(({ address }) => address).sort(), ["10.0.0.2", "10.0.0.5", "10.0.0.6"]);
  await assert.rejects(h2.attach(id), {
    status: 409,
    sentence: /none of the 5 addresses of 10\.0\.0\.0\/29 is left/,
  });
  await lab.agree();
  for (const { endpoint } of [third, requested, ...rest]) await h1.api.deleteEndpoint(endpoint.id);
  assert.ok(await lab.kv.get(`/sc-net/strand/cursor/${id}`));
  await h1.api.deleteNetwork(id);
  const left = [...(await lab.kv.under("/sc-net/")).keys()].filter((key) => key.includes(id));
  assert.deepEqual(left, []);
});
