import assert from "node:assert/strict";
import { Registry } from "../../common/metrics.ts";
import { Refusal } from "../../common/refusal.ts";
import { version } from "../../common/version.ts";
import { UnknownOutcome } from "../../store/errors.ts";
import type { AgentApi, CreateRequest, EndpointFilter } from "../api.ts";
import { errorAnswer } from "./answers.ts";
import { answerTo, routeLabel } from "./routes.ts";
import { ENDPOINT, endpoint, fakeApi, NETWORK, network, report } from "./testing.ts";

interface Got {
  status: number;
  body: Record<string, unknown>;
  text: string;
  headers: Readonly<Record<string, string>>;
}

/** The answer to a request, as the server would give it. */
async function call(
  method: string,
  target: string,
  body: unknown = "",
  api?: Partial<AgentApi>,
): Promise<Got> {
  const bytes = body instanceof Uint8Array
    ? body
    : new TextEncoder().encode(typeof body === "string" ? body : JSON.stringify(body));
  const sources = {
    api: () => fakeApi(api),
    report,
    metrics: new Registry(),
    openApi: () => Promise.resolve("{}"),
  };
  const answer = await answerTo(sources, { method, target, body: bytes }).catch(errorAnswer);
  const json = answer.type === "application/json" ? JSON.parse(answer.body) : {};
  return { status: answer.status, body: json, text: answer.body, headers: answer.headers ?? {} };
}

async function refused(status: number, sentence: RegExp, ...args: Parameters<typeof call>): Promise<void> {
  const { status: got, body } = await call(...args);
  assert.equal(got, status, JSON.stringify(body));
  assert.deepEqual(Object.keys(body), ["error"]);
  assert.match(String(body.error), sentence);
}

Deno.test("networks are shown with the contract's fields in the contract's order, and no others", async () => {
  const fields = "id created_at name type ns_handle_path vxlan_vni ip_range gateway".split(" ");
  const { status, body } = await call("GET", "/networks");
  assert.equal(status, 200);
  const [shown] = body.networks as Record<string, unknown>[];
  assert.deepEqual(Object.keys(shown ?? {}), fields);
  assert.equal(shown?.created_at, network.created_at);
  const one = await call("GET", `/networks/${NETWORK.toUpperCase()}`);
  assert.deepEqual(one.body, { network: shown });
});

Deno.test("a network that commands have a name for is shown with it", async () => {
  const networkNames = () => new Map([[NETWORK, "blue"]]);
  const { body } = await call("GET", "/networks", "", { networkNames });
  assert.deepEqual((body.networks as { known_as: string }[]).map(({ known_as }) => known_as), ["blue"]);
});

Deno.test("PUT /endpoints answers 201 for an endpoint that was made, and 200 for one that was there", async () => {
  for (const [existing, status] of [[false, 201], [true, 200]] as const) {
    const ensureEndpoint = () => Promise.resolve({ endpoint, pending: ["b"], existing });
    const { status: got, body } = await call("PUT", "/endpoints", { network_id: NETWORK }, {
      ensureEndpoint,
    });
    assert.deepEqual([got, body.existing, body.pending_hosts], [status, existing, ["b"]]);
  }
});

Deno.test("GET /ways/ID tells of an address, which must be one", async () => {
  const { status, body } = await call("GET", `/ways/${NETWORK}?ip=10.0.0.5`);
  assert.deepEqual([status, (body.way as { fdb: string }).fdb], [200, "192.0.2.1"]);
  await refused(400, /^ip: "" is not an IPv4 address/, "GET", `/ways/${NETWORK}`);
  await refused(404, /^there is no network "x"/, "GET", "/ways/x?ip=10.0.0.5");
  const { body: { absence } } = await call("GET", `/ways/${NETWORK}?of=nobody`);
  assert.equal((absence as { reserved: boolean }).reserved, false);
});

Deno.test("a network that is broken or being deleted is shown so, by its own id too", async () => {
  const trouble = () => ({ broken: "no range", deleting: ["h9"] });
  const odd = { ...network, id: "victim", broken: "stored by another program" };
  const api = { trouble, networks: () => Promise.resolve([odd]), network: () => odd };
  const { body: { networks } } = await call("GET", "/networks", "", api);
  const [shown] = networks as Record<string, unknown>[];
  assert.deepEqual([shown?.broken, shown?.deleting, shown?.pending_hosts], ["no range", true, ["h9"]]);
  assert.deepEqual((await call("GET", "/networks/victim", "", api)).body, { network: shown });
  const deleted: string[] = [];
  const deleteNetwork = (id: string) => Promise.resolve(void deleted.push(id));
  for (const id of ["victim", NETWORK.toUpperCase()]) {
    assert.equal((await call("DELETE", `/networks/${id}`, "", { deleteNetwork })).status, 204);
  }
  assert.deepEqual(deleted, ["victim", NETWORK]);
});

Deno.test("endpoints are shown with the contract's fields in the contract's order", async () => {
  const { body } = await call("GET", "/endpoints");
  const [shown] = body.endpoints as Record<string, unknown>[];
  assert.deepEqual(
    Object.keys(shown ?? {}).join(" "),
    "id network_id hostname host_ip api_hostname created_at target_netns_path overlay_veth_name overlay_veth_mac " +
      "target_veth_name target_veth_mac target_veth_ip active",
  );
  assert.equal("warning" in body, false);
});

Deno.test("version, health, readiness and metrics", async () => {
  assert.deepEqual((await call("GET", "/version")).body, { version });
  assert.equal((await call("GET", "/healthz")).text, "ok\n");
  assert.deepEqual((await call("GET", "/readyz")).body, report());
  assert.equal((await call("HEAD", "/metrics")).status, 200);
});

Deno.test("POST /networks takes what is given, null and empty text for nothing, and more than it knows", async () => {
  const seen: unknown[] = [];
  const createNetwork: AgentApi["createNetwork"] = (request) => {
    seen.push(JSON.parse(JSON.stringify(request)));
    return Promise.resolve({ network });
  };
  const bodies = [
    {},
    { id: "", name: "", type: "", ip_range: "", gateway: "" },
    { name: null, other: [1] },
    '{"name":"a","name":"b"}',
  ];
  for (const body of bodies) {
    assert.equal((await call("POST", "/networks", body, { createNetwork })).status, 201);
  }
  assert.deepEqual(seen, [{}, {}, {}, { name: "b" }]);
});

Deno.test("a body that is no JSON object of the right types is refused with field and value", async () => {
  await refused(400, /^body: empty/, "POST", "/networks");
  await refused(400, /^body: not JSON/, "POST", "/networks", "{name: 1}");
  await refused(400, /^body: not JSON/, "POST", "/networks", '{"name":"a"');
  await refused(400, /^body: not JSON/, "POST", "/networks", "{} {}");
  await refused(400, /^body: not UTF-8/, "POST", "/networks", Uint8Array.of(0x7b, 0xff, 0x7d));
  await refused(400, /^body: null is given where an object/, "POST", "/networks", "null");
  await refused(400, /^body: a list is given/, "POST", "/networks", "[]");
  await refused(400, /^body: "x" is given/, "POST", "/networks", '"x"');
  await refused(400, /^name: 5 is given where a string is needed/, "POST", "/networks", { name: 5 });
  await refused(400, /^activate: "yes" is given where true or false/, "POST", "/endpoints", {
    network_id: NETWORK,
    activate: "yes",
  });
  await refused(400, /^activate_params: "x" is given where an object/, "POST", "/endpoints", {
    network_id: NETWORK,
    activate_params: "x",
  });
  await refused(400, /^activate_params\.ns_handle_path: an object is given/, "POST", "/endpoints", {
    network_id: NETWORK,
    activate_params: { ns_handle_path: {} },
  });
  await refused(400, /^body: /, "POST", "/networks", "[".repeat(1 << 20));
  await refused(400, /^name: a list/, "POST", "/networks", `{"name":${"[".repeat(1e5)}${"]".repeat(1e5)}}`);
});

Deno.test("POST /endpoints reads what Go's clients send", async () => {
  const seen: CreateRequest[] = [];
  const createEndpoint: AgentApi["createEndpoint"] = (request) => {
    seen.push(request);
    return Promise.resolve({ endpoint, pending: [] });
  };
  const post = (target: string, body: object) => call("POST", target, body, { createEndpoint });
  const go = { set_addr: false, move_veth: false };
  const answers = [
    await post("/endpoints", {
      network_id: NETWORK,
      activate: false,
      activate_params: { ns_handle_path: "", ...go },
      ipv4_address: "",
      mac_address: "",
    }),
    await post("/endpoints?wait=1m30s", {
      network_id: NETWORK.toUpperCase(),
      activate: true,
      activate_params: { ns_handle_path: "/var/run/netns/blue", ...go },
      ipv4_address: "10.0.0.5/24",
      mac_address: "02-84-0A-00-00-05",
    }),
    await post("/endpoints?wait=500ms", { network_id: NETWORK, ipv4_address: "10.0.0.6" }),
  ];
  for (const { status, body } of answers) {
    assert.equal(status, 201);
    assert.deepEqual(Object.keys(body), ["endpoint"]);
  }
  const brief = seen.map(({ network, netns, address, mac, waitMs }) => [
    network,
    netns,
    address?.toString(),
    mac,
    waitMs,
  ]);
  assert.deepEqual(brief, [
    [NETWORK, undefined, undefined, undefined, 0],
    [NETWORK, "/var/run/netns/blue", "10.0.0.5", "02:84:0a:00:00:05", 60_000],
    [NETWORK, undefined, "10.0.0.6", undefined, 500],
  ]);
});

Deno.test("an endpoint is given a name, and shown with it only where it has one", async () => {
  const seen: (string | undefined)[] = [];
  const createEndpoint: AgentApi["createEndpoint"] = ({ name }) => {
    seen.push(name);
    return Promise.resolve({
      endpoint: name === undefined ? endpoint : { ...endpoint, strand_name: name },
      pending: [],
    });
  };
  const post = async (more: object) => {
    const { body } = await call("POST", "/endpoints", { network_id: NETWORK, ...more }, { createEndpoint });
    return body.endpoint as Record<string, unknown>;
  };
  assert.equal((await post({ name: "Web" })).name, "web");
  for (const body of [{}, { name: "" }, { name: null }]) {
    assert.equal("name" in await post(body), false);
  }
  assert.deepEqual(seen, ["web", undefined, undefined, undefined]);
  await refused(400, /^name: 5 is given where a string is needed/, "POST", "/endpoints", {
    network_id: NETWORK,
    name: 5,
  });
});

Deno.test("POST /endpoints names the hosts that have not programmed it", async () => {
  const { status, body } = await call("POST", "/endpoints?wait=5s", { network_id: NETWORK }, {
    createEndpoint: () => Promise.resolve({ endpoint, pending: ["b", "c"] }),
  });
  assert.equal(status, 201);
  assert.deepEqual(body.pending_hosts, ["b", "c"]);
});

Deno.test("POST /endpoints refuses each wrong field", async () => {
  const post = (sentence: RegExp, body: object, query = "") =>
    refused(400, sentence, "POST", `/endpoints${query}`, { network_id: NETWORK, ...body });
  await post(/^network_id: missing/, { network_id: "" });
  await post(/^activate_params.ns_handle_path: missing/, { activate: true });
  await post(/ns_handle_path: missing/, { activate: true, activate_params: { ns_handle_path: "" } });
  await post(/ns_handle_path: "a\/b" is not an absolute/, {
    activate: true,
    activate_params: { ns_handle_path: "a/b" },
  });
  await post(/ns_handle_path: "\/a\\x00b"/, { activate: true, activate_params: { ns_handle_path: "/a\0b" } });
  for (const address of ["10.0.0", "10.0.0.256", "fe80::1", "10.0.0.5/33", "x", "10.0.0.5 "]) {
    await post(/^ipv4_address: ".*" is not an IPv4 address, like 10.0.0.5/, { ipv4_address: address });
  }
  await post(/^mac_address: "02:84" is not a MAC/, { mac_address: "02:84" });
  await post(/^mac_address: 01:00:5e:00:00:01 is a multicast/, { mac_address: "01:00:5e:00:00:01" });
  await post(/^mac_address: 00:00:00:00:00:00/, { mac_address: "00:00:00:00:00:00" });
  for (const wait of ["5", "-1s", "soon"]) await post(/^wait: ".+" is not a duration/, {}, `?wait=${wait}`);
});

Deno.test("GET /endpoints passes its filters on, empty ones for none, and a warning back", async () => {
  const seen: EndpointFilter[] = [];
  const endpoints: AgentApi["endpoints"] = (filter) => {
    seen.push(filter);
    return Promise.resolve({ endpoints: [], warning: "etcd is away" });
  };
  for (const query of ["", "?network_id=&hostname=", `?network_id=${NETWORK}`, "?hostname=a%20b"]) {
    assert.deepEqual((await call("GET", `/endpoints${query}`, "", { endpoints })).body, {
      endpoints: [],
      warning: "etcd is away",
    });
  }
  const none = { network: undefined, hostname: undefined };
  assert.deepEqual(seen, [none, none, { ...none, network: NETWORK }, { ...none, hostname: "a b" }]);
  await refused(404, /^there is no network "x"$/, "GET", "/endpoints?network_id=x");
  for (const network_id of ["1", "mini", "../x"]) {
    await refused(404, /^there is no network "/, "POST", "/endpoints", { network_id });
  }
});

Deno.test("DELETE answers 204 without a body; force is 1 or 0", async () => {
  const forced: unknown[] = [];
  const deleteEndpoint: AgentApi["deleteEndpoint"] = (_, options) =>
    Promise.resolve(void forced.push(options?.force));
  for (const query of ["", "?force=1", "?force=true", "?force=0", "?force="]) {
    const { status, text } = await call("DELETE", `/endpoints/${ENDPOINT}${query}`, "", { deleteEndpoint });
    assert.deepEqual([status, text], [204, ""]);
  }
  assert.deepEqual(forced, [false, true, true, false, false]);
  await refused(400, /^force: "yes" is neither 1 nor 0/, "DELETE", `/endpoints/${ENDPOINT}?force=yes`);
  assert.equal((await call("DELETE", `/networks/${NETWORK}`)).status, 204);
});

Deno.test("refusals of the agent have their statuses", async () => {
  const codes = {
    "invalid": 400,
    "forbidden": 400,
    "not-found": 404,
    "exists": 409,
    "exhausted": 409,
    "conflict": 409,
    "unavailable": 503,
  } as const;
  for (const [code, status] of Object.entries(codes)) {
    const createNetwork = () => Promise.reject(new Refusal(code as keyof typeof codes, "a sentence"));
    await refused(status, /^a sentence$/, "POST", "/networks", {}, { createNetwork });
  }
  const lost = () => Promise.reject(new UnknownOutcome("away"));
  await refused(503, /etcd/, "POST", "/networks", {}, { createNetwork: lost });
  const broken = () => Promise.reject(new TypeError("x is undefined"));
  await refused(500, /failed.*x is undefined/, "POST", "/networks", {}, { createNetwork: broken });
  await refused(503, /^away$/, "GET", "/networks", "", {
    networks: () => {
      throw new Refusal("unavailable", "away");
    },
  });
});

Deno.test("what is not there is 404, what may not be done is 405 with what may", async () => {
  const missing = [
    "/",
    "/nix",
    "/networks/",
    `/networks/${NETWORK}/x`,
    "/version/1",
    "/__proto__",
    "//networks",
  ];
  for (const target of missing) await refused(404, /there is nothing at .*\/networks/, "GET", target);
  await refused(404, /there is no network "x\/y"/, "GET", "/networks/x%2Fy");
  await refused(404, /there is no endpoint "mini"/, "DELETE", "/endpoints/mini");
  await refused(400, /%/, "GET", "/networks/%zz");
  await refused(400, /not a path/, "OPTIONS", "*");
  const wrong: [string, string, string][] = [
    ["PUT", "/networks", "GET, POST, HEAD"],
    ["POST", `/networks/${NETWORK}`, "GET, DELETE, HEAD, CONNECT"],
    ["GET", `/endpoints/${ENDPOINT}`, "DELETE"],
    ["DELETE", "/version", "GET, HEAD"],
    ["constructor", "/version", "GET, HEAD"],
  ];
  for (const [method, target, allow] of wrong) {
    const { status, headers } = await call(method, target);
    assert.deepEqual([status, headers.allow], [405, allow], `${method} ${target}`);
  }
});

Deno.test("a target may be in absolute form", async () => {
  assert.equal((await call("GET", "http://a.example:9999/version?x=1")).status, 200);
  assert.equal((await call("GET", "HTTPS://a.example/networks")).status, 200);
});

Deno.test("a metric's label is one of a few", () => {
  assert.equal(routeLabel(`/networks/${NETWORK}?x=y`), "/networks/ID");
  assert.equal(routeLabel("/networks"), "/networks");
  for (const target of ["/wp-login.php", "/networks/%zz", "a.example:80", "*"]) {
    assert.equal(routeLabel(target), "other");
  }
});
