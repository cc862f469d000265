/** A client of nexd's API: every rpc of `nex.proto` as a typed method, with nexd's own sentence in its errors. */
import { type ChannelOptions, credentials } from "@grpc/grpc-js";
import { type NexClient, nexClient } from "../../../proto/client.ts";
import type {
  AppliedObject,
  Declined,
  Endpoint,
  GetMembersResponse,
  Host,
  IDChange,
  Member,
  MemberList,
  MemberUpdate,
  MessageInput,
  Network,
  NetworkUpdateRequest,
  NexMethods,
  RunningLease,
} from "../../../proto/types.ts";
import { formatHostPort, parseHostPort } from "../../common/host_port.ts";
import { Refusal } from "../../common/refusal.ts";
import { secureChannel } from "../../common/secure_channel.ts";
import type { TlsContents } from "../../common/tls_contents.ts";
import { mayBeCarriedOut, refusalOf, type TlsWords } from "../client/explain.ts";
import { NexdError } from "./errors.ts";

export interface NexdClientOptions {
  /** Its address, like 127.0.0.1:6000; without a port it is 6000. */
  readonly server: string;
  /** The contents of PEM files: whose server certificates are trusted, and a client certificate. Absent: without TLS. */
  readonly tls?: Pick<TlsContents, "ca"> & Partial<TlsContents>;
  /** How long an answer may take, in ms (15,000; for apply() 600,000); 0: no limit. */
  readonly timeoutMs?: number;
  /** More of grpc-js's options for the channel. */
  readonly channel?: ChannelOptions;
}

/** Networks, and members of these or of existing networks, in the fields of `nex.proto`. */
export interface ApplySpec {
  readonly networks?: readonly MessageInput<Network>[];
  readonly members?: readonly MessageInput<MemberList>[];
}

const words: TlsWords = {
  plain: "it does not speak TLS; leave out tls",
  certificate: "it wants a client certificate; give tls.cert and tls.key",
  authority: "its certificate is not signed by an authority in tls.ca",
};

/** How long a call and apply() may take, in ms. */
const CALL = 15_000, APPLY = 600_000;

/** Every method throws NexdError. A client connects at its first call, and again where the connection was lost. */
export class NexdClient {
  readonly #server: string;
  readonly #client: NexClient;
  readonly #timeoutMs: number | undefined;

  /** @throws NexdError "invalid" */
  constructor({ server, tls, timeoutMs, channel }: NexdClientOptions) {
    const at = hostPort(server);
    this.#server = formatHostPort(at);
    this.#timeoutMs = timeoutMs;
    const security = tls && secureChannel(at.host, { cert: undefined, key: undefined, ...tls }, "nexd");
    this.#client = nexClient(this.#server, security?.credentials ?? credentials.createInsecure(), {
      "grpc.max_receive_message_length": -1,
      ...security?.options,
      ...channel,
    });
  }

  /** Lists the names of all networks. */
  async networks(): Promise<string[]> {
    return (await this.call("GetNetworks", {})).nets;
  }

  async network(name: string): Promise<Network> {
    const { net } = await this.call("GetNetwork", { name });
    if (!net) {
      throw new NexdError(
        "unavailable",
        `${this.#server} answers without a network: is it nexd?`,
        undefined,
        true,
      );
    }
    return net;
  }

  /** Does nothing where it exists with the same contents, and throws "exists" where it has others. */
  async addNetwork(network: MessageInput<Network>): Promise<void> {
    await this.call("AddNetwork", { network });
  }

  /** Changes the fields that are given; null and undefined leave one as it is, an empty value clears it. */
  async updateNetwork(update: MessageInput<NetworkUpdateRequest>): Promise<void> {
    await this.call("UpdateNetwork", update);
  }

  /** Deletes a network with its members. */
  async deleteNetwork(name: string): Promise<void> {
    await this.call("DeleteNetwork", { name }, { timeoutMs: this.#timeoutMs ?? APPLY });
  }

  /** A network's members, and the addresses that are held for leases of clients that are none any more. */
  members(network: string): Promise<GetMembersResponse> {
    return this.call("GetMembers", { network });
  }

  /** @param options.force Members that exist with other contents are replaced. */
  async addMembers(
    net: string,
    list: readonly MessageInput<Member>[],
    { force = false } = {},
  ): Promise<void> {
    await this.call("AddMembers", { net, list, force }, { timeoutMs: this.#timeoutMs ?? APPLY });
  }

  /** Changes the fields that are given of members that exist. @param options.force An address that is leased may be taken. */
  async updateMembers(
    net: string,
    list: readonly MessageInput<MemberUpdate>[],
    { force = false } = {},
  ): Promise<void> {
    await this.call("UpdateMembers", { net, list, force });
  }

  /** @param options.force Addresses are free at once, though their leases still run. */
  async deleteMembers(network: string, macs: readonly string[], { force = false } = {}): Promise<void> {
    await this.call("DeleteMembers", { network, list: macs, force });
  }

  /** Moves members, with their names and leases, to other MACs. */
  async changeMemberIds(net: string, list: readonly MessageInput<IDChange>[]): Promise<void> {
    await this.call("ChangeMemberID", { net, list });
  }

  /**
   * Makes networks and members what a spec says, all of them or none. It may be sent again: what is so already stays.
   *
   * @param options.dryRun Says what would happen, field by field, and changes nothing.
   * @returns what was done to each object, in the order of the spec
   */
  async apply({ networks = [], members = [] }: ApplySpec, { dryRun = false } = {}): Promise<AppliedObject[]> {
    const timeoutMs = this.#timeoutMs ?? APPLY;
    return (await this.call("Apply", { networks, members, dryRun }, { timeoutMs })).objects;
  }

  /** Addresses that DHCP clients found in use by others. @param network Its name; absent: of all. */
  async declined(network = ""): Promise<Declined[]> {
    return (await this.call("GetDeclined", { network })).declined;
  }

  /** Gives such addresses back to use. */
  async deleteDeclined(network: string, addresses: readonly string[]): Promise<void> {
    await this.call("DeleteDeclined", { network, list: addresses });
  }

  /** Lists what is attached to networks with an overlay. @param network Its name or id; absent: to all. */
  async endpoints(network = ""): Promise<Endpoint[]> {
    return (await this.call("GetEndpoints", { network })).endpoints;
  }

  /** The hosts of networks with an overlay. @param network Its name or id; absent: of all. */
  async hosts(network = ""): Promise<Host[]> {
    return (await this.call("GetHosts", { network })).hosts;
  }

  /** Leases that run. @param network Its name or id; absent: of all. */
  async leases(network = ""): Promise<RunningLease[]> {
    return (await this.call("GetLeases", { network })).leases;
  }

  /** Calls an rpc of `nex.proto` by its name. */
  async call<Method extends keyof NexMethods>(
    method: Method,
    request: MessageInput<NexMethods[Method][0]>,
    { timeoutMs = this.#timeoutMs ?? CALL }: { readonly timeoutMs?: number } = {},
  ): Promise<NexMethods[Method][1]> {
    try {
      return await this.#client.call(method, request, timeoutMs || undefined);
    } catch (cause) {
      const { code, message } = refusalOf(cause, this.#server, words);
      throw new NexdError(code, message, (cause as { code?: number }).code, mayBeCarriedOut(cause), {
        cause,
      });
    }
  }

  /** Ends the connection, without which a process does not end. */
  close(): void {
    this.#client.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function hostPort(server: string) {
  try {
    return parseHostPort(server, "server", 6000);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    throw new NexdError("invalid", error.message, undefined, false, { cause: error });
  }
}
