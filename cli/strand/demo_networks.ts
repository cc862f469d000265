/** The steps of the demo's last part: an overlay network across two hosts, made as SAND's clients make it. */
import type { Demo } from "./demo_lab.ts";
import type { DemoHost } from "./demo_overlay.ts";
import type { Narrator } from "./narrator.ts";

/** The networks and machines that the steps have made. */
export interface Overlay {
  /** The network's id. */
  readonly network: string;
  /** The address of the second host's container. */
  readonly address: string;
}

/** Makes a network with a container on each host, and has the one reach the other; throws at the first step that does not hold. */
export async function playNetworks(demo: Demo, tell: Narrator): Promise<Overlay> {
  const [one, two] = demo.hosts;
  let network = "";
  await tell.step(`${one.name}: sand-agent-cli network-create --name demo`, async () => {
    const text = await one.sand("network-create", "--name", "demo");
    network = found(/ id=(\S+) name=demo type=overlay /, text);
    return text;
  });

  const addresses = new Map<DemoHost, string>();
  for (const host of demo.hosts) {
    const { name, host: { path } } = host.container;
    await tell.step(`${host.name}: sand-agent-cli endpoint-create, for ${name}`, async () => {
      const text = await host.sand("endpoint-create", "--network", network, "--ns", path, "--wait");
      addresses.set(host, found(/ IP=([\d.]+)\/24 /, text));
      return text;
    });
  }
  const from = addresses.get(one) ?? "", address = addresses.get(two) ?? "";
  const [client, server] = [one.container.name, two.container.name];

  await Promise.all(demo.hosts.map((host) => host.serving()));
  await tell.step(`${client} ${demo.pings} ${address}`, () => demo.reach(one.container.host, address));
  const url = `http://${address}/`, greeting = `${server} greets ${from}`;
  await tell.step(`${client} asks ${url}`, () => greeted(greeting, one.get(url)));
  await tell.step(
    `${one.name}: sand-agent-cli curl ${url}`,
    () => greeted(greeting, one.sand("curl", "--network", network, url)),
  );

  await tell.step(`${two.name}: sand-agent-cli endpoint-list`, async () => {
    const text = await two.sand("endpoint-list");
    for (const host of demo.hosts) {
      const active = `hostname=${host.name} IP=${addresses.get(host)}/24 NS=${host.container.host.path}`;
      const row = text.split("\n").find((line) => line.includes("[ACTIVE]") && line.endsWith(active));
      if (!row) throw new Error(`no active endpoint of ${host.name}:\n${text}`);
    }
    return text;
  });
  for (const host of demo.hosts) {
    await tell.step(
      `${host.name}: strand status agent`,
      () =>
        // On a busy machine an agent may be without an answer of etcd's for a moment.
        demo.eventually(async () => {
          const text = await host.status();
          found(/^ +hosts of these networks +(host1, host2)$/m, text);
          return text;
        }),
    );
  }
  return { network, address };
}

async function greeted(wanted: string, answer: Promise<string>): Promise<string> {
  const text = (await answer).trimEnd();
  if (text !== wanted) throw new Error(`the answer is "${text}" where "${wanted}" is right`);
  return text;
}

/** The text that the pattern's group has matched. */
function found(pattern: RegExp, text: string): string {
  const [, match] = pattern.exec(text) ?? [];
  if (match === undefined) throw new Error(`nothing like ${pattern} in:\n${text}`);
  return match;
}
