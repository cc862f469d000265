/** The endpoints that the CNI plugin and the netavark driver ask for, found by container id and interface name. */
import { KeyedMutex } from "../../common/async.ts";
import { messageOf, Refusal } from "../../common/refusal.ts";
import type { SpanContext } from "../../common/tracing.ts";
import { isMadeFor } from "../../overlay/namespace_identity.ts";
import { whyUnnamed } from "../../overlay/taken_names.ts";
import type { OverlayEndpoint } from "../../overlay/overlay_endpoint.ts";
import { resolverOf } from "../../overlay_names/effective.ts";
import { confirmedRead } from "../../store/change.ts";
import type { AttachmentRecord } from "../../store/sand_records.ts";
import { isLabel } from "../../store/sand_schemas.ts";
import type { AgentApi, AttachmentsApi, AttachRequest, AttachResult, CheckResult } from "../api.ts";
import { type Context, sinceBoot } from "../context.ts";
import type { Workers } from "../reconcile/networks.ts";

/**
 * Attachments of container interfaces (CNI), by the names that the runtime has for them. The endpoints' records in
 * etcd carry these names, so nothing is kept on disk and an agent that is started again finds what the previous one
 * made.
 */
export class Attachments implements AttachmentsApi {
  /** Running requests, by attachment: a runtime that has lost a response may detach while its attach still runs. */
  readonly #turns = new KeyedMutex();

  constructor(
    private readonly agent: AgentApi,
    private readonly context: Context,
    private readonly workers: Workers,
  ) {}

  attach(request: AttachRequest): Promise<AttachResult> {
    return this.#turns.run(keyOf(request.attachment), async () => {
      const { attachment, netns } = request, { kernel } = this.context;
      const known = this.#find(attachment);
      // A container keeps its interfaces where the request is refused.
      using target = known.length ? kernel.inspect(netns) : undefined;
      await target?.assertContainers(netns);
      for (const { id, active, record } of known) {
        if (active && target && isMadeFor(record, sinceBoot(target.identity))) {
          const { container, ifname, network } = attachment;
          throw new Refusal("exists", `container ${container} has ${ifname} in network ${network} already`);
        }
        // It belongs to an earlier run of the container that was never detached.
        await this.agent.deleteEndpoint(id);
      }
      const { containerName, containerAliases = [], ...wanted } = request, { ifname, container } = attachment;
      // Only capitals have one other form as a label.
      const label = containerName?.toLowerCase() ?? "";
      const wishedName = wanted.name === undefined && isLabel(label) ? label : undefined;
      // Podman gives each container the beginning of its id as an alias.
      const wishedAliases = containerAliases.filter((alias) => !container.startsWith(alias)).map((alias) =>
        alias.toLowerCase()
      );
      const { endpoint } = await this.agent.createEndpoint({
        ...wanted,
        wishedName,
        wishedAliases,
        interfaceName: ifname,
      });
      this.#tellUnnamed(endpoint.id, containerName);
      return await this.#attached(endpoint);
    });
  }

  detach(attachment: AttachmentRecord, parent?: SpanContext): Promise<void> {
    return this.#turns.run(keyOf(attachment), async () => {
      this.context.storeGuard.assertNotHeld();
      const known = await this.#known(attachment).catch((error) => {
        if (!(error instanceof Refusal && error.code === "not-found")) throw error;
        return [];
      });
      for (const { id } of known) await this.#delete(id, parent);
    });
  }

  check(attachment: AttachmentRecord, netns: string): Promise<CheckResult> {
    return this.#turns.run(keyOf(attachment), async () => {
      const { kernel, storeGuard, view } = this.context;
      storeGuard.assertNotHeld();
      const [known] = await this.#known(attachment);
      const using = await this.workers.use(known.network);
      try {
        await using.worker.compare("check");
        const now = view.endpoint(known.id);
        if (!now) throw none(attachment);
        const { record } = now;
        const problems = using.worker.problems.filter((problem) => problem.includes(now.id));
        const identity = kernel.identity(netns);
        // An endpoint whose namespace is missing stays active for some seconds, so its record alone does not tell.
        if (!now.active || !identity) {
          problems.push(`endpoint ${now.id} is not active: the namespace it was in is gone`);
        } else if (!isMadeFor(record, sinceBoot(identity))) {
          problems.push(`endpoint ${now.id} is in ${record.target_netns_path}, not in ${netns}`);
        }
        const missing = problems.length || !identity
          ? []
          : await kernel.missingRoutes(netns, identity, attachment.ifname, record.strand_routes ?? []);
        return {
          ...await this.#attached(record),
          problems,
          missingRoutes: missing.map(({ dst }) => dst),
        };
      } finally {
        using.release();
      }
    });
  }

  async collect(
    network: string,
    valid: readonly Pick<AttachmentRecord, "container" | "ifname">[] | undefined,
  ): Promise<string[]> {
    const { view, host, storeGuard } = this.context;
    storeGuard.assertNotHeld();
    const keep = valid &&
      new Set(valid.map(({ container, ifname }) => keyOf({ network, container, ifname })));
    const garbage = view.endpointsOn(host.hostname).filter(({ active, record: { strand_cni: its } }) =>
      // An attachment that is being made now is newer than the runtime's list.
      its?.network === network && !(keep ? keep.has(keyOf(its)) : active) && !this.#turns.has(keyOf(its))
    );
    const results = await Promise.allSettled(garbage.map(({ id }) => this.#delete(id)));
    const failures = results.filter((result) => result.status === "rejected");
    if (failures.length) {
      const message = `${failures.length} of ${garbage.length} endpoints could not be deleted, the first: ${
        messageOf(failures[0]?.reason)
      }`;
      throw new Refusal("unavailable", message);
    }
    return garbage.map(({ id }) => id);
  }

  /** The log says why an endpoint is without its container's name, in a network that has names. */
  #tellUnnamed(id: string, containerName: string | undefined): void {
    const { view, log } = this.context, endpoint = view.endpoint(id);
    const { settings } = view.space(endpoint?.network ?? "");
    if (!endpoint || containerName === undefined || !settings || endpoint.record.strand_name !== undefined) {
      return;
    }
    const why = whyUnnamed(view, endpoint) ??
      `container ${endpoint.record.strand_cni?.container} in network ${settings.network.name} has no name: ` +
        `"${containerName}" is not one label of a name, which is 1 to 63 letters, digits or hyphens`;
    log.warn({ endpoint: id }, why);
  }

  /**
   * Returns at least one endpoint. Their absence counts only when etcd has confirmed it: an endpoint may have been
   * made whose response was lost.
   * @throws Refusal "not-found" or "unavailable"
   */
  #known(attachment: AttachmentRecord): Promise<[OverlayEndpoint, ...OverlayEndpoint[]]> {
    return confirmedRead(this.context.store, () => {
      const [first, ...others] = this.#find(attachment);
      if (!first) throw none(attachment);
      return [first, ...others];
    });
  }

  #find(attachment: AttachmentRecord): OverlayEndpoint[] {
    const { view, host } = this.context;
    const key = keyOf(attachment);
    return view.endpointsOn(host.hostname).filter(({ record: { strand_cni: its } }) =>
      its && keyOf(its) === key
    );
  }

  async #delete(id: string, parent?: SpanContext): Promise<void> {
    await this.agent.deleteEndpoint(id, { parent }).catch((error) => {
      if (!(error instanceof Refusal && error.code === "not-found")) throw error;
    });
  }

  async #attached(endpoint: AttachResult["endpoint"]): Promise<AttachResult> {
    const using = await this.workers.use(endpoint.network_id);
    try {
      const { view } = this.context, { settings } = view.space(endpoint.network_id);
      const record = view.network(endpoint.network_id);
      return {
        endpoint,
        mtu: using.worker.mtu,
        overlayNetns: this.context.namespacePath(endpoint.network_id),
        resolver: settings && record && resolverOf({ name: settings.network.name, record, settings }),
      };
    } finally {
      using.release();
    }
  }
}

function none({ container, ifname, network }: AttachmentRecord): Refusal {
  return new Refusal("not-found", `container ${container} has no ${ifname} in network ${network}`);
}

/** The names cannot contain a slash, so the key is unambiguous. */
function keyOf({ network, container, ifname }: AttachmentRecord): string {
  return `${network}/${container}/${ifname}`;
}
