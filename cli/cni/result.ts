/** Writes the result of a CNI ADD in the form that the requested version of the specification has for it. */
import type { CniRoute } from "./config.ts";
import type { JsonField, JsonObject } from "./json.ts";
import { atLeast, type Version } from "./version.ts";

/** The interfaces and address that were created for a container. */
export interface Made {
  /** The veth's end in the network's or the host's namespace, and the one in the container. */
  readonly interfaces: readonly [CniInterface, CniInterface];
  /** In CIDR form. */
  readonly address: string;
  readonly gateway: string;
  readonly routes: readonly CniRoute[];
  readonly dns: JsonObject | undefined;
}

export interface CniInterface {
  readonly name: string;
  readonly mac: string;
  readonly mtu: number;
  /** Path of the namespace that it is in; absent: the host's. */
  readonly sandbox?: string;
}

/**
 * The result of an ADD in the form of a version.
 * @param previous The result of the previous plugin in a chain: it is passed on, with this one appended.
 */
export function resultOf(made: Made, version: Version, previous: JsonField): JsonObject {
  const newer = atLeast(version, "1.1.0"), before = previous.get("interfaces").list().length;
  const [interfaces, ips, routes] = ["interfaces", "ips", "routes"].map((key) =>
    previous.get(key).list().map(({ value }) => value)
  ) as [unknown[], unknown[], unknown[]];
  interfaces.push(...made.interfaces.map(({ mtu, ...rest }) => newer ? { ...rest, mtu } : rest));
  ips.push({
    ...atLeast(version, "1.0.0") ? {} : { version: "4" },
    address: made.address,
    gateway: made.gateway,
    interface: before + 1,
  });
  routes.push(...made.routes.map(({ dst, gw, ...rest }) => newer ? { dst, gw, ...rest } : { dst, gw }));
  const dns = made.dns ?? previous.get("dns").value;
  return { cniVersion: version, interfaces, ips, ...routes.length ? { routes } : {}, ...dns ? { dns } : {} };
}
