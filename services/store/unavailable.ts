/** The error for a request that no member of etcd has answered: its sentence names the members and the most likely cause. */
import { Refusal } from "../common/refusal.ts";
import { outOfTime, type TlsMaterial } from "../common/tls.ts";
import { callReason } from "./failure.ts";

/** The facts about the connection that the sentence needs. */
export interface FailedAt {
  /** The member that was asked last. */
  readonly endpoint: string;
  /** All members, as the operator has named them. */
  readonly endpoints: readonly string[];
  readonly tls: TlsMaterial | undefined;
}

/** A Refusal "unavailable" for the error of the last request. */
export function unavailable(error: unknown, { endpoint, endpoints, tls }: FailedAt): Refusal {
  const reason = callReason(error);
  // Other members may work: the operator has to check the network or the leader of this one.
  const where = endpoints.length > 1 && /^no (answer|leader)/.test(reason) ? ` (${endpoint})` : "";
  const message = `etcd at ${endpoints.join(", ")} cannot be used: ${reason}${where}${hint(reason, tls)}`;
  return new Refusal("unavailable", message, { cause: error });
}

/** The most likely cause of a connection closed during the TLS handshake, or of OpenSSL's error for an unknown authority. */
function hint(reason: string, tls: TlsMaterial | undefined): string {
  if (/unable to (verify|get)|self-signed/.test(reason)) {
    return " (is etcd.cacert the authority that signed it?)";
  }
  if (!/ECONNRESET|EPIPE|fatal alert|^Failed to connect$/.test(reason)) return "";
  if (!tls) return " (does it expect https?)";
  const { cert } = tls, untimely = cert && outOfTime(cert);
  if (untimely) return ` (etcd.cert ${untimely})`;
  return cert
    ? " (does its --trusted-ca-file have the authority of etcd.cert?)"
    : " (does it expect a client certificate, etcd.cert and etcd.key?)";
}
