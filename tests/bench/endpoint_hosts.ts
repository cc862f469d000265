/** How long until an endpoint that one host makes is in the kernels of the others. */
import { OverlayLab } from "../lab/overlay.ts";
import { Fill, type Filling, networkId, type Spare } from "./endpoint_fill.ts";
import { MTU, UNDERLAY_MTU } from "./endpoint_make.ts";
import { EntryWatch, systemClock } from "./endpoint_watch.ts";
import { percentile, type Sample, type Side } from "./lib.ts";

const HOSTS = 10;
/** Made in each round, each after a pause, in ms: what is to be seen is how long one takes, not how many there can be. */
const ENDPOINTS = 40, PAUSE = 50;

/** Hosts that share one network, each with an agent. */
export async function spreadingSides(
  stack: AsyncDisposableStack,
  progress: (line: string) => void,
): Promise<Side[]> {
  progress(`starting ${HOSTS} agents`);
  const lab = stack.use(await OverlayLab.create({ hosts: HOSTS, mtu: UNDERLAY_MTU }));
  const here = await Promise.all(
    lab.hosts.map(async (host) => ({ host, netns: (await host.container()).path })),
  );
  const network: Filling = { number: 1, range: "10.0.0.0/22", here, away: 0 }, id = networkId(network.number);
  const store = new Fill(lab.kv);
  await store.write([network], MTU);
  await Promise.all(lab.hosts.map((host) => host.start()));
  await lab.agree();
  const [first, ...others] = lab.hosts;
  if (!first) throw new Error("no hosts");
  const watches: EntryWatch[] = [];
  for (const host of others) watches.push(stack.use(await EntryWatch.open(host.namespaceOf(id))));

  /** @returns how many ms after each was begun to be made each of the other hosts had it */
  const spread = async (vtep: string | undefined, make: (spare: Spare) => Promise<void>) => {
    const took: number[] = [], now = systemClock();
    for (let i = 0; i < ENDPOINTS; i++) {
      const spare = store.spare(network, i), pair = { ...spare.pair, ...vtep !== undefined && { vtep } };
      const shown = Promise.all(watches.map((watch) => watch.added(pair)));
      const begun = now();
      await make(spare);
      for (const at of await shown) took.push(at - begun);
      await new Promise((resolve) => setTimeout(resolve, PAUSE));
    }
    return took;
  };
  const byApi = async () => {
    const made: string[] = [];
    const took = await spread(first.ip, async ({ pair }) => {
      const wanted = { netns: here[0]?.netns ?? "", ipv4_address: pair.address };
      made.push((await first.api.createEndpoint(id, wanted)).id);
    });
    await lab.agree();
    await Promise.all(made.map((id) => first.api.deleteEndpoint(id)));
    await lab.agree();
    return took;
  };
  const byStore = async () => {
    const keys: string[] = [];
    const took = await spread(undefined, async ({ records }) => {
      keys.push(...Object.keys(records));
      await lab.kv.write(records);
    });
    await lab.kv.write(Object.fromEntries(keys.map((key) => [key, undefined])));
    await lab.agree();
    return took;
  };
  const samples = (what: string, took: readonly number[]): Sample[] => {
    const size = `${HOSTS} hosts`, metric = `on another host after ${what}`, unit = "ms";
    return [
      { size, metric: `${metric}, median`, unit, value: percentile(took, 50) },
      { size, metric: `${metric}, 99 of 100`, unit, value: percentile(took, 99) },
    ];
  };
  const round = async () => [
    ...samples("its transaction was sent", await byStore()),
    ...samples("the API was asked", await byApi()),
  ];
  return [{ name: "Strand", round }];
}
