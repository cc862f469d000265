/** `sand-agent-cli forward`: listens on a local TCP port, and connects each client to a server inside an overlay network. */
import { abortConnection } from "../../ffi/abort.ts";
import { join } from "../../services/agent/connect/join.ts";
import { formatHostPort } from "../../services/common/host_port.ts";
import { ConnectionStream } from "../../services/common/http/byte_stream.ts";
import { messageOf } from "../../services/common/refusal.ts";
import { onStopSignals } from "../../services/common/signals.ts";
import type { SandAgent } from "./agent.ts";

/** A TCP server inside a network. */
export interface ForwardTarget {
  readonly network: string;
  readonly ip: string;
  readonly port: number;
}

export interface ForwardEvents {
  /** Called with the host and port that it listens on. */
  onListening(address: string): void;
  /** Called with a sentence for each failed connection. */
  onFailure(message: string): void;
}

/**
 * Forwards every connection to a free port of this machine's loopback to `target`, until SIGINT or SIGTERM.
 *
 * @throws AgentRefusal at once, when there is no such network.
 */
export async function forward(agent: SandAgent, target: ForwardTarget, events: ForwardEvents): Promise<void> {
  const stop = onStopSignals();
  await agent.network(target.network);
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  stop.signal.addEventListener("abort", () => listener.close());
  if (stop.signal.aborted) return;
  const address = ({ hostname, port }: Deno.NetAddr) => formatHostPort({ host: hostname, port });
  events.onListening(address(listener.addr));
  for await (const connection of listener) {
    const local = new ConnectionStream(connection, { abort: abortConnection });
    const fail = (error: unknown) =>
      events.onFailure(`connection from ${address(connection.remoteAddr)}: ${messageOf(error)}`);
    agent.connect(target.network, target.ip, target.port).then(async (tunnel) => {
      const failure = await join(local, tunnel);
      // A client that goes away in the middle is no failure.
      if (failure?.end === tunnel) fail(failure.error);
    }, (error) => {
      local.close();
      fail(error);
    });
  }
}
