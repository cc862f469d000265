/** Parses the options of `strand attach` that need more than a text, and compares an existing endpoint with them. */
import type { AllowedAddress, Endpoint } from "../../services/agent/client/types.ts";
import { parseAllowed } from "../../services/common/allowed_address.ts";
import { Ip } from "../../services/common/ip.ts";
import { tryParseMac } from "../../services/common/mac.ts";
import { UsageError } from "../../services/common/usage.ts";
import { addressOf } from "../../services/explain/steps.ts";

/** For commander: the values of an option that may be given several times. */
export function collected(value: string, before: readonly string[] = []): string[] {
  return [...before, value];
}

/** Reads `ADDRESS` or `ADDRESS,MAC`. Throws UsageError. */
export function readAllowed(text: string): AllowedAddress {
  return parseAllowed(text, (what) => new UsageError(`--allow: ${what}`));
}

/** The first option whose value an existing endpoint does not have. */
export function difference(
  endpoint: Endpoint,
  { name, ip, mac, allow, aliases }: { readonly [option in "name" | "ip" | "mac"]: string | undefined } & {
    readonly allow?: readonly AllowedAddress[] | undefined;
    readonly aliases?: readonly string[] | undefined;
  },
): { option: string; what: string } | undefined {
  if (name !== undefined && name.toLowerCase() !== endpoint.name) {
    return { option: "--name", what: `name ${name}` };
  }
  const address = Ip.tryParse(ip?.split("/")[0] ?? "")?.toString();
  if (address !== undefined && address !== addressOf(endpoint)) {
    return { option: "--ip", what: `address ${ip}` };
  }
  if (mac !== undefined && tryParseMac(mac) !== endpoint.target_veth_mac) {
    return { option: "--mac", what: `MAC ${mac}` };
  }
  const labels = [...new Set(aliases?.map((alias) => alias.toLowerCase()))].filter((alias) =>
    alias !== endpoint.name
  ).sort();
  if (aliases && `${labels}` !== `${endpoint.aliases ?? []}`) {
    return { option: "--alias", what: `aliases ${aliases.join(", ")}` };
  }
  const texts = (list: readonly AllowedAddress[] = []) =>
    list.map(({ address, mac = "" }) => `${address} ${mac}`).sort();
  if (allow && `${texts(allow)}` !== `${texts(endpoint.allow)}`) {
    return { option: "--allow", what: `further addresses ${allow.map(({ address }) => address).join(", ")}` };
  }
  return undefined;
}
