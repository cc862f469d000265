/** Endpoints of containers that were replaced: the namespace at their path is another than they were made for. */
import { planDeactivate } from "../overlay/endpoints.ts";
import type { OverlayEndpoint } from "../overlay/space.ts";
import { change } from "../store/change.ts";
import type { Context } from "./context.ts";
import { followed } from "./followed.ts";
import type { Workers } from "./reconcile/networks.ts";

/** How long the kernel may take to follow, in ms; what is left undone then, the next comparison does. */
const PATIENCE = 3000;

/**
 * This host's active endpoints at a path that were made for another namespace than the one that is there.
 *
 * @param identity Of the namespace that is there.
 */
export function staleAt({ view, host }: Context, path: string, identity: string): OverlayEndpoint[] {
  const at = canonical(path);
  // Hosts have thousands of endpoints: what costs least to compare comes first.
  return view.endpointsOn(host.hostname).filter(({ active, record }) =>
    active && record.strand_netns !== undefined && record.strand_netns !== identity &&
    !record.strand_docker &&
    canonical(record.target_netns_path) === at
  );
}

/** Makes one inactive, so that its interface is gone. @throws Refusal */
export async function deactivate(
  context: Context,
  workers: Workers,
  { id, network }: OverlayEndpoint,
): Promise<void> {
  const { view, store, host, storeGuard } = context;
  const { worker, release } = await workers.use(network);
  const done = worker.carriedOut(id);
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

/** /var/run is a link to /run on every host. */
function canonical(path: string): string {
  return path.startsWith("/var/run/") ? path.slice("/var".length) : path;
}
