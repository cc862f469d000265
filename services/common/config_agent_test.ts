import assert from "node:assert/strict";
import { certificates } from "../../tests/lab/certificates.ts";
import { loadConfig } from "./config.ts";
import { agentVariables, variables } from "./config_schema.ts";

/** The configuration as the agent sees it, from a file of this text. */
async function load(text: string, env: Record<string, string> = {}, agent = true) {
  const directory = await Deno.makeTempDir();
  try {
    const file = `${directory}/nex.yml`;
    await Deno.writeTextFile(file, text);
    return loadConfig({ file, env, agent });
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

const id = "320a669f-e465-4806-ab46-f2e6620c4311";

Deno.test("loadConfig() gives the agent SAND's defaults", async () => {
  const { agent, etcd, log } = await load("");
  assert.equal(agent.wanted, false);
  assert.equal(agent.hostname, Deno.hostname());
  assert.equal(agent.apiHostname, agent.hostname);
  assert.equal(agent.ip, undefined);
  assert.deepEqual(agent.listen, { host: "0.0.0.0", port: 9999 });
  assert.equal(agent.hostConfigured, false);
  assert.equal(agent.tls, undefined);
  assert.equal(agent.namespacePath(id), `/var/run/netns/sc-ns-${id}`);
  assert.equal(agent.etcdPrefix, "/sc-net");
  assert.deepEqual([agent.minVni, agent.maxVni, agent.vxlanPort], [1, 999999, 4789]);
  assert.deepEqual(agent.docker, {
    enabled: false,
    port: 9998,
    spec: "/etc/docker/plugins/sand.json",
    names: true,
    socket: "/var/run/docker.sock",
  });
  assert.equal(agent.checksumOffload, true);
  assert.equal(agent.stateDir, "/var/lib/strand/agent");
  assert.deepEqual([agent.checkEverySeconds, agent.addressGraceSeconds], [120, 600]);
  assert.equal(agent.rollbar, undefined);
  assert.deepEqual(agent.metricsListen, { host: "127.0.0.1", port: 9643 });
  assert.deepEqual(etcd.endpoints, ["http://127.0.0.1:2379"]);
  assert.deepEqual(log, { level: "info", format: "text" });
});

Deno.test("loadConfig() reads the section agent", async () => {
  const { agent } = await load(`agent:
  hostname: host1
  ip: 192.0.2.1
  api-hostname: host1.example:9999
  host: "::1"
  port: 1234
  tls: {cert: a.pem, key: b.pem, ca: c.pem}
  netns-path: /run/netns/
  netns-prefix: net-
  etcd-prefix: /overlay
  max-vni: 16777215
  docker: {enabled: true, port: 4321}
  checksum-offload: false
  state-dir: /srv/agent
  check-every: 5
  address-grace: 30
  rollbar: {token: t, environment: staging}
  metrics-listen: 127.0.0.1:1
`);
  assert.equal(agent.wanted, true);
  assert.equal(`${agent.ip}`, "192.0.2.1");
  assert.equal(agent.apiHostname, "host1.example:9999");
  assert.deepEqual(agent.listen, { host: "::1", port: 1234 });
  assert.equal(agent.hostConfigured, true);
  assert.deepEqual(agent.tls, { cert: "a.pem", key: "b.pem", ca: "c.pem" });
  assert.equal(agent.namespacePath("1"), "/run/netns/net-1");
  assert.equal(agent.maxVni, 16777215);
  assert.deepEqual([agent.docker.enabled, agent.docker.port], [true, 4321]);
  assert.equal(agent.checksumOffload, false);
  assert.deepEqual([agent.checkEverySeconds, agent.addressGraceSeconds], [5, 30]);
  assert.deepEqual(agent.rollbar, { token: "t", environment: "staging", endpoint: undefined });
});

Deno.test("loadConfig() takes SAND's environment over the file and over our own", async () => {
  await using certs = await certificates();
  const { agent, etcd, log, where } = await load(
    "agent: {hostname: a, port: 1}\netcd: {host: db}\nlog: {level: error}\n",
    {
      PEER_HOSTNAME: "host1",
      PEER_IP: "192.0.2.1",
      API_HOSTNAME: "host1.example",
      HTTP_HOST: "127.0.0.1",
      PORT: "1234",
      NETNS_PATH: "/run/netns",
      NETNS_PREFIX: "net-",
      ETCD_PREFIX: "/overlay",
      MAX_VNI: "7",
      ENABLE_DOCKER_PLUGIN: "T",
      DOCKER_PLUGIN_HTTP_PORT: "4321",
      HTTP_TLS_CERT: "a.pem",
      HTTP_TLS_KEY: "b.pem",
      HTTP_TLS_CA: "c.pem",
      ETCD_HOSTS: "https://a:2379/, b:1",
      ETCD_TLS_CERT: certs.path("client"),
      ETCD_TLS_KEY: certs.path("client-key"),
      ETCD_CACERT: certs.path("ca"),
      STRAND_ETCD_HOST: "other",
      STRAND_LOG_LEVEL: "debug",
      LOGGER_LEVEL: "Warning",
      LOGGER_TYPE: "json",
    },
  );
  assert.equal(`${agent.ip}`, "192.0.2.1");
  assert.equal(agent.apiHostname, "host1.example");
  assert.deepEqual(agent.listen, { host: "127.0.0.1", port: 1234 });
  assert.equal(agent.namespacePath("1"), "/run/netns/net-1");
  assert.equal(agent.maxVni, 7);
  assert.deepEqual([agent.docker.enabled, agent.docker.port], [true, 4321]);
  assert.deepEqual(agent.tls, { cert: "a.pem", key: "b.pem", ca: "c.pem" });
  assert.deepEqual(etcd.endpoints, ["https://a:2379", "https://b:1"]);
  assert.equal(etcd.configured, true);
  const { certificates: shown = [], ...material } = etcd.tls ?? {};
  assert.deepEqual(shown.map(({ setting }) => setting), [
    "ETCD_TLS_CERT: etcd.cert",
    "ETCD_CACERT: etcd.cacert",
  ]);
  assert.deepEqual(material, {
    cert: await certs.read("client"),
    key: await certs.read("client-key"),
    ca: await certs.read("ca"),
  });
  assert.deepEqual(log, { level: "warn", format: "json" });
  assert.equal(where("agent.tls.cert"), "HTTP_TLS_CERT: agent.tls.cert");
});

Deno.test("loadConfig() takes the name that the Go agent reads, and none that is empty", async () => {
  const both = await load("", {
    NETNSPATH: "/a",
    NETNS_PATH: "/b",
    NETNSPREFIX: "a-",
    NETNS_PREFIX: "b-",
    ETCDPREFIX: "/a",
    ETCD_PREFIX: "/b",
    DOCKERPLUGINHTTPPORT: "1",
    DOCKER_PLUGIN_HTTP_PORT: "2",
    PORT: "1",
    HTTP_PORT: "2",
    PEER_HOSTNAME: "a",
    PUBLIC_HOSTNAME: "b",
    PEER_IP: "192.0.2.1",
    PUBLIC_IP: "192.0.2.2",
    ROLLBAR_TOKEN: "t",
    ROLLBAR_ENV: "a",
    GO_ENV: "b",
  });
  const { agent } = both;
  assert.equal(agent.namespacePath("1"), "/a/a-1");
  assert.deepEqual([agent.etcdPrefix, agent.docker.port, agent.listen.port], ["/a", 1, 1]);
  assert.deepEqual([agent.hostname, `${agent.ip}`, agent.rollbar?.environment], ["a", "192.0.2.1", "a"]);

  const one = (await load("", {
    PORT: "",
    HTTP_PORT: "2",
    PEER_IP: "",
    PUBLIC_IP: "192.0.2.2",
    PUBLIC_HOSTNAME: "b",
    NETNSPATH: "",
    ENABLE_DOCKER_PLUGIN: "",
    ROLLBAR_TOKEN: "t",
    GO_ENV: "production",
  })).agent;
  assert.deepEqual([one.listen.port, one.hostname, `${one.ip}`], [2, "b", "192.0.2.2"]);
  assert.deepEqual([one.netnsPath, one.docker.enabled], ["/var/run/netns", false]);
  assert.equal(one.rollbar?.environment, "production");
  assert.equal((await load("", { ROLLBAR_TOKEN: "", GO_ENV: "production" })).agent.rollbar, undefined);
});

Deno.test("loadConfig() wants an agent where a section, its own variable or an address of it says so", async () => {
  const wanted = async (text: string, env = {}) => (await load(text, env, false)).agent.wanted;
  assert.equal(await wanted("dnsd:\n"), false);
  assert.equal(await wanted("", { PORT: "80", GO_ENV: "production", PEER_IP: "" }), false);
  assert.equal(await wanted("agent:\n"), true);
  assert.equal(await wanted("", { PUBLIC_IP: "192.0.2.1" }), true);
  assert.equal(await wanted("", { STRAND_AGENT_CHECK_EVERY: "5" }), true);
});

Deno.test("loadConfig() gives SAND's general words to the agent alone", async () => {
  const env = Object.fromEntries(agentVariables.map(({ name }) => [name, "not that"]));
  const { agent, etcd, log } = await load("", env, false);
  assert.equal(agent.listen.port, 9999);
  assert.deepEqual(etcd.endpoints, ["http://127.0.0.1:2379"]);
  assert.equal(log.level, "info");
});

Deno.test("loadConfig() leaves etcd's certificate unverified in SAND's development, for the agent only", async () => {
  await using certs = await certificates();
  const text = `etcd: {endpoints: [https://a], cacert: ${certs.path("ca")}}`;
  assert.equal((await load(text, { GO_ENV: "development" })).etcd.tls?.unverified, true);
  assert.equal((await load(text, { GO_ENV: "production" })).etcd.tls?.unverified, undefined);
  assert.equal((await load(text, { GO_ENV: "development" }, false)).etcd.tls?.unverified, undefined);
});

Deno.test("loadConfig() reads the agent's own numbers as Go writes them, and all others as decimals", async () => {
  const { agent } = await load("", {
    PORT: "0x1f90",
    MAX_VNI: "999_998",
    DOCKER_PLUGIN_HTTP_PORT: "0o17",
    STRAND_AGENT_CHECK_EVERY: "010",
  });
  assert.deepEqual([agent.listen.port, agent.maxVni, agent.docker.port], [8080, 999_998, 15]);
  assert.equal(agent.checkEverySeconds, 10);
});

const refused: [Record<string, string>, RegExp][] = [
  [{ PORT: "abc" }, /^PORT: agent\.port: needs a number, not "abc"$/],
  [{ PORT: " 80" }, /^PORT: agent\.port: needs a number, not " 80"$/],
  [{ MAX_VNI: "0o8" }, /^MAX_VNI: agent\.max-vni: needs a number, not "0o8"$/],
  [{ MAX_VNI: "-0x1" }, /^MAX_VNI: agent\.max-vni: -1 is not a VNI, 1 to 16777215$/],
  [{ HTTP_PORT: "70000" }, /^HTTP_PORT: agent\.port: 70000 is not a port, 1 to 65535$/],
  [
    { PEER_IP: "host1" },
    /^PEER_IP: agent\.ip: "host1" is not an IPv4 address of this host, like 192\.0\.2\.1$/,
  ],
  [{ PUBLIC_IP: "0.0.0.0" }, /^PUBLIC_IP: agent\.ip: "0\.0\.0\.0" is not an IPv4 address of this host/],
  [{ PEER_IP: "2001:db8::1" }, /^PEER_IP: .*"2001:db8::1" is not an IPv4 address/],
  [{ PEER_HOSTNAME: "a/b" }, /^PEER_HOSTNAME: agent\.hostname: "a\/b" has a space or a slash in it$/],
  [{ API_HOSTNAME: "a b" }, /^API_HOSTNAME: agent\.api-hostname: "a b" is not a host's name or address/],
  [
    { HTTP_HOST: "127.0.0.1:80" },
    /^HTTP_HOST: agent\.host: "127\.0\.0\.1:80" is not an address to listen on/,
  ],
  [{ NETNSPATH: "netns" }, /^NETNSPATH: agent\.netns-path: "netns" is not an absolute path, like/],
  [{ MAX_VNI: "16777216" }, /^MAX_VNI: agent\.max-vni: 16777216 is not a VNI, 1 to 16777215$/],
  [{ STRAND_AGENT_MIN_VNI: "0" }, /^STRAND_AGENT_MIN_VNI: agent\.min-vni: 0 is not a VNI, 1 to 16777215$/],
  [
    { STRAND_AGENT_MIN_VNI: "8", MAX_VNI: "7" },
    /^STRAND_AGENT_MIN_VNI: agent\.min-vni: 8 is more than agent\.max-vni, 7$/,
  ],
  [
    { STRAND_AGENT_VXLAN_PORT: "0" },
    /^STRAND_AGENT_VXLAN_PORT: agent\.vxlan-port: 0 is not a port, 1 to 65535$/,
  ],
  [
    { STRAND_AGENT_TRANSFER_SUBNET: "169.254.192.1/18" },
    /^STRAND_AGENT_TRANSFER_SUBNET: agent\.transfer-subnet: "169\.254\.192\.1\/18" is not an IPv4 subnet of 4 addresses/,
  ],
  [
    { STRAND_AGENT_FIREWALL: "ufw" },
    /^STRAND_AGENT_FIREWALL: agent\.firewall: needs one of docker-user, not "ufw"/,
  ],
  [
    { ENABLE_DOCKER_PLUGIN: "yes" },
    /^ENABLE_DOCKER_PLUGIN: agent\.docker\.enabled: needs true or false, not "yes"$/,
  ],
  [{ LOGGER_LEVEL: "loud" }, /^LOGGER_LEVEL: log\.level: needs one of .*, not "loud"$/],
  [{ LOGGER_TYPE: "xml" }, /^LOGGER_TYPE: log\.format: needs one of text, json, not "xml"$/],
  [{ ETCD_HOSTS: "http://a:1,b:x" }, /^ETCD_HOSTS: etcd\.endpoints: "b:x" is not an endpoint, like https:/],
  [{ ETCD_TLS_CERT: "/nowhere.pem" }, /^ETCD_TLS_CERT: etcd\.cert: given without etcd\.key/],
  [
    { ETCD_CACERT: "/nowhere.pem" },
    /^ETCD_CACERT: etcd\.cacert: \/nowhere\.pem cannot be read: No such file/,
  ],
  [
    { HTTP_TLS_CERT: "a", HTTP_TLS_KEY: "b" },
    /^HTTP_TLS_CERT: agent\.tls\.cert: given without HTTP_TLS_CA \(/,
  ],
  [
    { HTTP_TLS_CA: "a" },
    /^HTTP_TLS_CA: agent\.tls\.ca: given without HTTP_TLS_CERT \(agent\.tls\.cert\); HTTPS needs/,
  ],
  [
    { STRAND_AGENT_CHECK_EVERY: "0" },
    /^STRAND_AGENT_CHECK_EVERY: agent\.check-every: 0 is not a number of seconds/,
  ],
];

for (const [env, message] of refused) {
  Deno.test(`loadConfig() refuses ${Object.keys(env).join(" and ")}=${Object.values(env)[0]}`, async () => {
    await assert.rejects(load("", env), (error: Error) => {
      assert.match(error.message, message);
      return true;
    });
  });
}

Deno.test("loadConfig() refuses a wrong key of the agent, whichever service reads the file", async () => {
  await assert.rejects(
    load("agent:\n  netnspath: /run\n", {}, false),
    /nex\.yml:2: agent\.netnspath: no such key; did you mean "netns-path"\?$/,
  );
});

Deno.test("every key has one kind of variable: STRAND_… or those of SAND", () => {
  const ours = variables.map(({ path }) => path.join("."));
  const sands = agentVariables.map(({ path }) => path.join(".")).filter((key) => key.startsWith("agent."));
  assert.deepEqual(ours.filter((key) => sands.includes(key)), []);
  assert.deepEqual(ours.filter((key) => key.startsWith("agent.")), [
    "agent.min-vni",
    "agent.vxlan-port",
    "agent.transfer-subnet",
    "agent.broadcast-limit",
    "agent.egress-connections",
    "agent.egress-control-plane",
    "agent.firewall",
    "agent.docker.spec",
    "agent.docker.names",
    "agent.docker.socket",
    "agent.checksum-offload",
    "agent.socket",
    "agent.gateway-socket",
    "agent.gateway-user",
    "agent.state-dir",
    "agent.check-every",
    "agent.address-grace",
    "agent.rollbar.endpoint",
    "agent.metrics-listen",
  ]);
});
