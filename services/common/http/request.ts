/** Sends one HTTP request without a body to a server of ours, or to an etcd of this machine. */
import { abortable, TimeLimit } from "../async.ts";
import { formatHostPort, type HostPort } from "../host_port.ts";
import { dial } from "./dial.ts";
import { exchange } from "./exchange.ts";

/**
 * Sends a request over a connection of its own; its answer is in full within `patience` ms.
 *
 * @param most The most bytes of the answer's body that are read.
 */
export async function request(
  at: HostPort,
  method: string,
  path: string,
  patience = 2000,
  most = Infinity,
): Promise<{ status: number; body: string }> {
  using limit = new TimeLimit(patience);
  const late = limit.signal, host = formatHostPort(at);
  try {
    const end = await dial(at, { signal: late });
    try {
      const { status, body } = await abortable(exchange(end, { method, target: path, host }, { most }), late);
      return { status, body: new TextDecoder().decode(body) };
    } finally {
      end.close();
    }
  } catch (error) {
    if (late.aborted) throw new Error(`no answer in ${patience / 1000} s`);
    // In the words that an operator knows from etcd's client too.
    if (error instanceof Deno.errors.ConnectionRefused) throw new Error(`connect ECONNREFUSED ${host}`);
    throw error;
  }
}
