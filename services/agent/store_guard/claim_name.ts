/**
 * Sets up the claim on the host's name: it starts once the state file is locked, and is refused if the host still has
 * networks under a former name.
 */
import { version } from "../../common/version.ts";
import type { AgentConfig } from "../../common/config_agent.ts";
import type { Ip } from "../../common/ip.ts";
import type { Log } from "../../common/log.ts";
import { messageOf } from "../../common/refusal.ts";
import type { SandStore } from "../../store/sand_store.ts";
import { bootId } from "../context.ts";
import { hasEnded, type Hold, NameClaim } from "./name_claim.ts";
import { networksIn } from "../reconcile/namespaces.ts";
import type { StateFile } from "./state_file.ts";

export interface ClaimNameOptions {
  /** The VTEP. */
  readonly ip: () => Ip;
  readonly log: Log;
  /** Called when the name is claimed by this agent, for the first time or again. */
  readonly onHeld: () => Promise<void>;
}

/** Starts to claim the name for the agent that owns this state file. */
export function claimName(
  store: SandStore,
  settings: AgentConfig,
  file: StateFile,
  { ip, log, onHeld }: ClaimNameOptions,
): NameClaim {
  const { hostname } = settings;
  return new NameClaim(store, {
    hostname,
    identity: { start: crypto.randomUUID(), boot: bootId() },
    about: () => ({ host_ip: ip().toString(), machine: Deno.hostname(), version }),
    async obtain() {
      const lock = file.lock();
      if (!lock) {
        return {
          reason: `another agent on this machine has ${file.path} in use`,
          fix: "stop that agent, or give this one another PEER_HOSTNAME or STRAND_AGENT_STATE_DIR",
        };
      }
      const renamed = await formerName(store, settings, file).catch((error) => {
        lock[Symbol.dispose]();
        throw error;
      });
      if (!renamed) return { lock: lock.identity };
      lock[Symbol.dispose]();
      return renamed;
    },
    onHold({ reason, passing }) {
      const message = `on hold, this host's networks stay as they are: ${reason}`;
      if (passing) log.warn(message);
      else log.error(message);
    },
    onHeld(from) {
      const how = from ? `, from the agent that had it since ${from.since} and has ended` : "";
      log.info(`the name ${hostname} is this agent's${how}`);
      onHeld().catch((error) =>
        log.warn(`what the hold had delayed is tried again later: ${messageOf(error)}`)
      );
    },
  });
}

/**
 * Returns a hold when this host had another name and still has networks under it: under the new name no agent would
 * maintain them. A host whose disk is a copy of another host, which still runs under that name, is not held.
 */
async function formerName(
  store: SandStore,
  settings: AgentConfig,
  file: StateFile,
): Promise<Hold | undefined> {
  if (file.load()) return undefined;
  const inKernel = new Set(networksIn(settings));
  for (const { hostname: former, path, networks, lock } of file.left()) {
    const { record } = await store.nameClaim(former);
    const elsewhere = record && !hasEnded(record, { boot: bootId(), lock });
    if (elsewhere && !networks.some((id) => inKernel.has(id))) continue;
    const count = networks.length === 1 ? "a network" : `${networks.length} networks`;
    return {
      reason: `this host was called ${former} and has ${count} under that name`,
      fix: `set PEER_HOSTNAME=${former}; or move it: start its agent with PEER_HOSTNAME=${former}, ` +
        `delete the host's endpoints, stop the agent, and start it under the new name; ` +
        `or, if ${former} is another machine now, remove ${path}`,
    };
  }
  return undefined;
}
