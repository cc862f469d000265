/** Apply with a spec that needs several transactions. */
import assert from "node:assert/strict";
import { applySpec } from "../../services/nex/apply.ts";
import { Nex } from "../../services/nex/nex.ts";
import { nexSchema } from "../../services/store/records.ts";
import { openStore } from "../../services/store/store.ts";
import { labEtcd } from "../lab/etcd.ts";
import { patient } from "../lab/store.ts";

Deno.test("a spec of 300 networks says of each that it was created, in several transactions", async () => {
  await using etcd = await labEtcd();
  const store = openStore({ endpoints: [etcd.endpoint], schema: nexSchema, ...patient });
  try {
    await store.mirror.ready();
    const nex = new Nex(store);
    const networks = Array.from(
      { length: 300 },
      (_, i) => ({ name: `n${i}`, subnet4: `10.${i >> 8}.${i & 255}.0/24` }),
    );
    const applied = await nex.change((draft) => applySpec(draft, networks, []));
    assert.deepEqual([...new Set(applied.map(({ action }) => action))], ["created"]);
    assert.equal(nex.view.size.networks, 300);
  } finally {
    store.close();
  }
});
