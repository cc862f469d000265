/**
 * Random work on networks with names, leases, devices and containment, and random trouble meanwhile; the same seed asks for the
 * same. What is there at the end is checked by etcd's records, dig, ping, ip, bridge and nft.
 */
import { macToBytes } from "../../services/common/mac.ts";
import { sendFrames } from "../../ffi/packet.ts";
import { Dice } from "../lab/dice.ts";
import { type LabHost, run } from "../lab/host.ts";
import type { Records } from "../lab/etcd_kv.ts";
import { type ApiEndpoint, ApiError } from "../lab/overlay_api.ts";
import type { Attached, OverlayHost } from "../lab/overlay_host.ts";
import { read } from "../lab/overlay_reference.ts";
import { pings } from "../lab/overlay_traffic.ts";
import { until } from "../lab/until.ts";
import { dig, type GatewayLab, inside } from "../overlay_names/gateway_lab.ts";
import { Machine } from "../overlay_names/ports.ts";
import { at } from "./attached.ts";

/** What may be asked for and be refused for good reasons while others ask too and agents die. */
const REFUSALS = new Set([400, 404, 409, 503]);

/** Names that containers and machines ask for; there are fewer than of these, so that they clash. */
const LABELS = ["ant", "bee", "cat", "dog", "elk", "fox", "gnu", "hen"];

/** With so many containers, more of them go than come. */
const MANY = 30;

/** A network of the test, and its machines that are behind devices now and then. */
export interface Playground {
  readonly id: string;
  readonly name: string;
  readonly domain: string;
  readonly machines: readonly Movable[];
}

/** A machine with one MAC for ever, which is behind a device of some host, or off. */
export class Movable {
  place: { readonly host: OverlayHost; readonly device: string; readonly machine: Machine } | undefined;
  /** True while one worker does something with it. */
  busy = false;

  /** @param address That is reserved for it. @param fixed True: it never uses DHCP. */
  constructor(
    readonly mac: string,
    readonly name: string | undefined,
    readonly address: string | undefined,
    readonly fixed: boolean,
  ) {}
}

export class NetworkOperations {
  /** How often what was done. */
  readonly counts = new Map<string, number>();
  readonly #it: GatewayLab;
  readonly #playgrounds: readonly Playground[];
  readonly #trouble: Dice;
  readonly #workers: { readonly host: OverlayHost; readonly dice: Dice }[];
  /** Containers that are in a network for sure, and ids of those that were asked to go. */
  readonly #containers = new Map<string, Attached & { readonly host: OverlayHost }>();
  readonly #requested = new Set<string>();
  #devices = 0;

  constructor(it: GatewayLab, playgrounds: readonly Playground[], seed: number) {
    this.#it = it;
    this.#playgrounds = playgrounds;
    this.#trouble = new Dice(seed);
    this.#workers = it.lab.hosts.map((host, i) => ({ host, dice: new Dice(seed + i + 1) }));
  }

  /** Works and troubles until `untilMs` (performance.now()). */
  async run(untilMs: number): Promise<void> {
    const failures: unknown[] = [];
    const over = () => failures.length > 0 || performance.now() >= untilMs;
    const work = this.#workers.map(({ host, dice }) => this.#work(host, dice, over));
    await Promise.all(
      [...work, this.#makeTrouble(over)].map((task) => task.catch((error) => failures.push(error))),
    );
    if (failures.length) throw failures[0];
  }

  async #work(host: OverlayHost, dice: Dice, over: () => boolean): Promise<void> {
    while (!over()) {
      try {
        await this.#oneOperation(host, dice);
      } catch (error) {
        if (error instanceof ApiError && !REFUSALS.has(error.status)) throw error;
        this.#count(error instanceof ApiError ? `refused ${error.status}` : "no answer");
        await pause(50 + 100 * dice.throw());
      }
    }
  }

  async #oneOperation(host: OverlayHost, dice: Dice): Promise<void> {
    const network = dice.one(this.#playgrounds), what = dice.throw();
    if (what < 0.25 && this.#containers.size < MANY) await this.#attach(host, network, dice);
    else if (what < 0.4) await this.#remove(host, dice);
    else if (what < 0.5) await this.#spoof(host, network, dice);
    else await this.#withMachine(host, network, dice);
  }

  async #attach(host: OverlayHost, network: Playground, dice: Dice): Promise<void> {
    const container = await host.container(), name = dice.pick(LABELS);
    try {
      const made = await host.attach(network.id, { container, ...(name !== undefined && { name }) });
      this.#containers.set(made.endpoint.id, { ...made, host });
      this.#count("container attached");
    } catch (error) {
      // One that was made without an answer goes as a container's does that is gone.
      const its = await host.api.endpoints({ hostname: host.name }).catch(() => []);
      for (const { id, target_netns_path: path } of its) {
        if (path === container.path) await host.api.deleteEndpoint(id);
      }
      throw error;
    }
  }

  async #remove(host: OverlayHost, dice: Dice): Promise<void> {
    const own = [...this.#containers.values()].filter((one) => one.host === host), gone = dice.pick(own);
    if (!gone) return;
    this.#requested.add(gone.endpoint.id);
    this.#containers.delete(gone.endpoint.id);
    await host.api.deleteEndpoint(gone.endpoint.id);
    await host.removeContainer(gone.container);
    this.#count("container removed");
  }

  /** One container says that it has the address, and then also the MAC, of another one. */
  async #spoof(host: OverlayHost, network: Playground, dice: Dice): Promise<void> {
    const all = [...this.#containers.values()].filter(({ endpoint }) => endpoint.network_id === network.id);
    const from = dice.pick(all.filter((one) => one.host === host)), as = dice.pick(all);
    if (!from || !as || from === as) return;
    const { target_veth_mac: mac, target_veth_name: veth } = from.endpoint;
    const frames = [arpReply(mac, as.address), arpReply(as.endpoint.target_veth_mac, as.address)];
    await inside(from.container, (namespace) => Promise.resolve(sendFrames(namespace, veth, frames)));
    this.#count("spoofed");
  }

  async #withMachine(host: OverlayHost, network: Playground, dice: Dice): Promise<void> {
    const machine = dice.pick(network.machines.filter(({ busy }) => !busy)), what = dice.throw();
    if (!machine) return;
    machine.busy = true;
    try {
      if (!machine.place) await this.#plug(machine, host, network);
      else if (what < 0.3) await this.#unplug(machine, network, what < 0.15);
      else if (!machine.fixed) await this.#lease(machine);
    } finally {
      machine.busy = false;
    }
  }

  /** The machine turns up behind a new device of the host. */
  async #plug(machine: Movable, host: OverlayHost, network: Playground): Promise<void> {
    const device = `vm${++this.#devices}`, behind = await Machine.behind(host, device, machine.mac);
    const members = machine.fixed ? ["--members", machine.mac] : [];
    const [code, , complaint] = await at(host, "attach", network.name, "--device", device, ...members);
    if (code !== 0) {
      await this.#detach(host, network, device);
      await behind.remove();
      await host.removeContainer(behind.host);
      throw new Error(complaint);
    }
    machine.place = { host, device, machine: behind };
    host.devices.set(device, network.id);
    this.#count(machine.fixed ? "member plugged" : "machine plugged");
    if (machine.fixed) {
      await behind.host.run(["ip", "address", "add", `${machine.address}/24`, "dev", "eth0"]);
    } else await this.#lease(machine);
  }

  /** @param politely True: its device is given back first; otherwise it is suddenly gone. */
  async #unplug(machine: Movable, network: Playground, politely: boolean): Promise<void> {
    const { place } = machine;
    if (!place) return;
    const { host, device, machine: behind } = place;
    if (politely) await this.#detach(host, network, device);
    machine.place = undefined;
    await behind.remove();
    await host.removeContainer(behind.host);
    // Of a device that is gone the agent may still be told to keep a place.
    host.devices.delete(device);
    if (!politely) await this.#detach(host, network, device);
    this.#count(politely ? "device detached" : "device gone");
  }

  /** Asks until there is an answer: an agent that died meanwhile may have done it or not. */
  async #detach(host: OverlayHost, network: Playground, device: string): Promise<void> {
    await until(`${device} is no port`, async (see) => {
      const [code, , complaint] = see(await at(host, "detach", network.name, "--device", device));
      return code === 0 || complaint.includes("is a port of no network on this host");
    });
  }

  async #lease(machine: Movable): Promise<void> {
    const { address } = await machine.place!.machine.lease(
      "-t",
      "5",
      "-x",
      `hostname:${machine.name ?? LABELS[0]}`,
    );
    this.#count(address ? "lease" : "no lease");
  }

  async #makeTrouble(over: () => boolean): Promise<void> {
    const dice = this.#trouble, it = this.#it;
    while (!over()) {
      await pause(300 + 900 * dice.throw());
      const host = dice.one(it.lab.hosts), what = dice.throw();
      if (what < 0.2) {
        await host.kill();
        this.#count("agent killed");
        await pause(500 * dice.throw());
        await host.start();
      } else if (what < 0.35) {
        await it.gatewayd(host).stop(dice.throw() < 0.7 ? "SIGKILL" : "SIGTERM");
        this.#count("gatewayd ended");
        await pause(300 * dice.throw());
        it.launch(host);
      } else if (what < 0.45) {
        await it.lab.etcd.kill();
        this.#count("etcd killed");
        await pause(500 * dice.throw());
        await it.lab.etcd.start();
      } else await this.#drift(host);
    }
  }

  /** Changes something behind the agent's back. */
  async #drift(host: OverlayHost): Promise<void> {
    const network = this.#trouble.one(this.#playgrounds),
      change = this.#trouble.one([
        "nft flush ruleset",
        "nft delete table bridge strand",
        "nft flush set bridge strand macs",
        "bridge fdb del $(bridge fdb show dev vxlan0 | awk '/self/ && /dst/ { print $1, \"dst\", $3; exit }') dev vxlan0 self",
        "ip neighbour del $(ip neighbour show dev vxlan0 nud permanent | awk '{ print $1; exit }') dev vxlan0",
        "ip link set vxlan0 type vxlan learning",
        "ip link set br0 down",
        "ip address flush dev br0",
        "ip link set $(ip -o link show type veth | awk -F'[ @:]+' '{ print $2; exit }') nomaster",
      ]);
    const entered = ["nsenter", `--net=${host.namespaceOf(network.id)}`, "sh", "-c", change];
    if ((await run(entered, { mayFail: true })).code === 0) this.#count("drift");
  }

  /** Ends all trouble, waits until everything agrees, and sees that all find each other, by address and by name, and no others. */
  async settle(): Promise<void> {
    const { lab } = this.#it;
    await lab.etcd.healthy();
    for (const host of lab.hosts) {
      if (!host.running) host.launch();
      if (!this.#it.gatewayd(host).alive) this.#it.launch(host);
    }
    await Promise.all(lab.hosts.map((host) => host.ready(75_000)));
    await Promise.all(lab.hosts.map((host) =>
      until(`gatewayd of ${host.name} is ready`, async (see) => {
        const answer = await this.#it.status(host, "/readyz").catch(() => undefined);
        return see(answer)?.status === 200;
      })
    ));
    await lab.agree();
    for (const network of this.#playgrounds) await this.#machinesHave(network);
    await lab.agree();
    const records = await lab.kv.under("/sc-net/");
    const there = new Set(read<ApiEndpoint>(records, "/sc-net/network-endpoints/").map(({ id }) => id));
    for (const id of this.#requested) this.#containers.delete(id);
    for (const id of this.#containers.keys()) {
      if (!there.has(id)) throw new Error(`endpoint ${id} was made and is not there`);
    }
    for (const network of this.#playgrounds) {
      await this.#reach(network);
      await this.#refusesSpoofs(network);
      await this.#resolve(network, records);
    }
  }

  /** With the rules back in place, no container takes another one's word for whose an address is. */
  async #refusesSpoofs(network: Playground): Promise<void> {
    const all = [...this.#containers.values()].filter(({ endpoint }) => endpoint.network_id === network.id);
    for (let i = 0; i < 4; i++) {
      const from = this.#trouble.pick(all), as = this.#trouble.pick(all.filter((one) => one !== from));
      const victim = this.#trouble.pick(all.filter((one) => one !== from && one !== as));
      if (!from || !as || !victim) continue;
      // An unsolicited reply changes only an entry that is there, and by default none that has just changed.
      const { target_veth_name: own } = victim.endpoint;
      await victim.container.run(["sysctl", "-qw", `net.ipv4.neigh.${own}.locktime=0`]);
      await until(`${victim.address} reaches ${as.address}`, () => pings(victim.container, as.address));
      const { target_veth_mac: mac, target_veth_name: veth } = from.endpoint;
      const { target_veth_mac: posed } = as.endpoint;
      // To the victim's MAC, since broadcast frames stay on their host.
      const to = victim.endpoint.target_veth_mac;
      const frames = [{}, { source: posed }].map((options) => arpReply(mac, as.address, { to, ...options }));
      await inside(from.container, (namespace) => Promise.resolve(sendFrames(namespace, veth, frames)));
      // What the same port sends after the frames, and is let through, shows that they would have arrived before it.
      await until(`${from.address} reaches ${victim.address}`, () => pings(from.container, victim.address));
      const { stdout } = await victim.container.run(["ip", "neigh", "show", as.address]);
      if (!stdout.includes(posed)) {
        throw new Error(
          `${victim.address} believes ${from.address} (${mac}) whose ${as.address} is: ${stdout}`,
        );
      }
      this.#count("spoof refused");
    }
  }

  /** Each machine that is behind a device gets its address again, which is the reserved one where there is one. */
  async #machinesHave(network: Playground): Promise<void> {
    for (const { place, fixed, address, mac } of network.machines) {
      if (!place || fixed) continue;
      let given = "";
      await until(`${mac} behind ${place.device} of ${place.host.name} has a lease`, async (see) => {
        given = (await place.machine.lease()).address;
        return see(given) !== "";
      });
      if (address !== undefined && given !== address) {
        throw new Error(`${mac} has got ${given}, not ${address}`);
      }
      const records = await this.#it.leases(network.id);
      const its = records.filter((record) => record.target_veth_mac === mac);
      const told = its.map((record) => `${record.target_veth_ip} ${record.hostname} ${record.strand_port}`)
        .join();
      const right = `${given}/24 ${place.host.name} ${place.device}`;
      if (told !== right) throw new Error(`etcd says [${told}] of ${mac}, not [${right}]`);
    }
  }

  /** Pairs of containers and machines, on the same host and on others. */
  async #reach(network: Playground): Promise<void> {
    const ends = [
      ...[...this.#containers.values()].filter(({ endpoint }) => endpoint.network_id === network.id)
        .map(({ container, address, host }) => ({ from: container, address, host })),
      ...await Promise.all(
        network.machines.filter(({ place }) => place).map(async ({ place }) => {
          const { stdout } = await place!.machine.host.run([
            "ip",
            "-4",
            "-o",
            "address",
            "show",
            "dev",
            "eth0",
          ]);
          return {
            from: place!.machine.host,
            address: /inet ([\d.]+)/.exec(stdout)?.[1] ?? "",
            host: place!.host,
          };
        }),
      ),
    ];
    for (let i = 0; i < 8; i++) {
      const from = this.#trouble.pick(ends), to = this.#trouble.pick(ends);
      if (!from || !to || from === to) continue;
      const what = `${from.address} on ${from.host.name} reaches ${to.address} on ${to.host.name}`;
      for (let tries = 1; !(await pings(from.from, to.address)); tries++) {
        console.log(
          `try ${tries}: not so: ${what}`,
          tries === 1 ? await this.#evidence(from.from, to.from, from.host, to.host, network) : "",
        );
        if (tries > 5) throw new Error(what);
      }
      this.#count("ping");
    }
  }

  async #evidence(
    from: LabHost,
    to: LabHost,
    fromHost: OverlayHost,
    toHost: OverlayHost,
    network: Playground,
  ): Promise<string> {
    const sh = async (command: string[]) => (await run(command, { mayFail: true })).stdout;
    const parts = [];
    for (const end of [from, to]) {
      parts.push(await sh(end.inside(["ip", "neigh"])), await sh(end.inside(["ip", "-br", "address"])));
    }
    for (const host of [fromHost, toHost]) {
      const inside = ["nsenter", `--net=${host.namespaceOf(network.id)}`];
      parts.push(
        await sh(host.host.enter(["nft", "list", "ruleset"])),
        await sh([...inside, "bridge", "fdb"]),
        await sh([...inside, "ip", "neigh"]),
        await sh([...inside, "nft", "list", "ruleset"]),
      );
    }
    return parts.join("\n--\n");
  }

  /** Every label means what the records say, at a random host; what is of the other network is not known. */
  async #resolve(network: Playground, records: Records): Promise<void> {
    const own = [...this.#containers.values()].filter(({ endpoint }) => endpoint.network_id === network.id);
    const client = this.#trouble.pick(own);
    if (!client) return;
    const addresses = new Map<string, string>();
    for (
      const endpoint of read<ApiEndpoint & { strand_name?: string }>(records, "/sc-net/network-endpoints/")
    ) {
      if (endpoint.network_id !== network.id || endpoint.strand_name === undefined) continue;
      addresses.set(endpoint.strand_name, endpoint.target_veth_ip.split("/")[0] ?? "");
    }
    for (const { name, address } of network.machines) {
      if (name !== undefined && address !== undefined) addresses.set(name, address);
    }
    for (const label of [...LABELS, ...network.machines.flatMap(({ name }) => name ?? [])]) {
      const wanted = addresses.get(label) ?? "";
      await until(`${label}.${network.domain} is "${wanted}"`, async (see) => {
        const { lines } = see(await dig(client.container, `${label}.${network.domain}`));
        return lines.join() === wanted;
      });
      this.#count("name");
    }
    const other = this.#playgrounds.find(({ id }) => id !== network.id);
    const { status } = await dig(client.container, `${LABELS[0]}.${other?.domain}`);
    if (status !== "REFUSED") {
      throw new Error(`a name of ${other?.name} is answered in ${network.name}: ${status}`);
    }
  }

  #count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }
}

/** An unsolicited ARP reply by which the sender says that an address is that of `mac`. By default it comes from there, and goes to all. */
function arpReply(
  mac: string,
  address: string,
  { source = mac, to = "ff:ff:ff:ff:ff:ff" } = {},
): Uint8Array<ArrayBuffer> {
  const [target, sender, from] = [to, mac, source].map((text) => [...macToBytes(text)]) as [
    number[],
    number[],
    number[],
  ];
  const ip = address.split(".").map(Number), arp = [0, 1, 8, 0, 6, 4, 0, 2];
  return Uint8Array.from([...target, ...from, 8, 6, ...arp, ...sender, ...ip, ...target, ...ip]);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
