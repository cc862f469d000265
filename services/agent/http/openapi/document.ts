/**
 * The API as a document of OpenAPI 3.1 (https://spec.openapis.org/oas/v3.1.0), made of the schemas that check requests and of
 * the table of operations. It is imported at the first request for it, so that a start of the agent pays nothing for it.
 */
import { z } from "zod";
import { version } from "../../../common/version.ts";
import { newAttachment, REFUSAL, validAttachments } from "../attachments.ts";
import { newPort } from "../ports.ts";
import { endpointBody, networkBody } from "../requests.ts";
import * as answers from "./answers.ts";
import { type ApiOperation, causes, type Content, operations } from "./operations.ts";

type Json = Readonly<Record<string, unknown>>;

/** All schemas, by the names that the document has for them. */
const named: Readonly<Record<string, z.ZodType>> = {
  NewNetwork: networkBody,
  NewEndpoint: endpointBody,
  NewAttachment: newAttachment,
  ValidAttachments: validAttachments,
  NewPort: newPort,
  ...Object.fromEntries(
    Object.entries(answers).map(([name, schema]) => [name[0]?.toUpperCase() + name.slice(1), schema]),
  ),
};

const uri = (name: string) => `#/components/schemas/${name}`;

function schemaOf(schema: z.ZodType): Json {
  const name = Object.keys(named).find((name) => named[name] === schema);
  if (name === undefined) throw new Error("a schema of an operation has no name in the document");
  return { $ref: uri(name) };
}

/** The named schemas as JSON Schema (draft 2020-12), which refer to one another. */
function schemas(): Json {
  const all = z.registry<{ id: string }>();
  for (const [id, schema] of Object.entries(named)) all.add(schema, { id });
  return Object.fromEntries(
    Object.entries(z.toJSONSchema(all, { io: "input", uri }).schemas).map((
      [id, { $schema: _schema, $id: _id, ...schema }],
    ) => [id, schema]),
  );
}

function content(given: Content): Json {
  if (given === undefined) return {};
  if (given === "text/plain") return { content: { [given]: { schema: { type: "string" } } } };
  return { content: { "application/json": { schema: schemaOf(given) } } };
}

/** Every answer with a status that has no other description. */
const failure = (status: keyof typeof causes | "default", isLocal: boolean): Json => ({
  description: status === "default"
    ? "The request was refused before its path was looked at, as 400 for one that is no HTTP and 403 for another site's page."
    : causes[status],
  ...isLocal && {
    headers: {
      [REFUSAL]: {
        description:
          "What kind of refusal it is: invalid, forbidden, not-found, exists, exhausted, conflict or unavailable.",
        schema: { type: "string" },
      },
    },
  },
  content: { "application/json": { schema: { $ref: uri("Error") } } },
});

function operationOf(path: string, operation: ApiOperation): Json {
  const { id, tag, summary, description, query = [], body, answers, errors } = operation;
  const isLocal = path === "/attachments";
  const parameters = query.map(({ name, description, required = false }) => ({
    name,
    in: "query",
    description,
    required,
    schema: { type: "string" },
  }));
  return {
    operationId: id,
    tags: [tag],
    summary,
    ...description !== undefined && { description },
    ...parameters.length && { parameters },
    ...body && { requestBody: { required: true, ...content(body) } },
    responses: Object.fromEntries([
      ...Object.entries(answers).map(([status, [description, given]]) => [
        status,
        { description, ...content(given) },
      ]),
      ...errors.map((status) => [status, failure(status, isLocal)]),
      ["default", failure("default", false)],
    ]),
  };
}

/** The variable of a path, which the router calls ID. */
const variableOf = (path: string) => path === "/ports/ID" ? "device" : "id";

function pathOf(path: string, methods: Readonly<Record<string, ApiOperation>>): [string, Json] {
  const [first] = Object.values(methods), name = variableOf(path);
  return [path.replace("ID", `{${name}}`), {
    ...first?.path !== undefined && {
      parameters: [{
        name,
        in: "path",
        description: first.path,
        required: true,
        schema: { type: "string" },
      }],
    },
    ...Object.fromEntries(
      Object.entries(methods).map((
        [method, operation],
      ) => [method.toLowerCase(), operationOf(path, operation)]),
    ),
    ...path === "/networks/ID" && { "x-connect": stream },
  }];
}

/** CONNECT, for which OpenAPI has no place of its own. */
const stream: Json = {
  operationId: "connect",
  tags: ["networks"],
  summary: "Open a TCP connection to an address in a network",
  description:
    "After the head of a 200, the connection is the stream. Where no endpoint of the network is on the host, " +
    "it goes by the agent of another host.",
  parameters: [["ip", "An IPv4 address of the network."], ["port", "A TCP port from 1 to 65535."]].map((
    [name, description],
  ) => ({ name, in: "query", description, required: true, schema: { type: "string" } })),
  responses: Object.fromEntries<Json>([
    ["200", { description: "The stream begins." }],
    ...([400, 404, 500, 502, 503, 504] as const).map((status): [string, Json] => [
      String(status),
      failure(status, false),
    ]),
  ]),
};

const document: Json = {
  openapi: "3.1.0",
  info: {
    title: "Strand's agent",
    version,
    summary: "Overlay networks and their endpoints on one host.",
    description:
      "JSON over HTTP/1.1. An error is a sentence. HEAD is answered as GET is, without the body. Fields that a request has " +
      "and this document has not are ignored; answers may get further fields in later versions.",
    license: { name: "Apache-2.0", identifier: "Apache-2.0" },
  },
  servers: [{
    url: "/",
    description:
      "Port 9999 of each host, and the agent's Unix socket (STRAND_AGENT_SOCKET) for root of that host.",
  }],
  security: [{}, { certificate: [] }],
  tags: [
    { name: "networks", description: "Overlay networks." },
    { name: "endpoints", description: "Interfaces with addresses in networks." },
    { name: "explain", description: "Why a machine is reached or not, as one host sees it." },
    { name: "local", description: "For programs of the agent's host, on its Unix socket only." },
    { name: "status", description: "The agent itself." },
  ],
  paths: Object.fromEntries(Object.entries(operations).map(([path, methods]) => pathOf(path, methods))),
  components: {
    schemas: schemas(),
    securitySchemes: {
      certificate: {
        type: "mutualTLS",
        description:
          "Where HTTP_TLS_CERT, HTTP_TLS_KEY and HTTP_TLS_CA are set: a certificate of that authority.",
      },
    },
  },
};

/** The document as JSON. */
export const documentText: string = JSON.stringify(document) + "\n";
