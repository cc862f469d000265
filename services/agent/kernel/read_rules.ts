/** Reads the rules of nf_tables in a network's namespace, and again only where the kernel says that some have changed. */
import { isUnsupported, readGeneration } from "../../../ffi/netlink_nftables.ts";
import type { NetworkState } from "../../overlay/state.ts";
import type { NetworkNamespace } from "./network_namespace.ts";
import type { UnderlaySettings } from "./underlay_settings.ts";

/** The rules as they were read. */
export interface FoundRules {
  readonly state: Pick<NetworkState, "containment" | "egress" | "broadcast">;
  /** The namespace, and the generation of its rules before they were read; undefined: the kernel does not number them. */
  readonly identity: string;
  readonly generation: number | undefined;
}

/**
 * Reads the rules.
 * @param known As read before: they count as long as the kernel numbers the rules of this namespace as it did then. It counts every
 *   change, also one that is taken back.
 */
export async function readRules(
  namespace: NetworkNamespace,
  underlay: Pick<UnderlaySettings, "tables" | "containment" | "egress" | "broadcast">,
  known?: FoundRules,
): Promise<FoundRules> {
  const { identity } = namespace;
  const readAll = async () => {
    const containment = await underlay.containment.read(namespace);
    const egress = await underlay.egress.read(namespace);
    const limit = await underlay.broadcast.read(namespace);
    return {
      ...containment && { containment },
      ...egress && { egress },
      ...limit !== undefined && { broadcast: limit },
    };
  };
  try {
    return await underlay.tables.use(namespace, false, async (netlink) => {
      const generation = await readGeneration(netlink);
      const isKnown = generation !== undefined && known?.generation === generation;
      if (isKnown && known.identity === identity) return known;
      return { state: await readAll(), identity, generation };
    });
  } catch (error) {
    if (!isUnsupported(error)) throw error;
    return { state: await readAll(), identity, generation: undefined };
  }
}
