/**
 * A client of the HTTP API of Strand's agents, for programs of others: a typed method for each request, the agent's own sentence in
 * errors, a deadline for each call, TLS with a client certificate, and the Unix socket of the agent's host.
 *
 * @example
 * const agent = new AgentClient({ address: agentAddress("http://127.0.0.1:9999") });
 * const { network } = await agent.createNetwork({ name: "blue" });
 *
 * @module
 */

export { AgentClient, type AgentClientOptions, type AgentRequest, type Waiting } from "./client.ts";
export { AgentRefusal, AgentUnavailable } from "./errors.ts";
export { agentAddress } from "./address.ts";
export type * from "./types.ts";
export type { Address } from "../../common/http/dial.ts";
export type { ByteStream } from "../../common/http/byte_stream.ts";
export type { HttpResponse } from "../../common/http/exchange.ts";
export type { Note, Problem, Report } from "../../common/report.ts";
export type { TlsContents } from "../../common/tls_contents.ts";
