/** Random operations and faults on networks with names, leases, devices and containment; everything is what etcd says at the end. */
import { Process, strandCommand } from "../lab/host.ts";
import { GatewayLab } from "../overlay_names/gateway_lab.ts";
import { Movable, NetworkOperations, type Playground } from "./operations.ts";

/** STRAND_SOAK_SECONDS: how long in all; STRAND_SOAK_SEED: that of an earlier run. */
const seconds = Number(Deno.env.get("STRAND_SOAK_SECONDS") ?? 8);
const seed = Number(Deno.env.get("STRAND_SOAK_SEED") ?? Math.floor(Math.random() * 2 ** 31));
const STRETCH = 8_000;

const mac = (network: number, number: number) => `52:54:00:00:0${network}:0${number}`;

/** Two networks with the same range; the machines of each are reserved in part. */
function machines(network: number): Movable[] {
  return [
    new Movable(mac(network, 1), "db", "10.0.0.201", false),
    new Movable(mac(network, 2), "log", "10.0.0.202", false),
    new Movable(mac(network, 3), "tape", "10.0.0.203", true),
    new Movable(mac(network, 4), undefined, undefined, false),
    new Movable(mac(network, 5), undefined, undefined, false),
  ];
}

function spec(name: string, members: readonly Movable[]): string {
  const list = members.filter(({ address }) => address !== undefined)
    .map(({ mac, name, address }) => `- {mac: "${mac}", name: ${name}, ip4: ${address}}`);
  return `kind: Network
name: ${name}
subnet4: 10.0.0.0/24
domain: ${name}.example
overlay: {}
---
kind: MemberList
net: ${name}
list:
${list.join("\n")}
`;
}

/** Applied by a nexd that is gone afterwards. */
async function applied(it: GatewayLab, text: string): Promise<void> {
  const host = it.host(1), file = `${host.directory}/nex.yml`;
  await Deno.writeTextFile(
    file,
    `etcd: {endpoints: [${it.lab.etcd.endpoint}]}\nnexd: {listen: "127.0.0.1:6000"}\n`,
  );
  const nexd = new Process(host.host.enter(strandCommand(["nexd", "--config", file])));
  try {
    await nexd.line(/ started /, 120_000);
    await Deno.writeTextFile(`${host.directory}/spec.yml`, text);
    const { code, stderr } = await host.strand(["apply", `${host.directory}/spec.yml`]);
    if (code !== 0) throw new Error(stderr);
  } finally {
    await nexd.stop();
  }
}

Deno.test(`after random operations, and agents, gatewayds and etcd killed, all find each other by address and name (seed ${seed})`, async () => {
  await using it = await GatewayLab.started({ hosts: 3, env: { STRAND_AGENT_CHECK_EVERY: "1" } });
  const all = { blue: machines(1), red: machines(2) };
  await applied(it, Object.entries(all).map(([name, members]) => spec(name, members)).join("---\n"));
  const playgrounds: Playground[] = [];
  for (const [name, members] of Object.entries(all)) {
    const { id } = JSON.parse(
      (await it.lab.kv.under(`/sc-net/strand/network-names/${name}`)).values().next().value ?? "{}",
    );
    playgrounds.push({ id, name, domain: `${name}.example`, machines: members });
  }
  const operations = new NetworkOperations(it, playgrounds, seed);
  const end = performance.now() + seconds * 1000;
  try {
    while (performance.now() < end) {
      await operations.run(Math.min(end, performance.now() + STRETCH));
      await operations.settle();
    }
  } catch (error) {
    for (const host of it.lab.hosts) {
      console.log(`--- ${host.name}\n${host.agent.tail(40)}\n${it.gatewayd(host).tail(20)}`);
    }
    throw error;
  } finally {
    console.log(`seed ${seed}:`, Object.fromEntries([...operations.counts].sort()));
  }
});
