/** Asks the agent of another host whether a machine is still behind the port at which it is known there. */
import { formatHostPort } from "../../common/host_port.ts";
import { messageOf } from "../../common/refusal.ts";
import type { TlsMaterial } from "../../common/tls.ts";
import { agentAddress } from "../client/address.ts";
import { AgentClient } from "../client/client.ts";
import { addressesOf } from "../connect/forward.ts";
import type { RequestMachine } from "./machine_moves.ts";

/** How long that host's agent may take, in ms: it waits for the machine to answer, too. */
const PATIENCE = 5000;

/** @param port Of agents whose API_HOSTNAME has none. */
export function machineRequester(tls: TlsMaterial | undefined, port: number): RequestMachine {
  return async ({ network, mac = "", host, vtep, record }) => {
    let failure = `${host} has no address`;
    const ip = vtep?.toString() ?? "", agent = { hostname: host, apiHostname: record.api_hostname, ip };
    for (const at of addressesOf(agent, port)) {
      const address = agentAddress(`${tls ? "https" : "http"}://${formatHostPort(at)}`, tls);
      try {
        const client = new AgentClient({ address, timeoutMs: PATIENCE });
        const { machine: { there, why } } = await client.machine(network, mac);
        // It is gone only where that is said.
        return { isThere: there !== false, why: String(why).slice(0, 200) };
      } catch (error) {
        failure = `the agent of ${host} at ${formatHostPort(at)} does not say whether it is there: ${
          messageOf(error)
        }`;
      }
    }
    throw new Error(failure);
  };
}
