/**
 * Checks a history of etcd and what clients were told meanwhile: no address, name, MAC or VNI belongs to two at any
 * revision, and no MAC is twice in one network; no acknowledged change was undone and none was applied twice; nothing that
 * is there was said to be missing, or the other way round; and no two DHCP leases of one address overlap.
 */
import type { Transaction } from "./record.ts";

/** What a client asked for, of a key that no other client touches, and what it was told. */
export interface ClientRequest {
  readonly kind: "asked";
  readonly what: "add" | "delete";
  /** The key in etcd that appears or goes with it. */
  readonly key: string;
  /** `unknown`: no answer, or one that leaves it open. */
  readonly outcome: "done" | "refused" | "unknown";
  /** The error's words. */
  readonly said?: string;
  /** Milliseconds since the epoch. */
  readonly from: number;
  readonly to: number;
}

/** What a client was told of a key that no other client touches, while it changed nothing. Milliseconds since the epoch. */
export interface Said {
  readonly kind: "said";
  readonly key: string;
  readonly isThere: boolean;
  readonly from: number;
  readonly to: number;
}

/** A time in which a DHCP client may use an address, by what its server told it. Milliseconds since the epoch. */
export interface Held {
  readonly kind: "held";
  readonly address: string;
  readonly mac: string;
  readonly from: number;
  readonly to: number;
}

export type Told = ClientRequest | Said | Held;

/** Every fault, a sentence each; none when all is well. */
export function faultsOf(
  history: readonly Transaction[],
  told: readonly Told[],
  prefix = "/sc-net",
): string[] {
  return [
    ...uniquenessFaults(history, prefix),
    ...changeFaults(history, told.filter((one) => one.kind === "asked")),
    ...falseAnswers(told.filter((one) => one.kind === "asked"), told.filter((one) => one.kind === "said")),
    ...leaseFaults(told.filter((one) => one.kind === "held")),
  ];
}

/** Values that may belong to one key at a time. */
class Unique {
  readonly #owners = new Map<string, Set<string>>();
  readonly #owned = new Map<string, readonly string[]>();

  /** Gives `owner` these values in place of those that it had. */
  set(owner: string, values: readonly string[]): void {
    for (const value of this.#owned.get(owner) ?? []) this.#owners.get(value)?.delete(owner);
    this.#owned.set(owner, values);
    for (const value of values) {
      const owners = this.#owners.get(value) ?? new Set();
      this.#owners.set(value, owners.add(owner));
    }
  }

  /** Of what `owner` has: the values that another has too, as sentences. */
  shared(owner: string): string[] {
    return (this.#owned.get(owner) ?? []).flatMap((value) => {
      const owners = [...this.#owners.get(value) ?? []];
      return owners.length > 1 ? [`${value} belongs to ${owners.sort().join(" and ")}`] : [];
    });
  }
}

function uniquenessFaults(history: readonly Transaction[], prefix: string): string[] {
  const unique = new Unique(), faults = new Set<string>();
  for (const { revision, writes } of history) {
    const touched = writes.map(({ key, value }) => {
      unique.set(key, value === undefined ? [] : claimsOf(key, value, prefix));
      return key;
    });
    for (const key of touched) {
      for (const fault of unique.shared(key)) faults.add(`revision ${revision}: ${fault}`);
    }
  }
  return [...faults];
}

interface MemberValue {
  readonly net?: string;
  readonly ip4?: { readonly address?: string };
  readonly name?: string;
  readonly shared?: boolean;
}

/** What a record has that no other record may have at the same time. */
function claimsOf(key: string, value: string, prefix: string): string[] {
  const [, mac] = /^\/(?:member|strand\/member\/[^/]+)\/([0-9a-f:]{17})$/.exec(key) ?? [];
  if (mac) {
    const { net, ip4, name, shared } = JSON.parse(value) as MemberValue;
    return [
      ...(net ? [`network ${net}'s member ${mac}`] : []),
      ...(ip4?.address ? [`address ${ip4.address}`] : []),
      ...(name && !shared ? [`name ${name.toLowerCase()}`] : []),
    ];
  }
  const [, address] = /^\/strand\/nex\/withheld\/([0-9.]+)$/.exec(key) ?? [];
  if (address) return JSON.parse(value).leased ? [`address ${address}`] : [];
  if (key.startsWith(`${prefix}/network/`)) return [`VNI ${JSON.parse(value).vxlan_vni}`];
  if (key.startsWith(`${prefix}/network-endpoints/`)) {
    const { network_id: network, target_veth_ip: ip, target_veth_mac: mac } = JSON.parse(value);
    return [`${network} address ${ip}`, `${network} MAC ${mac}`];
  }
  return [];
}

function changeFaults(history: readonly Transaction[], requests: readonly ClientRequest[]): string[] {
  const created = new Map<string, number>(), removed = new Map<string, number>();
  const count = (counts: Map<string, number>, key: string) => counts.set(key, (counts.get(key) ?? 0) + 1);
  for (const { writes } of history) {
    for (const { key, value, created: isNew } of writes) {
      if (value === undefined) count(removed, key);
      else if (isNew) count(created, key);
    }
  }
  const byKey = Map.groupBy(requests, ({ key }) => key);
  const faults: string[] = [];
  for (const [key, ops] of byKey) {
    for (
      const [what, times] of [["add", created.get(key) ?? 0], ["delete", removed.get(key) ?? 0]] as const
    ) {
      const of = ops.filter((op) => op.what === what);
      const done = of.filter(({ outcome }) => outcome === "done").length;
      const open = of.filter(({ outcome }) => outcome === "unknown").length;
      if (times < done) faults.push(`${key}: ${done} ${what} were acknowledged, and etcd shows ${times}`);
      if (times > done + open) {
        faults.push(`${key}: ${what} was asked for ${done + open} times at most, and etcd shows ${times}`);
      }
    }
    for (const { what, outcome, said, from } of ops) {
      // Each key has one client, which asks for what must be possible as long as it has had clear answers.
      const before = ops.filter((op) => op.from < from);
      if (outcome === "refused" && before.every((op) => op.outcome === "done")) {
        faults.push(`${key}: ${what} was refused though nothing forbids it: ${said}`);
      }
    }
  }
  return faults;
}

function falseAnswers(requests: readonly ClientRequest[], said: readonly Said[]): string[] {
  const byKey = Map.groupBy(requests, ({ key }) => key);
  return said.flatMap(({ key, isThere, from, to }) => {
    const before = (byKey.get(key) ?? []).filter((op) => op.from < from);
    const last = before.reduce<ClientRequest | undefined>((a, b) => a && a.from > b.from ? a : b, undefined);
    // Each key has one client: as long as it has had clear answers it knows what is there.
    if (!last || !before.every(({ outcome }) => outcome === "done")) return [];
    if (isThere === (last.what === "add")) return [];
    return `${key}: was said ${
      isThere ? "" : "not "
    }to be there, at ${from} to ${to}, after its ${last.what} was acknowledged`;
  });
}

function leaseFaults(held: readonly Held[]): string[] {
  const faults: string[] = [];
  for (const [address, leases] of Map.groupBy(held, ({ address }) => address)) {
    // The latest end of each holder so far, which a later start by another must not come before.
    const ends = new Map<string, number>();
    for (const { mac, from, to } of leases.sort((a, b) => a.from - b.from)) {
      for (const [other, end] of ends) {
        if (other !== mac && end > from) {
          faults.push(
            `${address}: ${mac} got it ${Math.round(end - from)} ms before the lease of ${other} ended, at ${
              Math.round(from)
            }`,
          );
        }
      }
      // A release cuts short what an earlier acknowledgement allowed.
      ends.set(mac, to);
    }
  }
  return faults;
}
