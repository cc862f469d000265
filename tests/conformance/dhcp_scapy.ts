import { fileURLToPath } from "node:url";
import type { LabHost } from "../lab/host.ts";

/** A message for scapy to build; what is left out is as a client without an address has it. */
export interface ScapyMessage {
  /** scapy's name of the type: discover, request, … */
  readonly type: string;
  readonly mac: string;
  readonly xid?: number;
  readonly flags?: number;
  readonly ciaddr?: string;
  /** Sent as a relay with this address does. */
  readonly giaddr?: string;
  /** scapy's option names, or numbers, with its values, or `0x…`. */
  readonly options?: readonly (readonly [string, unknown])[];
  readonly from?: string;
  readonly to?: string;
  readonly toMac?: string;
  /** The Ethernet source, where it is not the client's, or the relay's. */
  readonly fromMac?: string;
  /** It is to get no reply: half a second is waited for that, as after a RELEASE or a DECLINE. */
  readonly silent?: boolean;
  /** How many seconds its reply is waited for: 5 by default. */
  readonly timeout?: number;
  /** How often it is sent while there is none: six times by default. What waited for a busy server for long is dropped. */
  readonly tries?: number;
}

/** A reply as scapy reads it. */
export interface Answer {
  /** When it came, in seconds since the epoch. */
  readonly at: number;
  readonly toMac: string;
  readonly to: string;
  readonly from: string;
  readonly port: number;
  /** Those of IP and UDP are right. */
  readonly checksums: boolean;
  readonly flags: number;
  readonly ciaddr: string;
  readonly yiaddr: string;
  readonly siaddr: string;
  readonly giaddr: string;
  readonly sname: string;
  readonly file: string;
  readonly length: number;
  /** The options field. */
  readonly raw: string;
  /** In the order in which they came: name and values. */
  readonly options: readonly (readonly [string, ...unknown[]])[];
}

/** Sends messages from a host's eth0, one after the other; the reply to each, if there was one in time. */
export async function scapy(host: LabHost, messages: readonly ScapyMessage[]): Promise<(Answer | null)[]> {
  const script = fileURLToPath(new URL("dhcp_scapy.py", import.meta.url));
  const stdin = messages.map((message, i) =>
    JSON.stringify({ xid: i + 1, ...patience(message), ...message }) + "\n"
  ).join(
    "",
  );
  const { stdout } = await host.run(["/usr/bin/python3", script], { stdin, timeout: 180_000 });
  return stdout.trim().split("\n").map((line) => JSON.parse(line));
}

function patience(
  { type, silent = type === "release" || type === "decline" }: ScapyMessage,
): Pick<ScapyMessage, "timeout" | "tries"> {
  return silent ? { timeout: 0.5, tries: 1 } : { timeout: 5, tries: 6 };
}

/** The values of an option; undefined when it is not there. */
export function option(answer: Answer | null, name: string): unknown[] | undefined {
  return answer?.options.find(([key]) => key === name)?.slice(1);
}
