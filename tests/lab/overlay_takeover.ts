/** What two Go agents leave on h1 and h2: the store of tests/fixtures/sand_store.json, and the kernels to it. */
import type { LabHost } from "./host.ts";
import { run } from "./host.ts";
import type { OverlayLab } from "./overlay.ts";
import type { ApiEndpoint, ApiNetwork } from "./overlay_api.ts";
import { makeByHand } from "./overlay_by_hand.ts";
import { read } from "./overlay_reference.ts";

export interface TakeOver {
  /** As it was written, with the paths of the containers in it. */
  readonly records: ReadonlyMap<string, string>;
  readonly network: (name: string) => ApiNetwork;
  /** By the name in the fixture: h1-web, h2-web, h1-wide, h2-wide, h2-far. */
  readonly container: (name: string) => LabHost;
}

/** Fills store and kernels of a lab that is still empty. */
export async function leftByGoAgents(lab: OverlayLab): Promise<TakeOver> {
  const fixture = JSON.parse(
    await Deno.readTextFile(new URL("../fixtures/sand_store.json", import.meta.url)),
  ) as Record<string, unknown>;
  const containers = new Map<string, LabHost>();
  for (const [, name = ""] of JSON.stringify(fixture).matchAll(/"\{(h\d-\w+)\}"/g)) {
    if (containers.has(name)) continue;
    containers.set(name, await lab.host(Number(name[1])).container(name.slice(3)));
  }
  const container = (name: string) => {
    const found = containers.get(name);
    if (!found) throw new Error(`the fixture has no container ${name}`);
    return found;
  };
  const records = new Map(
    Object.entries(fixture).map(([key, value]) => [
      key,
      JSON.stringify(value).replaceAll(/\{(h\d-\w+)\}/g, (_, name) => container(name).path),
    ]),
  );
  await lab.kv.write(Object.fromEntries(records));
  const networks = read<ApiNetwork>(records, "/sc-net/network/");
  for (const host of lab.hosts) {
    const its = read<ApiEndpoint>(records, `/sc-net/node-endpoints/${host.name}/`);
    for (const network of networks.filter(({ id }) => its.some((e) => e.network_id === id))) {
      await makeByHand(host, network, read(records, `/sc-net/network-endpoints/${network.id}/`));
    }
  }
  const network = (name: string) => {
    const found = networks.find((network) => network.name === name);
    if (!found) throw new Error(`the fixture has no network ${name}`);
    return found;
  };
  return { records, network, container };
}

/** All of a host's networks as `ip` and `bridge` print them, without what changes by itself. */
export async function printedKernel(lab: OverlayLab, hostNumber: number): Promise<string> {
  const host = lab.host(hostNumber), parts: string[] = [];
  const script =
    "ip -d address; ip neighbour show dev vxlan0 nud permanent; bridge fdb show dev vxlan0 | sed /self/!d";
  for (const { name } of [...Deno.readDirSync(host.namespaces)].sort((a, b) => a.name < b.name ? -1 : 1)) {
    const { stdout } = await run(["nsenter", `--net=${host.namespaces}/${name}`, "sh", "-c", script]);
    // Timers run, and IPv6 looks for others with its addresses.
    parts.push(
      stdout.replaceAll(/ (\w+_timer|valid_lft|preferred_lft) +\S+/g, "").replaceAll(" tentative", ""),
    );
  }
  return parts.join("\n");
}
