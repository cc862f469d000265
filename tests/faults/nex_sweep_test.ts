/** Replicas that sweep the same deleted network at the same time. */
import assert from "node:assert/strict";
import { applySpec } from "../../services/nex/apply.ts";
import { deleteNetwork } from "../../services/nex/networks.ts";
import { Nex } from "../../services/nex/nex.ts";
import { keyOf } from "../../services/store/keys.ts";
import { nexSchema } from "../../services/store/records.ts";
import { openStore } from "../../services/store/store.ts";
import { labEtcd } from "../lab/etcd.ts";

const COUNT = 3_000;

const mac = (n: number) =>
  `02:00:00:00:${(n >> 8).toString(16).padStart(2, "0")}:${(n & 255).toString(16).padStart(2, "0")}`;

Deno.test("replicas that sweep the same deleted network at once all finish, and leave none of it in etcd", async () => {
  await using etcd = await labEtcd();
  using stack = new DisposableStack();
  const open = () =>
    stack.adopt(openStore({ endpoints: [etcd.endpoint], schema: nexSchema }), (s) => s.close());
  const stores = [open(), open(), open()];
  await Promise.all(stores.map((store) => store.mirror.ready()));
  const replicas = stores.map((store) => new Nex(store));
  const [first] = replicas;
  assert(first);
  const network = {
    name: "big",
    subnet4: "10.64.0.0/16",
    domain: "big.net",
    Range4: { begin: "10.64.0.1", end: "10.64.255.254" },
  };
  const list = Array.from({ length: COUNT }, (_, n) => ({ mac: mac(n), name: `n${n}` }));
  await first.change((draft) => applySpec(draft, [network], [{ net: "big", list, force: false }]));
  await first.change((draft) => deleteNetwork(draft, "big"));
  const now = Math.floor(Date.now() / 1000);
  await Promise.all(replicas.flatMap((nex) => [nex.sweepNetwork("big"), nex.sweep(now)]));
  for (const { connection } of stores) {
    const { kvs } = await connection.range({ key: "/", end: "0" });
    assert.deepEqual(kvs.filter(({ key }) => !key.startsWith(keyOf.fence(""))), []);
  }
});
