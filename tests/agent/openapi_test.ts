/**
 * The document of the agent's API: it is one of OpenAPI 3.1 by a validator that is not ours, it has all that the router has and
 * nothing else, and what a real agent takes and answers is as its schemas say.
 */
import assert from "node:assert/strict";
import { Validator } from "@seriousme/openapi-schema-validator";
import { Ajv2020 } from "ajv/dist/2020.js";
import { AgentClient, type AgentRequest } from "../../services/agent/client/client.ts";
import { OverlayLab } from "../lab/overlay.ts";
import { API_PORT } from "../lab/overlay_api.ts";
import { requestIn } from "../lab/http_in.ts";

interface Described {
  readonly description?: string;
  readonly summary?: string;
}
interface Operation extends Described {
  readonly operationId: string;
  readonly parameters?: readonly (Described & { readonly name: string; readonly required: boolean })[];
  readonly requestBody?: { readonly content: Record<string, { schema: Record<string, unknown> }> };
  readonly responses: Record<
    string,
    Described & { content?: Record<string, { schema: Record<string, unknown> }> }
  >;
}
type Path = Record<string, Operation> & { readonly parameters?: readonly { readonly name: string }[] };
interface Document {
  readonly openapi: string;
  readonly paths: Record<string, Path>;
  readonly components: { readonly schemas: Record<string, Described & { readonly properties?: object }> };
}

const METHODS = ["get", "post", "put", "delete", "patch", "x-connect"];

/** The operations of a document, each with its method and path. */
function* operationsOf(document: Document): Generator<[method: string, path: string, operation: Operation]> {
  for (const [path, item] of Object.entries(document.paths)) {
    for (const method of METHODS) {
      const operation = item[method];
      if (operation) yield [method === "x-connect" ? "CONNECT" : method.toUpperCase(), path, operation];
    }
  }
}

/** All objects within a value, with where they are. */
function* objectsIn(value: unknown, at = ""): Generator<[at: string, value: Record<string, unknown>]> {
  if (typeof value !== "object" || value === null) return;
  yield [at, value as Record<string, unknown>];
  for (const [key, inner] of Object.entries(value)) yield* objectsIn(inner, `${at}/${key}`);
}

Deno.test("GET /openapi.json", async (t) => {
  await using lab = await OverlayLab.started({ hosts: 1 });
  const host = lab.host(1), client = new AgentClient({ address: { socket: host.socket } });
  const text = await client.request({ method: "GET", path: "/openapi.json" });
  const document: Document = JSON.parse(text);

  await t.step("is a document of OpenAPI 3.1", async () => {
    const validator = new Validator();
    const { valid, errors } = await validator.validate(JSON.parse(text));
    assert.ok(valid, JSON.stringify(errors));
    assert.equal(validator.version, "3.1");
    const broken = JSON.parse(text);
    delete broken.paths["/networks"].get.responses;
    assert.equal((await new Validator().validate({ ...broken, paths: { networks: 1 } })).valid, false);
  });

  await t.step("has the paths and methods of the router, and no others", async () => {
    const refusal = await client.answer({ method: "GET", path: "/nothing" });
    const { error } = JSON.parse(new TextDecoder().decode(refusal.body)) as { error: string };
    const known = error.split("known are ")[1]?.split(", ") ?? [];
    const served: string[] = [];
    for (const path of known) {
      const { status, headers } = await client.answer({ method: "PATCH", path });
      assert.equal(status, 405, path);
      const variable = path === "/ports/ID" ? "{device}" : "{id}";
      const methods = (headers.get("allow") ?? "").split(", ").filter((method) => method !== "HEAD");
      served.push(...methods.map((method) => `${method} ${path.replace("ID", variable)}`));
    }
    assert.ok(served.includes("CONNECT /networks/{id}"), `${served}`);
    assert.deepEqual(
      [...operationsOf(document)].map(([method, path]) => `${method} ${path}`).sort(),
      served.sort(),
    );
  });

  await t.step("has the parameters that the handlers read, and no others", () => {
    const told = [...operationsOf(document)].flatMap(([, , { parameters = [] }]) =>
      parameters.map(({ name }) => name)
    );
    const read = ["http/routes.ts", "http/requests.ts", "http/attachments.ts", "connect/request.ts"].flatMap(
      (file) => {
        const source = Deno.readTextFileSync(new URL(`../../services/agent/${file}`, import.meta.url));
        return [...source.matchAll(/query\.get\("(\w+)"\)/g)].map(([, name = ""]) => name);
      },
    );
    // An attachment is read from the query as a whole.
    const attachment = ["network", "container", "ifname"];
    assert.deepEqual([...new Set(told)].sort(), [...new Set([...read, ...attachment])].sort());
  });

  await t.step("says of each operation, parameter, answer and field what it is", () => {
    const bare: string[] = [], ids = new Set<string>();
    for (
      const [method, path, { operationId, summary, parameters = [], responses }] of operationsOf(document)
    ) {
      ids.add(operationId);
      if (!summary) bare.push(`${method} ${path}`);
      for (const { name, description } of parameters) {
        if (!description) bare.push(`${method} ${path} ${name}`);
      }
      for (const [status, { description }] of Object.entries(responses)) {
        if (!description) bare.push(`${method} ${path} ${status}`);
      }
    }
    for (const [at, { properties }] of objectsIn(document.components.schemas)) {
      for (
        const [name, field] of Object.entries(
          (properties ?? {}) as Record<string, Described & { $ref?: string }>,
        )
      ) {
        const named = document.components.schemas[field.$ref?.split("/").at(-1) ?? ""];
        if (!(field.description ?? named?.description)) bare.push(`${at} ${name}`);
      }
    }
    assert.deepEqual(bare, []);
    assert.equal(ids.size, [...operationsOf(document)].length);
  });

  await t.step("what a real agent takes and answers is as it says", async () => {
    const seen = new Set<string>(), request = checkedRequester(document, client, seen);
    const container = await host.container();
    await host.host.run(["ip", "tuntap", "add", "tap0", "mode", "tap"]);

    await request("GET", "/version", 200);
    const network = (await request("POST", "/networks", 201, { body: { name: "blue" } })).network as {
      id: string;
    };
    const id = network.id, of = { network_id: id };
    await request("GET", "/networks", 200, { query: { name: "blue" } });
    await request("GET", "/networks/{id}", 200, { id });
    const warned = await request("POST", "/networks", 201, {
      body: { id: "", ip_range: "10.99.0.0/24", gateway: null },
    });
    assert.ok(warned.warning);
    const activate = { activate: true, activate_params: { ns_handle_path: container.path } };
    const body = { ...of, ...activate, name: "web", aliases: ["www"], allow: [{ address: "10.0.0.99" }] };
    await request("POST", "/endpoints", 201, { body, query: { wait: "5s" } });
    await request("PUT", "/endpoints", 200, { body: { ...of, ...activate } });
    const made = (await request("PUT", "/endpoints", 201, {
      body: { ...of, ...activate, activate_params: { ns_handle_path: (await host.container()).path } },
    })).endpoint as { id: string };
    await request("GET", "/endpoints", 200, { query: of });
    await request("GET", "/ways/{id}", 200, { id, query: { ip: "10.0.0.2" } });
    await request("GET", "/ways/{id}", 200, { id, query: { ip: "10.0.0.77" } });
    await request("GET", "/ways/{id}", 200, { id, query: { of: "ghost" } });
    await request("GET", "/machines/{id}", 200, { id, query: { mac: "02:84:0a:00:00:02" } });

    const attachment = { network: "blue", container: "c1", ifname: "eth0" };
    const attached = await host.container();
    const route = { dst: "192.0.2.0/24", gw: "10.0.0.1", mtu: 1400 };
    const attach = { attachment, ...of, netns: attached.path, routes: [route] };
    await request("POST", "/attachments", 201, { body: attach });
    await request("POST", "/attachments", 409, { body: attach });
    await request("GET", "/attachments", 200, { query: { ...attachment, netns: attached.path } });
    await request("GET", "/endpoints", 200, { query: { netns: attached.path } });
    await request("PUT", "/attachments", 200, { body: { network: "blue", valid: [] } });
    await request("DELETE", "/attachments", 204, { query: attachment });
    await request("GET", "/attachments", 404, { query: { ...attachment, netns: attached.path } });
    const inside = await requestIn(host.namespace, { hostname: "127.0.0.1", port: API_PORT }, {
      path: "/ports",
    });
    assert.equal(inside.status, 403);
    assert.ok(document.paths["/ports"]?.get?.responses["403"]);

    for (const status of [201, 200]) {
      await request("POST", "/ports", status, { body: { device: "tap0", ...of, leases: 2 } });
    }
    await request("GET", "/ports", 200);
    await request("DELETE", "/ports/{device}", 200, { id: "tap0" });
    await request("DELETE", "/ports/{device}", 404, { id: "tap0" });

    await request("DELETE", "/networks/{id}", 400, { id });
    await request("DELETE", "/endpoints/{id}", 204, { id: made.id });
    await request("DELETE", "/endpoints/{id}", 404, { id: made.id });
    await request("DELETE", "/endpoints/{id}", 400, { id: made.id, query: { force: "x" } });
    await request("GET", "/networks/{id}", 404, { id: "x" });
    await request("POST", "/networks", 409, { body: { id } });
    await request("POST", "/networks", 400, { body: { ip_range: "10.0.0.7/24" } });
    await request("POST", "/networks", 413, { body: { name: "x".repeat(1 << 20) } });
    await request("DELETE", "/networks/{id}", 204, { id: (warned.network as { id: string }).id });
    for (const path of ["/healthz", "/readyz", "/metrics", "/openapi.json"]) await request("GET", path, 200);

    const all = [...operationsOf(document)].filter(([method]) => method !== "CONNECT");
    assert.deepEqual(all.map(([, , { operationId }]) => operationId).filter((id) => !seen.has(id)), []);
  });
});

/** Sends requests, whose bodies and answers have to be as the document says; a field that it does not have is an error too. */
function checkedRequester(document: Document, client: AgentClient, seen: Set<string>) {
  const closed = structuredClone(document);
  for (const [, schema] of objectsIn(closed.components.schemas)) {
    if (schema.type === "object" && schema.properties) schema.additionalProperties ??= false;
  }
  const ajv = new Ajv2020({ strict: false, allErrors: true, validateFormats: false });
  ajv.addSchema({ ...closed, $id: "document" });
  const check = (schema: Record<string, unknown>, value: unknown, what: string) => {
    const validate = schema.$ref ? ajv.getSchema(`document${schema.$ref}`) : ajv.compile(schema);
    assert.ok(validate, `${schema.$ref} is there`);
    assert.ok(validate(value), `${what}: ${JSON.stringify(validate.errors)} in ${JSON.stringify(value)}`);
  };
  return async (
    method: string,
    path: string,
    status: number,
    { id = "", query, body }: { id?: string } & Pick<AgentRequest, "query" | "body"> = {},
  ): Promise<Record<string, unknown>> => {
    const what = `${method} ${path}`, operation = document.paths[path]?.[method.toLowerCase()];
    assert.ok(operation, what);
    const answer = await client.answer({
      method,
      path: path.replace(/\{\w+\}/, encodeURIComponent(id)),
      ...query && { query },
      ...body !== undefined && { body },
    });
    const text = new TextDecoder().decode(answer.body);
    assert.equal(answer.status, status, `${what}: ${text}`);
    if (status < 300) {
      seen.add(operation.operationId);
      const schema = operation.requestBody?.content["application/json"]?.schema;
      if (schema) check(schema, body, `${what} takes`);
      const names = operation.parameters?.map(({ name }) => name) ?? [];
      assert.deepEqual(Object.keys(query ?? {}).filter((name) => !names.includes(name)), [], what);
      const needed = operation.parameters?.filter(({ required }) => required).map(({ name }) => name) ?? [];
      assert.deepEqual(needed.filter((name) => !(name in (query ?? {}))), [], what);
    }
    const content = operation.responses[status]?.content;
    assert.ok(operation.responses[status], `${what} tells of ${status}`);
    if (!content) {
      assert.equal(text, "", what);
      return {};
    }
    const type = answer.headers.get("content-type")?.split(";")[0] ?? "", schema = content[type]?.schema;
    assert.ok(schema, `${what} tells of ${type}`);
    const value = type === "application/json" ? JSON.parse(text) : text;
    check(schema, value, `${what} answers`);
    return value;
  };
}
