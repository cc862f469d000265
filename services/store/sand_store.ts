/** Opens the store of overlay networks (SAND's keys) for the agent and nexd. */
import type { Log } from "../common/log.ts";
import { Refusal } from "../common/refusal.ts";
import type { EtcdConnectionOptions } from "./connection.ts";
import { Holds } from "./holds.ts";
import { leanSchema } from "./lean_records.ts";
import { waitForLocks } from "./lock_wait.ts";
import { rangeUnder } from "./messages.ts";
import { logMirrorEvents } from "./mirror_log.ts";
import type { MirrorOptions } from "./mirror.ts";
import { SandKeys } from "./sand_keys.ts";
import {
  type DockerEndpointRecord,
  type DockerNetworkRecord,
  type EndpointRecord,
  type NameClaimRecord,
  type SandRecord,
  sandSchema,
} from "./sand_records.ts";
import { openStore, type Store } from "./store.ts";

export interface SandStoreOptions extends EtcdConnectionOptions, Pick<MirrorOptions, "settleMs"> {
  /** ETCD_PREFIX */
  readonly prefix: string;
  /** The host whose networks and endpoints are followed from the start; undefined: those of none. */
  readonly hostname?: string;
  /** True: all networks of all hosts are followed from the start, by {@link leanSchema}, and no network need be held. */
  readonly everything?: boolean;
  /** The log for the events of the mirror. */
  readonly log: Log;
  /** True: another mirror of the process logs whether etcd can be followed. */
  readonly besideAnother?: boolean;
  /** Is called after a full listing, perhaps of another etcd, and before its changes, if any, are reported. */
  readonly onRelisted?: () => void;
}

/**
 * The overlay networks as one host needs them. The mirror follows every network's record and name, everything about this
 * host, and for each held network its endpoints, hosts, claims, applied revisions, settings and reservations.
 *
 * The committer waits for the locks of older SAND agents, see {@link waitForLocks}. Methods that read etcd throw
 * Refusal "unavailable".
 */
export interface SandStore extends Store<SandRecord> {
  readonly keys: SandKeys;
  /**
   * Resolves when the mirror shows everything about the network, and follows that until the returned function is called.
   * If another caller holds it already, no request is sent. Throws Refusal "unavailable", "not-found" for what cannot be an id.
   */
  hold(network: string): Promise<() => void>;
  /** Holds many networks, in one round. */
  holdAll(networks: readonly string[]): Promise<() => void>;
  /** Reads all endpoints of all hosts from etcd; unreadable ones are left out. */
  allEndpoints(): Promise<EndpointRecord[]>;
  endpointsOfHost(hostname: string): Promise<EndpointRecord[]>;
  endpointsOfNetwork(network: string): Promise<EndpointRecord[]>;
  /** The id of the network that a Docker network stands for; undefined when none is recorded. */
  dockerNetwork(id: string): Promise<DockerNetworkRecord | undefined>;
  /** Reads from etcd which endpoints of all hosts are Docker's; unreadable ones are left out. */
  allDockerEndpoints(): Promise<DockerEndpointRecord[]>;
  /**
   * Reads the claim on a host's name from etcd, with its key's mod revision (0: there is none); throws Error for an
   * unreadable one.
   */
  nameClaim(hostname: string): Promise<{ readonly modRevision: number; readonly record?: NameClaimRecord }>;
  /** Reads the claims on all hosts' names from etcd, by host; unreadable ones are left out. */
  nameClaims(): Promise<ReadonlyMap<string, NameClaimRecord>>;
  /**
   * The number of networks under /sc-net where nothing at all is under the configured prefix, which suggests a
   * misspelt one; else 0.
   */
  networksElsewhere(): Promise<number>;
}

/**
 * Refuses a prefix under which nothing is while another one has networks: a misspelt prefix must not look like a
 * cluster in which everything was deleted. Throws Refusal "invalid", or "unavailable".
 */
export async function refuseOtherPrefix(store: SandStore): Promise<void> {
  const count = await store.networksElsewhere();
  if (!count) return;
  const { prefix } = store.keys, usual = new SandKeys().prefix;
  throw new Refusal(
    "invalid",
    `ETCD_PREFIX: nothing is under ${prefix} in etcd, and ${count} networks are under ${usual}: set ETCD_PREFIX=${usual}`,
  );
}

/** Opens the store of overlay networks; etcd need not be there yet. Throws Refusal as {@link openStore} does. */
export function openSandStore(options: SandStoreOptions): SandStore {
  const { hostname, log, onRelisted } = options, toTheLog = logMirrorEvents(log);
  const keys = new SandKeys(options.prefix);
  const ofHost = hostname === undefined ? [] : [
    keys.hostEndpoints(hostname),
    keys.hostNetworks(hostname),
    keys.allDeleted,
    keys.nameClaim(hostname),
  ];
  const followed = options.everything ? keys.ofAllNetworks : [keys.networks, keys.networkNames, ...ofHost];
  const whole = sandSchema(keys, followed), schema = options.everything ? leanSchema(whole) : whole;
  const store = openStore({
    ...options,
    schema,
    fenceKey: (name) => keys.fence(name),
    report: (event) => {
      const isSync = event.kind === "in-sync" || event.kind === "out-of-sync";
      if (!(isSync && options.besideAnother)) toTheLog(event);
      if (event.kind === "relisted") onRelisted?.();
    },
  });
  const { connection, committer, mirror } = store;
  const holds = new Holds(mirror, (network) => [
    ...aboutNetwork(keys, network),
    ...hostname === undefined ? [keys.deleted(network)] : [],
  ]);

  const decoder = new TextDecoder();
  const recordsUnder = async (prefix: string): Promise<SandRecord[]> => {
    const found: SandRecord[] = [];
    for await (const { kvs } of connection.list([prefix])) {
      for (const { key, value } of kvs) {
        try {
          const record = schema.parse(key, decoder.decode(value));
          if (record) found.push(record);
        } catch (error) {
          log.debug({ err: error }, `the record ${key} in etcd cannot be read and is left out`);
        }
      }
    }
    return found;
  };
  const endpointsUnder = async (prefix: string): Promise<EndpointRecord[]> =>
    (await recordsUnder(prefix)).flatMap((record) =>
      record.kind === "host-endpoint" || record.kind === "network-endpoint" ? [record.value] : []
    );

  return {
    ...store,
    keys,
    committer: {
      ...waitForLocks(store, { isLock: (key) => keys.isLock(key) }),
      get refused() {
        return committer.refused;
      },
    },
    hold: (network) => holds.hold([network]),
    holdAll: (networks) => holds.hold(networks),
    allEndpoints: () => endpointsUnder(keys.allEndpoints),
    endpointsOfHost: (host) => endpointsUnder(keys.hostEndpoints(host)),
    endpointsOfNetwork: (network) => endpointsUnder(keys.networkEndpoints(network)),
    async dockerNetwork(id) {
      const key = keys.dockerNetwork(id), found = await connection.get(key);
      const record = found && schema.parse(key, decoder.decode(found.value));
      return record?.kind === "docker-network" ? record.value : undefined;
    },
    allDockerEndpoints: async () =>
      (await recordsUnder(keys.allDockerEndpoints)).flatMap((record) =>
        record.kind === "docker-endpoint" ? [record.value] : []
      ),
    async nameClaim(hostname) {
      const key = keys.nameClaim(hostname), found = await connection.get(key);
      if (!found) return { modRevision: 0 };
      const record = schema.parse(key, decoder.decode(found.value));
      if (record?.kind !== "name-claim") throw new Error(`${key}: no claim on a name`);
      return { modRevision: found.modRevision, record: record.value };
    },
    nameClaims: async () =>
      new Map(
        (await recordsUnder(keys.nameClaims)).flatMap((record) =>
          record.kind === "name-claim" ? [[record.host, record.value] as const] : []
        ),
      ),
    async networksElsewhere() {
      const usual = new SandKeys();
      if (keys.prefix === usual.prefix) return 0;
      const here = await connection.range({ ...rangeUnder(`${keys.prefix}/`), limit: 1, keysOnly: true });
      // In key order, the keys that all agents write come before those that only Strand writes.
      if (here.kvs.some(({ key }) => !key.startsWith(`${keys.prefix}/strand/`))) return 0;
      let count = 0;
      for await (const { kvs } of connection.list([usual.networks], { keysOnly: true })) {
        for (const { key } of kvs) if (usual.read(key)?.kind === "network") count++;
      }
      return count;
    },
  };
}

function aboutNetwork(keys: SandKeys, network: string): readonly string[] {
  if (network === "" || network.includes("/")) {
    throw new Refusal("not-found", `there is no network "${network}"`);
  }
  return [
    keys.networkEndpoints(network),
    keys.networkHosts(network),
    keys.allocation(network),
    keys.cursor(network),
    keys.appliedOf(network),
    keys.namesOf(network),
  ];
}
