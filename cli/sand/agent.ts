/** The agent's client as `sand-agent-cli` uses it. Errors name the URL that the user gave and the option that would change it. */
import { agentAddress } from "../../services/agent/client/address.ts";
import { AgentClient } from "../../services/agent/client/client.ts";
import { AgentRefusal } from "../../services/agent/client/errors.ts";
import { formatHostPort, parseHostPort, portOf } from "../../services/common/host_port.ts";
import { Refusal } from "../../services/common/refusal.ts";
import type { TlsMaterial } from "../../services/common/tls.ts";
import { activeTraceparent } from "../../services/common/tracing.ts";
import { version } from "../../services/common/version.ts";
import { explained } from "./explain.ts";
import type { Duration } from "./values.ts";

/**
 * The agent at the address of the program's options. Every method throws AgentRefusal when the agent refuses, and
 * Refusal "unavailable", in the words of a command line, when it does not answer.
 */
export class SandAgent extends AgentClient {
  constructor(
    private readonly url: URL,
    /** How long an answer may take; 0: no limit. */
    private readonly timeout: Duration,
    /** Undefined for http. */
    private readonly tls: TlsMaterial | undefined,
  ) {
    const name = url.href.replace(/\/$/, "");
    super({
      address: agentAddress(url, tls),
      name,
      basePath: url.pathname.replace(/\/$/, ""),
      userAgent: `sand-agent-cli/${version}`,
      traceparent: activeTraceparent,
      timeoutMs: timeout.ms,
      async explain(error) {
        if (error instanceof AgentRefusal) return error;
        if (error.why === "foreign") return new Refusal("unavailable", error.message);
        if (error.why === "late") {
          const message = `${name} gave no answer within ${timeout.text}; --timeout gives it longer`;
          return new Refusal("unavailable", message);
        }
        return explained(error.cause, {
          name,
          absent: "start the agent there, or name another with --api-url",
          authority: "an authority in --ca-file",
          closed: tls ? (await import("./tls.ts")).certificateTrouble(tls.cert) : undefined,
        });
      },
    });
  }

  /** The API of another host; `host` is a name or address, with this one's port when it has none. */
  at(host: string): SandAgent {
    const url = new URL(this.url);
    url.host = formatHostPort(parseHostPort(host, "api_hostname", portOf(url)));
    return new SandAgent(url, this.timeout, this.tls);
  }
}
