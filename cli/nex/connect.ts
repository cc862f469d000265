/** The connection to the server that the program's options name. */
import type { ClientOptions } from "@grpc/grpc-js";
import type { NexClient } from "../../proto/client.ts";
import { formatHostPort, tryParseHostPort } from "../../services/common/host_port.ts";
import { Refusal } from "../../services/common/refusal.ts";
import { readTls } from "../../services/common/tls.ts";
import { UsageError } from "../../services/common/usage.ts";

/** The program's global options: the server's address, and the files for TLS. */
export interface ServerOptions {
  /** HOST or HOST:PORT. */
  server: string;
  caFile?: string;
  certFile?: string;
  keyFile?: string;
}

/** Milliseconds that a call may take. */
export const CALL_TIMEOUT = 15_000;
/** The same for a whole spec. */
export const APPLY_TIMEOUT = 600_000;

/** A client of the server, with TLS when a file for it is named; nothing is sent yet. */
export async function connect(options: ServerOptions): Promise<NexClient> {
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
  const [{ credentials }, { nexClient }] = await Promise.all([
    import("@grpc/grpc-js"),
    import("../../proto/client.ts"),
  ]);
  const channel: ClientOptions = {
    "grpc.max_receive_message_length": -1,
    // The first would cost a DNS query, the second would send local calls through a proxy.
    "grpc.service_config_disable_resolution": 1,
    "grpc.enable_http_proxy": 0,
  };
  if (!tls.ca) return nexClient(formatHostPort(server), credentials.createInsecure(), channel);
  const { secureChannel } = await import("../../services/common/secure_channel.ts");
  const security = secureChannel(server.host, tls, "nexd");
  return nexClient(formatHostPort(server), security.credentials, { ...channel, ...security.options });
}
