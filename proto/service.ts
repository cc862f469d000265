/** The definition of nex.proto's service in the form that grpc-js and its reflection ask a server for. */
import { Buffer } from "node:buffer";
import type { handleUnaryCall, MethodDefinition, ServiceDefinition } from "@grpc/grpc-js";
import type { PackageDefinition } from "@grpc/proto-loader";
import { BinaryReader } from "@bufbuild/protobuf/wire";
import { encode, type Rpc, rpcs } from "./codec.ts";
import { descriptorSet } from "./gen/descriptor.ts";
import { decodeRequest } from "./request_check.ts";
import type { MessageInput, NexMethods } from "./types.ts";

/** The definition that a server of the API gives to `server.addService(nexService, handlers)`. */
export type NexHandlers = {
  [Method in keyof NexMethods]: handleUnaryCall<NexMethods[Method][0], MessageInput<NexMethods[Method][1]>>;
};

/** The service `nex.Nex`; its messages look as types.ts says. */
export const nexService = Object.fromEntries(
  Object.entries(rpcs).map(([name, rpc]) => [name, method(rpc)]),
) as unknown as ServiceDefinition<NexHandlers>;

function method({ path, request, response }: Rpc): MethodDefinition<object, object> {
  return {
    path,
    requestStream: false,
    responseStream: false,
    requestSerialize: (message) => encode(request, message),
    requestDeserialize: (bytes) => decodeRequest(request, bytes),
    responseSerialize: (message) => encode(response, message),
    responseDeserialize: (bytes) => response.decode(bytes),
  };
}

/** The package for `new ReflectionService(nexPackage())`, which reads nothing but its files. */
export function nexPackage(): PackageDefinition {
  const fileDescriptorProtos = [...filesOf(Buffer.from(descriptorSet, "base64"))];
  return { "nex.proto": { format: "Protocol Buffer 3 EnumDescriptorProto", type: {}, fileDescriptorProtos } };
}

/** The FileDescriptorProtos in a FileDescriptorSet, whose one field they are. */
function* filesOf(set: Buffer): Generator<Buffer> {
  for (const reader = new BinaryReader(set); reader.pos < reader.len;) {
    reader.tag();
    yield Buffer.from(reader.bytes());
  }
}
