import { createServer, type Socket } from "node:net";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { formatHostPort } from "../../services/common/host_port.ts";
import { messageOf } from "../../services/common/refusal.ts";
import { aborted, onStopSignals } from "../../services/common/signals.ts";
import type { Agent } from "./agent.ts";

/** A TCP server inside a network. */
export interface Target {
  readonly network: string;
  readonly ip: string;
  readonly port: number;
}

export interface ForwardEvents {
  /** Called with the host and port that connections are taken at. */
  onListening(address: string): void;
  /** Called with a sentence for each connection that comes to nothing. */
  onFailure(message: string): void;
}

/**
 * Forwards every connection to a free port of this machine's loopback to `target`, until SIGINT or SIGTERM.
 *
 * @throws ApiError at once, when there is no such network.
 */
export async function forward(agent: Agent, target: Target, events: ForwardEvents): Promise<void> {
  const stop = onStopSignals();
  await agent.ask("network", "GET", `/networks/${target.network}`);
  const server = createServer({ allowHalfOpen: true }, async (local) => {
    const who = formatHostPort({ host: local.remoteAddress ?? "", port: local.remotePort ?? 0 });
    const fail = (error: unknown) => events.onFailure(`connection from ${who}: ${messageOf(error)}`);
    local.on("error", () => local.destroy());
    try {
      join(local, await agent.connect(target.network, target.ip, target.port), fail);
    } catch (error) {
      fail(error);
      local.destroy();
    }
  });
  const { promise: failed, reject } = Promise.withResolvers<never>();
  server.on("error", reject);
  server.listen(0, "127.0.0.1", () => {
    const { address, port } = server.address() as AddressInfo;
    events.onListening(formatHostPort({ host: address, port }));
  });
  await Promise.race([aborted(stop.signal), failed]);
  server.close();
  stop.release();
}

/** Copies both ways: each side's end is passed on by itself, a failure of either ends both. */
function join(local: Socket, tunnel: Duplex, fail: (error: unknown) => void): void {
  tunnel.on("error", fail);
  for (const [from, to] of [[local, tunnel], [tunnel, local]] as const) {
    from.on("close", () => from.readableEnded || to.destroy());
    from.pipe(to);
  }
  if (local.destroyed) tunnel.destroy();
}
