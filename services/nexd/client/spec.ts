/** Parses YAML specs, as `nex apply` and `nex set network FILE` take them. */
import { type Document, isMap, isScalar, LineCounter, parseAllDocuments } from "yaml";
import type { MemberList, MessageInput, Network } from "../../../proto/types.ts";
import { closest } from "../../common/closest.ts";
import { messageOf, Refusal } from "../../common/refusal.ts";
import { Refusals } from "../../common/refusals.ts";
import { readMembers, readNetwork } from "./spec_kinds.ts";
import {
  at,
  gather,
  isEmpty,
  isWrong,
  markWrong,
  placed,
  type PlacedRefusal,
  placeOf,
  refused,
  text,
  type Value,
} from "./spec_values.ts";

/** A spec's contents: networks, and members of these or of existing networks; each in file order. */
export interface Spec {
  networks: MessageInput<Network>[];
  members: MessageInput<MemberList>[];
}

const kinds = ["Network", "MemberList"] as const;

/** A file of a spec: its name, for messages, and its text. */
export interface SpecFile {
  readonly file: string;
  readonly source: string;
}

/** All refusals of spec files that were found without a server. */
export class SpecRefused extends Refusals {
  /** @param rest The parts that are not refused, nor belong to one that is; undefined: it cannot be told which these are. */
  constructor(all: readonly Refusal[], readonly rest: Spec | undefined) {
    super(all);
  }
}

/**
 * Reads whole spec files and checks all that can be checked without a server.
 *
 * @throws SpecRefused, whose refusals name file, document, line and field
 */
export function readSpecs(files: readonly SpecFile[]): Spec {
  const reading = new Reading();
  for (const { file, source } of files) reading.file(file, source);
  const { spec, refusals } = reading;
  if (refusals.length) throw new SpecRefused(refusals, reading.rest());
  if (spec.networks.length + spec.members.length > 0) return spec;
  const names = files.map(({ file }) => file).join(", ");
  throw new Refusal("invalid", `${names}: holds no document of kind Network or MemberList`);
}

/** The parts of a spec that have been read so far, and the refusals. */
class Reading {
  readonly spec: Spec = { networks: [], members: [] };
  readonly refusals: Refusal[] = [];
  readonly #duplicates = new Duplicates();
  /** The networks that are refused in part, and whether all documents could be told to be about a network. */
  readonly #wrong = new Set<string>();
  #isTold = true;
  #files = 0;

  file(file: string, source: string): void {
    const lines = new LineCounter();
    this.#files++;
    let documents: Document.Parsed[];
    try {
      documents = parse(file, source, lines);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      this.refusals.push(error);
      this.#isTold = false;
      return;
    }
    documents.forEach((document, i) => {
      const refusals: PlacedRefusal[] = [], start = document.range[0];
      const place = { file, fileNumber: this.#files, document: i + 1, lines, start, refusals };
      const value: Value = { node: document.contents, field: "", place };
      for (const problem of [...document.errors, ...document.warnings]) {
        refusals.push(refused({ ...value, node: { range: problem.pos } }, problem.message));
      }
      if (refusals.length) this.#isTold = false;
      else if (!isEmpty(value.node)) this.#document(value);
      for (const refusal of refusals) this.refusals.push(refusal);
    });
  }

  #document(value: Value): void {
    const { refusals } = value.place;
    const kind = gather(value, () => kindOf(value));
    if (kind === "Network") {
      const network = gather(value, () => readNetwork(value)), name = network?.name ?? writtenName(value);
      if (network) this.#duplicates.check("network", network.name ?? "", at(value, "name"));
      if (network && !refusals.length) this.spec.networks.push(network);
      else if (name) this.#wrong.add(name);
      else this.#isTold = false;
    } else if (kind) {
      const members = gather(value, () => readMembers(value));
      if (members) this.#duplicates.checkMembers(members);
      if (members?.net) this.spec.members.push(members);
    } else this.#isTold = false;
  }

  /** The part that a server can be asked about. Members of a network that is refused would be refused with it. */
  rest(): Spec | undefined {
    const { networks } = this.spec;
    const members = this.spec.members.filter(({ net }) => !this.#wrong.has(net ?? "")).map((members) => {
      const value = placeOf(members);
      const list = (members.list ?? []).filter((member) => !isWrong(member)), right = { ...members, list };
      return value ? placed(value, right) : right;
    });
    return this.#isTold && networks.length + members.length > 0 ? { networks, members } : undefined;
  }
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

/** The name of a network as it is written, also where it can be none; undefined where there is no text in its place. */
function writtenName(value: Value): string | undefined {
  const { node, field } = at(value, "name");
  return field === "name" && isScalar(node) && typeof node.value === "string" ? node.value : undefined;
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

/** Values that must not occur twice in the files. */
class Duplicates {
  readonly #places = new Map<string, Value["place"]>();

  /** Notes a refusal where a value is there already. @returns whether it is not */
  check(what: string, id: string, value: Value, scope = ""): boolean {
    if (!id) return true;
    const key = `${what}\n${scope}\n${id}`, { place } = value;
    const before = this.#places.get(key);
    if (before === undefined) {
      this.#places.set(key, place);
      return true;
    }
    const file = before.file === place.file ? "" : ` of ${before.file}`;
    gather(value, () => {
      throw refused(value, `${what} ${id} is there already, in document ${before.document}${file}`);
    });
    return false;
  }

  checkMembers({ net: given, list }: MessageInput<MemberList>): void {
    const net = given ?? "";
    for (const member of list ?? []) {
      const value = placeOf(member), { mac, name, shared, ip4, ip6 } = member;
      if (!value) continue;
      // Of a member that is there twice all else is, too.
      const isFirst = this.check("mac", mac ?? "", at(value, "mac"), net) && [
        shared || this.check("name", name?.toLowerCase() ?? "", at(value, "name"), net),
        // Overlay networks may have the same addresses; the server knows which of the networks have an overlay.
        this.check("address", ip4?.address ?? "", at(value, "ip4"), net),
        this.check("address", ip6?.address ?? "", at(value, "ip6"), net),
      ].every(Boolean);
      if (!isFirst) markWrong(member);
    }
  }
}
