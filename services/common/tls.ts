import { reasonOf, Refusal } from "./refusal.ts";

/** Paths of PEM files. */
export interface TlsFiles {
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  readonly ca?: string | undefined;
}

/** What PEM files held. */
export interface TlsMaterial {
  readonly cert: Uint8Array | undefined;
  readonly key: Uint8Array | undefined;
  readonly ca: Uint8Array | undefined;
}

/** What each of the files is called in the configuration. */
export interface TlsFields {
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
}

/**
 * Reads certificate, key and authority.
 *
 * @param fields What to call each file in a message.
 * @param where Turns such a name into one with file and line.
 * @throws Refusal when a file cannot be read, holds something else, or cert and key are not both there.
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
  return {
    cert: readPem(files.cert, fields.cert, "CERTIFICATE", where),
    key: readPem(files.key, fields.key, "PRIVATE KEY", where),
    ca: readPem(files.ca, fields.ca, "CERTIFICATE", where),
  };
}

function readPem(
  file: string | undefined,
  field: string,
  kind: string,
  where: (field: string) => string,
): Uint8Array | undefined {
  if (file === undefined) return undefined;
  let bytes: Uint8Array;
  try {
    bytes = Deno.readFileSync(file);
  } catch (error) {
    throw new Refusal("invalid", `${where(field)}: ${file} cannot be read: ${reasonOf(error)}`, {
      cause: error,
    });
  }
  if (!new RegExp(`-----BEGIN [A-Z ]*${kind}-----`).test(new TextDecoder().decode(bytes))) {
    throw new Refusal("invalid", `${where(field)}: ${file} holds no PEM ${kind.toLowerCase()}`);
  }
  return bytes;
}
