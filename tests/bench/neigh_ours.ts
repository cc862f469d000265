/**
 * Our side of `strand bench neigh`, a process of its own so that it can be held to a core: programs a network's
 * entries, looks at it again with nothing to do, and removes them. `ARGS`: path, VNI, pairs. Prints JSON, in ms.
 */
import { HostKernel } from "../../services/agent/kernel/host.ts";
import type { NetworkKernel } from "../../services/agent/kernel/network.ts";
import { Ip } from "../../services/common/ip.ts";
import { diff } from "../../services/overlay/diff.ts";
import type { NetworkState } from "../../services/overlay/state.ts";
import { median } from "./lib.ts";
import { emptyNetwork, pairs, VTEP } from "./neigh_state.ts";

/** What {@link main} prints. */
export interface Times {
  readonly program: number;
  readonly look: number;
  readonly remove: number;
}

const NO_PEERS = new Map<string, string>();
/** So many pairs have been through before: an agent has run for a while. */
const WARM = 2000;

async function main([path = "", vni = "", count = ""]: readonly string[]): Promise<void> {
  using host = new HostKernel({ vtep: Ip.parse(VTEP) });
  const network = host.network(path), empty = emptyNetwork(Number(vni));
  await change(network, empty);
  for (let i = 0; i < 2; i++) {
    await change(network, { ...empty, ...pairs(WARM) });
    await change(network, empty);
  }
  const full = { ...empty, ...pairs(Number(count)) };
  const program = await change(network, full);
  const looks: number[] = [];
  for (let i = 0; i < 3; i++) {
    const started = performance.now();
    const todo = diff(await network.read(NO_PEERS), full);
    looks.push(performance.now() - started);
    if (todo.length) throw new Error(`${path} is not as programmed`);
  }
  const remove = await change(network, empty);
  const times: Times = { program, look: median(looks), remove };
  console.log(JSON.stringify(times));
}

/** @returns how long it took to carry out, in ms; what is to be done was found out before */
async function change(network: NetworkKernel, wanted: NetworkState): Promise<number> {
  const ops = diff(await network.read(NO_PEERS), wanted);
  const started = performance.now();
  await network.carryOut(ops);
  return performance.now() - started;
}

if (import.meta.main) await main(Deno.args);
