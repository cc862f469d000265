/** The versions of the CNI specification that the plugin supports, and the operations that each of them has. */
import { CniError, codes } from "./error.ts";

/** The supported versions of the CNI specification, from the oldest to the newest. */
export const versions = ["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"] as const;

export type Version = typeof versions[number];

export const newest: Version = "1.1.0";

/** Operations that were added after the oldest version. */
const since: Readonly<Record<string, Version>> = { CHECK: "0.4.0", STATUS: "1.1.0", GC: "1.1.0" };

/**
 * Reads the version of a configuration; one without a version is of 0.1.0.
 * @throws CniError 6 for a text that is no version, 1 for an unsupported one
 */
export function readVersion(value: unknown = "0.1.0"): Version {
  if (typeof value !== "string" || !/^\d+\.\d+\.\d+([-+].*)?$/.test(value)) {
    throw new CniError(
      codes.decode,
      `cniVersion: ${JSON.stringify(value)} is not a version, like "${newest}"`,
    );
  }
  const version = versions.find((version) => version === value);
  if (version) return version;
  throw new CniError(
    codes.incompatibleVersion,
    `cniVersion: "${value}" is not spoken here: use one of ${versions.join(", ")}`,
  );
}

/** True when the first version is the second or a later one. */
export function atLeast(version: Version, least: Version): boolean {
  return versions.indexOf(version) >= versions.indexOf(least);
}

/** @throws CniError 1 when the version has no such operation */
export function assertKnown(operation: string, version: Version): void {
  const first = since[operation];
  if (first === undefined || atLeast(version, first)) return;
  throw new CniError(
    codes.incompatibleVersion,
    `cniVersion: ${operation} came with ${first}, the configuration is of "${version}"`,
  );
}
