/**
 * Makes proto/gen from nex.proto and etcd.proto: `deno task generate`. What it needs is installed for the time of a run, from the
 * lock file beside this one: protoc reads the definitions, ts-proto writes a TypeScript module for each.
 */
import { fromBinary } from "@bufbuild/protobuf";
import { type FieldDescriptorProto, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import type { FieldDescriptor } from "../field.ts";

const own = import.meta.dirname ?? ".";
const proto = `${own}/..`;

/** Of both: no JSON, and null for a message that is absent. */
const options =
  "outputJsonMethods=false,useNullAsOptional=true,useDate=false,useExactTypes=false,unrecognizedEnum=false," +
  "importSuffix=.ts,annotateFilesWithVersion=false";
/** nex.proto's 64-bit fields are seconds. etcd's are ids too, so they keep all their digits. */
const modules = {
  "nex.proto":
    `${options},forceLong=number,outputServices=generic-definitions,outputTypeAnnotations=static-only`,
  "etcd.proto":
    `${options},forceLong=bigint,outputServices=none,outputPartialMethods=false,removeEnumPrefix=true,useJsTypeOverride=true`,
};

/** Every file of proto/gen by its name in there, with its text. Throws Error when a generator cannot be had or fails. */
export async function generate(): Promise<Map<string, string>> {
  const work = await Deno.makeTempDir({ prefix: "strand-generate-" });
  try {
    for (const file of ["deno.json", "deno.lock"]) await Deno.copyFile(`${own}/${file}`, `${work}/${file}`);
    await run([Deno.execPath(), "install", "--quiet", "--frozen"], work);
    const plugin = `${work}/plugin`;
    const tsProto = `${work}/node_modules/ts-proto/protoc-gen-ts_proto`;
    await Deno.writeTextFile(plugin, `#!/bin/sh\nexec '${Deno.execPath()}' run -A --quiet '${tsProto}'\n`);
    await Deno.chmod(plugin, 0o755);
    const out = `${work}/gen`;
    await Deno.mkdir(out);
    const protoc = [Deno.execPath(), "run", "-A", "--quiet", `${work}/node_modules/protoc/protoc.cjs`];
    for (const [file, options] of Object.entries(modules)) {
      const flags = [`--plugin=protoc-gen-ts_proto=${plugin}`, `--ts_proto_opt=${options}`];
      await run([...protoc, ...flags, `--ts_proto_out=${out}`, `-I${proto}`, file], work);
    }
    const set = `${work}/set`;
    await run(
      [...protoc, `--descriptor_set_out=${set}`, "--include_imports", `-I${proto}`, "nex.proto"],
      work,
    );
    const files = new Map<string, string>();
    for await (const name of filesUnder(out)) {
      files.set(name, strict(name, await Deno.readTextFile(`${out}/${name}`)));
    }
    return files.set("descriptor.ts", descriptor(await Deno.readFile(set)));
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

async function run([command = "", ...args]: string[], cwd: string): Promise<void> {
  const { success, stderr } = await new Deno.Command(command, { args, cwd, stdout: "null" }).output();
  if (!success) throw new Error(`${command} ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
}

async function* filesUnder(folder: string, within = ""): AsyncGenerator<string> {
  for await (const { name, isDirectory } of Deno.readDir(`${folder}/${within}`)) {
    if (isDirectory) yield* filesUnder(folder, `${within}${name}/`);
    else yield `${within}${name}`;
  }
}

/**
 * ts-proto's decoders silently stop at a tag of 0 or a group's end, and a field of an inner message may reach into the
 * outer one. Here each throws RangeError for that. Numbers come from bigints as they are: ts-proto writes
 * them out and reads them again.
 */
function strict(name: string, text: string): string {
  const stops = /if \(\(tag & 7\) === 4 \|\| tag === 0\) \{\n\s+break;\n\s+\}/g;
  const ends = /(\n +)return message;(\n +\} finally \{)/g;
  const decoders = text.match(/\bdecode\(input: .*\{$/gm)?.length ?? 0;
  for (const pattern of [stops, ends]) {
    const found = text.match(pattern)?.length ?? 0;
    if (found !== decoders) throw new Error(`${name}: ${found} of ${decoders} decoders match ${pattern}`);
  }
  return text
    .replace("globalThis.Number(int64.toString())", "globalThis.Number(int64)")
    .replace(
      stops,
      `if ((tag & 7) === 4 || tag >>> 3 === 0) {
          throw new globalThis.RangeError(\`tag \${tag} begins no field\`);
        }`,
    )
    .replace(
      ends,
      `$1if (reader.pos !== end) {$1  throw new globalThis.RangeError("a field reaches past its message");$1}$1return message;$2`,
    );
}

/** The module with what reflection hands out, and the table by which requests are checked. */
function descriptor(set: Uint8Array): string {
  const { file } = fromBinary(FileDescriptorSetSchema, set);
  const fields: Record<string, FieldDescriptor[]> = {};
  for (const { messageType } of file) {
    for (const { name, field } of messageType) fields[name] = field.map(row);
  }
  const rows = Object.entries(fields).map(([name, fields]) =>
    `  ${name}: [${fields.map((field) => `\n    ${JSON.stringify(field)},`).join("")}${
      fields.length ? "\n  " : ""
    }],\n`
  );
  const base64 = set.toBase64().replace(/.{1,100}/g, "$&\n");
  return `// Made from nex.proto by proto/generator/generate.ts: change nothing here.
import type { FieldDescriptor } from "../field.ts";

/** nex.proto and what it imports as one google.protobuf.FileDescriptorSet, in base64. */
export const descriptorSet = \`${base64}\`;

/** The fields of every message. */
export const fields: Readonly<Record<string, readonly FieldDescriptor[]>> = {
${rows.join("")}};
`;
}

function row({ number, jsonName, type, typeName, label }: FieldDescriptorProto): FieldDescriptor {
  // FieldDescriptorProto.Type and .Label of google/protobuf/descriptor.proto.
  const kinds: Record<number, string> = {
    1: "double",
    2: "float",
    3: "int64",
    4: "uint64",
    5: "int32",
    8: "bool",
    9: "string",
    12: "bytes",
    13: "uint32",
  };
  const kind = typeName ? typeName.slice(typeName.lastIndexOf(".") + 1) : kinds[type];
  if (kind === undefined) {
    throw new Error(`field ${jsonName}: type ${type} of descriptor.proto is not known here`);
  }
  return [number, jsonName, kind, label === 3];
}

if (import.meta.main) {
  const gen = `${proto}/gen`;
  await Deno.remove(gen, { recursive: true }).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
  for (const [name, text] of await generate()) {
    const path = `${gen}/${name}`;
    await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
    await Deno.writeTextFile(path, text);
  }
}
