/** `strand takeover --check`: shows what nexd would change in a store that Nex's own daemons have written. It writes nothing. */
import { loadConfig } from "../../services/common/config.ts";
import { UsageError } from "../../services/common/usage.ts";
import { previewTakeover, type TakeoverPreview } from "../../services/nex/takeover_preview.ts";
import { EtcdConnection } from "../../services/store/connection.ts";
import { nexPrefixes } from "../../services/store/keys.ts";
import { columns, jsonText } from "../output.ts";
import { systemTerminal } from "../terminal.ts";
import { readOptions } from "./options.ts";

/**
 * `strand takeover --check` shows what nexd would change in a store of Nex. Exit status 1 when a key is not
 * understood.
 */
export async function main(args: string[]): Promise<number> {
  const { check, config: file, output } = readOptions(args, {
    check: { type: "boolean", default: false },
    config: { type: "string" },
    output: { type: "string", short: "o", default: "table" },
  });
  if (output !== "table" && output !== "json") {
    throw new UsageError(`-o: "${output}" is neither table nor json`);
  }
  if (!check) {
    throw new UsageError(
      "--check is missing: a store is taken over by nexd when it starts, and only looked at here",
    );
  }
  const rehearsal = await previewTakeover(await readAll(loadConfig({ file }).etcd));
  const counts = count(rehearsal);
  systemTerminal.print(
    output === "json"
      ? jsonText({ ok: !counts["not understood"], counts, ...rehearsal })
      : table(rehearsal, counts),
  );
  return counts["not understood"] ? 1 : 0;
}

/** Everything of Nex's and ours, as of one revision. Nothing is written. */
async function readAll(
  { endpoints, tls }: Pick<ReturnType<typeof loadConfig>["etcd"], "endpoints" | "tls">,
): Promise<Record<string, string>> {
  const connection = new EtcdConnection({ endpoints, tls });
  const decoder = new TextDecoder(), stored: Record<string, string> = {};
  try {
    // Nex keeps its hosts' interfaces under the last prefix; they are not changed.
    for await (const { kvs } of connection.list([...nexPrefixes, "/interface/"])) {
      for (const { key, value } of kvs) stored[key] = decoder.decode(value);
    }
  } finally {
    connection.close();
  }
  return stored;
}

type Counts = Readonly<Record<TakeoverPreview["keys"][number]["action"], number>>;

function count({ keys }: TakeoverPreview): Counts {
  const counts = { write: 0, remove: 0, keep: 0, "not understood": 0 };
  for (const { action } of keys) counts[action]++;
  return counts;
}

function table({ keys, decisions }: TakeoverPreview, counts: Counts): string {
  // Keys that need attention come first, unchanged ones last.
  const order = ["not understood", "write", "remove", "keep"];
  const rows = keys.toSorted((a, b) => order.indexOf(a.action) - order.indexOf(b.action)).map((fate) => [
    fate.action,
    fate.key,
    fate.action === "write" ? fate.value : fate.action === "not understood" ? fate.reason : "",
  ]);
  return [
    rows.length ? columns([["ACTION", "KEY", "VALUE OR REASON"], ...rows], "  ") + "\n" : "",
    ...decisions.map((decision) => columns([["decided:", decision]])),
    summary(counts),
  ].join("");
}

function summary({ write, remove, keep, "not understood": misread }: Counts): string {
  if (misread) {
    return `${misread} of ${misread + keep} keys are not understood: nexd would write and remove nothing. ` +
      "Put them right or remove them with etcdctl, then check again.\n";
  }
  if (!write && !remove) {
    return keep
      ? `nothing to do: the ${keep} keys are as Strand keeps them\n`
      : "nothing to do: etcd holds no such keys\n";
  }
  return `nexd would write ${write} keys, remove ${remove} and keep ${keep} as they are, when it starts\n`;
}
