/** Parses a YAML configuration file and remembers the line of each value, so that errors can name it. */
import { createRequire } from "node:module";
import type { Node } from "yaml";
import { Refusal } from "./refusal.ts";

const require = createRequire(import.meta.url);

/** A parsed YAML file, with the line of each value. */
export interface SettingsFile {
  readonly values: Record<string, unknown>;
  /** The line of the deepest key or item on `path` that is in the file, counted from 1. */
  lineOf(path: readonly PropertyKey[]): number;
}

/** Parses YAML text; a refusal names `file` and the line of an error. An empty key counts as absent. */
export function parseSettings(file: string, text: string): SettingsFile {
  // Loaded only when there is a file: an agent has its settings from the environment, and its start takes 73 modules less.
  const { isMap, isScalar, isSeq, LineCounter, parseDocument }: typeof import("yaml") = require("yaml");
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const lineAt = (offset: number) => lines.linePos(offset).line;
  const [error] = document.errors;
  if (error) throw new Refusal("invalid", `${file}:${lineAt(error.pos[0])}: ${error.message}`);
  const root = document.contents;
  if (root !== null && !isMap(root) && !(isScalar(root) && root.value === null)) {
    throw new Refusal("invalid", `${file}:${lineAt(offsetOf(root) ?? 0)}: not a mapping of sections to keys`);
  }
  return {
    values: sections(document.toJS() ?? {}),
    lineOf(path) {
      let node: unknown = root, offset = 0;
      for (const step of path) {
        const pair = isMap(node)
          ? node.items.find(({ key }) => isScalar(key) && key.value === step)
          : undefined;
        const item = isSeq(node) ? node.items[Number(step)] : undefined;
        offset = offsetOf(pair?.key ?? item) ?? offset;
        node = pair?.value ?? item;
      }
      return lineAt(offset);
    },
  };
}

function offsetOf(node: unknown): number | undefined {
  return (node as Node | undefined)?.range?.[0];
}

/** Replaces an empty section by one without keys. */
function sections(values: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).map(([name, keys]) => [name, withoutNulls(keys) ?? {}]));
}

function withoutNulls(value: unknown): unknown {
  if (value === null || typeof value !== "object" || Array.isArray(value)) return value;
  return Object.fromEntries(
    Object.entries(value).filter(([, v]) => v !== null).map(([k, v]) => [k, withoutNulls(v)]),
  );
}
