/** npm's `etcd3` as a foreign client of the store: it reads what Strand wrote, and Strand sees what it writes. */
import assert from "node:assert/strict";
import { Etcd3 } from "etcd3";
import { applySpec } from "../../services/nex/apply.ts";
import { deleteMembers } from "../../services/nex/members.ts";
import { Nex } from "../../services/nex/nex.ts";
import { mini, miniMembers } from "../../services/nex/testing.ts";
import { nexSchema } from "../../services/store/records.ts";
import { openStore } from "../../services/store/store.ts";
import { labEtcd } from "../lab/etcd.ts";
import { until } from "../lab/until.ts";

const [whiskey] = miniMembers, mac = "00:00:44:44:00:01";

Deno.test("etcd3 reads the members that Strand wrote, Strand shows the one that etcd3 writes, and each sees the other's removals", async () => {
  await using etcd = await labEtcd();
  using stack = new DisposableStack();
  const store = stack.adopt(
    openStore({ schema: nexSchema, endpoints: [etcd.endpoint] }),
    (store) => store.close(),
  );
  const foreign = stack.adopt(new Etcd3({ hosts: etcd.endpoint }), (client) => client.close());
  await store.mirror.ready();
  const nex = new Nex(store);
  const list = miniMembers.map((member) => ({ ...member }));
  await nex.change((draft) => applySpec(draft, [mini], [{ net: "mini", list, force: false }]));

  const members = await foreign.getAll().prefix("/member/").strings();
  assert.ok(whiskey);
  assert.equal(members["/member/ip4/10.0.0.10"], whiskey.mac);
  assert.equal(members["/member/name/whiskey.mini.net"], whiskey.mac);
  assert.equal(members[`/member/net/mini/${whiskey.mac}`], whiskey.mac);
  assert.equal(JSON.parse(members[`/member/${whiskey.mac}`] ?? "").name, "whiskey.mini.net");
  assert.equal(Object.keys(members).length, 4 * miniMembers.length);

  const removed: string[] = [];
  const watcher = await foreign.watch().prefix("/member/").create();
  watcher.on("delete", ({ key }) => removed.push(key.toString()));
  const record = { mac, name: "sierra.mini.net", ip4: { address: "10.0.0.77" }, net: "mini" };
  const keys = ["/member/ip4/10.0.0.77", "/member/name/sierra.mini.net", `/member/net/mini/${mac}`];
  const written = await foreign.if(`/member/${mac}`, "Create", "==", 0)
    .then(
      foreign.put(`/member/${mac}`).value(JSON.stringify(record)),
      ...keys.map((key) => foreign.put(key).value(mac)),
    )
    .commit();
  assert.ok(written.succeeded);
  await until("its member is there", (see) => see(nex.view.member(mac)?.ip4) === "10.0.0.77");
  assert.equal(nex.view.member(mac)?.name, "sierra.mini.net");

  await nex.change((draft) => deleteMembers(draft, "mini", [mac]));
  await until("its watch has told of all four", (see) => see(removed).length === 4);
  assert.deepEqual(removed.sort(), [`/member/${mac}`, ...keys].sort());
  await watcher.cancel();

  const gone = await foreign.delete().prefix("/member/");
  assert.equal(Number(gone.deleted), 4 * miniMembers.length);
  await until("none is left", (see) => see([...nex.view.members()]).length === 0);
});
