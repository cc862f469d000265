/** One sentence about why a call to nexd failed, for the user of a command line or the dashboard. */
import { messageOf, Refusal, type RefusalCode } from "../../common/refusal.ts";

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

/** The problem with TLS and its remedy, in the words of the user's settings. */
export interface TlsWords {
  readonly plain: string;
  readonly certificate: string;
  readonly authority: string;
}

const options: TlsWords = {
  plain: "it does not speak TLS; leave out --ca-file",
  certificate: "it wants a client certificate; name one with --cert-file and --key-file",
  authority: "its certificate is not signed by an authority in --ca-file",
};

/** One sentence about any error in talking to `server`. */
export function explain(error: unknown, server: string, words = options): string {
  return (isCallError(error) ? explainCall(error, server, words) : messageOf(error))
    .replace(/\s*[\r\n]+\s*/g, " ");
}

/**
 * True for the failure of a call that nexd may have carried out all the same, wholly or in part: the answer is missing, or says of
 * no refusal. A connection that was never made has carried no request.
 */
export function mayBeCarriedOut(error: unknown): boolean {
  if (!isCallError(error)) return false;
  if (error.code === UNAVAILABLE) {
    return !/^(Name resolution failed|No connection established)/.test(error.details);
  }
  return error.code === DEADLINE_EXCEEDED || refusals[error.code] === undefined;
}

/**
 * The error as a Refusal, with the code that nexd has sent as a status; a status that nexd sends with no refusal, as a proxy or a
 * broken connection has it, is "unavailable". Errors that are no failed calls are thrown as they are.
 */
export function refusalOf(error: unknown, server: string, words?: TlsWords): Refusal {
  if (error instanceof Refusal) return error;
  if (!isCallError(error)) throw error;
  return new Refusal(refusals[error.code] ?? "unavailable", explain(error, server, words), { cause: error });
}

const refusals: Readonly<Record<number, RefusalCode>> = {
  3: "invalid",
  4: "unavailable",
  5: "not-found",
  6: "exists",
  8: "exhausted",
  9: "forbidden",
  10: "conflict",
  12: "unavailable",
  14: "unavailable",
};

function explainCall({ code, details }: CallError, server: string, words: TlsWords): string {
  switch (code) {
    case UNAVAILABLE:
      return explainUnavailable(details, server, words);
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
function explainUnavailable(details: string, server: string, tls: TlsWords): string {
  // nexd's own report about its connection to etcd.
  if (details.startsWith("etcd at ")) return details;
  if (details.startsWith("Name resolution failed")) {
    return `${server} cannot be reached: there is no such host`;
  }
  if (details.startsWith("No connection established")) {
    const error = /Last error: (?:\w*Error: )?(.*?)(?:\. Resolution note:.*)?$/s.exec(details)?.[1] ?? "";
    const words = reasonsIn(tls).find(([pattern]) => pattern.test(error))?.[1];
    return `${server} cannot be reached: ${words ?? (error || "no connection could be made")}`;
  }
  if (/^(read|write) E[A-Z]+|^Connection dropped|^Stream closed|^The pending stream/.test(details)) {
    return `${server}: the connection was lost before the answer came; a change may or may not have been made`;
  }
  return details;
}

/** Messages of grpc-js and TLS, and what to do about each. */
const reasonsIn = ({ plain, certificate, authority }: TlsWords): readonly [RegExp, string][] => [
  [/ECONNREFUSED/, "nothing listens there"],
  [/ETIMEDOUT|timed out/i, "there is no answer"],
  [/EHOSTUNREACH|ENETUNREACH/, "there is no route to it"],
  [/InvalidContentType|wrong version number/, plain],
  [/CertificateRequired/, certificate],
  [/certificate has expired/, "its certificate has expired"],
  [/self-signed|issuer|unable to verify/i, authority],
  [
    /^Failed to connect|ECONNRESET|EPIPE|socket hang up/,
    "it closed the connection at once, as a server does that wants TLS or another client certificate",
  ],
];

function isCallError(error: unknown): error is CallError {
  return error instanceof Error && "code" in error && typeof error.code === "number" && "details" in error;
}
