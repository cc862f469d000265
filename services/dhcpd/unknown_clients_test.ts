import assert from "node:assert/strict";
import { Ip } from "../common/ip.ts";
import { createLog } from "../common/log.ts";
import { lab, mini } from "../nex/testing.ts";
import { UnknownClients } from "./unknown_clients.ts";

const stranger = "00:00:77:00:00:01", whiskey = "00:00:11:11:00:01", guest = "00:00:99:00:00:01";

function unknown(level: "debug" | "info" = "debug") {
  const lines: string[] = [];
  const { view } = lab({
    "/net/mini": mini,
    "/net/far\n\u001b[2J": {
      name: "far",
      subnet4: "10.7.0.0/24",
      macRange: { begin: "00:00:99:00:00:00", end: "00:00:99:ff:ff:ff" },
    },
    [`/member/${whiskey}`]: { mac: whiskey, net: "mini", ip4: { address: "10.0.0.10" } },
  });
  const log = createLog("dhcpd", { level, format: "text" }, { write: (line) => lines.push(line) });
  return { clients: new UnknownClients(view, log), lines };
}

Deno.test("an unknown client is told with its MAC, its link and the reason, in the log at debug", () => {
  const { clients, lines } = unknown();
  const note = (mac: string, link?: string, inform = false) =>
    clients.note("eth1", mac, link === undefined ? undefined : Ip.parse(link).u32, inform, 1000);
  note(stranger);
  note("00:00:77:00:00:02", "10.9.0.1");
  note("00:00:77:00:00:03", "10.0.0.1");
  note(whiskey, "10.7.0.1");
  note(guest);
  note("00:00:77:00:00:04", undefined, true);
  assert.deepEqual(clients.notes(3500).map(({ what, value }) => [what, value]), [
    ["unknown client 00:00:77:00:00:04", "on eth1, 2 s ago: its address is in no network on its link"],
    [
      `unknown client ${guest}`,
      "on eth1, 2 s ago: in the macrange of far\\x0a\\x1b[2J, which is not on its link",
    ],
    [
      `unknown client ${whiskey}`,
      "on eth1 from 10.7.0.1, 2 s ago: a member of mini, which is not on its link",
    ],
    ["unknown client 00:00:77:00:00:03", "on eth1 from 10.0.0.1, 2 s ago: no member, and in no macrange"],
    ["unknown client 00:00:77:00:00:02", "on eth1 from 10.9.0.1, 2 s ago: no network's subnet has 10.9.0.1"],
    [`unknown client ${stranger}`, "on eth1, 2 s ago: no member, and in no macrange"],
  ]);
  assert.equal(lines.length, 6);
  assert.match(
    lines[0] ?? "",
    / DEBUG dhcpd: an unknown client: no member, and in no macrange \(mac=.* link=eth1\)/,
  );
  assert(!lines.some((line) => /\p{Cc}/u.test(line.trimEnd())));
  assert.equal(unknown("info").lines.length, 0);
});

Deno.test("the last twenty unknown clients are kept, one entry for each with its count", () => {
  const { clients } = unknown("info");
  for (let i = 0; i < 10_000; i++) {
    clients.note("eth1", `02:00:00:00:${(i >> 8).toString(16).padStart(2, "0")}:01`, undefined, false, i);
    clients.note("eth1", stranger, undefined, false, i);
  }
  const notes = clients.notes(10_000);
  assert.equal(notes.length, 20);
  assert.deepEqual(notes[0], {
    what: `unknown client ${stranger}`,
    value: "on eth1, 10000 times, 0 s ago: no member, and in no macrange",
  });
  assert.match(String(notes[1]?.value), /^on eth1, 16 times, /);
});
