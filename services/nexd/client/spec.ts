/** Parses YAML specs, as `nex apply` and `nex set network FILE` take them. */
import { type Document, isMap, LineCounter, parseAllDocuments } from "yaml";
import type { MemberList, Network, Sent } from "../../../proto/types.ts";
import { closest } from "../../common/closest.ts";
import { messageOf, Refusal } from "../../common/refusal.ts";
import { readMembers, readNetwork } from "./spec_kinds.ts";
import { at, isEmpty, refused, text, type Value } from "./spec_values.ts";

/** A spec's contents: networks, and members of these or of existing networks; each in file order. */
export interface Spec {
  networks: Sent<Network>[];
  members: Sent<MemberList>[];
}

const kinds = ["Network", "MemberList"] as const;

/** A file of a spec: its name, for messages, and its text. */
export interface SpecFile {
  readonly file: string;
  readonly source: string;
}

/**
 * Reads whole spec files and checks all that can be checked without a server.
 *
 * @throws Refusal that names file, document, line and field
 */
export function readSpecs(files: readonly SpecFile[]): Spec {
  const spec: Spec = { networks: [], members: [] };
  const duplicates = new Duplicates();
  for (const { file, source } of files) readFile(file, source, spec, duplicates);
  if (spec.networks.length + spec.members.length > 0) return spec;
  const names = files.map(({ file }) => file).join(", ");
  throw new Refusal("invalid", `${names}: holds no document of kind Network or MemberList`);
}

function readFile(file: string, source: string, spec: Spec, duplicates: Duplicates): void {
  const lines = new LineCounter();
  parse(file, source, lines).forEach((document, i) => {
    const value: Value = {
      node: document.contents,
      field: "",
      place: { file, document: i + 1, lines, start: document.range[0] },
    };
    const problem = document.errors[0] ?? document.warnings[0];
    if (problem) throw refused({ ...value, node: { range: problem.pos } }, problem.message);
    if (isEmpty(value.node)) return;
    if (kindOf(value) === "Network") {
      const network = readNetwork(value);
      duplicates.check("network", network.name ?? "", () => at(value, "name"));
      spec.networks.push(network);
    } else {
      const members = readMembers(value);
      duplicates.checkMembers(members, value);
      spec.members.push(members);
    }
  });
}

/** How many lists and mappings may lie in one another; a spec has four. */
const DEEPEST = 100;

function parse(file: string, source: string, lineCounter: LineCounter): Document.Parsed[] {
  if (isDeep(source)) {
    throw new Refusal("invalid", `${file}: more than ${DEEPEST} lists and mappings lie in one another there`);
  }
  try {
    // The failsafe schema leaves every scalar as it is written. Its own check of keys compares each with all before it, which
    // takes minutes for a megabyte of them; mapping() has one too.
    const options = { schema: "failsafe", lineCounter, prettyErrors: false, uniqueKeys: false } as const;
    return [...parseAllDocuments(source, options)];
  } catch (error) {
    // Thousands of levels exhaust the stack.
    throw new Refusal("invalid", `${file}: cannot be read as YAML: ${messageOf(error)}`, { cause: error });
  }
}

/** True for brackets without end or beginning, which the parser needs minutes for; one in a text between quotes counts too. */
function isDeep(source: string): boolean {
  let depth = 0;
  for (const [bracket] of source.matchAll(/[[\]{}]/g)) {
    depth += bracket === "[" || bracket === "{" ? 1 : -1;
    if (Math.abs(depth) > DEEPEST) return true;
  }
  return false;
}

function kindOf(value: Value): typeof kinds[number] {
  if (!isMap(value.node)) {
    throw refused(value, "not a mapping of keys to values that begins with kind: Network or MemberList");
  }
  if (!value.node.has("kind")) throw refused(value, "kind: missing; it is Network or MemberList");
  const found = at(value, "kind");
  const kind = text({ ...found, field: "kind" });
  const known = kinds.find((k) => k === kind);
  if (known) return known;
  const meant = kinds.find((k) =>
    k.toLowerCase() === closest(kind.toLowerCase(), kinds.map((k) => k.toLowerCase()))
  );
  throw refused(
    found,
    `kind: "${kind}" is unknown; ${meant ? `did you mean ${meant}?` : "it is Network or MemberList"}`,
  );
}

/** Values that must not occur twice in a file. */
class Duplicates {
  readonly #documents = new Map<string, Value["place"]>();

  check(what: string, id: string, where: () => Value, scope = ""): void {
    if (!id) return;
    const key = `${what}\n${scope}\n${id}`;
    const before = this.#documents.get(key);
    const { place } = where();
    if (before !== undefined) {
      const file = before.file === place.file ? "" : ` of ${before.file}`;
      throw refused(where(), `${what} ${id} is there already, in document ${before.document}${file}`);
    }
    this.#documents.set(key, place);
  }

  checkMembers({ net, list }: Sent<MemberList>, value: Value): void {
    list?.forEach(({ mac, name, shared, ip4, ip6 }, i) => {
      this.check("mac", mac ?? "", () => at(value, "list", i, "mac"), net ?? "");
      if (!shared) {
        this.check("name", name?.toLowerCase() ?? "", () => at(value, "list", i, "name"), net ?? "");
      }
      // Overlay networks may have the same addresses; the server knows which of the networks have an overlay.
      this.check("address", ip4?.address ?? "", () => at(value, "list", i, "ip4"), net ?? "");
      this.check("address", ip6?.address ?? "", () => at(value, "list", i, "ip6"), net ?? "");
    });
  }
}
