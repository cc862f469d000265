/** How containers learn the MACs of a network's addresses: of one that another endpoint has now, and where there are many. */
import assert from "node:assert/strict";
import { type LabHost, Process } from "../lab/host.ts";
import { OverlayLab } from "../lab/overlay.ts";
import { pings, reaches, SteadyPing } from "../lab/overlay_traffic.ts";
import { until } from "../lab/until.ts";

const ADDRESS = "10.0.0.77";
const mac = (n: number) => `06:00:00:00:00:0${n}`;

/** Announcements of the address that a container hears, by MAC. */
async function hearing(container: LabHost): Promise<{ heard: string[]; process: Process }> {
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

/** Does it for each, for 16 at a time: of more at once, a busy agent would keep the last ones waiting for longer than it may. */
async function inPortions<T, R>(all: readonly T[], work: (one: T) => Promise<R>): Promise<R[]> {
  const done: R[] = [];
  for (let i = 0; i < all.length; i += 16) done.push(...await Promise.all(all.slice(i, i + 16).map(work)));
  return done;
}

Deno.test("ARP in a network of two hosts", async (t) => {
  await using lab = await OverlayLab.started();
  const [h1, h2] = [lab.host(1), lab.host(2)];

  await t.step(
    "an address that moves to another MAC is reached within a second, wherever it moves, and each host tells its own",
    async () => {
      const { id } = await h1.api.createNetwork({ name: "blue" });
      const client = await h1.attach(id), witness = await h2.attach(id);
      const make = (host: typeof h1, n: number) =>
        host.attach(id, { ipv4_address: ADDRESS, mac_address: mac(n), wait: "20s" });
      let has = await make(h2, 1), on = h2;
      await reaches(client.container, ADDRESS);
      const [here, there] = await Promise.all([hearing(client.container), hearing(witness.container)]);
      try {
        const moves = [[h2, "between hosts elsewhere"], [h1, "to this host"], [h1, "on this host"], [
          h2,
          "away",
        ]] as const;
        for (const [i, [to, what]] of moves.entries()) {
          await using ping = new SteadyPing(client.container, ADDRESS);
          await ping.flowing();
          await on.api.deleteEndpoint(has.endpoint.id);
          has = await make(to, i + 2);
          on = to;
          // Without being told, Linux goes on with the old MAC for 30 s and more.
          await until(what, async () => await pings(client.container, ADDRESS), 20_000);
          assert.match(
            (await client.container.run(["ip", "neigh", "show", ADDRESS])).stdout,
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
      for (const [host, { endpoint }] of [[h1, client], [h2, witness], [on, has]] as const) {
        await host.api.deleteEndpoint(endpoint.id);
      }
      await lab.agree();
    },
  );

  await lab.clear();
  await t.step(
    "from 128 endpoints on an agent's bridge answers ARP itself, for later ones too, and no longer when they are gone",
    async () => {
      const { id } = await h1.api.createNetwork({ name: "blue", ip_range: "10.0.0.0/16" });
      const there = await h2.attach(id), first = await h1.attach(id), container = await h1.container();
      await container.run(["sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1"]);
      const neighbours = async () => {
        const { stdout } = await h1.host.run([
          ...["nsenter", `--net=${h1.namespaceOf(id)}`],
          ...["ip", "-j", "neigh", "show", "dev", "br0", "nud", "permanent"],
        ]);
        return new Set((JSON.parse(stdout || "[]") as { dst: string }[]).map(({ dst }) => dst));
      };
      await using ping = new SteadyPing(first.container, there.address);
      await ping.flowing();
      const many = await inPortions(
        Array.from({ length: 126 }, () => container),
        (container) => h1.attach(id, { container }),
      );
      assert.deepEqual(await neighbours(), new Set());
      const last = await h1.attach(id);
      await until("br0 answers for all", async (see) => see(await neighbours()).size === 130);
      const later = await h2.attach(id), here = await h1.attach(id);
      await until("br0 answers for later ones", async () => {
        const found = await neighbours();
        return [there, later, here, last].every(({ address }) => found.has(address)) && found.has("10.0.0.1");
      });
      for (const { address } of [later, here, there]) await reaches(last.container, address);
      await lab.agree();
      await h2.api.deleteEndpoint(later.endpoint.id);
      await until("br0 answers for it no longer", async () => !(await neighbours()).has(later.address));
      await inPortions(many, ({ endpoint }) => h1.api.deleteEndpoint(endpoint.id));
      await until("br0 answers for none", async (see) => see(await neighbours()).size === 0);
      await reaches(last.container, here.address);
      await lab.agree();
      await ping.noneLost(10);
    },
  );
});
