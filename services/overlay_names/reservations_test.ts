import assert from "node:assert/strict";
import type { MemberRequest } from "../nex/members.ts";
import { BitSet } from "../overlay/bit_set.ts";
import { planPresence } from "../overlay/hosts.ts";
import { endpointRecord } from "../overlay/testing.ts";
import { ReservationDraft } from "./reservations.ts";
import { findNamed } from "./networks.ts";
import { AT, blue, idOf, namedLab } from "./testing.ts";

const [a, b, c] = ["52:54:00:00:00:0a", "52:54:00:00:00:0b", "52:54:00:00:00:0c"] as const;
const id = idOf(1);

function setUp() {
  const it = namedLab();
  it.apply(blue);
  const add = (list: MemberRequest[], force = false) =>
    it.members("blue", (draft) =>
      draft.add([{ list, force }])[0]?.map(({ name, action }) => `${name} ${action}`));
  return {
    ...it,
    add,
    stored: (mac: string) => it.json(it.keys.reservation(id, mac)),
    bits: () => [...BitSet.decode(it.json(it.keys.allocation(id)).bit_set).ones()],
    draft: () => new ReservationDraft(it.view, findNamed(it.view, "blue"), AT),
    refuses: (list: MemberRequest[], message: string | RegExp) => assert.throws(() => add(list), { message }),
  };
}

Deno.test("a member's address is claimed with it: the one that is given, or the next free one of the range", () => {
  const it = setUp();
  assert.deepEqual(
    it.add([{ mac: a }, { mac: b.toUpperCase(), name: "DB", ip4: "10.0.0.2" }, {
      mac: c,
      name: "web.blue.example",
    }]),
    [`${a} created`, "db created", "web created"],
  );
  assert.deepEqual([a, b, c].map(it.stored), [
    { mac: a, ip4: "10.0.0.3" },
    { mac: b, name: "db", ip4: "10.0.0.2" },
    { mac: c, name: "web", ip4: "10.0.0.4" },
  ]);
  assert.deepEqual(it.bits(), [0, 1, 2, 3, 4, 255]);
  assert.deepEqual(it.add([{ mac: a }, { mac: b, name: "db" }]), [`${a} unchanged`, "db unchanged"]);
  it.refuses(
    [{ mac: b, name: "sql" }],
    `member ${b} exists with another name (db, 10.0.0.2); replace it with --force`,
  );
  assert.deepEqual(it.add([{ mac: b, name: "sql", ip4: "10.0.0.9" }], true), ["sql updated"]);
  assert.deepEqual(it.bits(), [0, 1, 3, 4, 9, 255], "the old address is free");
});

Deno.test("no member has a name of the gateway's, neither a new one nor one that is there", () => {
  const it = setUp(),
    sentence = (name: string) =>
      `member ${a}: name: ${name} of network blue is the name of its gateway: take another one`;
  it.refuses([{ mac: a, name: "gateway" }], sentence("gateway"));
  it.refuses([{ mac: a, name: "NS.blue.example" }], sentence("ns"));
  it.add([{ mac: a, name: "db" }]);
  assert.throws(() => it.draft().update([{ mac: a, name: "gateway" }]), { message: sentence("gateway") });
});

Deno.test("an address that cannot be a member's is refused with what would be right", () => {
  const it = setUp();
  it.putEndpoint(endpointRecord("E", { network_id: id, target_veth_ip: "10.0.0.7/24", target_veth_mac: c }));
  it.refuses(
    [{ mac: a, ip4: "10.0.1.5" }],
    `member ${a}: ip4: 10.0.1.5 is outside the range 10.0.0.0/24 of network blue`,
  );
  it.refuses(
    [{ mac: a, ip4: "10.0.0.255" }],
    `member ${a}: ip4: 10.0.0.255 is the broadcast address of 10.0.0.0/24`,
  );
  it.refuses(
    [{ mac: a, ip4: "10.0.0.1" }],
    `member ${a}: ip4: 10.0.0.1 of network blue belongs to the gateway`,
  );
  it.refuses(
    [{ mac: a, ip4: "10.0.0.7" }],
    `member ${a}: ip4: 10.0.0.7 of network blue belongs to endpoint E on h1`,
  );
  it.add([{ mac: b, ip4: "10.0.0.5" }]);
  it.refuses(
    [{ mac: a, ip4: "10.0.0.5" }],
    `member ${a}: ip4: 10.0.0.5 of network blue belongs to ${b}, for which it is reserved`,
  );
  it.refuses([{ mac: a, ip4: "fd00::1" }], `member ${a}: ip4: fd00::1 is not an IPv4 address`);
  it.refuses(
    [{ mac: a, ip6: "fd00::1" }],
    `member ${a}: ip6: fd00::1: an overlay network has IPv4 addresses only`,
  );
  it.refuses([{ mac: a }, { mac: a }], `mac: ${a} is in the list twice`);
  it.refuses([{ mac: "01:00:5e:00:00:01" }], /is a group address, which no machine has$/);
  it.refuses(
    [{ mac: "02:84:0a:00:00:09", ip4: "10.0.0.8" }],
    /it is for the endpoint of another address than 10\.0\.0\.8/,
  );
  it.refuses([{ mac: a, name: "a.b" }], /name: "a\.b" is not a DNS label/);
});

Deno.test("a machine that is there keeps its address when it gets a reservation", () => {
  const it = setUp();
  it.putEndpoint(endpointRecord("E", { network_id: id, target_veth_ip: "10.0.0.7/24", target_veth_mac: a }));
  it.refuses(
    [{ mac: a, ip4: "10.0.0.9" }],
    `member ${a}: ip4: 10.0.0.9 is not 10.0.0.7, which ${a} has now in network blue as endpoint E on h1: reserve that one, or ` +
      "delete the endpoint first",
  );
  it.add([{ mac: a, name: "web" }]);
  assert.deepEqual(it.stored(a), { mac: a, name: "web", ip4: "10.0.0.7" });
  it.members("blue", (draft) => draft.delete([a]));
  assert.ok(it.bits().includes(7), "the endpoint has it still");
});

Deno.test("a name is one machine's, of reservations and endpoints, unless each says that it is shared", () => {
  const it = setUp();
  it.add([{ mac: a, name: "www" }]);
  it.refuses(
    [{ mac: b, name: "www", shared: true }],
    `member ${b}: name: www belongs to ${a} in network blue already; a name that several members have needs "shared: true" on ` +
      `each of them: it is missing on ${a}`,
  );
  assert.deepEqual(it.add([{ mac: a, name: "www", shared: true }, { mac: b, name: "www", shared: true }]), [
    "www updated",
    "www created",
  ]);
  it.putEndpoint(endpointRecord("E", { network_id: id, strand_name: "api", target_veth_ip: "10.0.0.9/24" }));
  it.refuses([{ mac: c, name: "api" }], /^member 52:54:00:00:00:0c: name: api belongs to endpoint E on h1/);
  const draft = it.draft();
  draft.add([{ list: [{ mac: c, name: "sql" }], force: false }]);
  const plans = draft.plans();
  it.putEndpoint(endpointRecord("F", { network_id: id, strand_name: "sql", target_veth_ip: "10.0.0.10/24" }));
  assert.ok(!it.commit(plans), "an endpoint that comes meanwhile is seen");
});

Deno.test("two reservations that are made at once do not get one address", () => {
  const it = setUp();
  const [one, two] = [a, b].map((mac) => {
    const draft = it.draft();
    draft.add([{ list: [{ mac, ip4: "10.0.0.5" }], force: false }]);
    return draft.plans();
  });
  assert.ok(it.commit(one));
  assert.ok(!it.commit(two));
});

Deno.test("no reservation is made while a host's agent would give its address to others", () => {
  const it = setUp(), { keys } = it;
  it.put({ [keys.networkHost(id, "go")]: { id, created_at: "" } });
  it.refuses(
    [{ mac: a, name: "db" }],
    `member ${a}: the agent on go does not know reservations and would give its address to others: upgrade it to this version, ` +
      "or take network blue off that host",
  );
  it.put({ [keys.networkHost(id, "go")]: { id, created_at: "", mtu: 1450 } });
  it.refuses([{ mac: a }], /the agent on go does not know reservations/);
  it.commit(planPresence(it.view, id, { hostname: "go", mtu: 1450, now: "" }));
  const draft = it.draft();
  draft.add([{ list: [{ mac: a }], force: false }]);
  const plans = draft.plans();
  it.put({ [keys.networkHost(id, "old")]: { id, created_at: "" } });
  assert.ok(!it.commit(plans), "a host that joins meanwhile is seen");
});

Deno.test("members are changed, moved to other MACs and deleted, and their addresses with them", () => {
  const it = setUp();
  it.add([{ mac: a, name: "a", ip4: "10.0.0.5" }, { mac: b, name: "b", ip4: "10.0.0.6" }]);
  const act = (change: (draft: ReservationDraft) => void) => it.members("blue", change);
  act((draft) => draft.update([{ mac: a, name: "x" }, { mac: b, ip4: "10.0.0.7" }]));
  assert.deepEqual([it.stored(a), it.stored(b)], [{ mac: a, name: "x", ip4: "10.0.0.5" }, {
    mac: b,
    name: "b",
    ip4: "10.0.0.7",
  }]);
  act((draft) => draft.update([{ mac: b, name: "", ip4: "" }]));
  assert.deepEqual(it.stored(b), { mac: b, ip4: "10.0.0.2" });
  act((draft) => draft.move([{ old: a, new: b }, { old: b, new: a }]));
  assert.deepEqual([it.stored(a), it.stored(b)], [{ mac: a, ip4: "10.0.0.2" }, {
    mac: b,
    name: "x",
    ip4: "10.0.0.5",
  }]);
  act((draft) => draft.move([{ old: b, new: c }]));
  assert.deepEqual([it.stored(b), it.stored(c)], [null, { mac: c, name: "x", ip4: "10.0.0.5" }]);
  assert.throws(() => act((draft) => draft.move([{ old: c, new: a }])), {
    message: `member ${a} exists (10.0.0.2)`,
  });
  assert.throws(() => act((draft) => draft.delete([b])), { message: `network blue has no member ${b}` });
  assert.throws(() => act((draft) => draft.update([{ mac: b, name: "y" }])), { code: "not-found" });
  act((draft) => draft.delete([a, c]));
  assert.deepEqual(it.bits(), [0, 1, 255]);
});
