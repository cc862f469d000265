/** The rpcs of nex.proto by name, each with the functions that encode and decode its messages. */
import { Buffer } from "node:buffer";
import { type MessageFns, NexDefinition } from "./gen/nex.ts";
import type { NexMethods } from "./types.ts";

/** The functions that write and read a message of nex.proto. */
export type Codec<T = object> = MessageFns<T, string>;

/** An rpc's path, and the codecs of the two messages. */
export interface Rpc {
  readonly path: string;
  readonly request: Codec;
  readonly response: Codec;
}

/** Every rpc by its name. */
export const rpcs = Object.fromEntries(
  Object.values(NexDefinition.methods).map(({ name, requestType, responseType }) => [name, {
    path: `/${NexDefinition.fullName}/${name}`,
    request: requestType as Codec,
    response: responseType as Codec,
  }]),
) as Readonly<Record<keyof NexMethods, Rpc>>;

/** The bytes of a message of which any field may be missing: what is missing, or its type's default, is not sent. */
export function encode(codec: Codec, message: object): Buffer {
  const bytes = codec.encode(codec.fromPartial(message)).finish();
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
