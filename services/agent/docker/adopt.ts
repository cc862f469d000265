/** Takes over the Docker endpoints that a SAND agent made on this host, when Strand's agent starts in its place. */
import { planAdopt } from "../../overlay/endpoints.ts";
import { change } from "../../store/change.ts";
import type { Context } from "../context.ts";

/**
 * Marks endpoints that a SAND agent of this host made for Docker, which are recognised only by separate keys:
 * interfaces that Docker has renamed and moved must not be renamed and moved back.
 */
export async function adoptEndpoints({ store, view, host, storeGuard, log }: Context): Promise<void> {
  const unmarked = view.endpointsOn(host.hostname).filter(({ record }) =>
    !record.strand_docker && !record.strand_netns && !record.strand_cni
  );
  if (!unmarked.length || storeGuard.hold) return;
  const docker = new Map((await store.allDockerEndpoints()).map((ids) => [ids.SandEndpointID, ids]));
  for (const { id } of unmarked) {
    const ids = docker.get(id);
    if (!ids) continue;
    const { DockerNetworkID: network, DockerEndpointID: endpoint } = ids;
    await change(store, () => {
      storeGuard.assertNotHeld();
      return view.endpoint(id) && planAdopt(view, id, host.hostname, { network, endpoint }).plan;
    }, { unconfirmed: true });
    log.info({ endpoint: id }, `endpoint ${id} is Docker's ${endpoint}`);
  }
}
