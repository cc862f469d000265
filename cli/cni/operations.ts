/** The CNI operations ADD, DEL, CHECK, STATUS and GC. Each is one or a few requests to the host's agent. */
import type { AgentClient } from "../../services/agent/client/client.ts";
import type { Attachment } from "../../services/agent/client/types.ts";
import { AgentRefusal } from "../../services/agent/client/errors.ts";
import { openAgent } from "./agent.ts";
import { type Basics, type CniRoute, type InterfaceRequest, readWanted } from "./config.ts";
import type { Parameters } from "./environment.ts";
import { CniError, codes } from "./error.ts";
import { JsonField, type JsonObject } from "./json.ts";
import { type Made, resultOf } from "./result.ts";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
/** The time limit of STATUS, in ms; it is short, since STATUS changes nothing. */
const STATUS_PATIENCE = 5000;

/** ADD: creates an interface in the container. Returns the result. */
export async function add(basics: Basics, parameters: Parameters): Promise<JsonObject> {
  const wanted = readWanted(basics, parameters);
  const made = await attach(
    openAgent(basics.agent),
    attachmentOf(basics, parameters),
    parameters.netns,
    wanted,
  );
  return resultOf(made, basics.version, basics.json.get("prevResult"));
}

/** Creates an interface in the container's namespace, which is at the path `netns`. */
export async function attach(
  agent: AgentClient,
  attachment: Attachment,
  netns: string,
  wanted: InterfaceRequest,
): Promise<Made> {
  const network = await findNetwork(agent, wanted.network);
  const gateway = textOf(network, "gateway").split("/")[0] ?? "";
  const routes: CniRoute[] = wanted.routes.map((route) => ({ ...route, gw: route.gw ?? gateway }));
  const body = answerOf(
    await agent.attach({
      attachment,
      network_id: textOf(network, "id"),
      netns,
      ipv4_address: wanted.address,
      mac_address: wanted.mac,
      allow: wanted.allowed,
      container_name: wanted.containerName,
      container_aliases: wanted.containerAliases,
      routes,
      host_route: wanted.gateway,
      host_veth: wanted.hostInterface,
    }),
  );
  const endpoint = body.get("endpoint"), mtu = body.get("mtu").count() ?? 0;
  const outer = wanted.hostInterface
    ? { name: textOf(body, "host_veth_name") }
    : { name: textOf(endpoint, "overlay_veth_name"), sandbox: textOf(body, "overlay_netns_path") };
  return {
    interfaces: [
      { ...outer, mac: textOf(endpoint, "overlay_veth_mac"), mtu },
      {
        name: textOf(endpoint, "target_veth_name"),
        mac: textOf(endpoint, "target_veth_mac"),
        mtu,
        sandbox: netns,
      },
    ],
    address: textOf(endpoint, "target_veth_ip"),
    gateway,
    routes,
    dns: dnsOf(body.get("dns"), wanted.dns),
  };
}

/** DEL: removes the container's interface and releases its address; does nothing where there is none. */
export async function del(basics: Basics, parameters: Parameters): Promise<void> {
  await openAgent(basics.agent).detach(attachmentOf(basics, parameters));
}

/** CHECK. @throws CniError 3, 103 when the container's interface differs from the result of its ADD */
export async function check(basics: Basics, parameters: Parameters): Promise<void> {
  readWanted(basics, parameters);
  const previous = basics.json.get("prevResult"), { ifname, netns } = parameters;
  if (!previous.given) throw new CniError(codes.config, "prevResult: missing; CHECK needs the result of ADD");
  const agent = openAgent(basics.agent);
  const body = answerOf(
    await agent.checkAttachment(attachmentOf(basics, parameters), netns).catch((error) => {
      const unknown = error.cause instanceof AgentRefusal && error.cause.code === "not-found";
      throw unknown ? new CniError(codes.unknownContainer, error.message) : error;
    }),
  );
  const endpoint = body.get("endpoint"), found = body.get("problems").texts();
  const all = previous.get("interfaces").list();
  const index = all.findIndex((each) => each.get("name").text() === ifname && each.get("sandbox").given);
  if (index < 0) found.push(`prevResult has no interface ${ifname} of a container`);
  const [mac, itsMac] = [all[index]?.get("mac").text() ?? "", textOf(endpoint, "target_veth_mac")];
  if (index >= 0 && mac.toLowerCase() !== itsMac) found.push(`${ifname} has the MAC ${itsMac}, not "${mac}"`);
  const addresses = previous.get("ips").list()
    .filter((ip) => !ip.get("interface").given || ip.get("interface").count() === index)
    .map((ip) => ip.get("address").text());
  const address = textOf(endpoint, "target_veth_ip");
  if (!addresses.includes(address)) {
    found.push(`${ifname} has the address ${address}, not ${addresses.join(", ")}`);
  }
  // A later plugin of the chain may have taken over a route, which its result shows.
  const routes = previous.get("routes").list().map((route) => route.get("dst").text());
  for (const dst of body.get("missing_routes").texts()) {
    if (routes.includes(dst)) found.push(`the container has no route to ${dst} over ${ifname}`);
  }
  if (found.length) throw new CniError(codes.differs, found.join("; "));
}

/** STATUS. @throws CniError 50, 51 when nothing could be added */
export async function status(basics: Basics, parameters: Parameters): Promise<void> {
  const wanted = readWanted(basics, parameters);
  const agent = openAgent(basics.agent);
  const report = await agent.readiness({ timeoutMs: STATUS_PATIENCE }).catch(notAvailable);
  if (!report.ready) {
    const body = answerOf(report);
    const problems = body.get("problems").list().filter((problem) => problem.get("blocks").flag());
    const sentence = problems.map((problem) => `${textOf(problem, "what")}: ${textOf(problem, "fix")}`).join(
      "; ",
    );
    // Without a revision, the agent has not read etcd yet.
    const begun = body.get("revision").count() &&
      !problems.some((problem) => /^still/.test(textOf(problem, "what")));
    throw new CniError(
      begun ? codes.limitedConnectivity : codes.notAvailable,
      `the agent is not ready: ${sentence}`,
    );
  }
  await findNetwork(agent, wanted.network).catch(notAvailable);
}

/** GC: removes every interface of the network on this host that the runtime does not list. */
export async function gc(basics: Basics): Promise<void> {
  const { json, name } = basics;
  // libcni writes the list under both names; the second one was in a draft.
  const list = ["cni.dev/valid-attachments", "cni.dev/attachments"].map((key) => json.get(key))
    .find(({ given }) => given);
  if (!list) throw new CniError(codes.config, "cni.dev/valid-attachments: missing; [] stands for none");
  const valid = list.list().map((each) => ({
    container: textOf(each, "containerID"),
    ifname: textOf(each, "ifname"),
  }));
  await openAgent(basics.agent).collectAttachments(name, valid);
}

function notAvailable(error: unknown): never {
  if (error instanceof CniError) throw new CniError(codes.notAvailable, error.message, error.details);
  throw error;
}

/** The resolver settings of a network's machines. Keys that the configuration gives override those of the network. */
function dnsOf(network: JsonField, configured: JsonObject | undefined): JsonObject | undefined {
  return network.given || configured ? { ...network.object(), ...configured } : undefined;
}

/** The agent's answer as a Field, whose members are checked when they are read. */
function answerOf(answer: unknown): JsonField {
  return new JsonField("", answer);
}

function attachmentOf({ name }: Basics, { container, ifname }: Parameters): Attachment {
  return { network: name, container, ifname };
}

/** The overlay network of that id or name. @throws CniError 7 when there is none, or several */
export async function findNetwork(agent: AgentClient, wanted: string): Promise<JsonField> {
  if (UUID.test(wanted)) return answerOf(await agent.network(wanted)).get("network");
  const [network, ...others] = answerOf(await agent.networks({ name: wanted })).get("networks").list();
  if (!network) {
    throw new CniError(
      codes.config,
      `network: there is no network "${wanted}": make it with "sand-agent-cli network-create --name ${wanted}"`,
    );
  }
  if (others.length) {
    throw new CniError(
      codes.config,
      `network: ${others.length + 1} networks are called "${wanted}": give the id of one of them`,
    );
  }
  return network;
}

/** A required member of an object. @throws CniError 7 */
function textOf(object: JsonField, key: string): string {
  const text = object.get(key).text();
  if (text === undefined) throw object.get(key).wrong("a text");
  return text;
}
