/** Helpers for tests of plans: a store in memory, a mirror that is behind, and the network of the walk-throughs. */
import { MemoryStore } from "../store/memory_store.ts";
import { pack } from "../store/plan_builder.ts";
import { type NexRecord, nexSchema } from "../store/records.ts";
import type { Change, Mirror } from "../store/types.ts";
import { Draft } from "./steps.ts";
import { NexView } from "./view.ts";

/** A store in memory with a view on it, for tests: plans are committed at once. */
export function lab(initial: Record<string, unknown> = {}) {
  const text = (v: unknown) => typeof v === "string" ? v : JSON.stringify(v);
  const store = new MemoryStore<NexRecord>(
    nexSchema,
    Object.fromEntries(Object.entries(initial).map(([k, v]) => [k, text(v)])),
  );
  const view = new NexView(store.mirror);
  return {
    store,
    view,
    /** Plans and commits, each transaction on its own; throws when one conflicts. */
    do<T>(plan: (draft: Draft) => T): T {
      const draft = new Draft(view);
      const result = plan(draft);
      const written = new Map<string, number>();
      for (const { guards, prefixGuards = [], ops } of pack(draft.steps)) {
        const seen = guards.map((g) => ({ ...g, modRevision: written.get(g.key) ?? g.modRevision }));
        const outcome = store.write({ guards: seen, prefixGuards, ops });
        if (!outcome.committed) throw new Error(`conflict on ${JSON.stringify(outcome.current)}`);
        for (const op of ops) {
          if ("put" in op) written.set(op.put, outcome.revision);
          else written.set(op.remove, 0);
        }
      }
      return result;
    },
    /** The stored JSON of a key. */
    json: (key: string) => JSON.parse(store.values.get(key)?.value ?? "null"),
    keys: () => [...store.values.keys()].sort(),
  };
}

/**
 * A mirror that shows changes under one of its schema's prefixes only when `catchUp` is called: etcd's watch delivers each prefix
 * by itself, so one may be behind another.
 */
export function lagging(mirror: Mirror<NexRecord>, prefix: string) {
  const entries = new Map([...mirror.entries()].map((entry) => [entry.key, entry]));
  const listeners = new Set<(changes: readonly Change<NexRecord>[]) => void>();
  let held: Change<NexRecord>[] = [];
  const tell = (changes: readonly Change<NexRecord>[]) => {
    for (const { key, after } of changes) {
      if (after) entries.set(key, after);
      else entries.delete(key);
    }
    for (const listener of listeners) listener(changes);
  };
  mirror.subscribe((changes) => {
    held.push(...changes.filter(({ key }) => key.startsWith(prefix)));
    tell(changes.filter(({ key }) => !key.startsWith(prefix)));
  });
  const behind: Mirror<NexRecord> = {
    ...mirror,
    get: (key) => entries.get(key),
    entries: () => entries.values(),
    subscribe: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  return {
    view: new NexView(behind),
    catchUp() {
      tell(held);
      held = [];
    },
  };
}

/** The network and the members that every walk-through uses. */
export const mini = {
  name: "mini",
  subnet4: "10.0.0.0/24",
  gateways: ["10.0.0.1"],
  nameservers: ["10.0.0.1"],
  dhcp4server: "10.0.0.1",
  domain: "mini.net",
  Range4: { begin: "10.0.0.10", end: "10.0.0.254" },
};

/** The MACs that begin with these octets, as a macRange. */
export function macsWith(prefix: string): { begin: string; end: string } {
  const rest = 6 - prefix.split(":").length;
  return { begin: prefix + ":00".repeat(rest), end: prefix + ":ff".repeat(rest) };
}

/** `mini` with a macRange: clients with such a MAC get a lease without being members. */
export function openMini(prefix = "02:aa") {
  return { ...mini, macRange: macsWith(prefix) };
}

export const miniMembers = [
  { mac: "00:00:11:11:00:01", name: "whiskey" },
  { mac: "00:00:22:22:00:01", name: "tango" },
  { mac: "00:00:33:33:00:01", name: "foxtrot" },
];
