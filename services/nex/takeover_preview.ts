/** Runs a takeover on a copy of the store in memory, by the code of the real one, to show what it would write. */
import { isNexKey } from "../store/keys.ts";
import { MemoryStore } from "../store/memory_store.ts";
import { type NexRecord, nexSchema } from "../store/records.ts";
import { Nex } from "./nex.ts";

/** The action of the takeover on a key. */
export type KeyAction =
  | { readonly key: string; readonly action: "write"; readonly value: string }
  | { readonly key: string; readonly action: "remove" | "keep" }
  | { readonly key: string; readonly action: "not understood"; readonly reason: string };

export interface TakeoverPreview {
  /** For every key, in order; while one is not understood, all others are kept. */
  readonly keys: readonly KeyAction[];
  /** The decisions where records contradict each other, a sentence each. */
  readonly decisions: readonly string[];
}

/** @param stored Every key of a store with its value. */
export async function previewTakeover(stored: Readonly<Record<string, string>>): Promise<TakeoverPreview> {
  const memory = new MemoryStore<NexRecord>(nexSchema, stored), { mirror } = memory;
  const nex = new Nex({
    mirror,
    committer: memory,
    current: (keys) => Promise.resolve(keys.map((key) => ({ key, modRevision: mirror.version(key) }))),
    confirmed: () => Promise.resolve(),
    settled: () => Promise.resolve(),
  });
  const decisions = nex.view.unreadable.misread ? [] : nex.conflicts();
  await nex.takeOver();
  const keys = [...new Set([...Object.keys(stored), ...memory.values.keys()])].sort();
  return { keys: keys.map((key) => actionFor(key, stored[key], memory)), decisions };
}

function actionFor(
  key: string,
  before: string | undefined,
  { mirror, values }: MemoryStore<NexRecord>,
): KeyAction {
  const reason = isNexKey(key) ? mirror.state.quarantined.get(key) : undefined;
  if (reason !== undefined) return { key, action: "not understood", reason };
  const value = values.get(key)?.value;
  if (value === undefined) return { key, action: "remove" };
  return value === before ? { key, action: "keep" } : { key, action: "write", value };
}
