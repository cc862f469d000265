/**
 * Deletes a network, member or endpoint from the dashboard, by nexd or by the agent of its host, and lists beforehand
 * what goes with it.
 */
import { createHash } from "node:crypto";
import { AgentClient } from "../../agent/client/client.ts";
import { AgentRefusal, AgentUnavailable } from "../../agent/client/errors.ts";
import { shownEndpoint } from "../../agent/http/records.ts";
import type { Config } from "../../common/config.ts";
import { tryParseMac } from "../../common/mac.ts";
import { invalid, messageOf, Refusal } from "../../common/refusal.ts";
import { readTls } from "../../common/tls.ts";
import { agentsAt } from "../../explain/path.ts";
import { APPLY_TIMEOUT, CALL_TIMEOUT } from "../../nexd/client/connect.ts";
import type { Call } from "../../nexd/client/prune.ts";
import { networkSpec } from "../../nexd/client/spec_of.ts";
import { ownName } from "../../overlay_names/names.ts";
import type { Cluster } from "../cluster.ts";
import { OutcomeUnknown } from "./outcome.ts";

/** The object to delete: a network, or a member or endpoint of it. */
export interface DeletionTarget {
  readonly network: string;
  /** Its MAC. */
  readonly member?: string | undefined;
  /** Its id. */
  readonly endpoint?: string | undefined;
}

/** The consequences of a deletion. */
export interface Deletion {
  readonly kind: "network" | "member" | "endpoint";
  readonly network: string;
  /** The text that is typed to confirm it. */
  readonly name: string;
  /** The things that are deleted with it, a sentence each. */
  readonly goes: readonly string[];
  /** Why it would be refused. */
  readonly refused?: string;
  /** Stands for what would go: it differs where anything of it does. */
  readonly plan: string;
}

/** A deletion with what must not change between its page and its doing: a network's leases, which come and go, are not among it. */
type Found = Omit<Deletion, "plan"> & { readonly fixed: unknown };

/** How many machines a sentence names, and how long an agent may take, in ms. */
const NAMED = 10, PATIENCE = 10_000;

/** Does what one of the pages asks. */
export class Deleting {
  constructor(
    private readonly cluster: Cluster,
    private readonly config: Config,
    private readonly patience = PATIENCE,
  ) {}

  /** Computes what a deletion would remove; nothing is changed. Throws Refusal. */
  async look(call: Call, target: DeletionTarget): Promise<Deletion> {
    const { network, member, endpoint } = target;
    if (member !== undefined && endpoint !== undefined) throw invalid("give member or endpoint, not both");
    const found = endpoint !== undefined
      ? this.#endpoint(network, endpoint)
      : member !== undefined
      ? await this.#member(call, network, member)
      : await this.#network(call, network);
    const { fixed, ...deletion } = found;
    const plan = createHash("sha256").update(JSON.stringify([target, deletion.name, fixed])).digest("hex");
    return { ...deletion, plan };
  }

  /** Deletes it. Throws Refusal. */
  async delete(call: Call, { network, member, endpoint }: DeletionTarget): Promise<void> {
    if (endpoint !== undefined) await this.#deleteEndpoint(network, endpoint);
    else if (member !== undefined) await call("DeleteMembers", { network, list: [member] }, CALL_TIMEOUT);
    else await call("DeleteNetwork", { name: network }, APPLY_TIMEOUT);
  }

  async #network(call: Call, network: string): Promise<Found> {
    const { net } = await call("GetNetwork", { name: network }, CALL_TIMEOUT);
    const [{ members }, { leases }, { endpoints }] = await Promise.all([
      call("GetMembers", { network }, CALL_TIMEOUT),
      call("GetLeases", { network }, CALL_TIMEOUT),
      net?.overlay ? call("GetEndpoints", { network }, CALL_TIMEOUT) : { endpoints: [] },
    ]);
    const goes = [
      counted(members.map(({ name, mac }) => name || mac), "member"),
      counted(leases.map(({ address }) => address), "lease that runs", "leases that run"),
      net?.domain ? `the names of its machines in ${net.domain}` : "",
    ];
    const { nex } = this.cluster, ofLan = nex.membersOf(network).filter((member) => nex.isListed(member));
    const listed = new Set(ofLan.map(({ mac }) => mac));
    const attached = endpoints.map(({ name, address, host }) => `${name || address} on ${host}`);
    return {
      kind: "network",
      network,
      name: network,
      goes: goes.filter(Boolean),
      // Another network may have the name by now.
      fixed: [
        net && networkSpec(net),
        members.flatMap(({ mac }) => net?.overlay || listed.has(mac) ? mac : []),
      ],
      ...attached.length && { refused: `it still has ${counted(attached, "endpoint")}: delete these first` },
    };
  }

  async #member(call: Call, network: string, given: string): Promise<Found> {
    const { members } = await call("GetMembers", { network }, CALL_TIMEOUT), mac = tryParseMac(given);
    const member = members.find((one) => one.mac === mac);
    if (!member) throw new Refusal("not-found", `network ${network} has no member "${given}"`);
    const { name, ip4, ip6 } = member;
    const addresses = [ip4?.address, ip6?.address].filter((address) => address);
    const until = ip4?.expires && new Date(ip4.expires.seconds * 1000).toISOString();
    return {
      kind: "member",
      network,
      name: name || member.mac,
      fixed: [addresses, until],
      goes: [
        name ? `its name ${name}` : "",
        addresses.length ? `its reservation of ${addresses.join(" and ")}` : "",
        until ? `its lease, for which ${ip4?.address} is held until ${until}` : "",
      ].filter(Boolean),
    };
  }

  #endpoint(network: string, id: string): Found {
    const { space, endpoint } = this.#find(network, id), { address, mac, host } = endpoint;
    const name = ownName(space, endpoint) || address?.toString() || id;
    const isReserved = mac !== undefined && space.reservations.has(mac);
    return {
      kind: "endpoint",
      network,
      name,
      fixed: [host, address?.toString(), mac, isReserved],
      goes: [
        `the interface of ${name} in this network, on ${host}`,
        isReserved
          ? `not its address ${address}, which stays reserved for ${mac}`
          : address
          ? `its address ${address}, which others are given after a while`
          : "",
      ].filter(Boolean),
    };
  }

  #find(key: string, id: string) {
    const network = this.cluster.network(key);
    if (!network) throw new Refusal("not-found", `there is no network "${key}"`);
    const endpoint = network.kind === "overlay" ? network.space.endpoints.get(id) : undefined;
    if (!endpoint || network.kind !== "overlay") {
      throw new Refusal("not-found", `network ${key} has no endpoint "${id}"`);
    }
    return { space: network.space, endpoint };
  }

  /** An endpoint is its host's: only the agent there takes it away, at its socket where that is this machine, or at its API. */
  async #deleteEndpoint(network: string, id: string): Promise<void> {
    const { agent: { listen, tls, socket }, where } = this.config, { endpoint } = this.#find(network, id);
    const fields = { cert: "agent.tls.cert", key: "agent.tls.key", ca: "agent.tls.ca" };
    const of = agentsAt(listen.port, tls && readTls(tls, fields, where), this.patience);
    const here = new AgentClient({ address: { socket: socket.path }, timeoutMs: this.patience });
    let why: unknown, wasSent = false;
    for (const agent of [...of(shownEndpoint(endpoint.record)), here]) {
      try {
        return await agent.deleteEndpoint(id);
      } catch (error) {
        if (error instanceof AgentRefusal && error.status === 404) {
          // etcd has no endpoint of that id any more: the agent that gave no answer has taken it away.
          if (wasSent) return;
        } else if (error instanceof AgentRefusal) {
          const says = `the agent of ${endpoint.host}: ${error.message}`;
          if (error.status >= 500) throw new OutcomeUnknown(says, { cause: error });
          // The agent of this machine is another one, and refuses what is not its own.
          if (agent !== here || why === undefined) throw new Refusal("forbidden", says, { cause: error });
        } else if (error instanceof AgentUnavailable) wasSent ||= error.wasSent;
        else throw error;
        why ??= error;
      }
    }
    const sentence = `endpoint ${id} is on ${endpoint.host}, whose agent takes it away: ${messageOf(why)}`;
    if (wasSent) throw new OutcomeUnknown(sentence, { cause: why });
    throw new Refusal("unavailable", sentence, { cause: why });
  }
}

/** Like `3 members: a, b, c`; empty for none. */
function counted(all: readonly string[], one: string, many = `${one}s`): string {
  if (!all.length) return "";
  const more = all.length > NAMED ? ` and ${all.length - NAMED} more` : "";
  return `${all.length} ${all.length === 1 ? one : many}: ${all.slice(0, NAMED).join(", ")}${more}`;
}
