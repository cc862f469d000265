/** The contents of overlay networks: their records are kept as they are, and indexed only when a network is looked at. */
import { Space } from "../overlay/space.ts";
import { OverlayView, type Viewed } from "../overlay/view.ts";
import { LeanEndpoint, macsIn } from "../store/lean_records.ts";
import type { SandKeys } from "../store/sand_keys.ts";
import type { SandRecord } from "../store/sand_records.ts";
import type { Change, Entry } from "../store/types.ts";

type One = Entry<SandRecord>;
type Listener = (changes: readonly Change<SandRecord>[]) => void;

/** A view of the records and names of all networks, without their contents. */
export function networksView(mirror: Viewed, keys: SandKeys): OverlayView {
  const isWanted = ({ record: { kind } }: One) =>
    kind === "network" || kind === "network-name" || kind === "deleted";
  const part = {
    ...partOf(mirror, () => [...mirror.entries()].filter(isWanted).values()),
    subscribe: (listener: (changes: readonly Change<SandRecord>[]) => void) =>
      mirror.subscribe((changes) =>
        listener(changes.filter(({ before, after }) => [before, after].some((one) => one && isWanted(one))))
      ),
  };
  return new OverlayView(part, keys);
}

/** The keys of each overlay network, of which a view of one network is made while a page looks at it. */
export class NetworkIndexes {
  /** Lists, which are shorter than sets; a change is one of few hundred in most networks. */
  readonly #entries = new Map<string, One[]>();
  /** The one that was looked at last: an index takes several times as much memory as the records. */
  #last: { readonly network: string; readonly view: OverlayView; readonly tell: Listener } | undefined;

  constructor(private readonly mirror: Viewed, private readonly keys: SandKeys) {}

  /** Takes a change of a network's contents. The index that is there takes it too: that of a large network takes long to make. */
  take(network: string, change: Change<SandRecord>): void {
    const { before, after } = change;
    if (this.#last?.network === network) this.#last.tell([change]);
    let entries = this.#entries.get(network);
    if (!entries) this.#entries.set(network, entries = []);
    const at = before ? entries.indexOf(before) : entries.length;
    if (after) entries[at] = after;
    else entries.splice(at, 1);
    if (!entries.length) this.#entries.delete(network);
  }

  /** The contents of a network; empty for an unknown one. */
  of(network: string): Space {
    if (this.#last?.network !== network) {
      const entries = this.#entries.get(network) ?? [];
      let tell: Listener = () => {};
      const subscribe = (listener: Listener) => {
        tell = listener;
        return () => {};
      };
      const view = new OverlayView({ ...partOf(this.mirror, () => entries.values()), subscribe }, this.keys);
      this.#last = { network, view, tell };
    }
    return this.#last.view.space(network);
  }

  /**
   * The machines of a network that a search may be for: all reservations, and the endpoints that match or whose reservation does.
   *
   * @param pattern Matches a part of their records as JSON.
   * @returns undefined where none does
   */
  some(network: string, pattern: RegExp): Space | undefined {
    const reserved: One[] = [], endpoints: One[] = [], macs = new Set<string>();
    for (const entry of this.#entries.get(network) ?? []) {
      const { record } = entry;
      if (record.kind === "network-endpoint") endpoints.push(entry);
      if (record.kind !== "reservation") continue;
      reserved.push(entry);
      if (isMatch(record, pattern)) macs.add(record.mac);
    }
    const wanted = endpoints.filter(({ record }) =>
      isMatch(record, pattern) || macs.size > 0 && macsOf(record).some((mac) => macs.has(mac))
    );
    return macs.size || wanted.length ? this.#made(network, [...reserved, ...wanted]) : undefined;
  }

  #made(network: string, entries: Iterable<One>): Space {
    return new OverlayView(partOf(this.mirror, () => [...entries].values()), this.keys).space(network);
  }
}

/** A mirror as it is now, with some of its entries. */
function partOf(mirror: Viewed, entries: () => IterableIterator<One>): Viewed {
  const { state } = mirror;
  return {
    state,
    entries,
    get: (key) => mirror.get(key),
    version: (key) => mirror.version(key),
    subscribe: () => () => {},
  };
}

function isMatch(record: SandRecord, pattern: RegExp): boolean {
  return record instanceof LeanEndpoint ? record.matches(pattern) : pattern.test(JSON.stringify(record));
}

function macsOf(record: SandRecord): string[] {
  return record instanceof LeanEndpoint ? record.macs : macsIn(JSON.stringify(record));
}

/** The most hexadecimal digits of a MAC. */
const MAC_DIGITS = 12;

/** Matches records as JSON that may have the text in them: in either case, and a MAC or a part of one in any of its spellings. */
export function mayHave(text: string): RegExp {
  const bare = text.replace(/[:-]/g, ""), isMac = bare.length <= MAC_DIGITS && /^[\da-f]*$/i.test(bare);
  const pattern = isMac ? [...bare].join("[:-]*") : RegExp.escape(JSON.stringify(text).slice(1, -1));
  return new RegExp(pattern, "iu");
}
