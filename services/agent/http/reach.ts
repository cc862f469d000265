import { X509Certificate } from "node:crypto";
import type { HostPort } from "../../common/host_port.ts";
import { isVersion3 } from "../../common/server_identity.ts";
import type { TlsMaterial } from "../../common/tls.ts";
import { abortable } from "../../common/async.ts";
import { lasting } from "./lasting.ts";
import { ConnectionEnd, type End } from "../../common/http/ends.ts";

/** A connection to an agent's API, with TLS where this one has it; `within` in ms. */
export async function reach(
  { host, port }: HostPort,
  tls: TlsMaterial | undefined,
  within: number,
  signal: AbortSignal,
): Promise<End> {
  const late = AbortSignal.timeout(within);
  const stop = AbortSignal.any([signal, late]);
  try {
    if (tls) return new ConnectionEnd(await secure(host, port, tls, stop));
    return lasting(await abortable(Deno.connect({ hostname: host, port, signal: stop }), stop, close));
  } catch (error) {
    throw late.aborted ? new Error(`no connection within ${within} ms`) : error;
  }
}

/** Deno's own TLS, not Node's: that one lets certificates pass unverified that are not of X.509 version 3. */
async function secure(
  hostname: string,
  port: number,
  tls: TlsMaterial,
  stop: AbortSignal,
): Promise<Deno.TlsConn> {
  const [cert = "", key = "", ca = ""] = [tls.cert, tls.key, tls.ca].map((pem) =>
    new TextDecoder().decode(pem)
  );
  // Deno 2.9.3 would end the process.
  if (!isVersion3(new X509Certificate(cert).raw)) {
    throw new Error("this agent's own certificate is not of X.509 version 3, and cannot be shown to others");
  }
  const opening = Deno.connectTls({ hostname, port, caCerts: [ca], cert, key });
  const connection = await abortable(opening, stop, close);
  try {
    await abortable(connection.handshake(), stop);
    return connection;
  } catch (error) {
    connection.close();
    throw error;
  }
}

function close(connection: Deno.Conn): void {
  connection.close();
}
