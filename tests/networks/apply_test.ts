/** `strand apply`, `get`, `set`, `delete` over a nexd and a real etcd: networks with an overlay beside others. */
import assert from "node:assert/strict";
import { BitSet } from "../../services/overlay/bit_set.ts";
import { type LabEtcd, labEtcd } from "../lab/etcd.ts";
import { run, strandCommand } from "../lab/host.ts";
import { blue, mini } from "../lab/specs.ts";
import { until } from "../lab/until.ts";
import { everyRefusal } from "./every_refusal.ts";
import { type OverNexd, overNexd } from "./over_nexd.ts";

const red = blue.replaceAll("blue", "red");

/** Each begins without a network. */
const cases: readonly (readonly [name: string, holds: (it: OverNexd, etcd: LabEtcd) => Promise<void>])[] = [
  [
    "one file makes overlays with addresses and names, beside flat networks, and the store has them",
    onOneFile,
  ],
  ["a part of a spec that is refused refuses all of it, with field, value and what would be right", refusals],
  ["all that is refused of a file is told at once, also as JSON", (it) => everyRefusal(it, mini, blue)],
  [
    "a member of an overlay network moves to another MAC, and a declined address is given back, through nexd",
    moved,
  ],
  ["files, folders and standard input are one spec", sources],
  ["of two nexds at once one makes a name, be it with an overlay or without", atOnce],
  ["strand apply --prune deletes the members that the files do not name, after a question", prunes],
  [
    "nexd makes overlays where ETCD_PREFIX says, and does not start where all are under another one",
    prefixes,
  ],
];

Deno.test("strand apply, get, set and delete over a nexd", async (t) => {
  await using etcd = await labEtcd();
  await using it = await overNexd(etcd);
  await it.services.start("nexd");
  for (const [name, holds] of cases) {
    await t.step(name, async () => {
      for (const network of (await it.strand(["get", "networks"])).split("\n").filter(Boolean)) {
        await it.strand(["delete", "network", network]);
      }
      await until("none is seen", (see) => see(it.view.networkNames().size) === 0);
      await holds(it, etcd);
    });
  }
});

async function onOneFile(it: OverNexd) {
  const { keys, view } = it;
  const made = "network blue created\nmember db created\nmember web created\n";
  assert.equal(await it.strand(["apply", "--dry-run", "-"], blue), made.replaceAll("\n", " (dry run)\n"));
  assert.equal(await it.strand(["get", "networks"]), "", "a dry run writes nothing");

  assert.equal(
    await it.strand(["apply", "-"], `${blue}---\n${mini}---\n${red}`),
    `network blue created\nnetwork mini created\nnetwork red created\n` +
      "member db created\nmember web created\nmember db created\nmember web created\n",
  );
  assert.equal(await it.strand(["get", "networks"]), "blue\nmini\nred\n");
  await until("the names are seen", () => view.networkNames().size === 2);
  const id = view.networkNamed("blue") ?? "";
  const whole = [keys.network(id), keys.allocation(id), keys.networkName("blue"), keys.settings(id)];
  const revisions = await Promise.all(whole.map(it.revisionOf));
  assert.deepEqual(new Set(revisions).size, 1, `one transaction, not ${revisions}`);
  assert.deepEqual(await it.json(keys.settings(id)), {
    network: { name: "blue", domain: "blue.example" },
    overlay: { contain: true },
  });
  const bits = [...BitSet.decode((await it.json(keys.allocation(id))).bit_set).ones()];
  assert.deepEqual(bits, [0, 1, 2, 5, 255]);
  const red1 = view.network(view.networkNamed("red") ?? "");
  assert.deepEqual([view.network(id)?.vxlan_vni, red1?.vxlan_vni].sort(), [1, 2]);
  assert.equal(await it.strand(["apply", "-"], blue), made.replaceAll("created", "unchanged"));

  // What `get` prints is derived where it was not set, and can be applied as it is.
  const network = await it.strand(["get", "network", "blue", "-o", "yaml"]);
  assert.match(network, /^gateways:\n {2}- 10\.0\.0\.1$/m);
  assert.match(network, new RegExp(`^overlay:\n {2}id: ${id}\n {2}contain: true$`, "m"));
  const members = await it.strand(["get", "members", "blue", "-o", "yaml"]);
  assert.equal(
    await it.strand(["apply", "-"], `${network}---\n${members}`),
    made.replaceAll("created", "unchanged"),
  );
  assert.equal(await it.services.nex("get", "network", "blue", "-o", "yaml"), network, "nex prints the same");
  const all = await it.strand(["get", "networks", "-o", "yaml"]);
  assert.equal(
    await it.strand(["apply", "-"], all),
    "network blue unchanged\nnetwork mini unchanged\nnetwork red unchanged\n",
  );
  assert.equal(
    await it.strand(["get", "members", "blue", "-o", "wide"]),
    "52:54:00:00:00:05 db  10.0.0.5 - no\n52:54:00:00:00:06 web 10.0.0.2 - no\n",
  );
  assert.match(await it.strand(["get", "networks", "-o", "wide"]), /^mini +10\.0\.0\.0\/24 - +- +-$/m);

  await it.strand(["set", "network", "range4", "blue", "10.0.0.2", "10.0.0.99"]);
  await it.strand(["set", "network", "overlay", "blue", "dns", "off"]);
  await it.strand(["set", "network", "overlay", "blue", "forward", "on"]);
  assert.match(await it.strand(["get", "network", "blue", "-o", "yaml"]), /^ {2}forward: true$/m);
  // A dry run says which fields would change, of networks and members of both kinds.
  const other = blue.replace("name: web", "name: www") + `---\n${mini}domain: mini.example\n`;
  assert.equal(
    await it.strand(["apply", "--dry-run", "--force", "-"], other),
    "network blue updated (dry run)\n  range4: 10.0.0.2 - 10.0.0.99 → 10.0.0.2 - 10.0.0.254\n" +
      "  overlay.dns: false → not set\n  overlay.forward: true → not set\n" +
      "network mini updated (dry run)\n  domain: not set → mini.example\n" +
      "member db unchanged (dry run)\nmember www updated (dry run)\n  name: web → www\n",
  );
  await it.strand(["set", "member", "name", "blue", "52:54:00:00:00:06", "www"]);
  assert.deepEqual((await it.json(keys.settings(id))).overlay, { contain: true, dns: false, forward: true });
  assert.equal(
    await it.strand(["apply", "--force", "-"], blue),
    "network blue updated\nmember db unchanged\nmember web updated\n",
  );
  assert.deepEqual((await it.json(keys.settings(id))).overlay, { contain: true });

  await it.strand(["delete", "member", "blue", "52:54:00:00:00:05"]);
  await it.strand(["delete", "network", "blue"]);
  assert.equal(await it.strand(["get", "networks"]), "mini\nred\n");
  await until(
    "nothing of it is left",
    (see) =>
      see([...it.store.mirror.entries()].filter(({ key }) => key.includes(id) || key.endsWith("/blue")))
        .length === 0,
  );
  const gone = await it.tryStrand(["get", "members", "blue"]);
  assert.deepEqual([gone.code, gone.err], [1, 'strand: there is no network "blue"\n']);
  assert.equal(await it.strand(["apply", "-"], blue), made);
}

async function refusals(it: OverNexd) {
  const refuses = async (spec: string, message: string) => {
    const before = await it.everything();
    assert.deepEqual(await it.tryStrand(["apply", "-"], spec), {
      code: 1,
      out: "",
      err: `strand: standard input: ${message}\n`,
    });
    assert.deepEqual(await it.everything(), before, "nothing is written");
  };
  await refuses(
    `${mini}---\n${blue.replace("overlay", "gateways: [10.9.0.1]\noverlay")}`,
    "document 2, line 9: network blue: gateways: 10.9.0.1 is outside the subnet 10.0.0.0/24",
  );
  await refuses(
    `${mini}---\n${blue.replace("10.0.0.5", "10.0.1.5")}`,
    "document 3, line 14: member 52:54:00:00:00:05: ip4: 10.0.1.5 is outside the range 10.0.0.0/24 of network blue",
  );
  await it.strand(["apply", "-"], `${mini}---\n${blue}`);
  await refuses(
    blue.replace("10.0.0.0/24", "10.0.0.0/16"),
    "document 1, line 3: network blue: subnet4: 10.0.0.0/16 is not 10.0.0.0/24: the range of an overlay network cannot change; make a new network",
  );
  await refuses(
    `${red}---\nkind: Network\nname: blue\nsubnet4: 10.1.0.0/24\n`,
    "document 3, line 13: network blue exists with an overlay: change it with overlay: {} in its spec, or take another name",
  );
  await refuses(
    `${red}---\n${mini}overlay: {}\n`,
    "document 3, line 16: network mini: overlay: the network of this name has none, and cannot get one",
  );
}

async function moved(it: OverNexd) {
  const moved = "52:54:00:00:00:0a", web = "52:54:00:00:00:06";
  await it.strand(["apply", "-"], `${blue}---\n${red}`);
  await until("the names are seen", () => it.view.networkNames().size === 2);
  const id = it.view.networkNamed("blue") ?? "";
  const change = (...macs: string[]) =>
    it.services.nex("change", "blue", ...macs).then(() => "", (error) => String(error));
  assert.equal(await change("52:54:00:00:00:05", moved), "");
  assert.equal(
    await it.strand(["get", "members", "blue", "-o", "wide"]),
    `${web} web 10.0.0.2 - no\n${moved} db  10.0.0.5 - no\n`,
  );
  const before = await it.everything();
  assert.match(await change("52:54:00:00:00:05", "52:54:00:00:00:0b"), /52:54:00:00:00:05/);
  assert.match(await change(moved, web), new RegExp(web));
  assert.deepEqual(await it.everything(), before);

  // As a lease's machine found it in use (DHCPDECLINE).
  const key = it.keys.withheldAddress(id, "10.0.0.9"), ends = Math.floor(Date.now() / 1000) + 86_400;
  await it.store.committer.commit({
    guards: [],
    ops: [{ put: key, value: JSON.stringify({ mac: web, until: ends }) }],
  });
  await until(
    "nexd shows it",
    async (see) => /10\.0\.0\.9/.test(see(await it.strand(["get", "declined", "blue"]))),
  );
  assert.match(await it.strand(["get", "declined"]), new RegExp(`^10\\.0\\.0\\.9 blue ${web} `));
  assert.equal(await it.strand(["get", "declined", "red"]), "");
  const other = await it.tryStrand(["delete", "declined", "red", "10.0.0.9"]);
  assert.equal(other.err, "strand: network red: 10.0.0.9 is not among its declined addresses\n");
  await it.strand(["delete", "declined", "blue", "10.0.0.9"]);
  assert.equal(await it.revisionOf(key), 0);
  assert.equal(await it.strand(["get", "declined", "blue"]), "");
}

async function sources(it: OverNexd) {
  const folder = `${it.services.directory}/specs`;
  await Deno.mkdir(folder);
  const none = await it.tryStrand(["apply", folder]);
  assert.deepEqual([none.code, none.err], [1, `strand: ${folder}: holds no file *.yml or *.yaml\n`]);
  await Deno.writeTextFile(`${folder}/b.yaml`, blue.slice(blue.indexOf("---\n") + 4));
  await Deno.writeTextFile(`${folder}/a.yml`, blue.slice(0, blue.indexOf("---\n")));
  await Deno.writeTextFile(`${folder}/notes.txt`, "not a spec");
  assert.equal(
    await it.strand(["apply", folder, "-"], mini),
    "network blue created\nnetwork mini created\nmember db created\nmember web created\n",
  );
  const twice = await it.tryStrand(["apply", folder, "-"], blue);
  const there = (document: number, line: number, what: string, file: string) =>
    `strand: standard input: document ${document}, line ${line}: ${what} is there already, in document 1 of ${folder}/${file}\n`;
  assert.equal(
    twice.err,
    there(1, 2, "network blue", "a.yml") + there(2, 10, "mac 52:54:00:00:00:05", "b.yaml") +
      there(2, 11, "mac 52:54:00:00:00:06", "b.yaml"),
  );
}

async function atOnce(one: OverNexd, etcd: LabEtcd) {
  await using two = await overNexd(etcd);
  await two.services.start("nexd");
  for (let i = 0; i < 8; i++) {
    const flat = `kind: Network\nname: n${i}\nsubnet4: 10.9.${i}.0/24\n`;
    const results = await Promise.all([
      one.tryStrand(["apply", "-"], flat),
      two.tryStrand(["apply", "-"], `${flat}overlay: {}\n`),
    ]);
    assert.deepEqual(results.map(({ code }) => code).sort(), [0, 1], JSON.stringify(results));
    assert.match(
      results.map(({ err }) => err).join(""),
      /exists with an overlay|the network of this name has none/,
    );
  }
  assert.equal((await one.strand(["get", "networks"])).split("\n").length, 9);
  const reserve = (n: number) =>
    `kind: MemberList\nnet: blue\nlist:\n- {mac: 52:54:00:00:01:0${n}, ip4: 10.0.0.9}\n`;
  await one.strand(["apply", "-"], blue);
  await until(
    "the other knows it",
    async (see) => /^blue$/m.test(see(await two.strand(["get", "networks"]))),
  );
  const results = await Promise.all([
    one.tryStrand(["apply", "-"], reserve(1)),
    two.tryStrand(["apply", "-"], reserve(2)),
  ]);
  assert.deepEqual(results.map(({ code }) => code).sort(), [0, 1]);
  assert.match(
    results.map(({ err }) => err).join(""),
    /ip4: 10\.0\.0\.9 of network blue belongs to .*, for which it is reserved/,
  );
}

async function prefixes(_: OverNexd, etcd: LabEtcd) {
  await using it = await overNexd(etcd, "/overlay");
  const nexd = await it.services.start("nexd", { ETCD_PREFIX: "/overlay" });
  await it.strand(["apply", "-"], blue);
  await until("it is there", () => it.view.networkNamed("blue") !== undefined);
  await nexd.stop();
  const there = { put: "/sc-net/network/320a669f-e465-4806-ab46-f2e6620c4311", value: "{}" };
  await it.store.committer.commit({ guards: [], ops: [there] });
  const other = await run(strandCommand(["nexd", "--config", `${it.services.directory}/nex.yml`]), {
    mayFail: true,
    env: { ETCD_PREFIX: "/misspelt" },
  });
  assert.equal(other.code, 1);
  assert.match(
    other.stderr,
    /ETCD_PREFIX: nothing is under \/misspelt in etcd, and 1 networks are under \/sc-net/,
  );
}

async function prunes(it: OverNexd) {
  const flat = "kind: Network\nname: flat\nsubnet4: 10.9.0.0/24\n---\n" +
    "kind: MemberList\nnet: flat\nlist:\n- {mac: 52:54:00:00:09:01, name: a}\n- {mac: 52:54:00:00:09:02, name: b}\n";
  const all = `${blue}---\n${red}---\n${flat}`;
  await it.strand(["apply", "-"], all);
  const less = (text: string) => text.replace("- {mac: 52:54:00:00:00:06, name: web}\n", "");
  const members = async (net: string) => (await it.strand(["get", "members", net])).split("\n").length - 1;

  // Without a terminal, what would go has to be agreed to.
  const before = await it.everything();
  const unconfirmed = await it.tryStrand(["apply", "--prune", "-"], less(blue));
  assert.equal(unconfirmed.code, 1);
  assert.match(
    unconfirmed.err,
    /--prune would delete member web \(52:54:00:00:00:06\) of network blue, and standard input is no terminal/,
  );
  const no = await it.tryStrand(["apply", "--prune", "-"], less(blue), "n\n");
  assert.match(
    no.err,
    /to be deleted:\n {2}member web \(52:54:00:00:00:06\) of network blue\ndelete it\? \[y\/N\] /,
  );
  assert.match(no.err, /nothing was applied, and nothing deleted/);
  const dry = await it.strand(["apply", "--prune", "--dry-run", "-"], less(blue));
  assert.match(
    dry,
    /^network blue unchanged \(dry run\)\nmember db unchanged \(dry run\)\nmember web \(52:54:00:00:00:06\) deleted \(dry run\)\n$/,
  );
  assert.equal((await it.tryStrand(["apply", "--yes", "-"], blue)).code, 2);
  // A file that is refused deletes nothing.
  const wrong = await it.tryStrand(
    ["apply", "--prune", "--yes", "-"],
    less(blue).replace("ip4: 10.0.0.5", "ip4: 10.1.0.5"),
  );
  assert.equal(wrong.code, 1);
  assert.deepEqual(await it.everything(), before);

  const yes = await it.tryStrand(["apply", "--prune", "-"], less(blue), "y\n");
  assert.equal(
    yes.out,
    "network blue unchanged\nmember db unchanged\nmember web (52:54:00:00:00:06) deleted\n",
  );
  // Other networks, and those whose members no file lists, are left alone.
  assert.deepEqual([await members("blue"), await members("red"), await members("flat")], [1, 2, 2]);
  await it.strand(
    ["apply", "--prune", "-"],
    "kind: Network\nname: red\nsubnet4: 10.0.0.0/24\ndomain: red.example\noverlay: {}\n",
  );
  assert.equal(await members("red"), 2);
  const fewer = flat.replace("- {mac: 52:54:00:00:09:02, name: b}\n", "");
  assert.match(
    await it.strand(["apply", "--prune", "--yes", "-"], fewer),
    /^member b\S* \(52:54:00:00:09:02\) deleted$/m,
  );
  assert.equal(await members("flat"), 1);
  // A network that is made by the same file has no members yet.
  assert.match(
    await it.strand(["apply", "--prune", "-"], blue.replaceAll("blue", "new")),
    /network new created/,
  );
}
