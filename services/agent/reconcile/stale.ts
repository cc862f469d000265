/**
 * Finds and deactivates endpoints of containers that were replaced: the namespace at their path is not the one that
 * they were made for.
 */
import { planDeactivate } from "../../overlay/endpoints.ts";
import { isMadeFor } from "../../overlay/namespace_identity.ts";
import type { OverlayEndpoint } from "../../overlay/overlay_endpoint.ts";
import { change } from "../../store/change.ts";
import type { Context } from "../context.ts";
import { followed } from "./followed.ts";
import type { Workers } from "./networks.ts";

/** How long this host may take to apply the change, in ms; the next full comparison does what is left. */
const PATIENCE = 3000;

/**
 * This host's active endpoints at a path whose records were made for another namespace than the one that is there
 * now.
 *
 * @param identity The identity of the namespace that is there.
 */
export function staleAt({ view, host }: Context, path: string, identity: string): OverlayEndpoint[] {
  const at = canonical(path);
  // A host may have thousands of endpoints, so the cheapest comparison comes first.
  return view.endpointsOn(host.hostname).filter(({ active, record }) =>
    active && isMadeFor(record, identity) === false && !record.strand_docker &&
    canonical(record.target_netns_path) === at
  );
}

/** Makes an endpoint inactive, which removes its interface. @throws Refusal */
export async function deactivate(
  context: Context,
  workers: Workers,
  { id, network }: OverlayEndpoint,
): Promise<void> {
  const { view, store, host, storeGuard } = context;
  const { worker, release } = await workers.use(network);
  const done = worker.whenApplied(id);
  try {
    const revision = await worker.writer.exclusive(() =>
      change(store, () => {
        storeGuard.assertNotHeld();
        return view.endpoint(id) ? planDeactivate(view, id, host.hostname).plan : undefined;
      })
    );
    if (revision !== undefined) await followed(id, done, PATIENCE);
  } finally {
    worker.forget(id);
    release();
  }
}

/** Paths are compared with /run, since /var/run is a link to it on every host. */
function canonical(path: string): string {
  return path.startsWith("/var/run/") ? path.slice("/var".length) : path;
}
