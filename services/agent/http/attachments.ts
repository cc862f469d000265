/** Serves /attachments, at the Unix socket only: interfaces of containers, for the CNI plugin. */
import { z } from "zod";
import { Cidr, Ip } from "../../common/ip.ts";
import { isInterfaceName } from "../../common/interface_name.ts";
import { invalid, Refusal } from "../../common/refusal.ts";
import type { AttachmentRecord } from "../../store/sand_records.ts";
import type { Attached, AttachmentsApi, NewAttachment } from "../api.ts";
import { type Answer, HttpError, json, statusOf } from "./answers.ts";
import { shownEndpoint } from "./records.ts";
import { allowList, namespacePath, read, readAddress, readAllowed, readMac, text, uuid } from "./requests.ts";

/** A header with the RefusalCode of a refused request, which is more specific than the status. */
export const REFUSAL = "strand-refusal";

const name = z.string().regex(/^[a-z0-9][\w.-]*$/i);
const interfaceName = z.string().refine(isInterfaceName);
const metric = z.int().nonnegative().max(0xffffffff).optional();
const route = z.object({
  dst: z.string(),
  gw: z.string().optional(),
  mtu: metric,
  advmss: metric,
  priority: metric,
});

const attachment = z.object({ network: name, container: name, ifname: interfaceName });
const newAttachment = z.object({
  attachment,
  network_id: z.string(),
  netns: z.string(),
  ipv4_address: text,
  mac_address: text,
  name: text,
  container_name: text,
  container_aliases: z.array(z.string()).max(256).optional(),
  allow: allowList.optional(),
  routes: z.array(route).max(256).default([]),
  host_route: z.boolean().default(false),
  host_veth: z.boolean().default(false),
});
const validAttachments = z.object({
  network: name,
  valid: z.array(z.object({ container: z.string(), ifname: z.string() })),
});

interface Call {
  readonly query: URLSearchParams;
  readonly body: Uint8Array;
}

type Handler = (attachments: AttachmentsApi, call: Call) => Promise<Answer>;

/** The handlers of /attachments, by method. */
const handlers: Readonly<Record<string, Handler>> = {
  async POST(attachments, { body }) {
    return json(201, shown(await attachments.attach(readNewAttachment(body))));
  },
  async GET(attachments, { query }) {
    const { problems, missingRoutes, ...attached } = await attachments.check(
      readAttachment(query),
      namespacePath(query.get("netns") ?? undefined, "netns"),
    );
    return json(200, { ...shown(attached), problems, missing_routes: missingRoutes });
  },
  async DELETE(attachments, { query }) {
    await attachments.detach(readAttachment(query));
    return { status: 204, body: "" };
  },
  async PUT(attachments, { body }) {
    const { network, valid } = read(validAttachments, body);
    return json(200, { removed: await attachments.collect(network, valid) });
  },
};

/** The methods that {@link answerAttachments} knows. */
export const attachmentMethods: readonly string[] = Object.keys(handlers);

/** Answers a request for /attachments. Throws HttpError with the header `strand-refusal`. */
export async function answerAttachments(
  attachments: () => AttachmentsApi,
  method: string,
  call: Call,
): Promise<Answer> {
  try {
    const handler = handlers[method];
    if (!handler) throw new HttpError(405, `/attachments does not take ${method}`);
    return await handler(attachments(), call);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    throw new HttpError(statusOf[error.code], error.message, { [REFUSAL]: error.code });
  }
}

function readNewAttachment(body: Uint8Array): NewAttachment {
  const request = read(newAttachment, body);
  const { attachment, network_id, netns, ipv4_address, mac_address, routes } = request;
  for (const { dst, gw } of routes) {
    if (Cidr.tryParse(dst)?.family !== 4) {
      throw invalid(`routes: "${dst}" is no IPv4 destination, like 0.0.0.0/0`);
    }
    if (gw !== undefined && Ip.tryParse(gw)?.family !== 4) {
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

function shown({ endpoint, mtu, overlayNetns, resolver }: Attached) {
  return {
    endpoint: shownEndpoint(endpoint),
    mtu,
    overlay_netns_path: overlayNetns,
    host_veth_name: endpoint.strand_host_veth,
    dns: resolver,
  };
}
