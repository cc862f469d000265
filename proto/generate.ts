/**
 * Writes descriptor.ts from nex.proto: `deno run -A proto/generate.ts && deno fmt proto`.
 *
 * The descriptors are put together here, because those of proto-loader leave out imports and give relative
 * type names, and reflection clients in other languages refuse that.
 */
import { loadSync, type MessageTypeDefinition, type ServiceDefinition } from "@grpc/proto-loader";
import type { Field } from "./wire.ts";

type Message = MessageTypeDefinition<object, object>;

interface Described {
  name: string;
  field: { name: string; number: number; label: string; type: string; typeName?: string }[];
}

const folder = import.meta.dirname ?? ".";
const imports = {
  "google/protobuf/timestamp.proto": ["Timestamp"],
  "google/protobuf/wrappers.proto": [
    ...["DoubleValue", "FloatValue", "Int64Value", "UInt64Value", "Int32Value", "UInt32Value", "BoolValue"],
    ...["StringValue", "BytesValue"],
  ],
};

/** Wrappers that nex.proto does not use, of types that wire.ts does not know. */
const unused = new Set([
  "DoubleValue",
  "FloatValue",
  "Int64Value",
  "Int32Value",
  "UInt32Value",
  "BoolValue",
  "BytesValue",
]);

/** What descriptor.ts exports, made from the nex.proto beside this file. */
export function generate() {
  const definition = loadSync(`${folder}/nex.proto`, { keepCase: true });
  const message = (name: string) => describe(definition[name] as Message);
  const own = Object.keys(definition).filter((name) => name.startsWith("nex.") && name !== "nex.Nex");
  const files = [
    ...Object.entries(imports).map(([name, types]) => ({
      name,
      package: "google.protobuf",
      messageType: types.map((type) => message(`google.protobuf.${type}`)),
      syntax: "proto3",
    })),
    {
      name: "nex.proto",
      package: "nex",
      dependency: Object.keys(imports),
      messageType: own.map(message),
      service: [{ name: "Nex", method: methods(definition["nex.Nex"] as ServiceDefinition) }],
      syntax: "proto3",
    },
  ];
  const used = files.flatMap(({ messageType }) => messageType).filter(({ name }) => !unused.has(name));
  return {
    descriptorSet: encode(files).toString("base64").replace(/.{1,100}/g, "$&\n"),
    fields: Object.fromEntries(used.map(({ name, field }) => [name, field.map(row)])),
    rpcs: Object.fromEntries(
      methods(definition["nex.Nex"] as ServiceDefinition)
        .map(({ name, inputType, outputType }) => [name, [bare(inputType), bare(outputType)]]),
    ),
  };
}

function moduleText({ descriptorSet, fields, rpcs }: ReturnType<typeof generate>): string {
  return `// Made from nex.proto by generate.ts: change nothing here.
import type { Field } from "./wire.ts";

/** nex.proto and what it imports as one google.protobuf.FileDescriptorSet, in base64. */
export const descriptorSet = \`${descriptorSet}\`;

/** The fields of every message. */
export const fields: Readonly<Record<string, readonly Field[]>> = ${JSON.stringify(fields)};

/** Every rpc with the messages that it takes and gives. */
export const rpcs: Readonly<Record<string, readonly [request: string, response: string]>> = ${
    JSON.stringify(rpcs)
  };
`;
}

/** The fields of a message as wire.ts reads them. */
function row({ number, name, type, typeName, label }: ReturnType<typeof describe>["field"][number]): Field {
  const kind = typeName ? bare(typeName) : type.replace("TYPE_", "").toLowerCase();
  return [number, jsonName(name), kind, label === "LABEL_REPEATED"];
}

/** The lowerCamelCase of protoc: an underscore goes, and the letter after it is a capital. */
function jsonName(name: string): string {
  return name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());
}

function bare(typeName: string): string {
  return typeName.slice(typeName.lastIndexOf(".") + 1);
}

function describe(definition: Message) {
  const { name, field } = definition.type as Described;
  return {
    name,
    field: field.map(({ name, number, label, type, typeName }) => ({
      name,
      number,
      label,
      type,
      jsonName: jsonName(name),
      ...(typeName && { typeName: typeName.includes(".") ? `.${typeName}` : `.nex.${typeName}` }),
    })),
  };
}

function methods(service: ServiceDefinition) {
  return Object.entries(service).map(([name, { requestType, responseType }]) => ({
    name,
    inputType: `.nex.${((requestType as Message).type as Described).name}`,
    outputType: `.nex.${((responseType as Message).type as Described).name}`,
  }));
}

/** The bytes of a FileDescriptorSet of these files. */
function encode(file: object[]): Buffer {
  // proto-loader has the descriptor types inside, and hands them out only to a file that imports them.
  const path = Deno.makeTempFileSync({ suffix: ".proto" });
  try {
    Deno.writeTextFileSync(path, `syntax = "proto3"; import "google/protobuf/descriptor.proto";`);
    return (loadSync(path)["google.protobuf.FileDescriptorSet"] as Message).serialize({ file });
  } finally {
    Deno.removeSync(path);
  }
}

if (import.meta.main) Deno.writeTextFileSync(`${folder}/descriptor.ts`, moduleText(generate()));
