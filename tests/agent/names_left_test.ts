/** What a network that a SAND agent has deleted leaves of its name and reservations. */
import assert from "node:assert/strict";
import { OverlayLab } from "../lab/overlay.ts";
import { until } from "../lab/until.ts";

Deno.test("an agent removes the name, settings and reservations of a network that is gone, and no others", async () => {
  await using lab = await OverlayLab.create({ hosts: 1, env: { STRAND_AGENT_ADDRESS_GRACE: "2" } });
  const id = "320a669f-e465-4806-ab46-f2e6620c4311", mac = "52:54:00:00:00:05";
  const names = (name: string, of: string) => ({
    [`/sc-net/strand/network-names/${name}`]: JSON.stringify({ id: of }),
    [`/sc-net/strand/net/${of}/settings`]: JSON.stringify({ network: { name }, overlay: {} }),
    [`/sc-net/strand/net/${of}/member/${mac}`]: JSON.stringify({ mac, name: "db", ip4: "10.0.0.5" }),
    [`/sc-net/strand/net/${of}/withheld/10.0.0.9`]: "not a record",
  });
  await lab.kv.write(names("gone", id));
  await lab.host(1).start();
  const red = await lab.host(1).api.createNetwork({ name: "red" });
  await lab.kv.write(names("red", red.id));
  await until("nothing of it is left", async (see) => {
    const left = see([...(await lab.kv.under("/sc-net/strand/")).keys()]);
    return !left.some((key) => key.includes(id) || key.endsWith("/gone"));
  });
  assert.equal([...(await lab.kv.under(`/sc-net/strand/net/${red.id}/`)).keys()].length, 3);
  assert.ok(await lab.kv.get("/sc-net/strand/network-names/red"));
});
