/** The documentation says what the program does: its links lead somewhere, and what it quotes is in the code. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import { commands } from "../../cli/commands.ts";
import { nexProgram } from "../../cli/nex/commands.ts";
import { sandProgram } from "../../cli/sand/commands.ts";
import { systemTerminal } from "../../cli/terminal.ts";
import { agentVariables, keysAt, variables } from "../../services/common/config_schema.ts";
import { run } from "../lab/host.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const read = (path: string) => Deno.readTextFileSync(root + path);
const named = (folder: string, ending: string) =>
  [...Deno.readDirSync(root + folder)].map(({ name }) => name).filter((name) => name.endsWith(ending)).sort();

const pages = new Map(
  [
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "deploy/README.md",
    ...named("docs", ".md").map((name) => `docs/${name}`),
  ]
    .map((path) => [path, read(path)]),
);
const manual = new Map(named("docs/man", "").map((name) => [name, read(`docs/man/${name}`)]));

/** All of the program's text, messages in one piece, with `…` for what is filled in. */
const code = ["cli", "services", "ffi"].flatMap((folder) => [...sources(folder)]).map(read).join("\n")
  .replace(/["'`]\s*\+\s*["'`]/g, "")
  .replace(/\$\{(?:[^{}]|\{[^{}]*\})*\}/g, "…")
  .replaceAll('\\"', '"');

function* sources(folder: string, tests = false): Generator<string> {
  for (const { name, isDirectory } of Deno.readDirSync(root + folder)) {
    if (isDirectory) yield* sources(`${folder}/${name}`, tests);
    else if (/\.tsx?$/.test(name) && (tests || !name.endsWith("_test.ts"))) yield `${folder}/${name}`;
  }
}

function exists(path: string): boolean {
  try {
    Deno.statSync(root + path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** As a heading is named in a link to it. */
function anchors(text: string): string[] {
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
    heading.toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, "").replaceAll(" ", "-")
  );
}

/** A page's text. */
function page(path: string): string {
  const text = pages.get(path);
  assert.ok(text !== undefined, `${path} is there`);
  return text;
}

Deno.test("no line is too long: a table's for a terminal of 160 columns, another one for 132", () => {
  const long = [...pages].flatMap(([path, text]) => {
    let isCode = false;
    return text.split("\n").flatMap((line, i) => {
      if (/^\s*```/.test(line)) isCode = !isCode;
      const most = /^\s*\|/.test(line) ? 160 : isCode ? Infinity : 132;
      return line.length > most ? `${path}:${i + 1}: ${line.length} characters` : [];
    });
  });
  assert.deepEqual(long, []);
});

Deno.test("links between the pages lead to what is there", () => {
  const broken: string[] = [];
  for (const [path, text] of pages) {
    for (const [, target = ""] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(target)) continue;
      const { pathname, hash } = new URL(target, `file:///${path}`);
      const file = pathname.slice(1);
      if (!exists(file)) broken.push(`${path}: ${target}`);
      const linked = pages.get(file);
      if (hash && linked && !anchors(linked).includes(hash.slice(1))) broken.push(`${path}: ${target}`);
    }
  }
  assert.deepEqual(broken, []);
});

Deno.test("files and folders that the documentation names are there", () => {
  const named =
    /`((?:cli|services|ffi|proto|tests|deploy|docs|examples|\.ci)\/[\w./-]*)`|\b((?:cli|services|ffi|proto|tests)\/[\w/]+\.ts)\b/g;
  const absent: string[] = [];
  let count = 0;
  for (const [path, text] of pages) {
    // What was once there stays in the history.
    if (path === "CHANGELOG.md") continue;
    for (const [, quoted, typed] of text.matchAll(named)) {
      const file = quoted ?? typed ?? "";
      count++;
      if (!exists(file)) absent.push(`${path}: ${file}`);
    }
  }
  assert.ok(count > 100, `${count} files`);
  assert.deepEqual(absent, []);
});

Deno.test("each walk of docs/ARCHITECTURE.md names its files", () => {
  const walks = page("docs/ARCHITECTURE.md").split(/^## /m).find((part) => part.startsWith("Seven walks"));
  const counts = (walks ?? "").split(/^### /m).slice(1).map((walk) =>
    walk.match(/`\w+\/[\w./]+\.ts`/g)?.length ?? 0
  );
  assert.equal(counts.length, 7);
  assert.ok(counts.every((count) => count >= 7), `${counts}`);
});

Deno.test("the README is short, has CI's command, and names each package that the launcher installs", () => {
  const readme = page("README.md"), launcher = read("strand");
  assert.ok(readme.split("\n").length <= 121, "120 lines at most");
  const [ci = ""] = /\.\/strand .*$/m.exec(read(".ci/run")) ?? [];
  assert.match(ci, /^\.\/strand test$/);
  assert.match(readme, new RegExp(`^${ci} `, "m"));
  const installed = launcher.slice(
    launcher.indexOf("missing_packages() {"),
    launcher.indexOf("has_packages() {"),
  );
  const told = /through apt-get ([^.]*)\./.exec(readme)?.[1] ?? "";
  assert.deepEqual(
    told.split(/,\s+|\s+and\s+/).sort(),
    [...installed.matchAll(/echo ([\w-]+)/g)].map(([, name]) => name).sort(),
  );
});

Deno.test("every page of docs/ is in the README's list", () => {
  const readme = page("README.md");
  const absent = [...pages.keys()].filter((path) =>
    path.startsWith("docs/") && !readme.includes(`(${path})`)
  );
  assert.deepEqual(absent, []);
});

Deno.test("variables that the documentation names are there, and so are metrics", () => {
  const known = new Set([...variables, ...agentVariables].map(({ name }) => name));
  // Compose calls the network `lan` of the project `strand` so.
  const deployed = read("deploy/ansible/roles/strand/defaults/main.yml") + "strand_lan";
  const ours =
    /\bSTRAND_[A-Z0-9_]+\b|\b(?:strand|nexd|dhcpd|dnsd|agent|gatewayd|dashboard)_[a-z_]+(?=[`{\s])/g;
  const unknown: string[] = [];
  for (const [path, text] of [...pages, ...manual]) {
    for (const [name] of text.matchAll(ours)) {
      if (!known.has(name) && !code.includes(name) && !deployed.includes(name)) {
        unknown.push(`${path}: ${name}`);
      }
    }
  }
  assert.deepEqual(unknown, []);
});

/** What other programs say, as docs/TROUBLE.md quotes it. */
const others = [
  "user name is empty",
  "permission denied",
  "[PASSIVE]",
  "tcpdump",
];

Deno.test("messages that docs/TROUBLE.md quotes are in the code", () => {
  const unknown: string[] = [];
  let quotes = 0;
  // A symptom is a heading; other messages of the same cause stand in a line "Also: …" or begin an item of a list.
  for (const [, seen = ""] of page("docs/TROUBLE.md").matchAll(/^(?:###|Also:|-(?= `)) (.*)$/gm)) {
    for (const [, quote = ""] of seen.matchAll(/`([^`]+)`/g)) {
      quotes++;
      for (const piece of quote.split("…").map((piece) => piece.trim())) {
        if (piece.length > 2 && !others.includes(piece) && !code.includes(piece)) unknown.push(piece);
      }
    }
  }
  assert.ok(quotes > 60, `${quotes} quotes`);
  assert.deepEqual(unknown, []);
});

Deno.test("the documentation says who does what: a client, a program, an operator", () => {
  const vague = [...pages, ...manual].filter(([path]) => path !== "CHANGELOG.md").flatMap(([path, text]) =>
    // What a message says is quoted as it is.
    [...text.replace(/`[^`]*`/g, "").matchAll(/\b(whoever|nobody|somebody)\b/gi)].map(([word]) =>
      `${path}: ${word}`
    )
  );
  assert.deepEqual(vague, []);
});

Deno.test("comments of the program and of tests say who does what, and so do tests' names", () => {
  const words = String.raw`\b(whoever|nobody|somebody|anybody|everybody|befalls?|anew)\b`;
  const comments = new RegExp(String.raw`^\s*(?:\/\*\*| \*|\/\/).*${words}`, "gim");
  const names = new RegExp(String.raw`(?:Deno\.test\(|\.step\(|\bname:)\s*["'\`].*${words}(?!\.\w)`, "gi");
  const vagueIn = (text: string) =>
    [comments, names].flatMap((pattern) => [...text.matchAll(pattern)].map(([, word]) => word));
  for (const word of ["nobody", "whoever"]) {
    const found = vagueIn(
      `// For ${word}.\nDeno.test("${word} asks", test);\nt.step(\n  "${word} is asked");`,
    );
    assert.deepEqual(found, [word, word, word]);
    assert.deepEqual(vagueIn(`const query = { name: "${word}.mini.net" };`), []);
  }
  const vague = ["cli", "services", "ffi", "proto", "deploy", "tests", ".ci"]
    .flatMap((folder) => [...sources(folder, true)])
    .flatMap((path) => vagueIn(read(path)).map((word) => `${path}: ${word}`));
  assert.deepEqual(vague, []);
});

/** A page's text without its markup. */
const plain = (name: string) =>
  (manual.get(name) ?? "").replaceAll("\\-", "-").replace(/\\f[A-Z]|^\.[A-Z]+ /gm, "");

Deno.test("strand.1 has every command, with its options, and no other one", () => {
  const page = plain("strand.1");
  const [, section = ""] = /^\.SH COMMANDS\n([^]*?)^\.SH /m.exec(manual.get("strand.1") ?? "") ?? [];
  const told = [...section.matchAll(/^\.TP\n(?:\.BR? |\\fB)([a-z](?:[a-z]|\\-)*)/gm)].map(([, name = ""]) =>
    name.replaceAll("\\-", "-")
  );
  const known = new Set([...commands.map(({ name }) => name), "help"]);
  assert.deepEqual(new Set(told), known);
  const absent = commands.flatMap(({ name, usage }) =>
    [name, ...usage.match(/--[a-z-]+/g) ?? []].filter((word) => !page.includes(word))
  );
  assert.deepEqual(absent, []);
});

Deno.test("nex.1 and sand-agent-cli.1 have every command, with its options", () => {
  const words = (command: Command): string[] => [
    command.name(),
    ...command.options.flatMap(({ short, long }) => [short ?? [], long ?? []].flat()),
    ...command.commands.flatMap(words),
  ];
  for (const program of [nexProgram(systemTerminal), sandProgram(systemTerminal)]) {
    const all = words(program), page = plain(`${program.name()}.1`);
    assert.ok(all.length > 25, `${all.length} words`);
    assert.deepEqual(all.filter((word) => !new RegExp(`(?<![\\w-])${word}(?![\\w-])`).test(page)), []);
  }
});

Deno.test("every name that the program can be called by has a page, and every service's page its keys", () => {
  const services = ["nexd", "dhcpd", "dnsd", "agent", "gatewayd", "dashboard"];
  const wanted = commands.flatMap(({ name, aliases = [], ownHelp, page }) => [
    ...services.includes(name) ? [`strand-${name}.8`, ...aliases.map((alias) => `${alias}.8`)] : [],
    ...page !== undefined ? [page] : ownHelp ? [`${name}.1`, ...aliases.map((alias) => `${alias}.1`)] : [],
  ]);
  assert.deepEqual(wanted.filter((name) => !manual.has(name)), []);
  const absent = services.flatMap((name) =>
    keysAt([name]).filter((key) => !plain(`strand-${name}.8`).includes(key)).map((key) => `${name}.${key}`)
  );
  assert.deepEqual(absent, []);
});

const groff = (await run(["sh", "-c", "command -v groff"], { mayFail: true })).code === 0;

Deno.test({
  name: "groff has nothing to say about the manual",
  ignore: !groff,
  async fn() {
    const links: string[] = [];
    for (const [name, text] of manual) {
      const target = /^\.so man[18]\/(\S+)\n$/.exec(text)?.[1];
      if (target) links.push(target);
      else {
        const format = ["groff", "-man", "-Tutf8", "-ww", "-z", `${root}docs/man/${name}`];
        assert.equal((await run(format, { mayFail: true })).stderr, "");
      }
    }
    assert.deepEqual(links.filter((target) => !manual.has(target)), []);
  },
});
