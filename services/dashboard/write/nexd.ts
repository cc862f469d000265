/** The dashboard's client of nexd, which plans, checks and makes changes for it as for the command line. */
import { type Config } from "../../common/config.ts";
import { formatHostPort, type HostPort } from "../../common/host_port.ts";
import { readTls } from "../../common/tls.ts";
import { clientAt } from "../../nexd/client/connect.ts";
import { refusalOf } from "../../nexd/client/explain.ts";
import type { Call } from "../../nexd/client/prune.ts";

const words = {
  plain: "it does not speak TLS; leave out nexd.tls of the dashboard's configuration",
  certificate:
    "it wants a client certificate; name one with nexd.tls.cert and nexd.tls.key of the dashboard's configuration",
  authority: "its certificate is not signed by an authority in nexd.tls.ca of the dashboard's configuration",
};

/** Gives calls to nexd to what is done with them, and throws Refusal where nexd refuses or cannot be reached. */
export type WithNexd = <T>(work: (call: Call) => Promise<T>) => Promise<T>;

/** Gives `work` calls to nexd. Throws Refusal where nexd refuses or cannot be reached. */
export async function withNexd<T>(config: Config, work: (call: Call) => Promise<T>): Promise<T> {
  const { nexd: { tls: files }, where } = config, at = addressOf(config);
  const fields = { cert: "nexd.tls.cert", key: "nexd.tls.key", ca: "nexd.tls.ca" };
  const tls = files && readTls(files, fields, where);
  // Without an authority of clients, nexd's certificate is the only one that is known.
  const client = await clientAt(at, tls && { ...tls, ca: tls.ca ?? tls.cert });
  try {
    return await work((method, request, timeout) => client.call(method, request, timeout));
  } catch (error) {
    throw refusalOf(error, formatHostPort(at), words);
  } finally {
    client.close();
  }
}

/** The address of nexd: that of loopback, where it listens on all addresses of this machine. */
function addressOf({ dashboard, nexd: { listen } }: Config): HostPort {
  if (dashboard.nexd) return dashboard.nexd;
  const host = listen.host === "0.0.0.0" ? "127.0.0.1" : listen.host === "::" ? "::1" : listen.host;
  return { host, port: listen.port };
}
