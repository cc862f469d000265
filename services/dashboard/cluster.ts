/** The dashboard's mirrors of etcd: networks of both kinds with their contents, and which of them have changed. */
import type { Followed } from "../common/health.ts";
import type { Network } from "../nex/network.ts";
import { NexView } from "../nex/view.ts";
import { Refusal } from "../common/refusal.ts";
import { networkProblem } from "../overlay/faults.ts";
import type { Space } from "../overlay/space.ts";
import { View } from "../overlay/view.ts";
import { effectiveNetwork, type NamedNetwork } from "../overlay_names/effective.ts";
import type { NexRecord } from "../store/records.ts";
import type { SandKeys } from "../store/sand_keys.ts";
import type { NameClaimRecord, NetworkRecord, SandRecord } from "../store/sand_records.ts";
import type { Mirror } from "../store/types.ts";

/** A network for machines that share a LAN, whose members and leases are Nex's. */
export interface LanNetwork {
  readonly kind: "lan";
  /** Its name in URLs, and on pages. */
  readonly key: string;
  readonly title: string;
  readonly settings: Network;
}

/** A network with an overlay: one with a name, or one that SAND or Docker made. */
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
  readonly space: Space;
}

export type AnyNetwork = LanNetwork | OverlayNetwork;

/** A topic of changes: `network:KEY`, or `hosts`. */
export type Topic = `network:${string}` | "hosts" | "health";

export interface ClusterOptions {
  readonly names: Mirror<NexRecord>;
  readonly overlays: Mirror<SandRecord>;
  readonly keys: SandKeys;
  /** How far both are followed. */
  readonly followed: Followed;
}

/** The mirrors with their views. Subscribers are told the topics that have changed. */
export class Cluster {
  readonly nex: NexView;
  readonly overlays: View;
  readonly followed: Followed;
  /** The claim on the host's name of each running agent. */
  readonly claims = new Map<string, NameClaimRecord>();
  readonly #listeners = new Set<(topics: ReadonlySet<Topic>) => void>();

  constructor({ names, overlays, keys, followed }: ClusterOptions) {
    this.followed = followed;
    this.nex = new NexView(names);
    this.overlays = new View(overlays, keys);
    for (const { record } of overlays.entries()) {
      if (record.kind === "name-claim") this.claims.set(record.host, record.value);
    }
    overlays.subscribe((changes) => {
      for (const { before, after } of changes) {
        const record = (after ?? before)?.record;
        if (record?.kind !== "name-claim") continue;
        if (after) this.claims.set(record.host, record.value);
        else this.claims.delete(record.host);
        this.#tell(["hosts"]);
      }
    });
    this.nex.subscribe(({ networks, members }) => {
      const changed = [
        ...networks.flatMap(({ before, after }) => [before?.name, after?.name]),
        ...members.flatMap(({ before, after }) =>
          [before, after].map((member) => member && this.nex.netOf(member))
        ),
      ];
      this.#tell(changed.flatMap((name) => name === undefined ? [] : `network:${name}` as const));
    });
    this.overlays.subscribe((changes) => {
      const names = this.#names();
      this.#tell([...changes.keys()].map((id) => `network:${names.get(id) ?? id}` as const));
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
    const overlay = [...this.overlays.networks()].map((record) =>
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
    const id = this.overlays.networkNamed(key) ?? key.toLowerCase(), record = this.overlays.network(id);
    if (record) return this.#overlay(record, this.#names().get(id));
    const [found, ...others] = [...this.overlays.networks()].filter(({ name }) => name === key);
    if (!others.length) return found && this.#overlay(found, this.#names().get(found.id));
    throw new Refusal(
      "conflict",
      `${others.length + 1} networks are called ${key}: name one by its id, of /networks`,
    );
  }

  #overlay(record: NetworkRecord, name: string | undefined): OverlayNetwork {
    const { id } = record, space = this.overlays.space(id), shown = name ?? record.name;
    const own = space.settings ?? { network: { name: shown }, overlay: {} };
    const named = { name: shown, record, settings: own }, problem = networkProblem(this.overlays, id);
    return {
      kind: "overlay",
      key: name ?? id,
      title: shown || id,
      id,
      record,
      named: name === undefined ? undefined : named,
      settings: this.overlays.isPartial(id) ? undefined : effectiveNetwork(named),
      problem,
      space,
    };
  }

  /** Names of overlay networks by id. */
  #names(): Map<string, string> {
    return new Map([...this.overlays.networkNames()].map(([name, id]) => [id, name]));
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
