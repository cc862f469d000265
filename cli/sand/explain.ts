/** Turns the failure of a connection to an agent, or to a server inside a network, into one sentence with its cause and remedy. */
import { messageOf, printable, Refusal } from "../../services/common/refusal.ts";

/** The server of a failed connection. */
export interface ExplainedPeer {
  /** Its name in messages: a URL or an address. */
  readonly name: string;
  /** The remedy when no process listens there. */
  readonly absent: string;
  /** The expected authority of its certificate. */
  readonly authority: string;
  /**
   * Why it may close a TLS connection without an error: a problem of our certificate; undefined: that cannot be the
   * cause.
   */
  readonly closed: string | undefined;
}

/** A connection's failure as one sentence; a refusal stays as it is. */
export function explained(error: unknown, peer: ExplainedPeer): Refusal {
  if (error instanceof Refusal) return error;
  const code = error instanceof Error && "code" in error ? `${error.code} ` : "";
  const said = code + messageOf(error);
  const reason = reasons.find(([pattern]) => pattern.test(said))?.[1](peer, said) ?? messageOf(error);
  return new Refusal("unavailable", `${peer.name} cannot be reached: ${printable(reason)}`, { cause: error });
}

/** Patterns of errors of Deno, rustls and Node's HTTP, each with a sentence and a remedy; the first match counts. */
const reasons: readonly [RegExp, (peer: ExplainedPeer, said: string) => string][] = [
  [/ECONNREFUSED|Connection refused/, ({ absent }) => `nothing listens there; ${absent}`],
  [/ENOTFOUND|EAI_AGAIN|lookup address/, ({ absent }) => `there is no such host; ${absent}`],
  [/ETIMEDOUT|timed out/, ({ absent }) => `there is no answer; ${absent}`],
  [/EHOSTUNREACH|ENETUNREACH|No route|unreachable/, ({ absent }) => `there is no route to it; ${absent}`],
  [
    /CertificateRequired/,
    ({ closed }) =>
      `it wants a client certificate${closed ? ": name one with --cert-file and --key-file" : ""}`,
  ],
  [
    /not of X\.509 version 3|UnsupportedCertVersion/,
    () => "its certificate is not of X.509 version 3, and cannot be verified: it needs one of version 3",
  ],
  [/HAS_EXPIRED|certificate: Expired/, () => "its certificate has expired"],
  [/NOT_YET_VALID|NotValidYet/, () => "its certificate is not valid yet"],
  [
    /ALTNAME_INVALID|not valid for name/,
    (_, said) => `its certificate is another host's: ${said.replace(/^.*(altnames:|certificate:) /, "")}`,
  ],
  [
    /SELF_SIGNED|UNABLE_TO_|is not signed by|UnknownIssuer|BadSignature/,
    ({ authority }) => `its certificate is not signed by ${authority}`,
  ],
  [/InvalidContentType|WRONG_VERSION/, () => "it does not speak TLS: use http:// in place of https://"],
  [
    /Parse Error|no answer of HTTP/,
    ({ closed }) =>
      closed ? "it does not speak HTTP" : "it does not speak HTTP; if that is TLS, use https://",
  ],
  [
    /fatal alert/,
    ({ closed }, said) =>
      `it refuses the handshake with ${/alert: (\w+)/.exec(said)?.[1]}${closed ? `; ${closed}` : ""}`,
  ],
  [
    /ECONNRESET|EPIPE|close_notify|reset by peer|Broken pipe|end of file/,
    ({ closed }) => `it closed the connection without an answer${closed ? `; ${closed}` : ""}`,
  ],
];
