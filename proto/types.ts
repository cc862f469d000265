/**
 * The messages and calls of nex.proto as TypeScript types. A message that is received has every field: a string that
 * was not sent is "", a number 0, a bool false, a list [], and a message or a wrapped value
 * (google.protobuf.StringValue, UInt64Value) null. A wrapped "" is "clear it", null is "leave it". 64-bit fields are
 * numbers (seconds, here). The names are the JSON names of nex.proto's: lowerCamelCase, but for `Range4` and
 * `Range6`.
 */
import type { NexDefinition } from "./gen/nex.ts";

export type * from "./gen/nex.ts";
export type { Timestamp } from "./gen/google/protobuf/timestamp.ts";

/** The value by which a T is sent: any of its fields, at any depth. */
export type MessageInput<T> = T extends readonly (infer Item)[] ? readonly MessageInput<Item>[]
  : T extends object ? { readonly [Key in keyof T]?: MessageInput<T[Key]> | null | undefined }
  : T;

type Methods = NexDefinition["methods"];
type Received<Codec extends { decode(bytes: Uint8Array): unknown }> = ReturnType<Codec["decode"]>;

/** Each rpc with the request that it takes and the response that it gives. */
export type NexMethods = {
  -readonly [Key in keyof Methods as Methods[Key]["name"]]: [
    Received<Methods[Key]["requestType"]>,
    Received<Methods[Key]["responseType"]>,
  ];
};
