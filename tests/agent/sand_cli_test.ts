/** sand-agent-cli against a stand-in for an agent: output, options and errors. */
import assert from "node:assert/strict";
import { fakeAgent, FakeCluster } from "./fake_agent.ts";
import { sand, sandProcess } from "./sand_cli.ts";

const done = (stdout: string, stderr = "") => ({ code: 0, stdout, stderr });

Deno.test("the session that SAND users know", async (t) => {
  await using agent = await fakeAgent();
  const { cluster } = agent;
  const $ = (...args: string[]) => sand(agent, args);
  const last = () => cluster.calls.at(-1);
  let network = "", endpoint = "";
  await t.step("version", async () => {
    const { default: { version } } = await import("../../deno.json", { with: { type: "json" } });
    assert.deepEqual(await $("--version"), done(`sand-agent-cli ${version}\n`));
    assert.deepEqual(await $("version"), done(`Client version: ${version}\nServer version: 9.8.7\n`));
  });
  await t.step(
    "network-list without any",
    async () => assert.deepEqual(await $("network-list"), done("No existing network\n")),
  );
  await t.step("network-create", async () => {
    const output = await $("network-create");
    [network = ""] = cluster.networks.keys();
    assert.deepEqual(
      output,
      done(
        `New network created:\n* id=${network} name=net-sc-${network} type=overlay ip-range=10.0.0.0/24, vni=1\n`,
      ),
    );
    assert.deepEqual(last()?.body, {});
  });
  await t.step("network-create --name --ip-range -o json", async () => {
    const { stdout } = await $("network-create", "--name", "blue", "--ip-range", "10.9.0.0/16", "-o", "json");
    const { network } = JSON.parse(stdout);
    assert.deepEqual([network.name, network.ip_range, network.vxlan_vni], ["blue", "10.9.0.0/16", 2]);
    assert.deepEqual(last()?.body, { name: "blue", ip_range: "10.9.0.0/16" });
    cluster.networks.delete(network.id);
  });
  await t.step("network-list and network-show", async () => {
    const row = `[${network}] net-sc-${network} (overlay VNI: 1)\n`;
    assert.deepEqual(await $("network-list"), done(`List of networks:\n* ${row}`));
    assert.deepEqual(await $("network-show", "--network", network), done(row));
    assert.deepEqual(await $("network-show", "-n", network), done(row));
    const listed = JSON.parse((await $("network-list", "--output", "json")).stdout);
    assert.deepEqual(listed, { networks: [cluster.networks.get(network)] });
    const shown = JSON.parse((await $("network-show", "-n", network, "-o", "json")).stdout);
    assert.deepEqual(shown, { network: cluster.networks.get(network) });
  });
  await t.step("a network that is broken, or being deleted", async () => {
    const more = { name: "b", type: "overlay", vxlan_vni: 7 };
    cluster.networks.set("B", {
      ...more,
      id: "B",
      broken: "the record B in etcd is not carried out: no range",
    });
    cluster.networks.set("D", { ...more, id: "D", deleting: true, pending_hosts: ["h8", "h9"] });
    const [, , broken, deleting] = (await $("network-list")).stdout.split("\n");
    assert.equal(
      broken,
      "* [B] b (overlay VNI: 7) broken: the record B in etcd is not carried out: no range",
    );
    assert.equal(deleting, "* [D] b (overlay VNI: 7) being deleted, waits for h8, h9");
    for (const id of ["B", "D"]) cluster.networks.delete(id);
  });
  await t.step(
    "endpoint-list without any",
    async () => assert.deepEqual(await $("endpoint-list"), done("List of endpoints:\n")),
  );
  await t.step("endpoint-create", async () => {
    const output = await $("endpoint-create", "-n", network, "--ns", "/run/netns/blue", "--ip", "10.0.0.9");
    [endpoint = ""] = cluster.endpoints.keys();
    const row = `ID=${endpoint} networkID=${network} hostname=host-a IP=10.0.0.9/24 NS=/run/netns/blue`;
    assert.deepEqual(output, done(`New endpoint created:\n* [ACTIVE]  ${row}\n`));
    assert.deepEqual(last(), {
      host: "host-a",
      line: "POST /endpoints",
      body: {
        network_id: network,
        activate: true,
        activate_params: { ns_handle_path: "/run/netns/blue" },
        ipv4_address: "10.0.0.9",
      },
    });
  });
  await t.step("endpoint-list with its filters", async () => {
    const passive = { ...cluster.endpoints.get(endpoint), id: "p", hostname: "host-b", active: false };
    cluster.endpoints.set("p", passive);
    const rows =
      `* [ACTIVE]  ID=${endpoint} networkID=${network} hostname=host-a IP=10.0.0.9/24 NS=/run/netns/blue
* [PASSIVE] ID=p networkID=${network} hostname=host-b IP=10.0.0.9/24
`;
    const listings: [args: string[], line: string][] = [
      [[], "GET /endpoints"],
      [["--hostname", "all"], "GET /endpoints"],
      [["--network", network], `GET /endpoints?network_id=${network}`],
      [["-n", network, "--hostname", "all"], `GET /endpoints?network_id=${network}`],
    ];
    for (const [args, line] of listings) {
      assert.deepEqual(await $("endpoint-list", ...args), done(`List of endpoints:\n${rows}`));
      assert.equal(last()?.line, line);
    }
    const { stdout } = await $("endpoint-list", "-n", network, "--hostname", "host-b", "-o", "json");
    assert.deepEqual(JSON.parse(stdout), { endpoints: [passive] });
    assert.equal(last()?.line, `GET /endpoints?network_id=${network}&hostname=host-b`);
    cluster.endpoints.delete("p");
  });
  await t.step("endpoint-delete and network-delete", async () => {
    const { code, stderr } = await $("network-delete", "--network", network);
    assert.deepEqual([code, stderr], [1, `sand-agent-cli: network ${network} still has endpoints (1)\n`]);
    assert.deepEqual(await $("endpoint-delete", "-e", endpoint), done(`Endpoint '${endpoint}' deleted.\n`));
    assert.deepEqual(await $("network-delete", "-n", network), done(`Network ${network} has been deleted\n`));
  });
});

Deno.test("what the agent says besides its answer goes to standard error", async (t) => {
  await using agent = await fakeAgent();
  const { cluster } = agent;
  await sand(agent, ["network-create"]);
  const [network = ""] = cluster.networks.keys();
  const create = ["endpoint-create", "--network", network, "--ns", "/run/netns/blue"];
  await t.step("--wait names the hosts that do not have the endpoint yet", async () => {
    cluster.extra = { pending_hosts: ["host-b", "host-c"] };
    const { code, stdout, stderr } = await sand(agent, [...create, "--wait"]);
    const [endpoint = ""] = cluster.endpoints.keys();
    assert.equal(code, 1);
    assert.match(stdout, /^New endpoint created:\n\* \[ACTIVE\] {2}ID=\S+ [^\n]+\n$/);
    assert.equal(
      stderr,
      `sand-agent-cli: endpoint ${endpoint} exists, but not yet for host-b, host-c: look at the agent there\n`,
    );
    assert.equal(cluster.calls.at(-1)?.line, "POST /endpoints?wait=5s");
    const json = await sand(agent, [...create, "--wait", "250ms", "-o", "json"]);
    assert.deepEqual(JSON.parse(json.stdout).pending_hosts, ["host-b", "host-c"]);
    assert.equal(json.code, 1);
    assert.equal(cluster.calls.at(-1)?.line, "POST /endpoints?wait=250ms");
  });
  await t.step("--wait is content when all have it", async () => {
    cluster.extra = { pending_hosts: [] };
    assert.equal((await sand(agent, [...create, "--wait=1s"])).code, 0);
  });
  await t.step("a warning with the list of endpoints", async () => {
    cluster.extra = { warning: "etcd is away: these are this host's" };
    const { code, stdout, stderr } = await sand(agent, ["endpoint-list"]);
    assert.deepEqual([code, stderr], [0, "sand-agent-cli: etcd is away: these are this host's\n"]);
    assert.match(stdout, /^List of endpoints:\n\* /);
  });
  await t.step("nothing of it draws on the terminal", async () => {
    cluster.extra = { warning: "a\x1b[2Jb\nc" };
    assert.equal((await sand(agent, ["endpoint-list"])).stderr, "sand-agent-cli: a\\x1b[2Jb\\x0ac\n");
  });
});

Deno.test("network-delete --recursive asks each endpoint's own agent", async (t) => {
  const cluster = new FakeCluster();
  await using a = await fakeAgent({ cluster, hostname: "host-a" });
  await using b = await fakeAgent({ cluster, hostname: "host-b" });
  const $ = (...args: string[]) => sand(a, args);
  const network = async () => {
    await $("network-create");
    return [...cluster.networks.keys()].at(-1) ?? "";
  };
  const add = (network: string, id: string, hostname: string, api_hostname: string) =>
    cluster.endpoints.set(id, { id, network_id: network, hostname, api_hostname, host_ip: "127.0.0.1" });
  await t.step("endpoints of two hosts, and none of another network", async () => {
    const going = await network(), staying = await network();
    add(going, "e1", "host-a", `127.0.0.1:${a.port}`);
    add(going, "e2", "host-b", `localhost:${b.port}`);
    add(going, "e3", "host-b", `localhost:${b.port}`);
    add(staying, "e4", "host-b", `localhost:${b.port}`);
    cluster.calls.length = 0;
    const deleted = ["e1", "e2", "e3"].map((id) => `Endpoint '${id}' deleted.\n`).join("");
    assert.deepEqual(
      await $("network-delete", "-r", "-n", going),
      done(`${deleted}Network ${going} has been deleted\n`),
    );
    assert.deepEqual([...cluster.endpoints.keys()], ["e4"]);
    // The second of a host goes to its agent at once.
    const deletions = cluster.calls.filter(({ line }) => line.startsWith("DELETE /endpoints"));
    assert.deepEqual(deletions.map(({ host, line }) => `${host} ${line.split("/").at(-1)}`), [
      "host-a e1",
      "host-a e2",
      "host-b e2",
      "host-b e3",
    ]);
    cluster.endpoints.clear();
  });
  await t.step("a host that cannot be reached, without and with --force", async () => {
    const going = await network();
    add(going, "e1", "host-c", "127.0.0.1:1");
    add(going, "e2", "host-a", "");
    const refused = await $("network-delete", "--recursive", "-n", going);
    assert.deepEqual([refused.code, refused.stdout], [1, ""]);
    assert.match(
      refused.stderr,
      /^sand-agent-cli: endpoint e1 is on host-c: http:\/\/127\.0\.0\.1:1 cannot be reached: [^\n]+--force deletes it\n$/,
    );
    assert.equal(cluster.endpoints.size, 2);
    const forced = await $("network-delete", "--recursive", "--force", "-n", going);
    assert.deepEqual(
      forced,
      done(`Endpoint 'e1' deleted.\nEndpoint 'e2' deleted.\nNetwork ${going} has been deleted\n`),
    );
    assert.equal(
      cluster.calls.findLast(({ line }) => line.includes("/endpoints/e1"))?.line,
      "DELETE /endpoints/e1?force=1",
    );
  });
  await t.step("endpoint-delete --force", async () => {
    add(await network(), "e1", "host-c", "127.0.0.1:1");
    const { code, stderr } = await $("endpoint-delete", "--endpoint", "e1");
    assert.deepEqual([code, stderr], [1, "sand-agent-cli: endpoint e1 is on host-c, not on host-a\n"]);
    assert.deepEqual(
      await $("endpoint-delete", "--endpoint", "e1", "--force"),
      done("Endpoint 'e1' deleted.\n"),
    );
  });
});

Deno.test("wrong usage is one line and status 2, and nothing is sent", async () => {
  await using agent = await fakeAgent();
  const cases: [args: string[], says: RegExp][] = [
    [["netwrk-list"], /unknown command 'netwrk-list' \(Did you mean network-list\?\)/],
    [["network-list", "--frob"], /unknown option '--frob'/],
    [["network-list", "extra"], /too many arguments/],
    [["network-list", "-o", "yaml"], /"yaml" is neither table nor json/],
    [["network-list", "--api-url", "host-a:9999"], /"host-a:9999" is not the URL of an agent/],
    [["network-list", "--api-url", "ftp://host-a"], /"ftp:\/\/host-a" is not the URL/],
    [["network-list", "--timeout", "30"], /"30" is not a duration, like 30s/],
    [["network-list", "--timeout", "-5s"], /"-5s" is not a duration/],
    [["network-show"], /'-n, --network <id>' not specified/],
    [["network-show", "-n", ""], /"" is not an id/],
    [["network-show", "-n", "a/b"], /"a\/b" is not an id/],
    [["network-show", "-n", "a b"], /"a b" is not an id/],
    [["network-delete", "-n", "a", "--force"], /--force: only with --recursive/],
    [["network-connect", "-n", "a", "--ip", "10.0.0.1"], /'--port <port>' not specified/],
    [["network-connect", "-n", "a", "--ip", "host-a", "--port", "80"], /"host-a" is not an IP address/],
    [["network-connect", "-n", "a", "--ip", "10.0.0.1", "--port", "0"], /"0" is not a port/],
    [["network-connect", "-n", "a", "--ip", "10.0.0.1", "--port", "http"], /"http" is not a port/],
    [["curl", "-n", "a"], /missing required argument 'url'/],
    [["curl", "http://10.0.0.1/"], /'-n, --network <id>' not specified/],
    [
      ["curl", "-n", "a", "http://host-a/"],
      /"http:\/\/host-a\/" is not an http or https URL of an IP address/,
    ],
    [["curl", "-n", "a", "ftp://10.0.0.1/"], /"ftp:/],
    [["curl", "-n", "a", "-X", "G ET", "http://10.0.0.1/"], /"G ET" is not an HTTP method/],
    [["curl", "-n", "a", "-H", "Accept", "http://10.0.0.1/"], /"Accept" is not a header/],
    [["curl", "-n", "a", "-H", "A: b\r\nC: d", "http://10.0.0.1/"], /is not a header/],
    [["endpoint-create", "-n", "a"], /'--ns <path>' not specified/],
    [["endpoint-create", "--ns", "/a"], /'-n, --network <id>' not specified/],
    [["endpoint-create", "-n", "a", "--ns", "a"], /"a" is not an absolute path/],
    [["endpoint-create", "-n", "a", "--ns", "/a", "--wait", "5"], /"5" is not a duration/],
    [["endpoint-delete"], /'-e, --endpoint <id>' not specified/],
    [["completion", "tcsh"], /bash, zsh, fish/],
  ];
  for (const [args, says] of cases) {
    const { code, stdout, stderr } = await sand(agent, args);
    assert.deepEqual([code, stdout], [2, ""], `${args}: ${stderr}`);
    assert.match(stderr, /^sand-agent-cli: [^\n]+\n$/);
    assert.match(stderr, says);
  }
  assert.deepEqual(agent.cluster.calls, []);
  assert.equal((await sand(agent, [])).code, 2);
  assert.match((await sand(agent, ["help"])).stdout, /^Usage: sand-agent-cli/);
  assert.match(
    (await sand({ url: "nonsense" }, ["help"])).stderr + (await sand({ url: "" }, ["help"])).stdout,
    /SAND_API_URL/,
  );
});

Deno.test("a refusal or a fault is one line and status 1", async (t) => {
  await using agent = await fakeAgent();
  const fails = async (url: string, args: string[], says: RegExp | string) => {
    const { code, stdout, stderr } = await sand({ url }, args);
    assert.deepEqual([code, stdout], [1, ""], stderr);
    if (typeof says === "string") assert.equal(stderr, `sand-agent-cli: ${says}\n`);
    else assert.match(stderr, says);
    assert.match(stderr, /^sand-agent-cli: [^\n]+\n$/);
  };
  await t.step("the agent's own sentence", async () => {
    await fails(agent.url, ["network-show", "-n", "x"], 'there is no network "x"');
    await fails(
      agent.url,
      ["network-create", "--ip-range", "10.0.0.1/24"],
      "ip_range: 10.0.0.1/24 has host bits set: did you mean 10.0.0.0/24?",
    );
  });
  await t.step("no agent there", () =>
    fails(
      "http://127.0.0.1:1",
      ["network-list"],
      "http://127.0.0.1:1 cannot be reached: nothing listens there; start the agent there, or name another with --api-url",
    ));
  await t.step(
    "no such host",
    () => fails("http://host.invalid:1", ["network-list"], /there is no such host/),
  );
  await t.step("something else there", async () => {
    const answers: [response: Response, says: RegExp][] = [
      [new Response("<html>"), /answers without networks: is it an agent's API\?/],
      [new Response("{}"), /answers without networks: is it/],
      [new Response("bad gateway", { status: 502 }), /answers with status 502 and no reason/],
      [Response.redirect("http://127.0.0.1:1/"), /answers with status 302/],
    ];
    for (const [response, says] of answers) {
      await using server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, () => response);
      await fails(`http://127.0.0.1:${server.addr.port}`, ["network-list"], says);
    }
  });
  await t.step("no answer in time", async () => {
    using silent = Deno.listen({ port: 0, hostname: "127.0.0.1" });
    const url = `http://127.0.0.1:${silent.addr.port}`;
    await fails(url, ["network-list", "--timeout", "300ms"], /gave no answer within 300ms; --timeout/);
    const { stderr } = await sand({ url }, ["network-list"], { env: { SAND_TIMEOUT: "200ms" } });
    assert.match(stderr, /gave no answer within 200ms/);
  });
});

Deno.test("network ids, endpoint ids and host names are completed", async () => {
  await using agent = await fakeAgent();
  const { cluster } = agent;
  cluster.networks.set("n1", { id: "n1" });
  cluster.endpoints.set("e1", { id: "e1", hostname: "host-a" });
  cluster.endpoints.set("e2", { id: "e2", hostname: "host-a" });
  const complete = async (...words: string[]) =>
    (await sand(agent, ["__complete", ...words])).stdout.split("\n").filter(Boolean);
  assert.deepEqual(await complete("network-s"), ["network-show"]);
  assert.deepEqual(await complete("network-show", "--network", ""), ["n1"]);
  assert.deepEqual(await complete("curl", "-n", "n"), ["n1"]);
  assert.deepEqual(await complete("endpoint-delete", "-e", ""), ["e1", "e2"]);
  assert.deepEqual(await complete("endpoint-list", "--hostname", ""), ["host-a"]);
  assert.deepEqual(await complete("endpoint-list", "-o", ""), ["table", "json"]);
  assert.deepEqual(await complete("--api-url", "http://127.0.0.1:1", "network-show", "-n", ""), []);
  assert.match((await sand(agent, ["completion", "bash"])).stdout, /complete .* sand-agent-cli\n$/);
});

Deno.test("as a process it prints the same, and ends with the same status", async () => {
  await using agent = await fakeAgent();
  agent.cluster.networks.set("n1", { id: "n1", name: "blue", type: "overlay", vxlan_vni: 1 });
  const lines = [
    ["--version"],
    ["network-list"],
    ["network-show", "-n", "n1", "-o", "json"],
    ["network-show", "-n", "x"],
    ["netwrk-list"],
    [],
    ["__complete", "network-show", "--network", ""],
  ];
  for (const line of lines) {
    assert.deepEqual(await sandProcess(agent, line), await sand(agent, line), line.join(" "));
  }
});
