/** Faults of a cluster, one after the other from a seed; each is ended after a while. More kinds are further rows. */
import type { Cluster, ClusterMember, Server, Service } from "./cluster.ts";
import type { Dice } from "../../lab/dice.ts";
import type { LabHost } from "../../lab/host.ts";

/** Begins a fault. @returns a sentence about it, and how it is ended */
type Fault = (cluster: Cluster, dice: Dice) => Begun | Promise<Begun>;
type Begun = readonly [what: string, end: () => void | Promise<void>];

const SERVICES: readonly Service[] = ["nexd", "dhcpd", "agent"];

/** By name, for the counts at the end. */
const kinds: Readonly<Record<string, Fault>> = {
  "member stopped"({ members }, dice) {
    const { etcd } = dice.one(members);
    etcd.freeze();
    return [etcd.urls.name, () => etcd.thaw()];
  },
  async "member killed"({ members }, dice) {
    const { etcd } = dice.one(members);
    await etcd.kill();
    return [etcd.urls.name, () => etcd.launch()];
  },
  async "member cut from its peers"({ members }, dice) {
    const cut = dice.one(members);
    const others = members.filter((member) => member !== cut).map(({ ip }) => ip);
    return [cut.etcd.urls.name, await drop(cut.host, others)];
  },
  async "host cut from one member"({ members, servers }, dice) {
    const { host, overlay } = dice.one(servers), { ip, etcd } = dice.one(members);
    return [`${overlay.name} from ${etcd.urls.name}`, await drop(host, [ip])];
  },
  async "host cut from etcd"({ members, servers }, dice) {
    const { host, overlay } = dice.one(servers);
    return [overlay.name, await drop(host, members.map(({ ip }: ClusterMember) => ip))];
  },
  async "packets lost"({ members, servers }, dice) {
    const { host, overlay } = dice.one(servers);
    const loss = ["-m", "statistic", "--mode", "random", "--probability", "0.1"];
    return [`${overlay.name} to etcd`, await drop(host, members.map(({ ip }) => ip), loss)];
  },
  "service stopped"({ servers }, dice) {
    const { overlay, services } = dice.one<Server>(servers), service = dice.one(SERVICES);
    services.get(service)?.signal("SIGSTOP");
    return [`${service} of ${overlay.name}`, () => services.get(service)?.signal("SIGCONT")];
  },
  async "service killed"(cluster, dice) {
    const server = dice.one(cluster.servers), service = dice.one(SERVICES);
    await server.services.get(service)?.stop("SIGKILL");
    return [`${service} of ${server.overlay.name}`, () => cluster.start(server, service)];
  },
};

/** Drops packets between a host and these addresses, both ways. @returns how to end it */
async function drop(host: LabHost, addresses: readonly string[], match: readonly string[] = []) {
  const rules = addresses.flatMap((ip) => [["INPUT", "-s", ip], ["OUTPUT", "-d", ip]]);
  const all = (verb: string) =>
    Promise.all(rules.map((rule) => host.run(["iptables", "-w", verb, ...rule, ...match, "-j", "DROP"])));
  await all("-A");
  return async () => void await all("-D");
}

/** Does one fault after the other, each for 1 to 10 s or, one in four, up to 25 s, until `over()`. @returns how often each was done */
export async function makeFaults(
  cluster: Cluster,
  dice: Dice,
  over: () => boolean,
  onFault: (line: string) => void,
): Promise<Map<string, number>> {
  const counts = new Map<string, number>(), names = Object.keys(kinds);
  while (!over()) {
    const name = dice.one(names), holdMs = dice.between(1_000, dice.throw() < 0.25 ? 25_000 : 10_000);
    const fault = kinds[name];
    if (!fault) continue;
    const [what, end] = await fault(cluster, dice);
    onFault(`${name}: ${what} for ${holdMs} ms`);
    const until = performance.now() + holdMs;
    while (performance.now() < until && !over()) await pause(100);
    await end();
    counts.set(name, (counts.get(name) ?? 0) + 1);
    await pause(dice.between(500, 3_000));
  }
  return counts;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
