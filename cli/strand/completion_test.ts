import assert from "node:assert/strict";
import { commands } from "../commands.ts";
import { main } from "../main.ts";
import { complete } from "./completion.ts";

/** What is printed for a line after `strand`, in which the last word is being typed. */
function words(...line: string[]): Promise<string[]> {
  return printed(() => complete("__complete", line, commands));
}

async function printed(command: () => Promise<number>): Promise<string[]> {
  const printed: string[] = [];
  const { log } = console;
  console.log = (text: string) => void printed.push(...text.split("\n"));
  try {
    assert.equal(await command(), 0);
  } finally {
    console.log = log;
  }
  return printed;
}

Deno.test("complete() knows every command", async () => {
  const names = commands.map(({ name }) => name);
  assert.deepEqual(await words(""), [...names, "help", "--version"]);
  assert.deepEqual(await words("st"), ["status"]);
  assert.deepEqual(await words("help", "dn"), ["dnsd"]);
  assert.deepEqual(await words("help", "dnsd", ""), []);
});

Deno.test("complete() describes commands, options and operands to shells that ask for that", async () => {
  const described = (...line: string[]) => printed(() => complete("__describe", line, commands));
  assert.deepEqual(await described("st"), [
    "status\tShow each service of this machine, what is wrong and what to do about it",
  ]);
  assert.deepEqual(await described("demo", "--o"), [
    "--once\tclean up at the end; exit 0 only if every step held",
  ]);
  assert.deepEqual(await described("agent", "r"), [
    "release\ttells the agent that runs here to believe etcd again, after it has put itself on hold;",
  ]);
  assert.deepEqual(await described("status", "-o", "js"), ["json\t"]);
});

Deno.test("complete() takes options, operands and values from a command's usage", async () => {
  assert.deepEqual(await words("status", "-"), ["--config", "-o", "--help"]);
  assert.deepEqual(await words("status", "-o", ""), ["table", "json"]);
  assert.deepEqual(await words("status", "--config", ""), [], "a file");
  assert.deepEqual(await words("status", "-o", "json", "d"), ["dhcpd", "dnsd", "dashboard"]);
  assert.deepEqual(await words("status", "agent", "d"), ["dhcpd", "dnsd", "dashboard"]);
  assert.deepEqual(await words("agent", ""), ["release"]);
  assert.deepEqual(await words("agent", "release", ""), []);
  assert.deepEqual(await words("sand-agent", "r"), ["release"]);
  assert.deepEqual(await words("completion", ""), ["bash", "zsh", "fish"]);
  assert.deepEqual(await words("nothing", ""), []);
});

Deno.test("a link that is a service is completed by the script of strand", async () => {
  const script = await printed(() => main(["completion", "bash"]));
  assert.match(script.at(-1) ?? "", /_strand_complete strand nexd nex-dhcpd sand-agent$/);
  assert.deepEqual(await printed(() => main(["nexd", "__complete", "--c"])), ["--config"]);
  assert.deepEqual(await printed(() => main(["sand-agent", "__complete", "r"])), ["release"]);
});
