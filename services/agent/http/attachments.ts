/** Serves /attachments, at the Unix socket only: interfaces of containers, for the CNI plugin. */
import { z } from "zod";
import { Cidr, Ip } from "../../common/ip.ts";
import { isInterfaceName } from "../../common/interface_name.ts";
import { invalid, Refusal } from "../../common/refusal.ts";
import type { SpanContext } from "../../common/tracing.ts";
import type { AttachmentRecord } from "../../store/sand_records.ts";
import type { AttachmentsApi, AttachRequest, AttachResult } from "../api.ts";
import { type Answer, HttpError, json, statusOf } from "./answers.ts";
import { shownEndpoint } from "./records.ts";
import {
  addressText,
  ALLOW,
  allowList,
  macText,
  namespacePath,
  read,
  readAddress,
  readAllowed,
  readMac,
  text,
  uuid,
} from "./requests.ts";

/** A header with the RefusalCode of a refused request, which is more specific than the status. */
export const REFUSAL = "strand-refusal";

const name = z.string().regex(/^[A-Za-z0-9][\w.-]*$/);
const interfaceName = z.string().refine(isInterfaceName);
const metric = z.int().nonnegative().max(0xffffffff).optional();
const route = z.object({
  dst: z.string().describe("Destination as an IPv4 CIDR, like 0.0.0.0/0."),
  gw: z.string().optional().describe("IPv4 address of the next hop. Absent: the destination is on the link."),
  mtu: metric.describe("The route's MTU in bytes."),
  advmss: metric.describe("The TCP segment size in bytes that is announced."),
  priority: metric.describe("The route's metric: the lowest is taken."),
});

export const attachment = z.object({
  network: name.describe("The runtime's name for the network."),
  container: name.describe("The runtime's id of the container."),
  ifname: interfaceName.describe("The interface's name in the container, like eth0."),
}).describe("An interface of a container, by the names that a container runtime has for it.");
export const newAttachment = z.object({
  attachment,
  network_id: z.string().describe("The id of the network, a UUID."),
  netns: z.string().describe("Path of the container's network namespace on the agent's host."),
  ipv4_address: addressText,
  mac_address: macText,
  name: text.describe("Its label in the network's domain. Absent or empty: see container_name."),
  container_name: text.describe(
    "The runtime's name for the container: the label, where the network has settings and no other machine has it.",
  ),
  container_aliases: z.array(z.string()).max(256).optional().describe(
    "Further labels by the runtime; those that it cannot have are left out.",
  ),
  allow: allowList.optional().describe(ALLOW),
  routes: z.array(route).max(256).default([]).describe("Routes that the container gets over the interface."),
  host_route: z.boolean().default(false).describe(
    "True: the host and the container reach each other over the network's gateway.",
  ),
  host_veth: z.boolean().default(false).describe(
    "True: the veth's other end is in the host's own namespace, not in the network's.",
  ),
});
export const validAttachments = z.object({
  network: name.describe("The runtime's name for the network."),
  valid: z.array(z.object({
    container: z.string().describe("The runtime's id of the container."),
    ifname: z.string().describe("The interface's name in the container."),
  })).optional().describe(
    "The attachments that stay; all others of the network on this host are removed. Absent: those stay whose namespace is there.",
  ),
});

interface Call {
  readonly query: URLSearchParams;
  readonly body: Uint8Array;
  readonly span: SpanContext | undefined;
}

type Handler = (attachments: AttachmentsApi, call: Call) => Promise<Answer>;

/** The handlers of /attachments, by method. */
const handlers = {
  async POST(attachments, { body, span }) {
    const request = { ...readNewAttachment(body), ...span && { parent: span } };
    return json(201, shown(await attachments.attach(request)));
  },
  async GET(attachments, { query }) {
    const { problems, missingRoutes, ...attached } = await attachments.check(
      readAttachment(query),
      namespacePath(query.get("netns") ?? undefined, "netns"),
    );
    return json(200, { ...shown(attached), problems, missing_routes: missingRoutes });
  },
  async DELETE(attachments, { query, span }) {
    await attachments.detach(readAttachment(query), span);
    return { status: 204, body: "" };
  },
  async PUT(attachments, { body }) {
    const { network, valid } = read(validAttachments, body);
    return json(200, { removed: await attachments.collect(network, valid) });
  },
} satisfies Readonly<Record<string, Handler>>;

type Method = keyof typeof handlers;

/** The methods that {@link answerAttachments} knows. */
export const attachmentMethods = Object.keys(handlers) as readonly Method[];

/** Answers a request for /attachments. Throws HttpError with the header `strand-refusal`. */
export async function answerAttachments(
  attachments: () => AttachmentsApi,
  method: Method,
  call: Call,
): Promise<Answer> {
  try {
    return await handlers[method](attachments(), call);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    throw new HttpError(statusOf[error.code], error.message, { [REFUSAL]: error.code });
  }
}

function readNewAttachment(body: Uint8Array): AttachRequest {
  const request = read(newAttachment, body);
  const { attachment, network_id, netns, ipv4_address, mac_address, routes } = request;
  for (const { dst, gw } of routes) {
    if (Cidr.tryParse(dst)?.family !== 4) {
      throw invalid(`routes: "${dst}" is no IPv4 destination, like 0.0.0.0/0`);
    }
    if (gw !== undefined && Ip.familyOf(gw) !== 4) {
      throw invalid(`routes: "${gw}" is no IPv4 address of a next hop, like 10.0.0.1`);
    }
  }
  return {
    attachment,
    network: uuid(network_id, "network_id"),
    netns: namespacePath(netns, "netns"),
    address: ipv4_address === undefined ? undefined : readAddress(ipv4_address, "ipv4_address"),
    mac: mac_address === undefined ? undefined : readMac(mac_address),
    name: request.name?.toLowerCase(),
    containerName: request.container_name,
    containerAliases: request.container_aliases,
    allowed: request.allow && readAllowed(request.allow),
    routes,
    hostRoute: request.host_route,
    hostVeth: request.host_veth,
  };
}

function readAttachment(query: URLSearchParams): AttachmentRecord {
  return read(attachment, new TextEncoder().encode(JSON.stringify(Object.fromEntries(query))));
}

function shown({ endpoint, mtu, overlayNetns, resolver }: AttachResult) {
  return {
    endpoint: shownEndpoint(endpoint),
    mtu,
    overlay_netns_path: overlayNetns,
    host_veth_name: endpoint.strand_host_veth,
    dns: resolver,
  };
}
