/** The settings of the connection to etcd, with the certificates that they name read and checked. */
import type { Settings } from "./config_schema.ts";
import { type HostPort, tryParseHostPort } from "./host_port.ts";
import { Refusal } from "./refusal.ts";
import { readTls, type TlsMaterial } from "./tls.ts";

/** The authorities that are trusted for https where the configuration names none; SSL_CERT_FILE names another file. */
const SYSTEM_AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt";

export interface EtcdSettings {
  /** URLs, each with its scheme and port. */
  readonly endpoints: readonly string[];
  /** False: nothing names an etcd, and `endpoints` is only the default of 127.0.0.1:2379. */
  readonly configured: boolean;
  /** The contents of the files; absent when none was named and no endpoint is https. */
  readonly tls: TlsMaterial | undefined;
  /** The data directory of an etcd that `strand etcd` starts; undefined: the command chooses. */
  readonly dataDir: string | undefined;
  /** Further addresses on which that etcd listens without TLS, in addition to loopback. */
  readonly alsoListen: readonly HostPort[];
}

/** Further inputs of the settings. */
export interface SettingsInputs {
  readonly where: (key: string) => string;
  readonly env: Readonly<Record<string, string>>;
  /** True: an agent is wanted here. */
  readonly wanted: boolean;
  /** True: etcd's certificate is not checked. */
  readonly unverified: boolean;
}

/** The section `etcd` in its final form; reads the files that it names. */
export function etcdSettings(
  etcd: Settings["etcd"],
  { where, env, unverified }: SettingsInputs,
): EtcdSettings {
  if (etcd.endpoints && (etcd.host !== undefined || etcd.port !== undefined)) {
    throw new Refusal("invalid", `${where("etcd.endpoints")}: give endpoints, or host and port, not both`);
  }
  const { cert, key, cacert } = etcd;
  const tls = cert !== undefined || key !== undefined || cacert !== undefined;
  const urls = etcd.endpoints ?? (etcd.host === undefined && etcd.port === undefined ? undefined : [
    `${etcd.host?.includes(":") ? `[${etcd.host}]` : etcd.host ?? "127.0.0.1"}:${etcd.port ?? 2379}`,
  ]);
  const endpoints = (urls ?? ["127.0.0.1:2379"]).map((text) =>
    endpointUrl(text, tls ? "https" : "http", where)
  );
  const secure = endpoints.some((endpoint) => endpoint.startsWith("https:"));
  // Otherwise Deno's TLS would silently trust a list of its own, and not the authorities that the machine's
  // administrator added.
  const fallback = secure && cacert === undefined;
  const files = { cert, key, ca: fallback ? env["SSL_CERT_FILE"] ?? SYSTEM_AUTHORITIES : cacert };
  const fields = { cert: "etcd.cert", key: "etcd.key", ca: "etcd.cacert" };
  const named = (field: string) =>
    fallback && field === fields.ca
      ? `${where("etcd.endpoints")}: without etcd.cacert the system's authorities are trusted`
      : where(field);
  const material = tls || secure ? readTls(files, fields, named) : undefined;
  // The validity of the system's authorities is its administrator's concern, so they are not reported.
  const certificates = (material?.certificates ?? []).filter(({ field }) => !fallback || field !== fields.ca);
  return {
    endpoints,
    configured: urls !== undefined,
    tls: material && { ...material, certificates, ...unverified && { unverified } },
    dataDir: etcd["data-dir"],
    alsoListen: etcd["also-listen"],
  };
}

function endpointUrl(written: string, scheme: string, where: (key: string) => string): string {
  const text = written.replace(/\/$/, "");
  const [, given = scheme, rest = text] = /^(https?):\/\/(.+)$/.exec(text) ?? [];
  const address = tryParseHostPort(rest, 2379);
  if (!address) {
    throw new Refusal(
      "invalid",
      `${where("etcd.endpoints")}: "${text}" is not an endpoint, like https://db:2379`,
    );
  }
  return `${given}://${address.host.includes(":") ? `[${address.host}]` : address.host}:${address.port}`;
}
