import { Buffer } from "node:buffer";
import type { handleUnaryCall, ServiceDefinition } from "@grpc/grpc-js";
import { loadFileDescriptorSetFromBuffer, type PackageDefinition } from "@grpc/proto-loader";
import { descriptorSet } from "./descriptor.ts";
import type { NexMethods, Sent } from "./types.ts";

/** What a server of the API gives to `server.addService(nexService, handlers)`. */
export type NexHandlers = {
  [Method in keyof NexMethods]: handleUnaryCall<NexMethods[Method][0], Sent<NexMethods[Method][1]>>;
};

const bytes = Buffer.from(descriptorSet, "base64");
const loaded: PackageDefinition = loadFileDescriptorSetFromBuffer(bytes, { defaults: true, longs: Number });

/** The service `nex.Nex`; its messages look as types.ts says. */
export const nexService = loaded["nex.Nex"] as unknown as ServiceDefinition<NexHandlers>;

/** The package for `new ReflectionService(nexPackage())`. */
export function nexPackage(): PackageDefinition {
  const fileDescriptorProtos = [...filesOf(bytes)];
  return Object.fromEntries(
    Object.entries(loaded).map((
      [name, one],
    ) => [name, "format" in one ? { ...one, fileDescriptorProtos } : one]),
  ) as PackageDefinition;
}

/** The FileDescriptorProtos in a FileDescriptorSet: field 1, length-delimited, again and again. */
function* filesOf(set: Buffer): Generator<Buffer> {
  for (let at = 0; at < set.length;) {
    at++; // the tag
    let length = 0;
    for (let shift = 0;; shift += 7) {
      const byte = set[at++] ?? 0;
      length |= (byte & 127) << shift;
      if (byte < 128) break;
    }
    yield set.subarray(at, at += length);
  }
}
