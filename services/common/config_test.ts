import assert from "node:assert/strict";
import { certificates } from "../../tests/lab/certificates.ts";
import { loadConfig } from "./config.ts";
import { variables } from "./config_schema.ts";

/** Loads `text` as a file called nex.yml in a directory of its own. */
async function load(text: string, env: Record<string, string> = {}) {
  const directory = await Deno.makeTempDir();
  try {
    const file = `${directory}/nex.yml`;
    await Deno.writeTextFile(file, text);
    return loadConfig({ file, env });
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

const old = `dhcpd:
  interface: eth1
etcd:
  host: db
  port: 2379
nexd:
  listen: 0.0.0.0:6000
`;

Deno.test("loadConfig() reads a file written for Nex", async () => {
  const config = await load(old);
  assert.deepEqual(config.dhcpd.interfaces, ["eth1"]);
  assert.deepEqual(config.etcd.endpoints, ["http://db:2379"]);
  assert.equal(config.etcd.configured, true);
  assert.deepEqual(config.nexd.listen, { host: "0.0.0.0", port: 6000 });
});

Deno.test("loadConfig() has a default for everything", async () => {
  for (const text of ["", "# nothing yet\n", "dnsd:\ndhcpd:\n"]) {
    const config = await load(text);
    assert.deepEqual(config.nexd.listen, { host: "127.0.0.1", port: 6000 });
    assert.deepEqual(config.etcd.endpoints, ["http://127.0.0.1:2379"]);
    assert.equal(config.etcd.configured, false);
    assert.deepEqual(config.dhcpd.interfaces, []);
    assert.equal(config.dhcpd.dnsRegister, true);
    assert.equal(config.dnsd.ttl, 60);
    assert.equal(config.dnsd.listen, undefined);
    assert.deepEqual(config.dnsd.metricsListen, { host: "127.0.0.1", port: 9642 });
    assert.deepEqual(config.log, { level: "info", format: "text" });
  }
});

Deno.test("loadConfig() reads the sections of ours", async () => {
  const config = await load(`dnsd:
  listen: [0.0.0.0:53, "[::1]:5353", 10.0.0.1]
  forward: [9.9.9.9, 1.1.1.1:5300]
  ttl: 30
dhcpd: {interfaces: [eth1, eth2], dns-register: false}
etcd: {endpoints: [https://a:2379, b]}
log: {level: debug, format: json}
`);
  assert.deepEqual(config.dnsd.listen?.map((at) => `${at.host} ${at.port}`), [
    "0.0.0.0 53",
    "::1 5353",
    "10.0.0.1 53",
  ]);
  assert.deepEqual(config.dnsd.forward.map((at) => at.port), [53, 5300]);
  assert.deepEqual(config.dhcpd.interfaces, ["eth1", "eth2"]);
  assert.equal(config.dhcpd.dnsRegister, false);
  assert.deepEqual(config.etcd.endpoints, ["https://a:2379", "http://b:2379"]);
});

Deno.test("loadConfig() takes every key from the environment, over the file", async () => {
  const config = await load(old, {
    STRAND_DHCPD_INTERFACE: "eth7",
    STRAND_DNSD_LISTEN: "127.0.0.1:53, [::1]:53",
    STRAND_DNSD_TTL: "5",
    STRAND_DHCPD_DNS_REGISTER: "false",
    STRAND_ETCD_HOST: "other",
    STRAND_LOG_FORMAT: "json",
  });
  assert.deepEqual(config.dhcpd.interfaces, ["eth7"]);
  assert.equal(config.dnsd.listen?.length, 2);
  assert.equal(config.dnsd.ttl, 5);
  assert.equal(config.dhcpd.dnsRegister, false);
  assert.deepEqual(config.etcd.endpoints, ["http://other:2379"]);
  assert.equal(config.log.format, "json");
  assert.equal(config.where("dnsd.ttl"), "STRAND_DNSD_TTL: dnsd.ttl");
});

const refused: [string, string, RegExp][] = [
  [
    "an unknown key",
    "dnsd:\n  listen: [127.0.0.1:53]\n  forwards: [9.9.9.9]\n",
    /nex\.yml:3: dnsd\.forwards: no such key; did you mean "forward"\?$/,
  ],
  [
    "an unknown section",
    "log: {level: info}\ndns:\n  ttl: 3\n",
    /nex\.yml:2: dns: no such key; did you mean "dnsd"\?$/,
  ],
  ["an address that is none", "nexd:\n  listen: 6000\n", /nex\.yml:2: nexd\.listen: needs text, not 6000$/],
  [
    "a name where an address belongs",
    "dnsd:\n  listen:\n  - 127.0.0.1:53\n  - localhost:53\n",
    /nex\.yml:4: dnsd\.listen\.1: "localhost:53" needs an IP address/,
  ],
  [
    "metrics without a port",
    "dashboard:\n  metrics: [127.0.0.1:9641, 192.0.2.1]\n",
    /nex\.yml:2: dashboard\.metrics\.1: "192\.0\.2\.1" is not an address with a port, like 192\.0\.2\.10:9641$/,
  ],
  [
    "more metrics than may be",
    `dashboard:\n  metrics: [${Array.from({ length: 65 }, (_, i) => `"a:${i + 1}"`)}]\n`,
    /nex\.yml:2: dashboard\.metrics: .*has more than 64 addresses$/,
  ],
  ...[
    "javascript:alert(1)",
    "ftp://grafana.example",
    "grafana.example",
    "https://",
    "https://me:word@grafana.example",
    "https://grafana.example/?orgId=1",
    "https://grafana.example/#top",
  ].map((url): [string, string, RegExp] => [
    `a page of Grafana that is ${url}`,
    `dashboard:\n  grafana: "${url}"\n`,
    /nex\.yml:2: dashboard\.grafana: ".*" is not a URL of http or https alone, like https:\/\/grafana\.example$/,
  ]),
  ["a TTL out of range", "dnsd: {ttl: -1}\n", /nex\.yml:1: dnsd\.ttl: -1 is not a number of seconds/],
  [
    "a level that is none",
    "log: {level: loud}\n",
    /log\.level: needs one of trace, debug, info, warn, error, fatal, not "loud"$/,
  ],
  [
    "a list where one value belongs",
    "dhcpd:\n  interface: [eth1]\n",
    /nex\.yml:2: dhcpd\.interface: needs text, not \["eth1"\]$/,
  ],
  [
    "two ways of saying it",
    "dhcpd:\n  interface: a\n  interfaces: [b]\n",
    /nex\.yml:3: dhcpd\.interfaces: give interface or interfaces/,
  ],
  [
    "an interface named twice",
    "dhcpd:\n  interfaces:\n  - eth1\n  - eth2\n  - eth1\n",
    /nex\.yml:5: dhcpd\.interfaces\.2: "eth1" is there twice$/,
  ],
  [
    "an address named twice, however it is written",
    "dnsd:\n  listen: [127.0.0.1, '127.0.0.1:53']\n",
    /nex\.yml:2: dnsd\.listen\.1: "127\.0\.0\.1:53" is there twice$/,
  ],
  [
    "numbers with dots that are no address",
    "nexd:\n  listen: 999.1.1.1:1\n",
    /nex\.yml:2: nexd\.listen: "999\.1\.1\.1:1" is not an address with a port/,
  ],
  ["an unknown section with nothing in it", "dns:\n", /nex\.yml:1: dns: no such key; did you mean "dnsd"\?$/],
  ["a section that is none", "etcd: db\n", /nex\.yml:1: etcd: needs a section with keys, not "db"$/],
  ["a list of sections", "- dnsd\n", /nex\.yml:1: not a mapping/],
  ["a key written twice", "log: {level: info}\nlog: {level: warn}\n", /nex\.yml:2: Map keys must be unique/],
  ["a bracket left open", "dnsd:\n  listen: [127.0.0.1:53\n", /nex\.yml:\d: /],
  [
    "a certificate without its key",
    "etcd:\n  host: db\n  cert: /etc/db.pem\n",
    /nex\.yml:3: etcd\.cert: given without etcd\.key/,
  ],
  [
    "a file that is not there",
    "etcd:\n  cacert: /nonexistent/ca.pem\n",
    /nex\.yml:2: etcd\.cacert: .*ca\.pem cannot be read: No such file/,
  ],
];

for (const [what, text, message] of refused) {
  Deno.test(`loadConfig() refuses ${what} and says where`, async () => {
    await assert.rejects(load(text), (error: Error) => {
      assert.match(error.message, message);
      assert.doesNotMatch(error.message, /\n/);
      return true;
    });
  });
}

Deno.test("loadConfig() names the variable whose value is wrong", async () => {
  await assert.rejects(
    load("", { STRAND_DNSD_TTL: "soon" }),
    /^Refusal: STRAND_DNSD_TTL: dnsd\.ttl: needs a number, not "soon"$/,
  );
});

Deno.test("loadConfig() refuses a file that was named and is not there", () => {
  assert.throws(
    () => loadConfig({ file: "/nonexistent/nex.yml", env: {} }),
    /\/nonexistent\/nex\.yml cannot be read/,
  );
});

Deno.test("every environment variable has a name of its own", () => {
  assert.equal(new Set(variables.map(({ name }) => name)).size, variables.length);
});

Deno.test("loadConfig() trusts the system's authorities for https, unless others are named", async () => {
  await using certs = await certificates();
  const env = { SSL_CERT_FILE: certs.path("ca") };
  const system = await certs.read("ca");
  for (const text of ["etcd: {endpoints: [https://a, https://b]}", `etcd: {host: db, ${pair(certs)}}`]) {
    assert.deepEqual((await load(text, env)).etcd.tls?.ca, system, text);
  }
  const { etcd } = await load(`etcd: {host: db, cacert: ${certs.path("server")}}`, env);
  assert.deepEqual(etcd.tls?.ca, await certs.read("server"));
  assert.equal((await load("etcd: {endpoints: [http://a]}", env)).etcd.tls, undefined);
  await assert.rejects(
    load("etcd:\n  endpoints: [https://a]\n", { SSL_CERT_FILE: "/nowhere.crt" }),
    /nex\.yml:2: etcd\.endpoints: .*etcd\.cacert.* \/nowhere\.crt cannot be read: No such file/,
  );
});

function pair(certs: { path(name: string): string }): string {
  return `cert: ${certs.path("client")}, key: ${certs.path("client-key")}`;
}
