/**
 * Describes each operation of the API for its OpenAPI document. There is one entry for each path and method of the
 * router, no more and no fewer, by the type {@link Operations}.
 */
import type { z } from "zod";
import { attachment, newAttachment, validAttachments } from "../attachments.ts";
import { newPort } from "../ports.ts";
import { endpointBody, networkBody } from "../requests.ts";
import type { Routes } from "../routes.ts";
import * as answers from "./answers.ts";

/** A parameter of a query. */
export interface Parameter {
  readonly name: string;
  readonly description: string;
  readonly required?: boolean;
}

/** A schema of JSON, or a type of text. */
export type Content = z.ZodType | "text/plain" | undefined;

/** An operation: a method of a path. */
export interface ApiOperation {
  /** Its name for programs that make clients of the document. */
  readonly id: string;
  readonly tag: "networks" | "endpoints" | "explain" | "local" | "status";
  readonly summary: string;
  readonly description?: string;
  /** The meaning of the path's variable part. */
  readonly path?: string;
  readonly query?: readonly Parameter[];
  readonly body?: z.ZodType;
  /** The answers by status; undefined: an answer without a body. */
  readonly answers: Readonly<Record<number, readonly [description: string, content?: Content]>>;
  /** The statuses of errors that have the operation's own causes. */
  readonly errors: readonly (keyof typeof causes)[];
}

/** The type with an entry for each path and method of the router. */
type Operations = {
  readonly [Path in keyof Routes]: { readonly [Method in keyof Routes[Path]]: ApiOperation };
};

/** The description that errors of each status have in common. */
export const causes = {
  400: "The request is wrong: a field, a parameter, or what it asks for.",
  403: "It is served on the agent's Unix socket only.",
  404: "There is none, also for an id that is no UUID.",
  409: "It exists or is taken, there is none left, or too many races were lost.",
  413: "The body is larger than 1 MiB.",
  500: "The agent failed, and its log says more.",
  502: "There is no connection to the address, or to an agent that has one.",
  503:
    "Etcd is away, the agent is on hold or not ready, an agent of SAND holds a lock, or memory is short: try again.",
  504: "The address does not answer.",
} as const;

const READ = [500, 503] as const, WRITE = [400, 404, 409, 413, 500, 503] as const;
const LOCAL = [400, 403, 404, 409, 413, 500, 503] as const;

const networkPath = "The id of a network, a UUID.";
const parameter = (name: string, description: string, required = false): Parameter => ({
  name,
  description,
  required,
});
const wait = parameter(
  "wait",
  "How long to wait until every host of the network has applied the endpoint, like 500ms, 5s or 1m; 1m at most.",
);
const attachmentQuery = Object.entries(attachment.shape).map(([name, { description = "" }]) =>
  parameter(name, description, true)
);

export const operations: Operations = {
  "/version": {
    GET: {
      id: "getVersion",
      tag: "status",
      summary: "The agent's version",
      answers: { 200: ["The version.", answers.version] },
      errors: [],
    },
  },
  "/networks": {
    GET: {
      id: "listNetworks",
      tag: "networks",
      summary: "All networks, or those of a name",
      query: [parameter("name", "The name that a network was made with. Absent or empty: all.")],
      answers: { 200: ["The networks.", answers.networks] },
      errors: READ,
    },
    POST: {
      id: "createNetwork",
      tag: "networks",
      summary: "Make a network",
      description: "All fields have defaults: the body may be {}.",
      body: networkBody,
      answers: { 201: ["The network that was made.", answers.createdNetwork] },
      errors: [400, 409, 413, 500, 503],
    },
  },
  "/networks/ID": {
    GET: {
      id: "getNetwork",
      tag: "networks",
      summary: "One network",
      path: networkPath,
      answers: { 200: ["The network.", answers.oneNetwork] },
      errors: [404, ...READ],
    },
    DELETE: {
      id: "deleteNetwork",
      tag: "networks",
      summary: "Delete a network",
      description:
        "It is refused with 400 while the network has endpoints, and with 409 while it is being deleted.",
      path: networkPath,
      answers: { 204: ["It is deleted."] },
      errors: [400, 404, 409, ...READ],
    },
  },
  "/endpoints": {
    GET: {
      id: "listEndpoints",
      tag: "endpoints",
      summary: "The endpoints of all hosts",
      query: [
        parameter("network_id", "Only those of this network, a UUID."),
        parameter("hostname", "Only those of the host of this name."),
        parameter("netns", "Only those in the namespace at this path of the agent's host."),
      ],
      answers: { 200: ["The endpoints.", answers.endpoints] },
      errors: [400, 404, ...READ],
    },
    POST: {
      id: "createEndpoint",
      tag: "endpoints",
      summary: "Make an endpoint on the agent's host",
      description: "With activate, the namespace has the interface, with its address, when the answer comes.",
      query: [wait],
      body: endpointBody,
      answers: { 201: ["The endpoint that was made.", answers.createdEndpoint] },
      errors: WRITE,
    },
    PUT: {
      id: "ensureEndpoint",
      tag: "endpoints",
      summary: "Make an endpoint, unless the namespace is in the network already",
      query: [wait],
      body: endpointBody,
      answers: {
        200: ["The endpoint that was there.", answers.ensuredEndpoint],
        201: ["The endpoint that was made.", answers.ensuredEndpoint],
      },
      errors: WRITE,
    },
  },
  "/endpoints/ID": {
    DELETE: {
      id: "deleteEndpoint",
      tag: "endpoints",
      summary: "Delete an endpoint of the agent's host",
      description: "That of another host is refused with 404, which names that host and its API.",
      path: "The id of an endpoint, a UUID.",
      query: [parameter("force", "1 or true: an endpoint of a host that is gone is deleted too. Absent: 0.")],
      answers: { 204: ["It is deleted."] },
      errors: [400, 404, 409, ...READ],
    },
  },
  "/ways/ID": {
    GET: {
      id: "getWay",
      tag: "explain",
      summary: "What this host knows of the way to an address, or of what no endpoint has",
      description: "One of ip and of must be given. It takes two seconds at most, and changes nothing.",
      path: networkPath,
      query: [
        parameter("ip", "An IPv4 address of the network: the answer has way."),
        parameter("of", "A name, address or MAC that no endpoint has: the answer has absence."),
      ],
      answers: { 200: ["The way with ip, the absence with of.", answers.wayOrAbsence] },
      errors: [400, 404, ...READ],
    },
  },
  "/machines/ID": {
    GET: {
      id: "getMachine",
      tag: "explain",
      summary: "Whether a machine is behind the port of this host at which it is known",
      path: networkPath,
      query: [parameter("mac", "The machine's MAC.", true)],
      answers: { 200: ["Whether it is there, and why that is said.", answers.machine] },
      errors: [400, 404, ...READ],
    },
  },
  "/attachments": {
    POST: {
      id: "attach",
      tag: "local",
      summary: "Attach a container's interface",
      description: "An attachment of the same names in another namespace is replaced; in this one: 409.",
      body: newAttachment,
      answers: { 201: ["The attachment that was made.", answers.attached] },
      errors: LOCAL,
    },
    GET: {
      id: "checkAttachment",
      tag: "local",
      summary: "Repair an attachment, and say what is still wrong",
      query: [...attachmentQuery, parameter("netns", "Path of the namespace that it should be in.", true)],
      answers: { 200: ["The attachment.", answers.checked] },
      errors: LOCAL.filter((status) => status !== 413),
    },
    DELETE: {
      id: "detach",
      tag: "local",
      summary: "Remove an attachment, if it is there",
      query: attachmentQuery,
      answers: { 204: ["It is not there any more."] },
      errors: LOCAL.filter((status) => status !== 413),
    },
    PUT: {
      id: "collectAttachments",
      tag: "local",
      summary: "Remove all attachments of a runtime's network on this host but the valid ones",
      body: validAttachments,
      answers: { 200: ["What was removed.", answers.collected] },
      errors: LOCAL,
    },
  },
  "/ports": {
    GET: {
      id: "listPorts",
      tag: "local",
      summary: "The devices of this host that are ports of networks",
      answers: { 200: ["The ports.", answers.ports] },
      errors: [403, ...READ],
    },
    POST: {
      id: "attachPort",
      tag: "local",
      summary: "Make a device of this host a port of a network",
      body: newPort,
      answers: {
        200: ["The port that was there.", answers.attachedPort],
        201: ["The port that was made.", answers.attachedPort],
      },
      errors: LOCAL,
    },
  },
  "/ports/ID": {
    DELETE: {
      id: "detachPort",
      tag: "local",
      summary: "Give a device back to the host",
      path: "The name of a device, like tap0.",
      answers: { 200: ["The port that it was.", answers.onePort] },
      errors: [400, 403, 404, 409, ...READ],
    },
  },
  "/healthz": {
    GET: {
      id: "getHealth",
      tag: "status",
      summary: "The process lives",
      answers: { 200: ["The word ok.", "text/plain"] },
      errors: [],
    },
  },
  "/readyz": {
    GET: {
      id: "getReadiness",
      tag: "status",
      summary: "The agent's state, with what is wrong and what to do",
      answers: {
        200: ["It is ready.", answers.report],
        503: ["It is not ready.", answers.report],
      },
      errors: [],
    },
  },
  "/metrics": {
    GET: {
      id: "getMetrics",
      tag: "status",
      summary: "Metrics in the text format of Prometheus",
      answers: { 200: ["The metrics.", "text/plain"] },
      errors: [500],
    },
  },
  "/openapi.json": {
    GET: {
      id: "getDocument",
      tag: "status",
      summary: "This document",
      answers: { 200: ["A document of OpenAPI 3.1.", answers.document] },
      errors: [],
    },
  },
};
