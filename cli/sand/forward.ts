import type { Duplex } from "node:stream";
import { formatHostPort } from "../../services/common/host_port.ts";
import { EndStream } from "../../services/common/http/end_stream.ts";
import { ConnectionEnd } from "../../services/common/http/ends.ts";
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
    const fail = (error: unknown) =>
      events.onFailure(`connection from ${address(connection.remoteAddr)}: ${messageOf(error)}`);
    agent.connect(target.network, target.ip, target.port)
      .then(
        (tunnel) => join(new EndStream(new ConnectionEnd(connection)), new EndStream(tunnel), fail),
        (error) => {
          connection.close();
          fail(error);
        },
      );
  }
}

/** Copies bytes in both directions; the end of one direction is passed on, an error ends both. */
function join(local: Duplex, tunnel: Duplex, fail: (error: unknown) => void): void {
  // A client that goes away in the middle is no failure.
  local.on("error", () => tunnel.destroy());
  tunnel.on("error", (error) => {
    if (!local.destroyed) fail(error);
    local.destroy();
  });
  local.pipe(tunnel);
  tunnel.pipe(local);
}
