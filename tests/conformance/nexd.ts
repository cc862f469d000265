/** A nexd on an etcd of its own. */
import { type LabEtcd, labEtcd } from "../lab/etcd.ts";
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
