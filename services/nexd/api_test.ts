import assert from "node:assert/strict";
import { addNetwork } from "../nex/networks.ts";
import type { Nex } from "../nex/nex.ts";
import type { Draft } from "../nex/steps.ts";
import { lab, mini } from "../nex/testing.ts";
import { nexApi } from "./api.ts";

function api() {
  const it = lab(), warned: string[] = [];
  it.do((d) => addNetwork(d, mini));
  const change = <T>(plan: (draft: Draft) => T) => Promise.resolve().then(() => it.do(plan));
  const methods = nexApi({ view: it.view, change } as unknown as Nex, (what) => warned.push(what));
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

Deno.test("Apply refuses a name that another member has, unless both call it shared", async () => {
  const { Apply, warned, member } = api();
  const apply = async (...list: ReturnType<typeof member>[]) =>
    await Apply({ networks: [], members: [{ net: "mini", list, force: false }], dryRun: false });
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
