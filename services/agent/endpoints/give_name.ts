/**
 * Writes the name of an endpoint of this host that exists already. An endpoint whose name another machine has is
 * named later, once that name is free.
 */
import { repeat } from "../../common/async.ts";
import { messageOf, Refusal } from "../../common/refusal.ts";
import { type Labels, planName } from "../../overlay/name_endpoint.ts";
import { holderOfName } from "../../overlay/taken_names.ts";
import { change } from "../../store/change.ts";
import type { Context } from "../context.ts";
import type { Workers } from "../reconcile/networks.ts";

/** How often a conflicting write is planned again: many hosts may name endpoints of one network at once. */
const TRIES = 50;
/** How often names that were another machine's are looked at, in ms. */
const EVERY = 15_000;

/** Calls an endpoint of this host so; nothing is done where it is gone. @throws Refusal "unavailable" */
export async function giveName(
  context: Context,
  workers: Workers,
  id: string,
  labels: Labels,
): Promise<void> {
  const { view, store, storeGuard, host } = context, network = view.endpoint(id)?.network;
  if (network === undefined) return;
  const { worker, release } = await workers.use(network);
  try {
    await worker.writer.exclusive(() =>
      change(store, () => {
        storeGuard.assertNotHeld();
        return view.endpoint(id) && planName(view, id, host.hostname, labels, Date.now());
      }, { tries: TRIES })
    );
  } catch (error) {
    if (!(error instanceof Refusal && error.code === "not-found")) throw error;
  } finally {
    release();
  }
}

/** Gives endpoints the names that they were to have, once no other machine has them. @returns a function that ends this */
export function nameLater(context: Context, workers: Workers): () => Promise<void> {
  const { view, host, storeGuard, store, log } = context;
  return repeat(() => EVERY, async () => {
    if (storeGuard.hold || !store.mirror.state.inSync) return;
    for (const { id, network, mac, record } of view.endpointsOn(host.hostname)) {
      const { strand_unnamed: name, strand_aliases: aliases = [] } = record;
      if (name === undefined || holderOfName(view.space(network), name, mac, id) !== undefined) continue;
      try {
        await giveName(context, workers, id, { name, aliases });
        log.info(
          { endpoint: id },
          `endpoint ${id} has the name ${name} now, which another machine has given up`,
        );
      } catch (error) {
        log.warn({ endpoint: id }, `endpoint ${id} could not be given the name ${name}: ${messageOf(error)}`);
      }
    }
  });
}
