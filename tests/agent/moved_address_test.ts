/** An address that another endpoint has now, with another MAC: containers that knew the old one are told. */
import assert from "node:assert/strict";
import { type Host, Process } from "../lab/host.ts";
import { OverlayLab } from "../lab/overlay.ts";
import { pings, SteadyPing } from "../lab/overlay_traffic.ts";
import { until } from "../lab/until.ts";

const ADDRESS = "10.0.0.77";
const mac = (n: number) => `06:00:00:00:00:0${n}`;

/** Announcements of the address that a container hears, by MAC. */
async function hearing(container: Host): Promise<{ heard: string[]; process: Process }> {
  const heard: string[] = [];
  const filter = `arp[6:2] = 2 and arp[14:4] = 0x0a00004d and arp[24:4] = 0x0a00004d`;
  const process = new Process(container.inside(["tcpdump", "-lnei", "any", filter]), {
    onLine: (line) => {
      const found = /Reply 10\.0\.0\.77 is-at ([\da-f:]+)/.exec(line)?.[1];
      if (found) heard.push(found);
    },
  });
  await process.line(/listening on/);
  return { heard, process };
}

Deno.test("an address that moves to another MAC is reached within a second, wherever it moves, and each host tells its own", async () => {
  await using lab = await OverlayLab.started();
  const [h1, h2] = [lab.host(1), lab.host(2)], { id } = await h1.api.createNetwork({ name: "blue" });
  const asker = await h1.attach(id), witness = await h2.attach(id);
  const make = (host: typeof h1, n: number) =>
    host.attach(id, { ipv4_address: ADDRESS, mac_address: mac(n), wait: "20s" });
  let has = await make(h2, 1), on = h2;
  assert.ok(await pings(asker.container, ADDRESS));
  const [here, there] = await Promise.all([hearing(asker.container), hearing(witness.container)]);
  try {
    const moves = [[h2, "between hosts elsewhere"], [h1, "to this host"], [h1, "on this host"], [
      h2,
      "away",
    ]] as const;
    for (const [i, [to, what]] of moves.entries()) {
      await using ping = new SteadyPing(asker.container, ADDRESS);
      await ping.flowing();
      await on.api.deleteEndpoint(has.endpoint.id);
      has = await make(to, i + 2);
      on = to;
      // Without being told, Linux goes on with the old MAC for 30 s and more.
      await until(what, async () => await pings(asker.container, ADDRESS), 20_000);
      assert.match(
        (await asker.container.run(["ip", "neigh", "show", ADDRESS])).stdout,
        new RegExp(mac(i + 2)),
      );
    }
    const all = moves.map((_, i) => mac(i + 2));
    await until("each has heard of each move", () => here.heard.length >= 4 && there.heard.length >= 4);
    // Once from its own agent, and never from the other host's.
    assert.deepEqual([here.heard, there.heard], [all, all]);
  } finally {
    await Promise.all([here, there].map(({ process }) => process.stop("SIGKILL")));
  }
  // No socket of the agents keeps the network's namespace.
  for (const [host, { endpoint }] of [[h1, asker], [h2, witness], [on, has]] as const) {
    await host.api.deleteEndpoint(endpoint.id);
  }
  await lab.agree();
});
