/** nex against a real nexd: the session of the documentation, and errors. */
import assert from "node:assert/strict";
import { nexHere, nexProcess } from "../lab/nex.ts";
import { until } from "../lab/until.ts";
import { labNexd } from "./nexd.ts";

/** The first session of the documentation. */
const mini = Deno.readTextFileSync(new URL("../../examples/mini.yml", import.meta.url));

const done = (stdout: string) => ({ code: 0, stdout, stderr: "" });

Deno.test("the session that Nex users know", async (t) => {
  await using nexd = await labNexd();
  const $ = (...args: string[]) => nexHere(nexd.address, args);
  const members = `00:00:11:11:00:01 whiskey.mini.net 10.0.0.10
00:00:22:22:00:01 tango.mini.net   10.0.0.11
00:00:33:33:00:01 foxtrot.mini.net 10.0.0.12
`;
  const file = await Deno.makeTempFile({ suffix: ".yml" });
  try {
    await Deno.writeTextFile(file, mini);
    await t.step("nex apply mini.yml", async () => {
      const created = [
        "network mini",
        "member whiskey.mini.net",
        "member tango.mini.net",
        "member foxtrot.mini.net",
      ];
      const lines = (action: string) => created.map((object) => `${object} ${action}\n`).join("");
      const dry = await nexProcess(nexd.address, ["apply", "--dry-run", file]);
      assert.deepEqual(dry, done(lines("created (dry run)")));
      assert.deepEqual(await $("get", "networks"), done(""));
      assert.deepEqual(await $("apply", file), done(lines("created")));
      assert.deepEqual(await $("apply", file), done(lines("unchanged")));
    });
  } finally {
    await Deno.remove(file);
  }
  await t.step("nex get networks", async () => {
    assert.deepEqual(await nexProcess(nexd.address, ["get", "networks"]), done("mini\n"));
  });
  await t.step("nex get network mini", async () =>
    assert.deepEqual(
      await $("get", "network", "mini"),
      done(`name:        mini
subnet4:     10.0.0.0/24
gateways:    10.0.0.1
nameservers: 10.0.0.1
dhcp4server: 10.0.0.1
domain:      mini.net
range4:      10.0.0.10-10.0.0.254
`),
    ));
  await t.step(
    "nex get members mini",
    async () => assert.deepEqual(await $("get", "members", "mini"), done(members)),
  );
  await t.step("a lease shows the time that it still runs", async () => {
    await using lease = await leaseOf(nexd.etcd.endpoint, "00:00:22:22:00:01", 3 * 3600 + 53 * 60 + 59);
    void lease;
    const shown = /^00:00:22:22:00:01 tango\.mini\.net {3}10\.0\.0\.11 \(3:53:\d\d\)$/m;
    await until("it is shown", async (see) => shown.test(see((await $("get", "members", "mini")).stdout)));
  });
  await t.step("nex set network changes one property at a time", async () => {
    const changes = [
      ["gateway", "mini", "10.0.0.2"],
      ["gateway", "-a", "mini", "10.0.0.1"],
      ["nameserver", "mini", "10.0.0.3"],
      ["option", "mini", "42", "10.0.0.4"],
      ["duration", "mini", "900"],
      ["siaddr", "mini", "10.0.0.5"],
      ["dhcp4server", "mini", "10.0.0.2"],
      ["range4", "mini", "10.0.0.10", "10.0.0.99"],
      ["macrange", "mini", "02:00:00:00:00:00", "02:00:00:00:00:ff"],
    ];
    for (const change of changes) {
      assert.deepEqual(await $("set", "network", ...change), done(""), change.join(" "));
    }
    const { stdout } = await $("get", "network", "mini", "-o", "json");
    assert.deepEqual(JSON.parse(stdout), {
      kind: "Network",
      name: "mini",
      subnet4: "10.0.0.0/24",
      gateways: ["10.0.0.2"],
      nameservers: ["10.0.0.1", "10.0.0.3"],
      options: [{ number: 42, value: "10.0.0.4" }],
      dhcp4server: "10.0.0.2",
      siaddr: "10.0.0.5",
      domain: "mini.net",
      range4: { begin: "10.0.0.10", end: "10.0.0.99" },
      macrange: { begin: "02:00:00:00:00:00", end: "02:00:00:00:00:ff" },
      leaseduration: 900,
    });
  });
  await t.step("what nex get network -o yaml prints can be applied again", async () => {
    const { stdout } = await $("get", "network", "mini", "-o", "yaml");
    assert.deepEqual(
      await nexProcess(nexd.address, ["apply", "-"], stdout),
      done("network mini unchanged\n"),
    );
    const changed = stdout.replace("leaseduration: 900", "leaseduration: 1200");
    assert.deepEqual(
      await nexHere(nexd.address, ["set", "network", "-"], changed),
      done("network mini updated\n"),
    );
  });
  await t.step("members come, change and go", async () => {
    const mac = "00:00:44:44:00:01";
    assert.deepEqual(await $("add", "member", "mini", mac), done(""));
    assert.deepEqual(await $("set", "member", "name", "mini", mac, "Zulu"), done(""));
    assert.deepEqual(await $("set", "member", "ip4", "mini", mac, "10.0.0.200"), done(""));
    assert.match(
      (await $("get", "members", "mini")).stdout,
      /^00:00:44:44:00:01 zulu\.mini\.net {4}10\.0\.0\.200$/m,
    );
    assert.deepEqual(await $("delete", "member", "mini", mac), done(""));
    assert.doesNotMatch((await $("get", "members", "mini")).stdout, /zulu/);
  });
  await t.step("a MAC is a member of two networks, and leaves one of them", async () => {
    const mac = "00:00:11:11:00:01";
    const other = "kind: Network\nname: other\nsubnet4: 10.6.0.0/24\ndomain: other.net\n" +
      `---\nkind: MemberList\nnet: other\nlist: [{mac: "${mac}", name: whiskey, ip4: 10.6.0.7}]\n`;
    const before = await $("get", "members", "mini");
    const created = "network other created\nmember whiskey.other.net created\n";
    assert.deepEqual(await nexHere(nexd.address, ["apply", "-"], other), done(created));
    assert.deepEqual(await $("get", "members", "other"), done(`${mac} whiskey.other.net 10.6.0.7\n`));
    assert.deepEqual(await $("set", "member", "ip4", "other", mac, "10.6.0.8"), done(""));
    assert.deepEqual(await $("get", "members", "mini"), before);
    assert.deepEqual(await $("delete", "member", "other", mac), done(""));
    assert.deepEqual(await $("get", "members", "mini"), before);
    assert.deepEqual(await $("delete", "network", "other"), done(""));
  });
  await t.step("nex change moves a member to another MAC", async () => {
    const [old, moved] = ["00:00:33:33:00:01", "00:00:33:33:00:02"];
    const before = (await $("get", "members", "mini")).stdout;
    assert.deepEqual(await $("change", "mini", old, moved), done(""));
    assert.equal((await $("get", "members", "mini")).stdout, before.replace(old, moved));
    assert.deepEqual(await $("change", "mini", moved, old), done(""));
    const stderr = `nex: network mini has no member ${moved}\n`;
    assert.deepEqual(await $("change", "mini", moved, old), { code: 1, stdout: "", stderr });
  });
  await t.step(
    "a reservation inside the range is claimed at once; what another has is refused, naming it",
    async () => {
      const mac = "00:00:44:44:00:01";
      assert.deepEqual(await $("add", "member", "mini", mac), done(""));
      assert.deepEqual(await $("set", "member", "ip4", "mini", mac, "10.0.0.50"), done(""));
      await using lease = await leaseOf(nexd.etcd.endpoint, "00:00:22:22:00:01", 3600);
      void lease;
      await until(
        "nexd knows the lease",
        async () => (await $("get", "members", "mini")).stdout.includes("("),
      );
      const { code, stderr } = await $("set", "member", "ip4", "mini", mac, "10.0.0.11");
      assert.equal(code, 1);
      assert.match(
        stderr,
        /10\.0\.0\.11 belongs to 00:00:22:22:00:01 \(tango\.mini\.net\) already, with a lease until 20/,
      );
    },
  );
  await t.step(
    "what nex get prints can be applied into an empty store: names and addresses are kept",
    async () => {
      const table = async () =>
        (await $("get", "network", "mini")).stdout + (await $("get", "members", "mini")).stdout;
      // nexd shows what etcd has had removed a moment later.
      await until("the lease before is gone", async (see) => !see(await table()).includes("("));
      const before = await table();
      await using lease = await leaseOf(nexd.etcd.endpoint, "00:00:22:22:00:01", 3600);
      void lease;
      await until(
        "nexd knows the lease",
        async () => (await $("get", "members", "mini")).stdout.includes("("),
      );
      for (const format of ["yaml", "json"]) {
        const [network, members] = await Promise.all(
          ["network", "members"].map(async (what) => (await $("get", what, "mini", "-o", format)).stdout),
        );
        const same = await nexHere(nexd.address, ["apply", "-"], members);
        assert.doesNotMatch(same.stdout, /created|updated/, same.stderr);
        assert.deepEqual(await $("delete", "network", "mini"), done(""));
        const { code, stdout, stderr } = await nexHere(
          nexd.address,
          ["apply", "-"],
          `${network}---\n${members}`,
        );
        assert.deepEqual([code, stderr, stdout.match(/ created$/mg)?.length], [0, "", 5], stdout);
        assert.equal(await table(), before);
      }
    },
  );
  await t.step(
    "an address with a lease is held when its member goes or moves, unless it is forced",
    async () => {
      const [desk, spare] = ["00:00:55:00:00:01", "00:00:55:00:00:02"];
      assert.deepEqual(await $("add", "member", "mini", desk), done(""));
      const members = async () => JSON.parse((await $("get", "members", "mini", "-o", "json")).stdout);
      const address: string =
        (await members()).list.find(({ mac }: { mac: string }) => mac === desk).ip4.address;
      await leaseOf(nexd.etcd.endpoint, desk, 3600);
      const shows = (row: RegExp) =>
        until(`${row}`, async () => row.test((await $("get", "members", "mini")).stdout));
      await shows(new RegExp(`^${desk} -  +${address} \\(0:59:\\d\\d\\)$`, "m"));
      assert.deepEqual(await $("delete", "member", "mini", desk), done(""));
      await shows(new RegExp(`^${desk} -  +${address} \\(0:59:\\d\\d\\) held$`, "m"));
      assert.deepEqual(
        (await members()).held.map(({ mac, ip4 }: { mac: string; ip4: object }) => [mac, Object.keys(ip4)]),
        [
          [desk, ["address", "expires"]],
        ],
      );
      const yaml = (await $("get", "members", "mini", "-o", "yaml")).stdout;
      assert.match(yaml, /^held:\n/m);
      const applied = await nexHere(nexd.address, ["apply", "-"], yaml);
      assert.deepEqual([applied.code, applied.stdout.match(/created|updated/)], [0, null], applied.stderr);
      assert.deepEqual(await $("add", "member", "mini", spare), done(""));
      const refused = await $("set", "member", "ip4", "mini", spare, address);
      assert.match(
        refused.stderr,
        new RegExp(
          `^nex: member ${spare}: ip4: ${address} is held for ${desk}, whose lease runs until \\S+Z; take it all`,
        ),
      );
      assert.deepEqual(await $("set", "member", "ip4", "--force", "mini", spare, address), done(""));
      await shows(new RegExp(`^${spare} -  +${address}$`, "m"));
      await leaseOf(nexd.etcd.endpoint, spare, 3600);
      await shows(new RegExp(`^${spare} -  +${address} \\(0:59:\\d\\d\\)$`, "m"));
      assert.deepEqual(await $("delete", "member", "mini", spare, "--force"), done(""));
      assert.equal((await $("get", "members", "mini")).stdout.includes(address), false);
    },
  );
  await t.step("declined addresses are listed, and given back", async () => {
    const declined = { net: "mini", mac: "02:00:00:00:00:07", until: Math.ceil(Date.now() / 1000) + 7300 };
    await put(nexd.etcd.endpoint, "/strand/nex/withheld/10.0.0.77", declined);
    await until("nexd knows it", async (see) => see(await $("get", "declined")).stdout !== "");
    for (const net of [[], ["mini"]]) {
      const row = /^10\.0\.0\.77 mini 02:00:00:00:00:07 \(2:0[01]:\d\d\)\n$/;
      assert.match((await $("get", "declined", ...net)).stdout, row);
    }
    const [shown] = JSON.parse((await $("get", "declined", "-o", "json")).stdout);
    assert.deepEqual(shown, {
      address: "10.0.0.77",
      net: "mini",
      mac: declined.mac,
      until: new Date(declined.until * 1000).toISOString(),
    });
    assert.match((await $("get", "declined", "mini", "-o", "yaml")).stdout, /^- address: 10\.0\.0\.77\n/);
    assert.deepEqual(await $("delete", "declined", "mini", "10.0.0.77"), done(""));
    assert.deepEqual(await $("get", "declined", "mini"), done(""));
    const stderr = "nex: network mini: 10.0.0.77 is not among its declined addresses\n";
    assert.deepEqual(await $("delete", "declined", "mini", "10.0.0.77"), { code: 1, stdout: "", stderr });
    assert.match((await $("get", "declined", "none")).stderr, /there is no network "none"/);
  });
  await t.step("nex delete network mini", async () => {
    assert.deepEqual(await $("delete", "network", "mini"), done(""));
    assert.deepEqual(await $("get", "networks"), done(""));
    assert.deepEqual(await $("get", "members", "mini"), {
      code: 1,
      stdout: "",
      stderr: (await $("get", "network", "mini")).stderr,
    });
  });
});

/** Writes a record into etcd. */
async function put(endpoint: string, key: string, record: object): Promise<void> {
  const body = JSON.stringify({ key: btoa(key), value: btoa(JSON.stringify(record)) });
  await (await fetch(`${endpoint}/v3/kv/put`, { method: "POST", body })).text();
}

/** Has a member hold a lease for so many seconds, as dhcpd stores it. */
async function leaseOf(endpoint: string, mac: string, seconds: number): Promise<AsyncDisposable> {
  const key = btoa(`/member/${mac}`);
  const call = async (path: string, body: object) =>
    await (await fetch(`${endpoint}/v3/kv/${path}`, { method: "POST", body: JSON.stringify(body) })).json();
  const before = (await call("range", { key })).kvs[0].value;
  const record = JSON.parse(atob(before));
  record.ip4.expires = { seconds: Math.floor(Date.now() / 1000) + seconds };
  await call("put", { key, value: btoa(JSON.stringify(record)) });
  return { [Symbol.asyncDispose]: async () => void await call("put", { key, value: before }) };
}

Deno.test("bad input gets one sentence and changes nothing", async (t) => {
  await using nexd = await labNexd();
  const $ = (args: readonly string[], stdin?: string) => nexHere(nexd.address, args, stdin);
  assert.equal((await $(["apply", "-"], mini)).code, 0);
  const other = "kind: Network\nname: other\nsubnet4: 10.1.0.0/24\ndomain: other.net\n";
  assert.equal((await $(["apply", "-"], other)).code, 0);
  const state = async () =>
    await Promise.all(
      [["networks"], ["network", "mini"], ["network", "other"], ["members", "mini"], ["members", "other"]]
        .map(async (what) => (await $(["get", ...what])).stdout),
    );
  const before = await state();

  const list = (...members: string[]) =>
    `kind: MemberList\nnet: mini\nlist:\n${members.map((m) => `- ${m}\n`).join("")}`;
  const net = (keys: string) => `kind: Network\nname: new\nsubnet4: 10.2.0.0/24\n${keys}`;
  const a = "00:00:00:00:00:0a", b = "00:00:00:00:00:0b", whiskey = "00:00:11:11:00:01";
  const cases: [what: string, args: string[], says: RegExp, stdin?: string][] = [
    ["a MAC that is none", ["add", "member", "mini", "00:00"], /mac.*"00:00" is not a MAC/],
    [
      "a CIDR that is none",
      ["set", "network", "subnet4", "mini", "10.0.0.0"],
      /subnet4.*"10\.0\.0\.0" is not a CIDR/,
    ],
    [
      "an address that is none",
      ["set", "network", "siaddr", "mini", "10.0.0"],
      /siaddr.*"10\.0\.0" is not an IP/,
    ],
    ["a name that is none", ["set", "member", "name", "mini", whiskey, "a b"], /name.*"a b"/],
    ["a range that is none", ["set", "network", "range4", "mini", "10.0.0.x", "10.0.0.9"], /"10\.0\.0\.x"/],
    [
      "a range that ends before it begins",
      ["set", "network", "range4", "mini", "10.0.0.9", "10.0.0.2"],
      /10\.0\.0\.2/,
    ],
    [
      "a range outside the subnet",
      ["set", "network", "range4", "mini", "10.0.0.10", "10.0.1.9"],
      /10\.0\.1\.9/,
    ],
    [
      "a subnet that overlaps another network",
      ["apply", "-"],
      /10\.0\.0\.128\/25.*mini/,
      net("").replace("10.2.0.0/24", "10.0.0.128/25"),
    ],
    ["an unknown network", ["get", "members", "nope"], /nope/],
    ["an unknown member", ["set", "member", "name", "mini", a, "x"], /00:00:00:00:00:0a/],
    ["a MAC twice in a request", ["apply", "-"], /line 5.*00:00:00:00:00:0a/, list(`mac: ${a}`, `mac: ${a}`)],
    [
      "a name in use",
      ["apply", "-"],
      /whiskey.*"shared: true".*missing on 00:00:11:11:00:01/,
      list(`{mac: ${a}, name: whiskey, shared: true}`),
    ],
    ["an address in use", ["apply", "-"], /10\.0\.0\.10/, list(`{mac: ${a}, ip4: 10.0.0.10}`)],
    [
      "an address twice in a request",
      ["apply", "-"],
      /10\.0\.0\.3/,
      list(`{mac: ${a}, ip4: 10.0.0.3}`, `{mac: ${b}, ip4: 10.0.0.3}`),
    ],
    [
      "two networks on one subnet",
      ["apply", "-"],
      /network macs: subnet4: .*of network mini; write them as one network/,
      net("").replace("10.2.0.0", "10.0.0.0").replace("name: new", "name: macs"),
    ],
    [
      "a static address outside the subnet",
      ["apply", "-"],
      /10\.9\.0\.7/,
      list(`{mac: ${a}, ip4: 10.9.0.7}`),
    ],
    [
      "other contents for a member",
      ["apply", "-"],
      /00:00:11:11:00:01/,
      list(`{mac: ${whiskey}, name: other}`),
    ],
    ["an unknown kind", ["apply", "-"], /document 1, line 1.*Netwrk/, "kind: Netwrk\nname: x\n"],
    ["an unknown key", ["apply", "-"], /document 1, line 4: colour/, net("colour: red\n")],
    ["a good document before a bad one", ["apply", "-"], /document 2, line 5: kind/, net("---\nkind: X\n")],
    ["an unreadable file", ["apply", "/nowhere/mini.yml"], /\/nowhere\/mini\.yml: cannot be read/],
    ["a directory for a file", ["apply", "/tmp"], /\/tmp: cannot be read/],
    ["a range that no longer holds its members", [
      "set",
      "network",
      "range4",
      "mini",
      "10.0.0.11",
      "10.0.0.20",
    ], /10\.0\.0\.10/],
  ];
  for (const [what, args, says, stdin] of cases) {
    await t.step(what, async () => {
      const { code, stdout, stderr } = await $(args, stdin);
      assert.deepEqual([code, stdout], [1, ""], stderr);
      assert.match(stderr, /^nex: [^\n]+\n$/);
      assert.match(stderr, says);
    });
  }
  await t.step("nothing was changed", async () => assert.deepEqual(await state(), before));
  await t.step("nexd unreachable", async () => {
    const { code, stderr } = await nexProcess("127.0.0.1:1", ["get", "networks"]);
    assert.deepEqual([code, stderr], [1, "nex: 127.0.0.1:1 cannot be reached: nothing listens there\n"]);
  });
  await t.step("etcd unreachable: reads go on, writes are refused", async () => {
    await nexd.etcd.kill();
    assert.equal((await $(["get", "network", "mini"])).stdout, before[1]);
    const { code, stderr } = await $(["add", "member", "mini", a]);
    assert.equal(code, 1);
    assert.match(stderr, /^nex: [^\n]*etcd[^\n]*\n$/);
  });
});
