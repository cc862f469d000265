/** The dashboard's mirrors of etcd: networks of both kinds with their contents, and which of them have changed. */
import type { Followed } from "../common/health.ts";
import type { Network } from "../nex/network.ts";
import { NexView } from "../nex/view.ts";
import { Refusal } from "../common/refusal.ts";
import { networkProblem } from "../overlay/faults.ts";
import type { Space } from "../overlay/space.ts";
import type { OverlayView, Viewed } from "../overlay/view.ts";
import { effectiveNetwork, type NamedNetwork } from "../overlay_names/effective.ts";
import type { NexRecord } from "../store/records.ts";
import type { SandKeys } from "../store/sand_keys.ts";
import type { NameClaimRecord, NetworkRecord, SandRecord } from "../store/sand_records.ts";
import type { Change, Mirror } from "../store/types.ts";
import { NetworkIndexes, networksView } from "./spaces.ts";

/** A network for machines that share a LAN, whose members and leases are Nex's. */
export interface LanNetwork {
  readonly kind: "lan";
  /** Its name in URLs, and on pages. */
  readonly key: string;
  readonly title: string;
  readonly settings: Network;
}

/** A network with an overlay, as it is until it changes: one with a name, or one that SAND or Docker made. */
export interface OverlayNetwork {
  readonly kind: "overlay";
  /** Its name; the id of one without a name. */
  readonly key: string;
  /** Its name on pages: its own, or the one that SAND or Docker gave it, which other networks may have too. */
  readonly title: string;
  readonly id: string;
  readonly record: NetworkRecord;
  readonly named: NamedNetwork | undefined;
  /** Absent where its record cannot be read whole; `problem` then says why. */
  readonly settings: Network | undefined;
  readonly problem: string | undefined;
  /** Its contents, indexed when they are asked for. */
  readonly space: Space;
  /** See {@link NetworkIndexes.some}. */
  some(pattern: RegExp): Space | undefined;
}

export type AnyNetwork = LanNetwork | OverlayNetwork;

/** A topic of changes: `network:KEY`, `hosts`, `health`, or `history`: more, or less, is known of what was before. */
export type Topic = `network:${string}` | "hosts" | "health" | "history";

export interface ClusterOptions {
  readonly names: Mirror<NexRecord>;
  readonly overlays: Viewed;
  readonly keys: SandKeys;
  /** How far both are followed. */
  readonly followed: Followed;
}

/** The mirrors with their views. Subscribers are told the topics that have changed. */
export class Cluster {
  readonly nex: NexView;
  readonly followed: Followed;
  readonly keys: SandKeys;
  /** The claim on the host's name of each running agent. */
  readonly claims = new Map<string, NameClaimRecord>();
  readonly #mirror: Viewed;
  readonly #networks: OverlayView;
  readonly #spaces: NetworkIndexes;
  /** Overlay networks that have not changed since they were asked for, by id. */
  readonly #kept = new Map<string, OverlayNetwork>();
  readonly #listeners = new Set<(topics: ReadonlySet<Topic>) => void>();

  constructor({ names, overlays, keys, followed }: ClusterOptions) {
    this.followed = followed;
    this.keys = keys;
    this.nex = new NexView(names);
    this.#mirror = overlays;
    this.#networks = networksView(overlays, keys);
    this.#spaces = new NetworkIndexes(overlays, keys);
    this.#take([...overlays.entries()].map((after) => ({
      ...{ key: after.key, before: undefined },
      ...{ after, revision: after.modRevision },
    })));
    overlays.subscribe((changes) => this.#take(changes));
    this.nex.subscribe(({ networks, members }) => {
      const changed = [
        ...networks.flatMap(({ before, after }) => [before?.name, after?.name]),
        ...members.flatMap(({ before, after }) =>
          [before, after].map((member) => member && this.nex.netOf(member))
        ),
      ];
      this.#tell(changed.flatMap((name) => name === undefined ? [] : `network:${name}` as const));
    });
  }

  /** Calls the listener with what a batch of changes concerns. */
  subscribe(listener: (topics: ReadonlySet<Topic>) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Tells the listeners that something of the hosts has changed that etcd does not have. */
  hostsChanged(): void {
    this.#tell(["hosts"]);
  }

  /** All networks by their keys. */
  networks(): AnyNetwork[] {
    const names = this.#names();
    const lan = [...this.nex.networks()].map((settings) => lanNetwork(settings));
    const overlay = [...this.#networks.networks()].map((record) =>
      this.#overlay(record, names.get(record.id))
    );
    return [...lan, ...overlay].sort((a, b) => a.key < b.key ? -1 : 1);
  }

  /**
   * The network with that key or id, or the only one that SAND or Docker gave this name.
   *
   * @throws Refusal "conflict" where several have it
   */
  network(key: string): AnyNetwork | undefined {
    const flat = this.nex.network(key);
    if (flat) return lanNetwork(flat);
    const id = this.#networks.networkNamed(key) ?? key.toLowerCase(), found = this.overlay(id);
    if (found) return found;
    const [one, ...others] = [...this.#networks.networks()].filter(({ name }) => name === key);
    if (!others.length) return one && this.overlay(one.id);
    throw new Refusal(
      "conflict",
      `${others.length + 1} networks are called ${key}: name one by its id, of /networks`,
    );
  }

  /** The overlay network with that id. */
  overlay(id: string): OverlayNetwork | undefined {
    const kept = this.#kept.get(id), record = kept ? undefined : this.#networks.network(id);
    return kept ?? (record && this.#overlay(record, this.#names().get(id)));
  }

  /** Tells the listeners that what is known of the past is another now. */
  historyChanged(): void {
    this.#tell(["history"]);
  }

  #overlay(record: NetworkRecord, name: string | undefined): OverlayNetwork {
    const { id } = record, spaces = this.#spaces, shown = name ?? record.name, kept = this.#kept.get(id);
    if (kept) return kept;
    const set = this.#mirror.get(this.keys.settings(id))?.record;
    const settings = set?.kind === "settings" ? set.value : { network: { name: shown }, overlay: {} };
    const named = { name: shown, record, settings };
    const network: OverlayNetwork = {
      kind: "overlay",
      key: name ?? id,
      title: shown || id,
      id,
      record,
      named: name === undefined ? undefined : named,
      settings: this.#networks.isPartial(id) ? undefined : effectiveNetwork(named),
      problem: networkProblem(this.#networks, id),
      get space() {
        return spaces.of(id);
      },
      some: (pattern) => spaces.some(id, pattern),
    };
    this.#kept.set(id, network);
    return network;
  }

  /** Names of overlay networks by id. */
  #names(): Map<string, string> {
    return new Map([...this.#networks.networkNames()].map(([name, id]) => [id, name]));
  }

  #take(changes: readonly Change<SandRecord>[]): void {
    const changed = new Set<string>(), topics: Topic[] = [];
    for (const change of changes) {
      const { before, after } = change, record = (after ?? before)?.record;
      if (record?.kind === "name-claim") {
        if (after) this.claims.set(record.host, record.value);
        else this.claims.delete(record.host);
        topics.push("hosts");
      } else if (record?.kind === "network-name") {
        topics.push(`network:${record.name}`);
        for (const one of [before, after]) {
          if (one?.record.kind === "network-name") changed.add(one.record.value.id);
        }
      } else if (record && "network" in record && record.kind !== "former-address") {
        this.#spaces.take(record.network, change);
        changed.add(record.network);
      }
    }
    for (const id of changed) this.#kept.delete(id);
    const names = changed.size ? this.#names() : undefined;
    this.#tell([...topics, ...[...changed].map((id) => `network:${names?.get(id) ?? id}` as const)]);
  }

  #tell(topics: readonly Topic[]): void {
    if (!topics.length) return;
    const all = new Set(topics);
    for (const listener of this.#listeners) listener(all);
  }
}

function lanNetwork(settings: Network): LanNetwork {
  return { kind: "lan", key: settings.name, title: settings.name, settings };
}
