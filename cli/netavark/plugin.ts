/** A network driver of podman: netavark's plugin API 1.0.0, implemented with the operations of the CNI plugin. */
import { messageOf } from "../../services/common/refusal.ts";
import { version } from "../../services/common/version.ts";
import { openAgent } from "../cni/agent.ts";
import { decode } from "../cni/config.ts";
import { CniError, codes } from "../cni/error.ts";
import { JsonField, type JsonObject } from "../cni/json.ts";
import { attach, findNetwork } from "../cni/operations.ts";
import { read } from "../cni/plugin.ts";
import type { PluginOutcome } from "../cni/process.ts";
import type { Made } from "../cni/result.ts";
import { agentOf, readAttachment, readNamespace, readOptions, readWanted } from "./config.ts";

type Operation = (input: JsonField, netns: string | undefined) => Promise<JsonObject | undefined>;

const operations: Readonly<Record<string, Operation>> = { create, setup, teardown };

/**
 * One call of the plugin.
 *
 * @param input Reads all of standard input.
 */
export async function call(
  [command = "info", netns]: readonly string[],
  input: () => Promise<Uint8Array>,
): Promise<PluginOutcome> {
  try {
    if (command === "info") return { status: 0, output: { version, api_version: "1.0.0" } };
    const operation = Object.hasOwn(operations, command) ? operations[command] : undefined;
    if (!operation) {
      const known = "info, create, setup NETNS, teardown NETNS";
      throw new CniError(codes.environment, `"${command}" is not one of ${known}`);
    }
    return { status: 0, output: await operation(decode(await read(input)), netns) };
  } catch (error) {
    return { status: 1, output: { error: sentenceOf(error) } };
  }
}

function sentenceOf(error: unknown): string {
  if (!(error instanceof CniError)) return `a fault of the plugin: ${messageOf(error)}`;
  // The other details are causes of what the sentence says.
  return error.code === codes.io && error.details ? `${error.message}: ${error.details}` : error.message;
}

/** `podman network create`: makes nothing, and says at once when containers could not be attached. */
async function create(network: JsonField): Promise<JsonObject> {
  const { network: wanted, agent } = readOptions(network);
  await findNetwork(openAgent(agent), wanted);
  // Otherwise podman allocates addresses itself, and asks for its own name server.
  return { ...network.object(), ipam_options: { driver: "none" }, dns_enabled: false };
}

/** A container starts, or is connected to the network. */
async function setup(call: JsonField, path: string | undefined): Promise<JsonObject> {
  const netns = readNamespace(path), attachment = readAttachment(call), wanted = readWanted(call);
  const network = call.get("network");
  if (call.get("port_mappings").list().length) {
    const name = network.get("name").text();
    console.error(
      `strand: no port is published from network ${name}: its containers are reached at their own addresses`,
    );
  }
  const agent = openAgent(agentOf(network), "NETNS");
  // Podman forgets a container also when its teardown has failed: its name and address are to be free again. What is wrong with
  // the agent, the next request says.
  await agent.collectAttachments(attachment.network).catch(() => {});
  return statusOf(await attach(agent, attachment, netns, wanted));
}

/** A container has ended, or is disconnected: any number of times, with or without its namespace. */
async function teardown(call: JsonField): Promise<undefined> {
  await openAgent(agentOf(call.get("network"))).detach(readAttachment(call));
}

function statusOf({ interfaces: [, { name, mac }], address, gateway, dns }: Made): JsonObject {
  const resolver = new JsonField("dns", dns), search = resolver.get("search");
  return {
    interfaces: { [name]: { mac_address: mac, subnets: [{ ipnet: address, gateway }] } },
    dns_server_ips: resolver.get("nameservers").texts(),
    dns_search_domains: search.given ? search.texts() : [resolver.get("domain").text() ?? []].flat(),
  };
}
