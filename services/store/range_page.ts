/** Pages of a listing, whose keys are read one by one from etcd's answer. */
import { BinaryReader } from "@bufbuild/protobuf/wire";
import { messageOf, Refusal } from "../common/refusal.ts";
import * as etcd from "../../proto/gen/etcd.ts";
import {
  headerFrom,
  type KeyValue,
  keyValueFrom,
  type RangeResponse,
  type ResponseHeader,
} from "./messages.ts";

/** A page of a listing, in the order of keys. */
export interface ListedPage {
  readonly header: ResponseHeader;
  /** True where keys follow that are not in this page. */
  readonly more: boolean;
  /** How many keys it has, and about how many bytes they take with their values. */
  readonly length: number;
  readonly bytes: number;
  readonly last: KeyValue | undefined;
  readonly kvs: Iterable<KeyValue>;
}

/** The page that is read already. */
export function pageOf({ header, more, kvs }: RangeResponse): ListedPage {
  const bytes = kvs.reduce((sum, { key, value }) => sum + key.length + value.length, 0);
  return { header, more, kvs, bytes, length: kvs.length, last: kvs.at(-1) };
}

/** The tags of fields of an etcdserverpb.RangeResponse. */
const HEADER = 0x0a, KVS = 0x12, MORE = 0x18;

/**
 * An etcdserverpb.RangeResponse. Each key is decoded when the iteration reaches it: 10,000 at once are more than V8's heap of
 * short-lived objects holds, and would be in the way until a collection of the whole heap.
 */
export class RangePage implements ListedPage {
  readonly header: ResponseHeader;
  readonly more: boolean;
  readonly length: number;
  readonly bytes: number;
  readonly #answer: Uint8Array;
  /** The position at which the last key's message begins. */
  readonly #last: number;

  /** Throws Error for malformed bytes. Of a key they are found when it is read: a Refusal "unavailable". */
  constructor(answer: Uint8Array) {
    const reader = new BinaryReader(answer);
    let header: etcd.ResponseHeader | null = null, more = false, length = 0, bytes = 0, last = 0;
    while (reader.pos < reader.len) {
      const tag = reader.uint32();
      if (tag === HEADER) header = etcd.ResponseHeader.decode(reader, reader.uint32());
      else if (tag === MORE) more = reader.bool();
      else {
        const at = reader.pos;
        skip(reader, tag);
        if (tag !== KVS) continue;
        length++;
        bytes += reader.pos - at;
        last = at;
      }
    }
    this.#answer = answer;
    this.#last = last;
    this.header = headerFrom(header);
    this.more = more;
    this.length = length;
    this.bytes = bytes;
  }

  get last(): KeyValue | undefined {
    if (!this.length) return undefined;
    const reader = new BinaryReader(this.#answer);
    reader.pos = this.#last;
    return keyValue(reader);
  }

  get kvs(): Iterable<KeyValue> {
    return { [Symbol.iterator]: () => this.#read() };
  }

  *#read(): IterableIterator<KeyValue> {
    const reader = new BinaryReader(this.#answer);
    while (reader.pos < reader.len) {
      const tag = reader.uint32();
      if (tag === KVS) yield keyValue(reader);
      else skip(reader, tag);
    }
  }
}

function keyValue(reader: BinaryReader): KeyValue {
  try {
    return keyValueFrom(etcd.KeyValue.decode(reader, reader.uint32()));
  } catch (error) {
    throw new Refusal("unavailable", `etcd's answer cannot be read: ${messageOf(error)}`, { cause: error });
  }
}

/** Goes past a field. The reader's own way makes a view of each, which a page has thousands of. */
function skip(reader: BinaryReader, tag: number): void {
  if ((tag & 7) === 4 || tag >>> 3 === 0) throw new RangeError(`tag ${tag} begins no field`);
  if ((tag & 7) !== 2) return void reader.skip(tag & 7);
  const length = reader.uint32();
  reader.pos += length;
  if (reader.pos > reader.len) throw new RangeError("a field reaches past its message");
}
