/** Random work on a lab's networks, and random trouble meanwhile; the same seed asks for the same. */
import { Dice } from "./dice.ts";
import { type LabHost, run } from "./host.ts";
import type { OverlayLab } from "./overlay.ts";
import { ApiError, type ApiNetwork } from "./overlay_api.ts";
import type { Attached, OverlayHost } from "./overlay_host.ts";
import { reaches } from "./overlay_traffic.ts";

/** What may be asked for and be refused for good reasons while others ask too and agents die. */
const REFUSALS = new Set([400, 404, 409, 503]);

const MAX_NETWORKS = 6;

/** With so many endpoints, more of them go than come. */
const MANY = 100;

export class Operations {
  /** How often what was done. */
  readonly counts = new Map<string, number>();
  /** Endpoints that were made for sure, and ids of those that were asked to go, and that are gone for sure. */
  private readonly made = new Map<string, Attached & { host: OverlayHost }>();
  private readonly requested = new Set<string>();
  private readonly gone = new Set<string>();
  private readonly containers = new Map<OverlayHost, LabHost[]>();
  private networks: ApiNetwork[] = [];
  private subnet = 0;
  private readonly lossy = new Set<OverlayHost>();
  private readonly trouble: Dice;
  /** Two that work on each host. */
  private readonly workers: { readonly host: OverlayHost; readonly dice: Dice }[];

  constructor(private readonly lab: OverlayLab, seed: number) {
    this.trouble = new Dice(seed);
    this.workers = [...lab.hosts, ...lab.hosts].map((host, i) => ({ host, dice: new Dice(seed + i + 1) }));
  }

  /** Works and troubles until `untilMs` (performance.now()). */
  async run(untilMs: number): Promise<void> {
    for (const host of this.lab.hosts) {
      if (this.containers.has(host)) continue;
      this.containers.set(host, [await host.container(), await host.container()]);
    }
    const failures: unknown[] = [];
    const over = () => failures.length > 0 || performance.now() >= untilMs;
    const work = this.workers.map(({ host, dice }) => this.work(host, dice, over));
    // All of them end before this does, also when one fails.
    await Promise.all(
      [...work, this.makeTrouble(over)].map((task) => task.catch((error) => failures.push(error))),
    );
    if (failures.length) throw failures[0];
  }

  /** Ends all trouble, waits until everything agrees, and sees that nothing is lost, forgotten or cut off. */
  async settle(): Promise<void> {
    for (const host of this.lossy) await this.loss(host, false);
    await this.lab.etcd.healthy();
    for (const host of this.lab.hosts) if (!host.running) host.launch();
    // After lost packets TCP itself may wait for half a minute before it tries to connect again.
    await Promise.all(this.lab.hosts.map((host) => host.ready(75_000)));
    // Drift is found by the periodic check.
    await this.lab.agree();
    const there = new Set((await this.lab.host(1).api.endpoints()).map(({ id }) => id));
    for (const id of this.requested) this.made.delete(id);
    for (const id of this.made.keys()) {
      if (!there.has(id)) throw new Error(`endpoint ${id} was made and is not there`);
    }
    for (const id of this.gone) if (there.has(id)) throw new Error(`endpoint ${id} was deleted and is there`);
    const ends = [...this.made.values()];
    for (let i = 0; i < 10; i++) {
      const from = this.trouble.pick(ends);
      const to = this.trouble.pick(
        ends.filter((to) => to.host !== from?.host && to.endpoint.network_id === from?.endpoint.network_id),
      );
      if (!from || !to) continue;
      const device = ["-I", from.endpoint.target_veth_name];
      await reaches(from.container, to.address, device).catch((error) => {
        const ends = `${from.endpoint.id} on ${from.host.name} does not reach ${to.endpoint.id}`;
        throw new Error(`${ends}: ${error.message}`);
      });
      this.count("ping");
    }
  }

  private async work(host: OverlayHost, dice: Dice, over: () => boolean): Promise<void> {
    while (!over()) {
      try {
        await this.oneOperation(host, dice);
      } catch (error) {
        if (error instanceof ApiError && !REFUSALS.has(error.status)) throw error;
        this.count(error instanceof ApiError ? `refused ${error.status}` : "no answer");
        if (!(error instanceof ApiError) || error.status === 503) await pause(50 + 100 * dice.throw());
      }
    }
  }

  private async oneOperation(host: OverlayHost, dice: Dice): Promise<void> {
    const { api } = host, what = dice.throw();
    const network = dice.pick(this.networks);
    if (!network || (what < 0.05 && this.networks.length < MAX_NETWORKS)) {
      // Ranges of their own, since a container may be in several networks.
      const made = await api.createNetwork({ ip_range: `10.${this.subnet++ % 256}.0.0/24` });
      this.networks.push(made);
      this.count("network made");
    } else if (what < 0.06) {
      for (const owner of this.lab.hosts) {
        const its = await owner.api.endpoints({ network_id: network.id, hostname: owner.name });
        await Promise.all(its.map(({ id }) => this.deleteEndpoint(owner, id)));
      }
      await api.deleteNetwork(network.id);
      this.networks = this.networks.filter(({ id }) => id !== network.id);
      this.count("network deleted");
    } else if (what < (this.made.size < MANY ? 0.7 : 0.4)) {
      const container = what > 0.1 ? dice.pick(this.containers.get(host) ?? []) : undefined;
      if (container) {
        const made = dice.throw() < 0.6
          ? await host.attach(network.id, { container })
          : await host.attachAs(network.id, container, {
            hostRoute: dice.throw() < 0.7,
            hostVeth: dice.throw() < 0.5,
          });
        this.made.set(made.endpoint.id, { ...made, host });
      } else await api.createEndpoint(network.id);
      this.count("endpoint made");
    } else {
      const own = await api.endpoints({ hostname: host.name });
      const endpoint = dice.pick(own);
      if (endpoint) await this.deleteEndpoint(host, endpoint.id);
    }
  }

  private async deleteEndpoint(host: OverlayHost, id: string): Promise<void> {
    // Perhaps before the client that made it has its answer.
    this.requested.add(id);
    this.made.delete(id);
    await host.api.deleteEndpoint(id);
    this.gone.add(id);
    this.count("endpoint deleted");
  }

  private async makeTrouble(over: () => boolean): Promise<void> {
    const dice = this.trouble;
    while (!over()) {
      await pause(200 + 600 * dice.throw());
      const host = dice.pick(this.lab.hosts), what = dice.throw();
      if (!host) continue;
      if (what < 0.2) {
        await host.kill();
        this.count("agent killed");
        await pause(500 * dice.throw());
        await host.start();
      } else if (what < 0.25) {
        await host.stop();
        this.count("agent stopped");
        await host.start();
      } else if (what < 0.32) {
        await this.lab.etcd.kill();
        this.count("etcd killed");
        await pause(500 * dice.throw());
        await this.lab.etcd.start();
      } else if (what < 0.5) await this.loss(host, !this.lossy.has(host));
      else await this.drift(host);
    }
  }

  /** One packet of ten is lost on its way to the host, those of etcd too. */
  private async loss(host: OverlayHost, on: boolean): Promise<void> {
    const rule = [
      "INPUT",
      "-i",
      "eth0",
      "-m",
      "statistic",
      "--mode",
      "random",
      "--probability",
      "0.1",
      "-j",
      "DROP",
    ];
    await host.host.run(["iptables", "-w", on ? "-A" : "-D", ...rule]);
    if (on) this.lossy.add(host);
    else this.lossy.delete(host);
    this.count(on ? "loss" : "no loss");
  }

  /** Changes something behind the agent's back. */
  private async drift(host: OverlayHost): Promise<void> {
    const network = this.trouble.pick([...Deno.readDirSync(host.namespaces)]);
    const change = this.trouble.pick([
      "bridge fdb del $(bridge fdb show dev vxlan0 | awk '/self/ && /dst/ { print $1, \"dst\", $3; exit }') dev vxlan0 self",
      "ip neighbour del $(ip neighbour show dev vxlan0 nud permanent | awk '{ print $1; exit }') dev vxlan0",
      "ip neighbour add 10.0.0.250 lladdr 02:00:00:00:00:fa dev vxlan0 nud permanent",
      "bridge fdb append 00:00:00:00:00:00 dev vxlan0 dst 10.99.0.13 self permanent",
      "ip link del vxlan0",
      "ip link set vxlan0 type vxlan learning",
      "ip link set vxlan0 mtu 1300",
      "ip link set br0 down",
      "ip link del br0",
      "ip link del host0",
      "ip route del default",
      "ip link del $(ip -o link show type macvlan | awk -F'[ @:]+' '{ print $2; exit }')",
      "ip address flush dev br0",
      "ip link set $(ip -o link show type veth | awk -F'[ @:]+' '{ print $2; exit }') nomaster",
      "ip link del $(ip -o link show type veth | awk -F'[ @:]+' '{ print $2; exit }')",
    ]);
    if (!network || !change) return;
    const entered = ["nsenter", `--net=${host.namespaces}/${network.name}`, "sh", "-c", change];
    const { code } = await run(entered, { mayFail: true });
    if (code === 0) this.count("drift");
  }

  private count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
