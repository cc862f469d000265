/** `strand apply`: networks and members become what files say, and all that is refused of them is told at once. */
import type { AppliedObject, Member } from "../../proto/types.ts";
import { Refusal } from "../../services/common/refusal.ts";
import { refusalsIn } from "../../services/common/refusals.ts";
import { readSpecsFor } from "../../services/nexd/client/apply.ts";
import { refusalJson } from "../../services/nexd/client/spec_values.ts";
import type { NexSession } from "../nex/session.ts";
import { jsonText, printable } from "../output.ts";
import { applyAndPrune, called } from "./prune.ts";

/** The options of the command line. */
export interface ApplyFilesOptions {
  readonly dryRun?: boolean;
  readonly force?: boolean;
  readonly prune?: boolean;
  readonly yes?: boolean;
  readonly output: "table" | "json";
}

/** Applies the files that arguments name, and tells what was done to each object. Throws Refusals. */
export async function applyFiles(
  session: NexSession,
  names: readonly string[],
  { prune = false, yes = false, output, ...given }: ApplyFilesOptions,
): Promise<void> {
  const { dryRun = false } = given, options = { ...given, everyRefusal: true }, objects: unknown[] = [];
  const onObject = output === "json"
    ? (object: AppliedObject) => objects.push(objectJson(object))
    : undefined;
  const tell = (refused: readonly unknown[]) => {
    if (output === "json") session.terminal.print(jsonText({ dryRun, objects, refused }));
  };
  try {
    const paths = await Promise.all(names.map(specsIn)), files = await session.files(paths.flat());
    const spec = await readSpecsFor(
      files,
      (rest) => session.apply(rest, { ...options, dryRun: true }, () => {}),
    );
    const apply = () => session.apply(spec, options, onObject);
    if (!prune) await apply();
    else {
      await applyAndPrune(session, spec, { apply, dryRun, yes }, (members, net) => {
        if (onObject) objects.push(...members.map((member) => deletedJson(member, net)));
        else session.terminal.print(deletedLines(members, dryRun));
      });
    }
  } catch (error) {
    const all = refusalsIn(error);
    tell(all.length ? all.map(refusalJson) : [{ reason: session.explain(error) }]);
    throw error;
  }
  tell([]);
}

/** Returns the JSON of what was done to an object, and of a dry run what would change. */
function objectJson({ kind, name, action, net, mac, changes }: AppliedObject) {
  return {
    kind: kind.toLowerCase(),
    name,
    action,
    ...net && { network: net },
    ...mac && { mac },
    ...changes.length && { changes },
  };
}

function deletedJson({ mac, name }: Member, network: string) {
  return { kind: "member", name: name || mac, action: "deleted", network, mac };
}

function deletedLines(members: readonly Member[], dryRun: boolean): string {
  const suffix = dryRun ? " (dry run)" : "";
  return members.map((member) => `${printable(`member ${called(member)} deleted${suffix}`)}\n`).join("");
}

/** The spec files that an argument names: itself, or those of a folder, in order. */
async function specsIn(path: string): Promise<string[]> {
  const isFolder = path !== "-" && (await Deno.stat(path).catch(() => undefined))?.isDirectory;
  if (!isFolder) return [path];
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(path)) {
    if (!isDirectory && /\.ya?ml$/.test(name)) found.push(`${path.replace(/\/+$/, "")}/${name}`);
  }
  if (found.length) return found.sort();
  throw new Refusal("invalid", `${path}: holds no file *.yml or *.yaml`);
}
