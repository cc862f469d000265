/**
 * Completes an upstream's answer whose aliases (CNAME) lead into a zone of ours with our own records. A stub resolver does
 * not ask for the target again, and an upstream does not know our names.
 */
import { read16, write16 } from "../common/bytes.ts";
import type { Cached } from "./cache.ts";
import { layoutOf, lowerCase, POINTER_MAX, rcodeOf, readName } from "./message.ts";
import { CLASS_IN, HEADER, skipName, TCP_MAX, TYPE } from "./wire.ts";

/** The longest chain of aliases that is followed; a longer one is a loop. */
const MOST_ALIASES = 16;

/** Answers with more records are not searched for aliases: that would cost the same at each repetition of the query. */
const MOST_RECORDS = 64;

/** Answers a query from our records; undefined when its name is in none of our zones. */
export type AnswerOurs = (query: Uint8Array) => Uint8Array | undefined;

interface AnswerRecord {
  /** In lower case, as a key. */
  readonly owner: string;
  readonly name: Uint8Array;
  readonly type: number;
  /** The offsets at which its type begins in the message, and at which it ends. */
  readonly fixed: number;
  readonly end: number;
}

/**
 * Makes an upstream's answer end with our records where its chain of aliases comes to the first name of ours.
 * Our RCODE becomes that of the whole: NXDOMAIN and NODATA of the target, with our SOA (RFC 2308 §2.1).
 *
 * @returns the same answer when no alias leads to us
 */
export function completeAliases(found: Cached, answerOurs: AnswerOurs): Cached {
  const { message, layout: { questionEnd } } = found;
  const type = read16(message, questionEnd - 4);
  // A query for the alias itself is answered by it (RFC 1034 §3.6.2).
  if (type === TYPE.CNAME || type === TYPE.ANY) return found;
  const records = answerRecords(message, questionEnd);
  if (!records?.some((record) => record.type === TYPE.CNAME)) return found;
  const kept = records.filter((record) => coveredType(message, record) === TYPE.DNAME);
  let owner = lowerCase(message, HEADER, questionEnd - 4);
  for (let i = 0; i < MOST_ALIASES; i++) {
    const links = records.filter((record) =>
      record.owner === owner && coveredType(message, record) === TYPE.CNAME
    );
    const alias = links.find((link) => link.type === TYPE.CNAME);
    const target = alias && readName(message, alias.fixed + 10);
    if (!target) return found;
    // The alias first, then its signatures: some stub resolvers depend on the order.
    kept.push(alias, ...links.filter((link) => link.type === TYPE.RRSIG));
    const ours = answerOurs(queryOf(target, type));
    if (ours) return compose(found, kept, target, ours) ?? found;
    owner = lowerCase(target);
  }
  return found;
}

function answerRecords(message: Uint8Array, questionEnd: number): AnswerRecord[] | undefined {
  const records: AnswerRecord[] = [], count = read16(message, 6);
  if (count > MOST_RECORDS) return undefined;
  let at = questionEnd;
  for (let left = count; left > 0; left--) {
    const name = readName(message, at);
    if (!name) return undefined;
    const fixed = skipName(message, at, message.length);
    const end = fixed + 10 + read16(message, fixed + 8);
    records.push({ owner: lowerCase(name), name, type: read16(message, fixed), fixed, end });
    at = end;
  }
  return records;
}

/** A record's type, or the one that it signs. */
function coveredType(message: Uint8Array, { type, fixed }: AnswerRecord): number {
  return type === TYPE.RRSIG ? read16(message, fixed + 10) : type;
}

/** The aliases, then our answer to a query for the last one's target. @returns undefined when that is too long */
function compose(
  { message, layout: { questionEnd } }: Cached,
  aliases: readonly AnswerRecord[],
  target: Uint8Array,
  ours: Uint8Array,
): Cached | undefined {
  const longest = aliases.reduce(
    (sum, { name, fixed, end }) => sum + name.length + 265 + end - fixed,
    questionEnd,
  );
  if (longest + ours.length > TCP_MAX) return undefined;
  const out = new Uint8Array(longest + ours.length);
  out.set(message.subarray(0, questionEnd));
  const written = new Map([[lowerCase(message, HEADER, questionEnd - 4), HEADER]]);
  let at = questionEnd;
  for (const { owner, name, type, fixed, end } of aliases) {
    const seen = written.get(owner) ?? Infinity;
    if (seen <= POINTER_MAX) write16(out, at, 0xc000 | seen);
    else out.set(name, at);
    at += seen <= POINTER_MAX ? 2 : name.length;
    out.set(message.subarray(fixed, fixed + 8), at);
    // The target of an alias alone may be compressed (RFC 3597 §4, RFC 4034 §3.1.7, RFC 6672 §2.5).
    const data = (type === TYPE.CNAME ? readName(message, fixed + 10) : undefined) ??
      message.subarray(fixed + 10, end);
    write16(out, at + 8, data.length);
    at += 10;
    if (type === TYPE.CNAME) written.set(lowerCase(data), at);
    out.set(data, at);
    at += data.length;
  }
  const base = written.get(lowerCase(target)) ?? Infinity;
  if (base + target.length > POINTER_MAX) return undefined;
  const answers = read16(ours, 6), authority = read16(ours, 8);
  let from = HEADER + target.length + 4;
  for (let left = answers + authority; left > 0; left--) {
    // Our records' owners are pointers into the question, and no other name of theirs is compressed.
    write16(out, at, 0xc000 | (base + (read16(ours, from) & POINTER_MAX) - HEADER));
    const next = from + 12 + read16(ours, from + 10);
    out.set(ours.subarray(from + 2, next), at + 2);
    at += next - from;
    from = next;
  }
  // The completed answer is not authentic data (AD).
  out[3] = rcodeOf(ours);
  write16(out, 6, aliases.length + answers);
  write16(out, 8, authority);
  write16(out, 10, 0);
  const composed = out.subarray(0, at), layout = layoutOf(composed);
  return layout && { message: composed, layout };
}

function queryOf(name: Uint8Array, type: number): Uint8Array {
  const query = new Uint8Array(HEADER + name.length + 4);
  query[5] = 1;
  query.set(name, HEADER);
  write16(query, query.length - 4, type);
  write16(query, query.length - 2, CLASS_IN);
  return query;
}
