/** `strand attach` and `detach` through the agents of two hosts: a container is in a network once, by the network's name, and is gone again. */
import assert from "node:assert/strict";
import { run as attachCommand } from "../../cli/strand/attach.ts";
import { runHere } from "../../cli/testing.ts";
import { type LabHost, Process, strandCommand } from "../lab/host.ts";
import { OverlayLab } from "../lab/overlay.ts";
import { until } from "../lab/until.ts";
import { at } from "./attached.ts";
import { StrandOn } from "./strand_on.ts";

const spec = `kind: Network
name: blue
subnet4: 10.0.0.0/24
domain: blue.example
overlay: {}
---
kind: MemberList
net: blue
list:
- {mac: 52:54:00:00:00:05, name: db, ip4: 10.0.0.5}
---
kind: Network
name: mini
subnet4: 10.9.0.0/24
`;

/** Two hosts with agents; nexd is on the first. */
async function lab() {
  await using stack = new AsyncDisposableStack();
  const overlay = stack.use(await OverlayLab.started());
  const [h1, h2] = [overlay.host(1), overlay.host(2)];
  const file = `${h1.directory}/nex.yml`;
  await Deno.writeTextFile(
    file,
    `etcd: {endpoints: [${overlay.etcd.endpoint}]}\nnexd: {listen: "0.0.0.0:6000"}\n`,
  );
  const nexd = new Process(h1.host.enter(strandCommand(["nexd", "--config", file])));
  stack.defer(async () => void await nexd.stop());
  await nexd.line(/ started /, 120_000);
  const onH1 = stack.use(new StrandOn(h1));
  const kept = stack.move();
  return {
    overlay,
    h1,
    h2,
    nexd,
    /** `strand ARGS` about networks, on the first host. */
    async strand(...args: string[]): Promise<string> {
      const { code, stdout, stderr } = await onH1.run(...args);
      assert.equal(code, 0, `strand ${args.join(" ")}: ${stderr}`);
      return stdout;
    },
    async apply(text = spec) {
      await Deno.writeTextFile(`${h1.directory}/spec.yml`, text);
      return await this.strand("apply", `${h1.directory}/spec.yml`);
    },
    endpoints: async () => [...await overlay.kv.under("/sc-net/network-endpoints/")],
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

const done = (line: string) => [0, `${line}\n`, ""];
const refused = (line: string) => [1, "", `strand: ${line}\n`];

async function pings(from: LabHost, address: string): Promise<void> {
  await until(
    `${address} answers`,
    async () => (await from.run(["ping", "-c1", "-W1", address], { mayFail: true })).code === 0,
  );
}

Deno.test("strand attach and detach", async (t) => {
  await using it = await lab();
  const { h1, h2 } = it;
  const web = await h1.container("web"), db = await h2.container("db");

  await t.step("a container is attached by its network's name, once, and reaches others", async () => {
    await it.apply();
    assert.deepEqual(
      await at(h1, "attach", "blue", "--ns", web.path, "--name", "web"),
      done("endpoint web created: 10.0.0.2 on h1"),
    );
    const mac = "52:54:00:00:00:05";
    assert.deepEqual(
      await at(h2, "attach", "blue", "--ns", db.path, "--mac", mac, "--wait=60s"),
      done("endpoint db created: 10.0.0.5 on h2"),
    );
    await pings(web, "10.0.0.5");
    const before = await it.endpoints();
    assert.deepEqual(
      await at(h1, "attach", "blue", "--ns", web.path, "--name", "web", "--wait=60s"),
      done("endpoint web unchanged: 10.0.0.2 on h1"),
    );
    const [, json] = await at(h1, "attach", "blue", "--ns", web.path, "-o", "json");
    const { existing, endpoint } = JSON.parse(String(json));
    assert.deepEqual([existing, endpoint.name, endpoint.target_veth_ip], [true, "web", "10.0.0.2/24"]);
    assert.deepEqual(
      await at(h1, "attach", "blue", "--ns", web.path, "--name", "www", "--ip", "10.0.0.9"),
      refused(
        `--name: ${web.path} is in network blue already, as web with 10.0.0.2, and not with the name www; ` +
          `to attach it again: strand detach blue --ns ${web.path}`,
      ),
    );
    assert.deepEqual(await it.endpoints(), before, "nothing is written");
    const twice = await Promise.all([1, 2, 3].map(() => at(h1, "attach", "blue", "--ns", web.path)));
    assert.deepEqual(twice, Array(3).fill(done("endpoint web unchanged: 10.0.0.2 on h1")));
  });

  await t.step(
    "strand get shows endpoints, hosts and leases by name, with what has been applied where",
    async () => {
      await h2.api.createEndpoint((await h1.api.networks())[0]?.id ?? "");
      const rows = [
        "web 10.0.0.2 02:84:0a:00:00:02 h1 netns - on 2 of 2 hosts",
        "-   10.0.0.3 02:84:0a:00:00:03 h2 netns - inactive",
        "db  10.0.0.5 52:54:00:00:00:05 h2 netns - on 2 of 2 hosts",
      ];
      const text = `${rows.join("\n")}\n`;
      await until("all have it", async (see) => see(await it.strand("get", "endpoints", "blue")) === text);
      assert.equal(await it.strand("get", "endpoints"), text.replaceAll(/^/gm, "blue ").slice(0, -5));
      assert.match(
        await it.strand("get", "endpoints", "blue", "-o", "wide"),
        /^web .* hosts +- +10\.99\.0\.11 [\da-f-]{36}$/m,
      );
      const [first] = JSON.parse(await it.strand("get", "endpoints", "blue", "-o", "json"));
      const { network, name, host, kind, active, hosts, applied } = first;
      assert.deepEqual([network, name, host, kind, active, hosts, applied], [
        "blue",
        "web",
        "h1",
        "netns",
        true,
        2,
        2,
      ]);
      assert.match(
        await it.strand("get", "endpoints", "blue", "-o", "yaml"),
        /^- network: blue\n {2}id: \S+\n {2}name: web$/m,
      );

      const both = /^h1 10\.99\.0\.11 \S+ 1 \d+ 0 now\nh2 10\.99\.0\.12 \S+ 2 \d+ 0 now\n$/;
      await until("the hosts say so", async (see) => both.test(see(await it.strand("get", "hosts", "blue"))));
      assert.match(
        await it.strand("get", "hosts", "-o", "wide"),
        /^h1 .* 1 1 +\d+ 0 now \d{4}-\d\d-\d\dT.*Z$/m,
      );

      assert.equal(await it.strand("get", "leases"), "");
      const id = (await h1.api.networks())[0]?.id ?? "", lease = "5a1e6b7c-0d4f-4b44-9df3-3d6f6c0f8a11";
      const expires = new Date(Date.now() + 3_599_000).toISOString();
      const record = JSON.stringify({
        ...(await h2.api.endpoints({ network_id: id })).find(({ name }) => name === "db"),
        id: lease,
        kind: "dhcp",
        expires_at: expires,
        strand_name: "vm",
        target_veth_ip: "10.0.0.9/24",
        target_veth_mac: "52:54:00:00:00:09",
      });
      await it.overlay.kv.write({
        [`/sc-net/network-endpoints/${id}/${lease}`]: record,
        [`/sc-net/node-endpoints/h2/${lease}`]: record,
      });
      await until(
        "it is there",
        async (see) =>
          /^vm +10\.0\.0\.9 +52:54:00:00:00:09 h2 dhcp +0:5\d:\d\d on /m.test(
            see(await it.strand("get", "endpoints", "blue")),
          ),
      );
      assert.match(
        await it.strand("get", "leases", "blue"),
        /^vm 10\.0\.0\.9 52:54:00:00:00:09 h2 0:5\d:\d\d\n$/,
      );
      assert.match(await it.strand("get", "leases"), /^blue vm 10\.0\.0\.9 /);
      assert.equal(await it.strand("get", "leases", "mini"), "");
      await it.overlay.kv.write({
        [`/sc-net/network-endpoints/${id}/${lease}`]: undefined,
        [`/sc-net/node-endpoints/h2/${lease}`]: undefined,
      });
      const inactive = (await it.endpoints()).find(([, value]) => value.includes("10.0.0.3"))?.[0].split("/")
        .at(-1);
      await h2.api.deleteEndpoint(inactive ?? "");

      const none = await h1.strand(["get", "endpoints", "blu"]);
      assert.deepEqual([none.code, none.stderr], [1, 'strand: there is no network "blu"\n']);
      const flat = await h1.strand(["get", "endpoints", "mini"]);
      assert.deepEqual([flat.code, flat.stderr], [
        1,
        "strand: network mini has no overlay, and no endpoints: its members are its machines\n",
      ]);
    },
  );

  await t.step("strand get --watch prints a line for what comes and goes", async () => {
    const watching = new Process(h1.host.enter(strandCommand(["get", "endpoints", "blue", "--watch"])));
    try {
      await watching.line(/^db +10\.0\.0\.5 /);
      const more = await h1.container("more");
      await at(h1, "attach", "blue", "--ns", more.path, "--name", "more", "--ip", "10.0.0.77");
      await watching.line(/^\+ more +10\.0\.0\.77 .* h1 netns - on /);
      await at(h1, "detach", "blue", "more");
      await watching.line(/^- more +10\.0\.0\.77 /);
    } finally {
      await watching.stop();
    }
  });

  await t.step("strand explain shows each step between two endpoints, and which one is broken", async () => {
    await it.overlay.probesTold();
    const explain = (...args: string[]) => h1.strand(["explain", "blue", ...args]);
    await until("all of it holds", async (see) => {
      const { code, stdout, stderr } = await explain("web", "10.0.0.5");
      see(stdout + stderr);
      return code === 0 && (stdout.match(/ ok +underlay/g) ?? []).length === 2;
    });
    const { stdout } = await explain("web", "db");
    for (
      const line of [
        /^network blue$/m,
        /^ +ok +claim +10\.0\.0\.2 of network blue is that of web on h1, 02:84:0a:00:00:02$/m,
        /^ +ok +name +db is 10\.0\.0\.5 alone$/m,
        /^web on h1 to db$/m,
        /^ +ok +applied +h1 has applied revision \d+ of etcd, and db is of \d+$/m,
        /^ +ok +ARP +10\.0\.0\.5 is at 52:54:00:00:00:05$/m,
        /^ +ok +FDB +52:54:00:00:00:05 is behind 10\.99\.0\.12$/m,
        /^ +ok +underlay +10\.99\.0\.12 of h2 answers probes of h1$/m,
        /^ +ok +MTU +vxlan0 has 1450$/m,
        /^db on h2 to web$/m,
      ]
    ) assert.match(stdout, line);
    const [{ steps }] = JSON.parse((await explain("web", "db", "-o", "json")).stdout);
    assert.equal(steps[0].what, "claim");
    const same = await explain("web", "10.0.0.2");
    assert.deepEqual([same.code, same.stderr], [
      2,
      "strand: explain: web and 10.0.0.2 are one endpoint; name two\n",
    ]);
    await h2.stop();
    const broken = await explain("web", "db");
    assert.equal(broken.code, 1);
    assert.match(
      broken.stdout,
      /^ +BROKEN +agent +the agent of h2 at 10\.99\.0\.12:9999 cannot be reached: .*\n +→ start "strand agent" on h2/m,
    );
    assert.match(broken.stderr, /^strand: db on h2 to web: agent is broken: /);
    await h2.start();
  });

  await t.step("many at once for one namespace make one endpoint", async () => {
    const once = await h1.container("once");
    const all = await Promise.all([1, 2, 3, 4].map(() => at(h1, "attach", "blue", "--ns", once.path)));
    assert.deepEqual(all.map(([code]) => code), [0, 0, 0, 0], JSON.stringify(all));
    assert.equal(
      all.filter(([, out]) => /^endpoint created: /.test(String(out))).length,
      1,
      JSON.stringify(all),
    );
    assert.equal((await it.endpoints()).length, 3, "web, db and this one");
    const [address] = /10\.0\.0\.\d+/.exec(String(all[0]?.[1])) ?? [];
    assert.deepEqual(
      await at(h1, "detach", "blue", "--ns", once.path),
      done(`endpoint deleted: ${address} on h1`),
    );
  });

  await t.step("what is wrong is said in a sentence, and nothing is written", async () => {
    const free = await h1.container("free"), ns = ["--ns", free.path];
    const before = await it.endpoints();
    const attach = (...args: string[]) => at(h1, "attach", ...args);
    const cases: [string[], string][] = [
      [["blu", ...ns], 'there is no overlay network "blu"; did you mean "blue"?'],
      [["green", ...ns], 'there is no overlay network "green"; known are blue'],
      [
        ["blue", "--ns", "/etc/passwd"],
        '--ns: "/etc/passwd" (not a network namespace): name the path of a network ' +
        "namespace, like /var/run/netns/NAME",
      ],
      [["blue", "--ns", "web"], '--ns: "web" is not a path: what "ip netns" calls web is at /run/netns/web'],
      [
        ["blue", ...ns, "--name", "a.b"],
        '--name: "a.b" is not one label of a name: 1 to 63 lower-case letters, ' +
        "digits or hyphens",
      ],
      [["blue", ...ns, "--ip", "10.0.0"], '--ip: "10.0.0" is not an IPv4 address, like 10.0.0.5'],
    ];
    for (const [args, sentence] of cases) assert.deepEqual(await attach(...args), refused(sentence));
    const patterns: [string[], RegExp][] = [
      [
        ["blue", ...ns, "--name", "web"],
        /^strand: --name: web of network blue belongs to endpoint .* on h1\n$/,
      ],
      [
        ["blue", ...ns, "--name", "db"],
        /^strand: --name: db of network blue belongs to 52:54:00:00:00:05, for which/,
      ],
      [
        ["blue", ...ns, "--ip", "10.0.1.9"],
        /^strand: --ip: 10\.0\.1\.9 is outside the range 10\.0\.0\.0\/24/,
      ],
      [["blue", ...ns, "--ip", "10.0.0.2"], /^strand: --ip: 10\.0\.0\.2 .*is in use|belongs|taken/],
      [["blue", ...ns, "--mac", "x"], /^strand: --mac: "x" is not a MAC address, like/],
      [["blue", "--ns", `${h1.host.path}`], /^strand: --ns: .* is the agent's own network namespace/],
      [["blue", "--ns", "/proc/self/ns/net"], /^strand: --ns: .*\/proc\/self/],
    ];
    for (const [args, pattern] of patterns) {
      const [code, out, err] = await attach(...args);
      assert.deepEqual([code, out], [1, ""], args.join(" "));
      assert.match(String(err), pattern);
    }
    for (const wrong of ["--wait=soon", "--name=", "--ip=", "-oxml"]) {
      assert.deepEqual((await attach("blue", ...ns, wrong))[0], 2, wrong);
    }
    assert.deepEqual(await it.endpoints(), before, "nothing is written");
    const flat = await h1.strand(["attach", "mini", ...ns]);
    assert.deepEqual([flat.code, flat.stderr], [
      1,
      "strand: network mini has no overlay: its machines are on a LAN already, and get their addresses there by DHCP\n",
    ]);
    const none =
      "strand: the agent at /run/none.sock cannot be reached: there is no such socket; start it with " +
      '"strand agent" on this host, or name its socket or URL with --agent\n';
    const lost = await runHere((terminal) =>
      attachCommand("attach", ["--agent", "unix:/run/none.sock", "blue", ...ns], terminal)
    );
    assert.deepEqual([lost.code, lost.stderr], [1, none]);
  });

  await t.step("strand detach takes an endpoint away by name, address or namespace", async () => {
    assert.deepEqual(
      await at(h1, "detach", "blue", "db"),
      refused('db of network blue is on h2: type "strand detach blue db" there'),
    );
    assert.deepEqual(
      await at(h1, "detach", "blue", "wob"),
      refused('network blue has no endpoint "wob"; did you mean "web"?'),
    );
    assert.deepEqual(
      await at(h2, "detach", "blue", "10.0.0.5"),
      done("endpoint db deleted: 10.0.0.5 on h2"),
    );
    const id = (await h1.api.networks())[0]?.id ?? "";
    assert.deepEqual(await at(h1, "detach", id, "web"), done("endpoint web deleted: 10.0.0.2 on h1"));
    assert.deepEqual(
      await at(h1, "detach", "blue", "--ns", web.path),
      refused(`network blue has no endpoint in ${web.path}`),
    );
    assert.deepEqual(await it.endpoints(), []);
    assert.equal((await web.run(["ip", "-o", "link"])).stdout.includes("sand"), false);
  });
});
