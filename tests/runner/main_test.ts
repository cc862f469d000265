/** The commands test and bench of a clone. */
import assert from "node:assert/strict";
import type { Command } from "../../cli/command.ts";
import { commands } from "../../cli/commands.ts";
import { main } from "../../cli/main.ts";
import { complete } from "../../cli/strand/completion.ts";
import { cloneCommands } from "./commands.ts";

const all: readonly Command[] = [...commands, ...cloneCommands];

/** What a command line prints, with the commands that are known. */
async function said(args: readonly string[], known = all): Promise<{ code: number; text: string }> {
  const lines: string[] = [], { log, error } = console;
  console.log = console.error = (line: string) => void lines.push(line);
  try {
    const code = args[0] === "__complete"
      ? await complete("__complete", args.slice(1), known)
      : await main(args, known);
    return { code, text: lines.join("\n") };
  } finally {
    Object.assign(console, { log, error });
  }
}

Deno.test("test and bench are commands of a clone, and the program that is shipped does not know them", async () => {
  for (const { name, about } of cloneCommands) {
    assert.equal((await said([name, "--help"])).text.split("\n")[2], `${about}.`);
    assert.match((await said(["help"])).text, new RegExp(`^  ${name} `, "m"));
    assert.equal((await said(["__complete", name.slice(0, -1)])).text, name);
    const shipped = await said([name], commands);
    assert.equal(shipped.code, 2);
    assert.match(shipped.text, new RegExp(`^strand: no command "${name}"; `));
    assert.doesNotMatch((await said(["help"], commands)).text, new RegExp(`^  ${name} `, "m"));
    assert.equal((await said(["__complete", name.slice(0, -1)], commands)).text, "");
  }
});

Deno.test("test and bench complete their operands, and refuse what they do not understand", async () => {
  assert.equal((await said(["__complete", "test", "u"])).text, "unit");
  assert.equal((await said(["__complete", "test", "unit", ""])).text, "", "FILTER is anything");
  assert.equal((await said(["__complete", "bench", "--json", "f", "n"])).text, "neigh");
  for (const args of [["test", "a", "b"], ["test", "--frob"], ["bench"], ["bench", "dns", "dhcp"]]) {
    const { code, text } = await said(args);
    assert.equal(code, 2);
    assert.match(text, new RegExp(`^strand ${args[0]}: .*; see "strand help ${args[0]}"$`));
  }
});

Deno.test("test refuses a filter that is in no path and in no name", async () => {
  const word = ["no", "such", "word"].join("-");
  const { code, text } = await said(["test", "unit", word]);
  assert.equal(code, 2);
  assert.match(
    text,
    new RegExp(`FILTER: "${word}" is neither a part of a test file's path nor of a test's name`),
  );
});
