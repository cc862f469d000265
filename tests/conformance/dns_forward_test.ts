/** What the resolvers of glibc and musl get through a dnsd that forwards to Unbound, NSD, Knot, dnsmasq and odder ones. */
import assert from "node:assert/strict";
import { openNamespace } from "../../ffi/netns.ts";
import { libc } from "../../ffi/libc.ts";
import { installed } from "../bench/lib.ts";
import { knotConfig, nsdConfig } from "../lab/dns_servers.ts";
import { labEtcd } from "../lab/etcd.ts";
import { Lab, type LabHost, run, strandCommand } from "../lab/host.ts";
import { until } from "../lab/until.ts";

const ports = { unbound: 5301, nsd: 5302, knot: 5303, dnsmasq: 5304, old: 5305, silent: 5306 };

const spec = `kind: Network
name: mini
subnet4: 192.168.60.64/26
domain: mini.net
nameservers: [192.168.60.65]
---
kind: Network
name: bare
subnet4: 10.20.32.0/20
domain: bare.net
---
kind: MemberList
net: mini
list: [{mac: "02:00:00:00:00:01", name: whiskey, ip4: 192.168.60.70}]
---
kind: MemberList
net: bare
list: [{mac: "02:00:00:00:00:02", name: deep, ip4: 10.20.47.9}]
`;

/** What is asked, and what comes of it: addresses or a name, nothing where there is none. */
const expected: Record<string, string> = {
  // Ours, of a /26 and a /20; an address of ours without a member has no name, even if the forwarder answers one.
  "whiskey.mini.net": "192.168.60.70",
  "192.168.60.70": "whiskey.mini.net",
  "10.20.47.9": "deep.bare.net",
  "192.168.60.71": "",
  "10.20.47.10": "",
  // The neighbours in the same /24, and beside the /20.
  "192.168.60.5": "neighbour.far.test",
  "192.168.60.128": "next.far.test",
  "10.20.48.1": "beside.far.test",
  "192.168.60.6": "",
  // The network that names no name server.
  "ns.bare.net": "192.168.60.65",
  // Aliases into our domain.
  "www.nsd.test": "192.168.60.70",
  "www.knot.test": "192.168.60.70",
  "www.unbound.test": "192.168.60.70",
  "www.dnsmasq.test": "192.168.60.70",
  "gone.nsd.test": "",
  "loop.knot.test": "",
  // No EDNS.
  "host.old.test": "192.0.2.44",
};

const zoneHead = "@ 60 SOA ns.far.test. h.far.test. 1 3600 600 86400 60\n@ 60 NS ns.far.test.\n";
const nsdZones: Record<string, string> = {
  "nsd.test": "www CNAME whiskey.mini.net.\ngone CNAME nobody.mini.net.\n",
  "60.168.192.in-addr.arpa": "5 PTR neighbour.far.test.\n128 PTR next.far.test.\n71 PTR wrong.far.test.\n",
  "20.10.in-addr.arpa": "1.48 PTR beside.far.test.\n10.47 PTR wrong.far.test.\n",
};
const knotZones: Record<string, string> = {
  "knot.test": "www CNAME middle\nmiddle CNAME Whiskey.Mini.NET.\nloop CNAME pool\npool CNAME loop\n",
};

/** The file of each zone. */
const zoneNames = (zones: Record<string, string>) =>
  Object.fromEntries(Object.keys(zones).map((name) => [name, `${name}.zone`]));

const configurations = (folder: string): Record<string, string> => ({
  "resolv.conf": "nameserver 127.0.0.1\n",
  "nsswitch.conf": "hosts: dns\n",
  "spec.yml": spec,
  "nex.yml": `etcd: {endpoints: ["http://127.0.0.1:2379"]}
nexd: {listen: "127.0.0.1:6000"}
dnsd: {forward: [${
    ["unbound", "nsd", "knot", "dnsmasq", "old"].map((name) => `127.0.0.1:${ports[name as "nsd"]}`)
  }]}
`,
  "unbound.conf": `server:
  directory: "${folder}"
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  interface: 127.0.0.1
  port: ${ports.unbound}
  do-not-query-localhost: no
  module-config: "iterator"
  local-zone: "." refuse
${
    ["test.", "168.192.in-addr.arpa.", "10.in-addr.arpa."].map((zone) => `  local-zone: "${zone}" refuse\n`)
      .join("")
  }
  local-zone: "unbound.test." transparent
  local-zone: "mini.net." always_nxdomain
  local-zone: "internal.test." transparent
  local-data: "inner.internal.test. A 10.9.9.9"
  local-data: "www.unbound.test. CNAME whiskey.mini.net."
forward-zone:
  name: "dead.internal.test."
  forward-addr: 127.0.0.1@${ports.silent}
remote-control:
  control-enable: no
`,
  "nsd.conf": nsdConfig(folder, ports.nsd, zoneNames(nsdZones)),
  "knot.conf": knotConfig(folder, ports.knot, zoneNames(knotZones)),
  ...Object.fromEntries(
    Object.entries({ ...nsdZones, ...knotZones }).map((
      [name, text],
    ) => [`${name}.zone`, `$TTL 60\n${zoneHead}${text}`]),
  ),
});

const upstreams = (folder: string): string[][] => [
  ["unbound", "-d", "-c", `${folder}/unbound.conf`],
  ["nsd", "-d", "-c", `${folder}/nsd.conf`],
  ["knotd", "-c", `${folder}/knot.conf`],
  [
    ...[
      "dnsmasq",
      "--keep-in-foreground",
      "--conf-file=/dev/null",
      "--no-resolv",
      "--no-hosts",
      "--user=root",
    ],
    ...["--pid-file=", "--listen-address=127.0.0.1", "--bind-interfaces", `--port=${ports.dnsmasq}`],
    ...["--address=/internal.test/192.0.2.99", "--cname=www.dnsmasq.test,whiskey.mini.net"],
    ...["--server=/dnsmasq.test/", "--host-record=whiskey.mini.net,192.0.2.98"],
  ],
  [
    "/usr/bin/python3",
    new URL("dns_peers.py", import.meta.url).pathname,
    `${ports.silent}`,
    `${ports.old}`,
  ],
];

/** Each client: the command that prints the addresses of a name or the name of an address, one to a line. */
async function clients(folder: string): Promise<Record<string, (question: string) => string[]>> {
  const source = new URL("dns_resolve.c", import.meta.url).pathname;
  const musl = installed("musl-gcc") && installed("gcc");
  if (musl) await run(["musl-gcc", "-static", "-o", `${folder}/resolve`, source]);
  const isAddress = (question: string) => /^[\d.]+$/.test(question);
  return {
    "getent of glibc": (question) => ["getent", isAddress(question) ? "hosts" : "ahosts", question],
    ...(musl ? { "getaddrinfo() of musl": (question: string) => [`${folder}/resolve`, question] } : {}),
  };
}

/** What a client prints: each address once, or the name. */
async function answer(host: LabHost, command: string[], question: string): Promise<string> {
  const { stdout } = await host.run(command, { mayFail: true, timeout: 300_000 });
  const words = stdout.split("\n").filter(Boolean).map((line) => line.split(/\s+/));
  // getent puts the address before the name that it has.
  const column = words.map((line) => line[0] === question ? line[1] : line[0]);
  return [...new Set(column)].join(" ");
}

Deno.test({
  name: "the resolvers of glibc and musl find neighbours, aliases and old upstreams' names through dnsd",
  ignore: Deno.uid() !== 0 || !["unbound", "nsd", "knotd", "dnsmasq", "getent"].every(installed),
  async fn(test) {
    await using stack = new AsyncDisposableStack();
    const folder = await Deno.makeTempDir({ prefix: "strand-test-" });
    stack.defer(() => Deno.remove(folder, { recursive: true }));
    for (const [name, text] of Object.entries(configurations(folder))) {
      await Deno.writeTextFile(`${folder}/${name}`, text);
    }
    const lab = stack.use(await Lab.create("dns"));
    const host = await lab.host("dns", { segment: await lab.segment("lan"), address: "192.168.60.65/24" });
    // What ip-netns(8) mounts over /etc for the programs in there.
    const etc = `/etc/netns/${host.netns}`;
    await Deno.mkdir(etc, { recursive: true });
    stack.defer(() => Deno.remove(etc, { recursive: true }));
    for (const name of ["resolv.conf", "nsswitch.conf"]) {
      await Deno.copyFile(`${folder}/${name}`, `${etc}/${name}`);
    }
    const namespace = openNamespace(host.path);
    stack.defer(() => void libc.close(namespace));
    const enter = (command: readonly string[]) => host.enter(command);
    stack.use(await labEtcd({ inside: { namespace, address: "127.0.0.1", enter } }));

    const env = { PATH: `${Deno.env.get("PATH") ?? ""}:/usr/sbin` };
    for (const command of upstreams(folder)) host.spawn(command, { env });
    const config = ["--config", `${folder}/nex.yml`];
    const services = ["nexd", "dnsd"].map((name) => host.strand([name, ...config]));
    await Promise.all(services.map((service) => service.line(/ started /, 60_000)));
    await host.run(strandCommand(["nex", "apply", `${folder}/spec.yml`]), { timeout: 300_000 });
    const digs = Object.entries({
      unbound: "inner.internal.test",
      nsd: "nsd.test",
      knot: "knot.test",
      dnsmasq: "x.internal.test",
      old: "x",
    });
    for (const [name, question] of digs) {
      const dig = [
        "dig",
        "+tries=1",
        "+time=1",
        "+noedns",
        "@127.0.0.1",
        "-p",
        `${ports[name as "nsd"]}`,
        question,
      ];
      await until(
        `${name} answers`,
        async () => /NOERROR/.test((await host.run(dig, { mayFail: true })).stdout),
        60_000,
      );
    }
    const commands = await clients(folder);
    for (const [client, command] of Object.entries(commands)) {
      await test.step(client, async () => {
        const query = async (question: string) => await answer(host, command(question), question);
        const questions = Object.keys(expected);
        // A resolver that a busy machine holds up for a second is passed over, and the next one answers: not for good.
        const answered = async (question: string, wanted: string | undefined) => {
          let found = await query(question);
          for (let tries = 1; found !== wanted && tries < 3; tries++) found = await query(question);
          return found;
        };
        const answers = await Promise.all(
          questions.map((question) => answered(question, expected[question])),
        );
        assert.deepEqual(
          Object.fromEntries(questions.map((question, i) => [question, answers[i]])),
          expected,
        );
        // A name that the first resolver has no answer for: the next name is still its own, not the second's.
        assert.equal(await answered(`${client.length}.dead.internal.test`, "192.0.2.99"), "192.0.2.99");
        assert.equal(await answered("inner.internal.test", "10.9.9.9"), "10.9.9.9");
      });
    }
  },
});
