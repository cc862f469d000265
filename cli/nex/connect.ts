/** Opens the connection to nexd that the options of `nex` name. */
import type { NexClient } from "../../proto/client.ts";
import { tryParseHostPort } from "../../services/common/host_port.ts";
import { Refusal } from "../../services/common/refusal.ts";
import { readTls } from "../../services/common/tls.ts";
import { UsageError } from "../../services/common/usage.ts";
import { clientAt } from "../../services/nexd/client/connect.ts";

/** The program's global options: the server's address, and the files for TLS. */
export interface NexServerOptions {
  /** HOST or HOST:PORT. */
  server: string;
  caFile?: string;
  certFile?: string;
  keyFile?: string;
}

/** A client of the server, with TLS when a file for it is named; nothing is sent yet. */
export async function connect(options: NexServerOptions): Promise<NexClient> {
  const server = tryParseHostPort(options.server, 6000);
  if (!server) {
    throw new UsageError(`-s: "${options.server}" is not an address with a port, like 127.0.0.1:6000`);
  }
  const tls = readTls(
    { ca: options.caFile, cert: options.certFile, key: options.keyFile },
    { ca: "--ca-file", cert: "--cert-file", key: "--key-file" },
  );
  if (tls.cert && !tls.ca) {
    throw new Refusal(
      "invalid",
      "--cert-file: given without --ca-file, which says whose server certificates to trust",
    );
  }
  return await clientAt(server, tls);
}
