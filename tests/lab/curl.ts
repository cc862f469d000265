/** curl(1), a client of HTTP that shares no code with the product, as tests run it on this machine or on a host of a lab. */
import { type LabHost, run } from "./host.ts";

export interface CurlAnswer {
  /** The exit status: 28 after `seconds`. */
  readonly code: number;
  /** The HTTP status; 0 where there was no answer. */
  readonly status: number;
  /** The answer's body, with what curl prints of it. */
  readonly body: string;
  /** What curl says of a failure. */
  readonly stderr: string;
}

/** Requests once what the arguments say. @param from Undefined: this machine. */
export async function curl(
  args: readonly string[],
  from?: Pick<LabHost, "run">,
  seconds = 60,
): Promise<CurlAnswer> {
  const command = ["curl", "-sS", "-m", `${seconds}`, "-w", "\n%{http_code}", ...args];
  const { code, stdout, stderr } =
    await (from?.run(command, { mayFail: true }) ?? run(command, { mayFail: true }));
  const at = stdout.lastIndexOf("\n");
  return { code, status: Number(stdout.slice(at + 1)), body: stdout.slice(0, Math.max(0, at)), stderr };
}
