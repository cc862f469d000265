/** Plans that are made from a view which is behind, in whole or under one prefix alone, and what becomes of them. */
import assert from "node:assert/strict";
import { forAll, type Random } from "../../tests/lab/property.ts";
import { Refusal } from "../common/refusal.ts";
import { pack } from "../store/plan_builder.ts";
import { changeMemberIds } from "./change_mac.ts";
import { addressFor, placeClient, planLease, planLeaseEnd } from "./leases.ts";
import { addMembers, deleteMembers } from "./members.ts";
import { addNetwork, deleteNetwork } from "./networks.ts";
import { Draft } from "./steps.ts";
import { planSweep } from "./sweep.ts";
import { planTakeover } from "./takeover.ts";
import { lagging } from "./testing.ts";
import { desk, far, guest, other, threeNetworks } from "./testing_networks.ts";
import type { NexView } from "./view.ts";

Deno.test("An address and a name are not taken from a membership whose record is still to be shown", () => {
  const it = threeNetworks();
  it.do((d) => addMembers(d, "maxi", [{ mac: desk }]));
  const { view, catchUp } = lagging(it.store.mirror, "/strand/member/");
  it.do((d) => addMembers(d, "mini", [{ mac: desk, name: "desk" }]));
  const plan = (draft = new Draft(view)) => {
    addMembers(draft, "mini", [{ mac: other, name: "desk" }], { onShared: () => {} });
    return pack(draft.steps)[0] ?? assert.fail();
  };
  assert.equal(it.store.write(plan()).committed, false);
  for (const step of planTakeover(view, 10)) assert.equal(it.store.write(step).committed, false);
  catchUp();
  assert.ok(it.store.write(plan()).committed);
  assert.deepEqual([it.view.member(desk, "mini")?.ip4, it.view.member(other)?.ip4], [
    "10.0.0.10",
    "10.0.0.11",
  ]);
  assert.deepEqual(planTakeover(it.view, 10), []);
});

Deno.test("What a deleted network left is swept to its end though a member was still to be shown", () => {
  const it = threeNetworks();
  for (const net of ["maxi", "mini"]) it.do((d) => addMembers(d, net, [{ mac: desk }]));
  const { view, catchUp } = lagging(it.store.mirror, "/strand/member/");
  it.do((d) => addMembers(d, "mini", [{ mac: other }]));
  it.do((d) => addMembers(d, "maxi", [{ mac: other }]));
  it.do((d) => deleteNetwork(d, "maxi"));
  const sweep = () => planSweep(view, 0, 10).map((step) => it.store.write(step).committed);
  assert.deepEqual(sweep(), [true], "the member that is shown");
  assert.deepEqual(sweep(), [false], "the mark stays");
  catchUp();
  for (let i = 0; i < 5; i++) sweep(), catchUp();
  assert.deepEqual(it.keys().filter((key) => /maxi|10\.1\.0/.test(key)), []);
});

Deno.test("Of replicas that plan on what was, none makes a membership twice, nor a claim that no record agrees with", () => {
  const nets = ["mini", "maxi", "wifi"], macs = [desk, other, guest];
  /** What a replica does that shows this view. */
  const planned = (random: Random, view: NexView, now: number) => {
    const mac = macs[random(3)] ?? desk, net = nets[random(3)] ?? "mini", name = `h${random(2)}`;
    const draft = new Draft(view);
    const at = placeClient(view, { mac, link: view.network(net)?.subnet4?.first.plus(1n) });
    switch (random(7)) {
      case 0:
        deleteMembers(draft, net, [mac]);
        break;
      case 1:
        addMembers(draft, net, [{ mac, name: "" }], { force: true });
        break;
      case 2: {
        const step = at?.member && planLeaseEnd(view, at.member, now);
        if (step) draft.steps.push(step);
        break;
      }
      case 3: {
        const address = at && addressFor(view, at, mac);
        const lease = at && planLease(view, at, { mac, address, now, hostname: name });
        if (lease?.kind === "commit") draft.steps.push(lease.plan);
        break;
      }
      case 4:
        draft.steps.push(...planTakeover(view, 3));
        break;
      case 5:
        changeMemberIds(draft, net, [{ old: mac, new: macs[random(3)] ?? desk }]);
        break;
      default:
        addMembers(draft, net, [{ mac, name }], { force: true, onShared: () => {} });
    }
    return pack(draft.steps);
  };
  let conflicts = 0;
  forAll({ runs: 30, choices: 3000, seed: 11 }, (random) => {
    const it = threeNetworks();
    it.do((d) =>
      addNetwork(d, { ...far, name: "wifi", subnet4: "10.3.0.0/24", Range4: undefined, domain: "mini.net" })
    );
    const behind = ["/strand/member/", "/member/", "/strand/name/"].map((p) => lagging(it.store.mirror, p));
    for (let i = random(160); i > 0; i--) {
      // Several plans from one state, carried out in turn: those of replicas that do not know of each other yet.
      const plans = [it.view, ...behind.map(({ view }) => view)].flatMap((view) => {
        try {
          return planned(random, view, 1160 - i);
        } catch (error) {
          if (error instanceof Refusal) return [];
          throw error;
        }
      });
      for (const plan of plans) if (!it.store.write(plan).committed) conflicts++;
      for (const { catchUp } of behind) if (random(2)) catchUp();
      const members = [...it.view.members()];
      const pairs = members.map((m) => `${m.net} ${m.mac}`);
      assert.equal(new Set(pairs).size, pairs.length, pairs.sort().join(", "));
      const claimed = it.keys().filter((key) => /\/(name|ip4)\//.test(key)).map((key) => {
        const [, value] = key.match(/\/(?:name|ip4)\/([^/]*)/) ?? [];
        return `${value} ${it.store.values.get(key)?.value}`;
      });
      const wanted = members.flatMap((m) => [m.name, m.ip4].flatMap((v) => v ? `${v} ${m.mac}` : []));
      assert.deepEqual(claimed.sort(), [...new Set(wanted)].sort());
    }
    // A name may be another MAC's since a member has moved: what is left is to mark it as shared.
    for (const plan of pack(planTakeover(it.view, 10))) it.store.write(plan);
    assert.deepEqual(planTakeover(it.view, 10), []);
  });
  assert.ok(conflicts > 100, `${conflicts} conflicts`);
});
