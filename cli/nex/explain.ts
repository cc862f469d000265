/** One sentence about why a call to the server failed, for the user of `nex`. */
import { messageOf } from "../../services/common/refusal.ts";

/** The error of a failed call, as grpc-js throws it. */
interface CallError extends Error {
  readonly code: number;
  readonly details: string;
}

/** gRPC status codes, repeated here since grpc-js itself is slow to import. */
const DEADLINE_EXCEEDED = 4, RESOURCE_EXHAUSTED = 8, UNAVAILABLE = 14;
export const UNIMPLEMENTED = 12;

/** True for the failure of a call with this status. */
export function hasStatus(error: unknown, status: number): boolean {
  return isCallError(error) && error.code === status;
}

/** One sentence about any error in talking to `server`. */
export function explain(error: unknown, server: string): string {
  return (isCallError(error) ? explainCall(error, server) : messageOf(error)).replace(/\s*[\r\n]+\s*/g, " ");
}

function explainCall({ code, details }: CallError, server: string): string {
  switch (code) {
    case UNAVAILABLE:
      return explainUnavailable(details, server);
    case DEADLINE_EXCEEDED:
      return `${server}: no answer in time`;
    case UNIMPLEMENTED:
      return `${server}: the server does not know this request; it is older than this program, or not nexd`;
    case RESOURCE_EXHAUSTED:
      return explainTooLarge(details) ?? details;
    default:
      return details || `${server}: the request failed with gRPC status ${code}`;
  }
}

/** Explains grpc-js's message about a request that is longer than the server accepts. */
function explainTooLarge(details: string): string | undefined {
  const [, sent, most] = /^Received message larger than max \((\d+) vs (\d+)\)/.exec(details) ?? [];
  if (sent === undefined || most === undefined) return undefined;
  const mebibytes = (octets: string) => `${(Number(octets) / 2 ** 20).toFixed(1)} MiB`;
  return `the request is of ${mebibytes(sent)}, and the server takes ${mebibytes(most)}: apply it in parts`;
}

/** The server's own message, unless grpc-js reports an error of the connection. */
function explainUnavailable(details: string, server: string): string {
  // nexd's own report about its connection to etcd.
  if (details.startsWith("etcd at ")) return details;
  if (details.startsWith("Name resolution failed")) {
    return `${server} cannot be reached: there is no such host`;
  }
  if (details.startsWith("No connection established")) {
    const error = /Last error: (?:\w*Error: )?(.*?)(?:\. Resolution note:.*)?$/s.exec(details)?.[1] ?? "";
    const words = reasons.find(([pattern]) => pattern.test(error))?.[1];
    return `${server} cannot be reached: ${words ?? (error || "no connection could be made")}`;
  }
  if (/^(read|write) E[A-Z]+|^Connection dropped|^Stream closed|^The pending stream/.test(details)) {
    return `${server}: the connection was lost before the answer came; a change may or may not have been made`;
  }
  return details;
}

/** Messages of grpc-js and TLS, and what to do about each. */
const reasons: readonly [RegExp, string][] = [
  [/ECONNREFUSED/, "nothing listens there"],
  [/ETIMEDOUT|timed out/i, "there is no answer"],
  [/EHOSTUNREACH|ENETUNREACH/, "there is no route to it"],
  [/InvalidContentType|wrong version number/, "it does not speak TLS; leave out --ca-file"],
  [/CertificateRequired/, "it wants a client certificate; name one with --cert-file and --key-file"],
  [/certificate has expired/, "its certificate has expired"],
  [/self-signed|issuer|unable to verify/i, "its certificate is not signed by an authority in --ca-file"],
  [
    /^Failed to connect|ECONNRESET|EPIPE|socket hang up/,
    "it closed the connection at once, as a server does that wants TLS or another client certificate",
  ],
];

function isCallError(error: unknown): error is CallError {
  return error instanceof Error && "code" in error && typeof error.code === "number" && "details" in error;
}
