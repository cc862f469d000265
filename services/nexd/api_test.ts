import assert from "node:assert/strict";
import { Network } from "../../proto/gen/nex.ts";
import { addNetwork } from "../nex/networks.ts";
import type { Nex } from "../nex/nex.ts";
import { Draft } from "../nex/steps.ts";
import { lab, mini } from "../nex/testing.ts";
import type { NexNetworkRecord } from "../store/records.ts";
import { nexApi } from "./api.ts";

function api(network: NexNetworkRecord = mini, stored: Record<string, unknown> = {}) {
  const it = lab(stored), warned: string[] = [];
  it.do((d) => addNetwork(d, network));
  const change = <T>(plan: (draft: Draft) => T) => Promise.resolve().then(() => it.do(plan));
  const find = <T>(read?: () => T) => Promise.resolve().then(read), draft = () => new Draft(it.view);
  const methods = nexApi(
    { view: it.view, change, find, draft, confirm: find } as unknown as Nex,
    (what) => warned.push(what),
  );
  const member = (mac: string, shared = false) => ({
    mac,
    name: "www",
    ip4: null,
    ip6: null,
    net: "",
    clientName: "",
    shared,
  });
  return { ...methods, warned, member };
}

const one = "02:00:00:00:00:01", two = "02:00:00:00:00:02";

Deno.test("AddMembers takes a name that another member has, warns, and says of both that they share it", async () => {
  const { AddMembers, GetMembers, warned, member } = api();
  await AddMembers({ net: "mini", list: [member(one)], force: false });
  assert.deepEqual(warned, []);
  await AddMembers({ net: "mini", list: [member(two)], force: false });
  assert.deepEqual(warned, [`the name www.mini.net of member ${two} is also that of ${one} of network mini`]);
  await AddMembers({ net: "mini", list: [member(two)], force: false });
  assert.equal(warned.length, 1, "the same again changes nothing");
  const { members } = await GetMembers({ network: "mini" });
  assert.deepEqual(members?.map(({ name, shared }) => [name, shared]), [["www.mini.net", true], [
    "www.mini.net",
    true,
  ]]);
});

Deno.test("a name has a thousand members at most, and a warning names three of them", async () => {
  const { AddMembers, Apply, GetMembers, UpdateMembers, warned, member } = api({
    ...mini,
    subnet4: "10.0.0.0/16",
    Range4: { begin: "10.0.0.10", end: "10.0.255.0" },
  });
  const mac = (i: number) => `02:00:00:00:${hex(i >> 8)}:${hex(i & 255)}`;
  const hex = (byte: number) => byte.toString(16).padStart(2, "0");
  const list = Array.from({ length: 1001 }, (_, i) => member(mac(i)));
  const full = {
    code: "exhausted",
    message: `member ${
      mac(1000)
    }: name: www.mini.net has 1000 members already, which is the most that a name has`,
  };
  await assert.rejects(async () => await AddMembers({ net: "mini", list, force: false }), full);
  assert.deepEqual((await GetMembers({ network: "mini" })).members, []);
  await AddMembers({ net: "mini", list: list.slice(0, 1000), force: false });
  assert.equal(
    warned.at(-1),
    `the name www.mini.net of member ${mac(999)} is also that of ${mac(0)} of network mini, ${
      mac(1)
    } of network mini, ` +
      `${mac(2)} of network mini and 996 more`,
  );
  const last = [{ ...member(mac(1000)), name: "other" }];
  await AddMembers({ net: "mini", list: last, force: false });
  const update = [{ mac: mac(1000), name: "www", ip4: null, ip6: null }];
  await assert.rejects(async () => await UpdateMembers({ net: "mini", list: update, force: false }), full);
  const members = [{ net: "mini", list: [member(mac(1000), true)], force: true }];
  await assert.rejects(
    async () => await Apply({ networks: [], members, dryRun: false, everyRefusal: false }),
    full,
  );
  const again = [{ net: "mini", list: [member(mac(999), true)], force: false }];
  const { objects } = await Apply({ networks: [], members: again, dryRun: false, everyRefusal: false });
  assert.equal(objects?.[0]?.action, "unchanged");
});

Deno.test("Apply takes a network whose options strand its machines, as Nex does, and warns", async () => {
  const { Apply, GetNetwork, warned } = api();
  const { net } = await GetNetwork({ name: "mini" });
  assert(net);
  const networks = [{ ...net, options: [{ number: 3, value: "10.9.0.1" }] }] as never;
  await Apply({ networks, members: [], dryRun: true, everyRefusal: false });
  assert.deepEqual(warned, []);
  await Apply({ networks, members: [], dryRun: false, everyRefusal: false });
  assert.deepEqual(warned, [
    'network mini: options: number 3 (value "10.9.0.1"): the router 10.9.0.1 is outside the subnet 10.0.0.0/24',
  ]);
});

Deno.test("Apply refuses a name that another member has, unless both call it shared", async () => {
  const { Apply, warned, member } = api();
  const apply = async (...list: ReturnType<typeof member>[]) =>
    await Apply({
      networks: [],
      members: [{ net: "mini", list, force: false }],
      dryRun: false,
      everyRefusal: false,
    });
  await assert.rejects(apply(member(one), member(two, true)), {
    code: "exists",
    message:
      `member ${two}: name: www.mini.net belongs to ${one} of network mini already; a name that several ` +
      `members have needs "shared: true" on each of them: it is missing on ${one}`,
  });
  const { objects } = await apply(member(one, true), member(two, true));
  assert.deepEqual(objects?.map(({ action }) => action), ["created", "created"]);
  assert.deepEqual(warned, []);
});

const client = (mac: string, address: string, hostname?: string) => ({
  [`/member/${mac}`]: {
    mac,
    net: "mini",
    dynamic: true,
    ...hostname && { hostname },
    ip4: { address, expires: { seconds: 2_000_000_000 } },
  },
  [`/member/ip4/${address}`]: mac,
  ...hostname && { [`/member/name/${hostname}`]: mac },
});

Deno.test("a dry run says which client loses the name that a member is given, and of what it is", async () => {
  const { Apply, GetMembers, member } = api(mini, client(two, "10.0.0.20", "www.mini.net"));
  assert.deepEqual((await GetMembers({ network: "mini" })).members?.map(({ name }) => name), [
    "www.mini.net",
  ]);
  const members = [{ net: "mini", list: [member(one)], force: false }];
  const { objects } = await Apply({ networks: [], members, dryRun: true, everyRefusal: false });
  assert.deepEqual(objects?.map(({ name, action }) => [name, action]), [["www.mini.net", "created"], [
    two,
    "updated",
  ]]);
  assert.deepEqual(objects?.[1], {
    kind: "Member",
    name: two,
    action: "updated",
    net: "mini",
    mac: two,
    changes: [{ field: "name", before: "www.mini.net", after: "" }],
  });
});

Deno.test("a dry run of a client that becomes a member shows all that the member would have", async () => {
  const { Apply, member } = api(mini, client(one, "10.0.0.20"));
  const list = [{ ...member(one), name: "", ip4: { address: "10.0.0.20", expires: null } }];
  const { objects } = await Apply({
    networks: [],
    members: [{ net: "mini", list, force: false }],
    dryRun: true,
    everyRefusal: false,
  });
  assert.deepEqual(objects?.map(({ action, changes }) => [action, changes]), [
    ["created", [{ field: "ip4", before: "", after: "10.0.0.20" }]],
  ]);
});

const unset = Network.create();

Deno.test("Apply tells all that it refuses where it is asked to, and by its status the first", async () => {
  const { Apply, GetMembers, member } = api();
  const wrong = {
    ...unset,
    name: "wrong",
    subnet4: "10.1.0.0/24",
    gateways: ["10.9.0.1"],
    siaddr: "0.0.0.0",
  };
  const over = { ...unset, name: "over", subnet4: "10.0.0.0/16" };
  const members = [
    {
      net: "mini",
      list: [member(one), { ...member(two), ip4: { address: "10.9.0.9", expires: null } }],
      force: false,
    },
    { net: "none", list: [member(one)], force: false },
    { net: "wrong", list: [member(one)], force: false },
    { net: "mini", list: [member("02:00:00:00:00:03")], force: false },
  ];
  const request = { networks: [wrong, over], members, dryRun: false };
  const sentences = [
    "network wrong: siaddr: 0.0.0.0 is no host's address",
    "network wrong: gateways: 10.9.0.1 is outside the subnet 10.1.0.0/24",
    "network over: subnet4: 10.0.0.0/16 overlaps 10.0.0.0/24 of network mini; write them as one network, which may have " +
    "range4, macrange and members with an ip4 of their own at once",
    `member ${two}: ip4: 10.9.0.9 is outside 10.0.0.0/24 of network mini`,
    'there is no network "none"',
    `member 02:00:00:00:00:03: name: www.mini.net belongs to ${one} of network mini already; a name that several members ` +
    `have needs "shared: true" on each of them: it is missing on ${one}, 02:00:00:00:00:03`,
  ];
  const { refused = [], objects } = await Apply({ ...request, everyRefusal: true });
  assert.deepEqual(refused?.map((one) => one?.reason), sentences);
  assert.deepEqual(refused?.map((one) => [one?.kind, one?.net, one?.mac ?? "", one?.field, one?.code]), [
    ["Network", "wrong", "", "siaddr", "invalid"],
    ["Network", "wrong", "", "gateways", "invalid"],
    ["Network", "over", "", "subnet4", "invalid"],
    ["Member", "mini", two, "ip4", "invalid"],
    ["MemberList", "none", "", "", "not-found"],
    ["Member", "mini", "02:00:00:00:00:03", "name", "exists"],
  ]);
  assert.equal(objects, undefined);
  const first = { code: "invalid", message: sentences[0] };
  await assert.rejects(async () => await Apply({ ...request, everyRefusal: false }), first);
  assert.deepEqual((await GetMembers({ network: "mini" })).members, [], "nothing is written");
});
