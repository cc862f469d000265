/** Reads certificate, key and authority files for TLS, and checks that they belong together. */
import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { type Certificate, untimely } from "./certificate.ts";
import { messageOf, reasonOf, Refusal } from "./refusal.ts";
import type { TlsContents } from "./tls_contents.ts";

/** Paths of PEM files. */
export interface TlsFiles {
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  readonly ca?: string | undefined;
}

/** The contents of the PEM files. */
export interface TlsMaterial extends TlsContents {
  /** The parsed certificates of `cert` and `ca`. */
  readonly certificates?: readonly Certificate[];
}

/** The configuration key of each file. */
export interface TlsFields {
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
}

/**
 * Reads certificate, key and authority.
 *
 * @param fields The name of each file's setting in messages.
 * @param where Adds file and line to such a name.
 * @throws Refusal when a file cannot be read or holds something else, when only one of cert and key is given, or when
 *   the key belongs to another certificate, which would otherwise make every handshake fail without a reason
 */
export function readTls(
  files: TlsFiles,
  fields: TlsFields,
  where: (field: string) => string = (field) => field,
): TlsMaterial {
  if ((files.cert === undefined) !== (files.key === undefined)) {
    const [given, missing] = files.cert === undefined ? [fields.key, fields.cert] : [fields.cert, fields.key];
    throw new Refusal("invalid", `${where(given)}: given without ${missing}; a certificate needs its key`);
  }
  const material = {
    cert: readPem(files.cert, where(fields.cert)),
    key: readPem(files.key, where(fields.key)),
    ca: readPem(files.ca, where(fields.ca)),
  };
  const chain = certificatesIn(material.cert, `${where(fields.cert)}: ${files.cert}`), [own] = chain;
  const key = keyIn(material.key, `${where(fields.key)}: ${files.key}`);
  const authorities = certificatesIn(material.ca, `${where(fields.ca)}: ${files.ca}`);
  if (own && key && !own.checkPrivateKey(key)) {
    const message = `${where(fields.key)}: ${files.key} is not the key of ${fields.cert}, ${files.cert}`;
    throw new Refusal("invalid", message);
  }
  const told = (field: string, file: string | undefined) =>
  (
    { subject, validFromDate, validToDate }: X509Certificate,
  ) => ({
    field,
    setting: where(field),
    file: file ?? "",
    subject: subject.replaceAll("\n", ", "),
    from: validFromDate.getTime(),
    until: validToDate.getTime(),
  });
  const certificates = [
    ...chain.map(told(fields.cert, files.cert)),
    ...authorities.map(told(fields.ca, files.ca)),
  ];
  return { ...material, certificates };
}

function readPem(file: string | undefined, field: string): Uint8Array | undefined {
  if (file === undefined) return undefined;
  try {
    return Deno.readFileSync(file);
  } catch (error) {
    throw new Refusal("invalid", `${field}: ${file} cannot be read: ${reasonOf(error)}`, { cause: error });
  }
}

/** Why a certificate is not valid at this time, like `expired on 2026-11-27 16:35 UTC`; undefined: it is valid. */
export function outOfTime(pem: Uint8Array): string | undefined {
  const { validFromDate, validToDate } = new X509Certificate(textOf(pem));
  const from = validFromDate.getTime(), until = validToDate.getTime(), now = Date.now();
  return from <= now && now <= until ? undefined : untimely({ from, until }, now);
}

/** All certificates of a chain or bundle, the server's or client's own first. */
function certificatesIn(pem: Uint8Array | undefined, file: string): X509Certificate[] {
  if (!pem) return [];
  const blocks = textOf(pem).match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g);
  if (!blocks) throw new Refusal("invalid", `${file} holds no PEM certificate`);
  try {
    return blocks.map((block) => new X509Certificate(block));
  } catch (error) {
    const message = `${file} holds a certificate that cannot be read: ${messageOf(error)}`;
    throw new Refusal("invalid", message, { cause: error });
  }
}

function keyIn(pem: Uint8Array | undefined, file: string): KeyObject | undefined {
  if (!pem) return undefined;
  const text = textOf(pem);
  if (!/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text)) {
    throw new Refusal("invalid", `${file} holds no PEM private key`);
  }
  if (/ENCRYPTED/.test(text)) {
    throw new Refusal("invalid", `${file} holds an encrypted key: one without a passphrase is needed`);
  }
  try {
    return createPrivateKey(text);
  } catch (error) {
    const message = `${file} holds a private key that cannot be read: ${messageOf(error)}`;
    throw new Refusal("invalid", message, { cause: error });
  }
}

function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
