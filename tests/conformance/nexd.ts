/** A nexd on an etcd of its own, and the `nex` command, as processes. */
import { type LabEtcd, labEtcd } from "../lab/etcd.ts";
import { run, strandCommand } from "../lab/host.ts";
import { LabServices } from "../lab/services.ts";

export interface Nexd extends AsyncDisposable {
  /** `127.0.0.1:PORT`. */
  readonly address: string;
  readonly etcd: LabEtcd;
}

/** Files of nexd's TLS: a client certificate is asked for when `ca` is there. */
export interface NexdTls {
  readonly cert: string;
  readonly key: string;
  readonly ca?: string;
}

/** Starts nexd; resolves when it serves. */
export async function labNexd(tls?: NexdTls): Promise<Nexd> {
  await using stack = new AsyncDisposableStack();
  const etcd = stack.use(await labEtcd());
  const services = stack.use(
    await LabServices.create(etcd.endpoint, tls ? { nexd: `tls: ${JSON.stringify(tls)}` } : {}),
  );
  await services.start("nexd");
  const all = stack.move();
  return {
    address: `127.0.0.1:${services.nexdPort}`,
    etcd,
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

/** Runs `nex` to its end; its exit status may be an error. */
export function nex(address: string, args: readonly string[], stdin?: string): ReturnType<typeof run> {
  const command = strandCommand(["nex", "-s", address, ...args]);
  return run(command, { mayFail: true, ...(stdin !== undefined && { stdin }) });
}
