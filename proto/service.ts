import { Buffer } from "node:buffer";
import type { handleUnaryCall, MethodDefinition, ServiceDefinition } from "@grpc/grpc-js";
import type { PackageDefinition } from "@grpc/proto-loader";
import { descriptorSet, rpcs } from "./descriptor.ts";
import type { NexMethods, Sent } from "./types.ts";
import { decode, decodeRequest, encode } from "./wire.ts";

/** What a server of the API gives to `server.addService(nexService, handlers)`. */
export type NexHandlers = {
  [Method in keyof NexMethods]: handleUnaryCall<NexMethods[Method][0], Sent<NexMethods[Method][1]>>;
};

/** The service `nex.Nex`; its messages look as types.ts says. */
export const nexService = Object.fromEntries(
  Object.entries(rpcs).map(([name, types]) => [name, method(name, ...types)]),
) as unknown as ServiceDefinition<NexHandlers>;

function method(name: string, request: string, response: string): MethodDefinition<object, object> {
  return {
    path: `/nex.Nex/${name}`,
    requestStream: false,
    responseStream: false,
    requestSerialize: (message) => encode(request, message),
    requestDeserialize: (bytes) => decodeRequest(request, bytes),
    responseSerialize: (message) => encode(response, message),
    responseDeserialize: (bytes) => decode(response, bytes),
  };
}

/** The package for `new ReflectionService(nexPackage())`, which reads nothing but its files. */
export function nexPackage(): PackageDefinition {
  const fileDescriptorProtos = [...filesOf(Buffer.from(descriptorSet, "base64"))];
  return { "nex.proto": { format: "Protocol Buffer 3 EnumDescriptorProto", type: {}, fileDescriptorProtos } };
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
