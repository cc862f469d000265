/** Reads the rules of nf_tables in a network's namespace, and again only where the kernel says that some have changed. */
import { SystemError } from "../../../ffi/errno.ts";
import { isUnsupported } from "../../../ffi/netlink_nftables.ts";
import { readGeneration } from "../../../ffi/nftables_counters.ts";
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

/** Rules as they were read before. */
export interface KnownRules extends FoundRules {
  /** The number that the namespace's rules have now, at next to no cost; undefined where it is not known. @throws SystemError */
  readonly now: () => number | undefined;
}

/**
 * Reads the rules.
 * @param known They count as long as the kernel numbers the rules of this namespace as it did then. It counts every change, also
 *   one that is taken back.
 */
export async function readRules(
  namespace: NetworkNamespace,
  underlay: Pick<UnderlaySettings, "tables" | "containment" | "egress" | "broadcast">,
  known?: KnownRules,
): Promise<FoundRules> {
  const { identity } = namespace;
  if (
    known?.identity === identity && known.generation !== undefined && numberNow(known) === known.generation
  ) {
    const { state, generation } = known;
    return { state, identity, generation };
  }
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
      return { state: await readAll(), identity, generation };
    });
  } catch (error) {
    if (!isUnsupported(error)) throw error;
    return { state: await readAll(), identity, generation: undefined };
  }
}

function numberNow({ now }: KnownRules): number | undefined {
  try {
    return now();
  } catch (error) {
    // The rules are read then, as where descriptors have run out.
    if (error instanceof SystemError) return undefined;
    throw error;
  }
}
