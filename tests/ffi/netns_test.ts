/** Network namespaces created, opened and removed, also at paths with links and other files. */
import { lchownSync } from "node:fs";
import assert from "node:assert/strict";
import { libc } from "../../ffi/libc.ts";
import {
  createNamespace,
  home,
  inNamespace,
  namespaceIdentity,
  openNamespace,
  removeNamespace,
} from "../../ffi/netns.ts";
import { run } from "../lab/host.ts";
import { until } from "../lab/until.ts";
import { TestNamespace } from "./namespaces.ts";

/** How many descriptors this process has. */
const descriptors = () => [...Deno.readDirSync("/proc/self/fd")].length;

Deno.test("createNamespace() makes one that ip netns knows, and this thread stays where it was", async () => {
  const before = namespaceIdentity(home);
  using made = new TestNamespace();
  const links = await made.ip("link");
  assert.deepEqual(links.map((link) => [link.ifname, link.operstate]), [["lo", "DOWN"]]);
  assert.equal((await run(["ip", "netns", "identify", `${Deno.pid}`])).stdout.trim(), "");
  const own = openNamespace("/proc/thread-self/ns/net");
  assert.equal(namespaceIdentity(own), before);
  libc.close(own);
  const again = openNamespace(made.path);
  assert.equal(namespaceIdentity(again), namespaceIdentity(made.fd));
  assert.notEqual(namespaceIdentity(again), before);
  libc.close(again);
});

Deno.test("createNamespace() refuses a path in use and takes what a killed process left", () => {
  using made = new TestNamespace();
  assert.throws(() => createNamespace(made.path), { message: `${made.path}: exists already` });
  const left = `${made.path}-left`, taken = `${made.path}-taken`, link = `${made.path}-link`;
  Deno.writeTextFileSync(left, "");
  Deno.writeTextFileSync(taken, "data");
  Deno.symlinkSync(left, link);
  try {
    libc.close(createNamespace(left));
    libc.close(openNamespace(left));
    assert.throws(() => createNamespace(taken), { message: `${taken}: something else is there` });
    assert.throws(() => removeNamespace(taken), { message: `${taken}: not a network namespace` });
    assert.throws(() => createNamespace(link), { message: `create ${link}: a symbolic link` });
    assert.throws(() => createNamespace("/nowhere/x"), { message: "open /nowhere/x: no such file" });
    assert.equal(Deno.readTextFileSync(taken), "data");
  } finally {
    Deno.removeSync(taken);
    Deno.removeSync(link);
    assert.equal(removeNamespace(left), true);
  }
  assert.equal(removeNamespace(left), false);
});

Deno.test("removeNamespace() removes all that is mounted there, and a file that nothing is mounted on", async () => {
  using other = new TestNamespace();
  const path = `${other.path}-twice`;
  libc.close(createNamespace(path));
  await run(["mount", "--bind", other.path, path]);
  assert.equal(removeNamespace(path), true);
  Deno.writeTextFileSync(path, "");
  assert.equal(removeNamespace(path), true);
  assert.throws(() => Deno.lstatSync(path), Deno.errors.NotFound);
});

Deno.test("openNamespace() opens nothing but a network namespace, and says what is wrong", async () => {
  using made = new TestNamespace();
  const folder = Deno.makeTempDirSync();
  const before = descriptors();
  const at = (name: string) => `${folder}/${name}`;
  const refused = (path: string, reason: string) =>
    assert.throws(() => openNamespace(path), (error) => {
      assert(error instanceof Error);
      assert.equal(error.message, reason, path);
      return true;
    });
  try {
    Deno.writeTextFileSync(at("empty"), "");
    Deno.writeTextFileSync(at("text"), "text");
    Deno.symlinkSync(made.path, at("link"));
    await run(["mkfifo", at("fifo")]);
    refused(at("none"), `open ${at("none")}: no such file`);
    refused(
      at("empty"),
      `${
        at("empty")
      }: not a network namespace (an empty file: what was mounted there is gone, or is elsewhere)`,
    );
    refused(at("text"), `${at("text")}: not a network namespace`);
    // Opening a FIFO to read would wait for a writer for ever.
    refused(at("fifo"), `${at("fifo")}: not a network namespace`);
    refused(at("link"), `${at("link")}: a symbolic link: name the network namespace's own path`);
    refused(folder, `${folder}: not a network namespace`);
    refused("/dev/null", "/dev/null: not a network namespace");
    refused("/proc/self/ns/mnt", "/proc/self/ns/mnt: a namespace, but not a network namespace");
    refused("/proc/0/ns/net", "open /proc/0/ns/net: no such file");
    refused("", ": not the path of a file");
    refused("/run/netns/", "/run/netns/: not the path of a file");
    refused("/run/a\0b", "/run/a\0b: not the path of a file");
    refused(`/run/${"x".repeat(300)}`, `open /run/${"x".repeat(300)}: name too long`);
    // What containers are named by.
    libc.close(openNamespace(`/proc/${Deno.pid}/ns/net`));
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
  assert.equal(descriptors(), before);
});

Deno.test("a link on the way to a namespace is followed only where root alone can change it", () => {
  using made = new TestNamespace();
  const folder = Deno.makeTempDirSync(), before = descriptors();
  const at = (name: string) => `${folder}/${name}`, name = made.path.replace(/.*\//, "");
  const netns = made.path.replace(/\/[^/]*$/, "");
  const opens = (path: string) => libc.close(openNamespace(path));
  const refused = (path: string, part: string) =>
    assert.throws(() => openNamespace(path), {
      message:
        `${path}: "${part}" in it is a link that others than root can change: name the path without it`,
    });
  try {
    Deno.symlinkSync(netns, at("root"));
    Deno.symlinkSync("root", at("again"));
    opens(`${at("root")}/${name}`);
    opens(`${at("again")}//./${name}`);
    opens(`${folder}/../..${netns}/${name}`);
    Deno.symlinkSync("loop", at("loop"));
    refused(`${at("loop")}/${name}`, "loop");

    Deno.symlinkSync(netns, at("user"));
    lchownSync(at("user"), 65534, 65534);
    refused(`${at("user")}/${name}`, "user");

    for (
      const [mode, owner, sticky] of [[0o770, 0, 0], [0o757, 0, 0], [0o755, 65534, 0], [0o777, 0, 0o1000]]
    ) {
      const open = at(`open-${mode}-${owner}`);
      Deno.mkdirSync(open);
      Deno.symlinkSync(netns, `${open}/link`);
      Deno.chownSync(open, owner!, 0);
      Deno.chmodSync(open, mode! | sticky!);
      // In a sticky folder no other user can remove root's link.
      if (sticky) opens(`${open}/link/${name}`);
      else {
        refused(`${open}/link/${name}`, "link");
        refused(`${open}/../root/${name}`, "..");
      }
    }
    // Without a link the path is what it says.
    const plain = at("plain");
    Deno.mkdirSync(plain);
    libc.close(createNamespace(`${plain}/ns`));
    Deno.chownSync(plain, 65534, 65534);
    opens(`${plain}/ns`);
    removeNamespace(`${plain}/ns`);

    opens("/proc/self/ns/net");
    opens("/proc/thread-self/ns/net");
    opens(`/proc/${Deno.pid}/task/${Deno.pid}/ns/net`);
    // As an agent in a container sees those of its host.
    opens(`/proc/${Deno.pid}/root${made.path}`);
    refused(`/proc/${Deno.pid}/root${folder}/root/${name}`, "root");
    refused(`/proc/${Deno.pid}/cwd/${name}`, "cwd");
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
  assert.equal(descriptors(), before);
});

Deno.test("a descriptor goes on standing for what was checked when its path is swapped", () => {
  using one = new TestNamespace();
  const path = `${one.path}-swapped`;
  libc.close(createNamespace(path));
  const opened = openNamespace(path);
  try {
    const identity = namespaceIdentity(opened);
    removeNamespace(path);
    Deno.symlinkSync("/proc/self/ns/net", path);
    assert.equal(namespaceIdentity(opened), identity);
    const inside = inNamespace(opened, () => {
      const fd = openNamespace("/proc/thread-self/ns/net");
      const result = namespaceIdentity(fd);
      libc.close(fd);
      return result;
    });
    assert.equal(inside, identity);
  } finally {
    libc.close(opened);
    Deno.removeSync(path);
  }
});

Deno.test("a namespace that has the inode of a deleted one is told from it", async () => {
  const path = `/run/netns/strand-ffi-${Deno.pid}-recurs`, seen = new Map<string, Set<string>>();
  const recurred = () => [...seen.values()].find((identities) => identities.size > 1);
  try {
    // The kernel gives the lowest inode that is free, once what is deleted in the background is gone.
    await until("an inode recurs", () => {
      const fd = createNamespace(path);
      const identity = namespaceIdentity(fd), [inode = "", cookie = ""] = identity.split("/");
      libc.close(fd);
      removeNamespace(path);
      assert.match(cookie, /^[1-9]\d*$/);
      seen.set(inode, (seen.get(inode) ?? new Set()).add(identity));
      return recurred() !== undefined;
    });
  } finally {
    removeNamespace(path);
  }
  const all = [...seen.values()].flatMap((identities) => [...identities]);
  assert.equal(new Set(all.map((identity) => identity.split("/")[1])).size, all.length);
});

Deno.test("200 namespaces are made, opened and removed, and no descriptor is left", () => {
  const before = descriptors();
  const paths = Array.from({ length: 200 }, (_, i) => `/run/netns/strand-ffi-${Deno.pid}-many-${i}`);
  const identities = new Set<string>();
  const held: number[] = [];
  try {
    for (const path of paths) {
      const fd = createNamespace(path);
      held.push(fd);
      identities.add(namespaceIdentity(fd));
    }
    assert.equal(identities.size, paths.length);
  } finally {
    held.forEach((fd) => libc.close(fd));
    paths.forEach(removeNamespace);
  }
  assert.equal(descriptors(), before);
});
