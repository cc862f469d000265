/** The output of `nex get`: networks and members as tables, JSON and YAML. */
import type { AddressRange, Declined, Held, Lease, Member, Network } from "../../proto/types.ts";
import { overlaySpec } from "../../services/nexd/client/spec_of.ts";
import { columns, jsonText, yamlText } from "../output.ts";

/** The forms that `-o` offers. */
export const formats = ["table", "json", "yaml"] as const;
/** The forms of commands that can print more columns. */
export const wideFormats = ["table", "wide", "json", "yaml"] as const;
export type OutputFormat = typeof wideFormats[number];

/** Values as one JSON list, or as documents of a YAML file that can be applied. */
export async function serializeAll(values: readonly object[], format: "json" | "yaml"): Promise<string> {
  if (format === "json") return jsonText(values);
  return (await Promise.all(values.map((value) => yamlText(value)))).join("---\n");
}

/** A value as JSON or YAML text, with its newline. */
export async function serialize(value: unknown, format: "json" | "yaml"): Promise<string> {
  return format === "json" ? jsonText(value) : await yamlText(value);
}

/** A row per network. @param header True: the table has a header, here and below, which only a terminal gets. */
export function networkNames(names: readonly string[], header = false): string {
  return table(["NETWORK"], names.map((name) => [name]), header);
}

/** Formats a table whose columns are `titles`; an empty one has no header. */
export function table(
  titles: readonly string[],
  rows: readonly (readonly string[])[],
  header: boolean,
): string {
  return columns(header && rows.length ? [titles, ...rows] : rows);
}

/** A network in lines of `key: value`, the values under one another. */
export function networkTable(net: Network): string {
  const range = (range: AddressRange | null) => range ? `${range.begin}-${range.end}` : "";
  const always = ["name", "subnet4", "gateways", "nameservers", "dhcp4server", "domain"];
  const rows: [string, string][] = [
    ["name", net.name],
    ["subnet4", net.subnet4],
    ["gateways", net.gateways.join(" ")],
    ["nameservers", net.nameservers.join(" ")],
    ["dhcp4server", net.dhcp4server],
    ["domain", net.domain],
    ["siaddr", net.siaddr],
    ["range4", range(net.Range4)],
    ["subnet6", net.subnet6],
    ["dhcp6server", net.dhcp6server],
    ["range6", range(net.Range6)],
    ["macrange", range(net.macRange)],
    ["lease_duration", net.leaseDuration ? `${net.leaseDuration}s` : ""],
    [
      "overlay",
      Object.entries(overlaySpec(net.overlay) ?? {}).map(([key, value]) => `${key}: ${value}`).join(", "),
    ],
  ];
  const lines = rows.filter(([key, value]) => value || always.includes(key)).map((
    [key, value],
  ) => [`${key}:`, value]);
  const options = net.options.map(({ number, value }) => [`  ${number}`, value]);
  return columns(lines) + (options.length ? `options:\n${columns(options)}` : "");
}

/**
 * A row per member, then one per address that is held for a lease; the time that a lease still runs as (H:MM:SS). `now` in ms
 * since the epoch. `wide` adds the client's own name, and whether others may have the same one.
 */
export function memberTable(
  members: readonly Member[],
  held: readonly Held[],
  now: number,
  header = false,
  wide = false,
): string {
  const address = (lease: Lease | null) => lease?.address ? [lease.address + left(lease, now)] : [];
  const rows = members.map(({ mac, name, ip4, ip6, clientName, shared }) => {
    const row = [mac, name || "-", [...address(ip4), ...address(ip6)].join(" ") || "-"];
    return wide ? [...row, clientName || "-", shared ? "yes" : "no"] : row;
  });
  const all = [...rows, ...held.map(({ mac, ip4 }) => [mac, "-", `${address(ip4)} held`])];
  return table(["MAC", "NAME", "ADDRESS (LEASE)", ...wide ? ["CLIENT'S NAME", "SHARED"] : []], all, header);
}

/** A row per address in quarantine: the address, its network, who declined it, and the time left as (H:MM:SS). */
export function declinedTable(declined: readonly Declined[], now: number, header = false): string {
  const rows = declined.map(({ address, net, mac, until }) => [
    address,
    net,
    mac + left({ expires: until }, now),
  ]);
  return table(["ADDRESS", "NETWORK", "DECLINED BY (TIME LEFT)"], rows, header);
}

function left({ expires }: Pick<Lease, "expires">, now: number): string {
  const time = timeLeft((expires?.seconds ?? 0) - now / 1000);
  return time === undefined ? "" : ` (${time})`;
}

/** Seconds as H:MM:SS; undefined where none are left. */
export function timeLeft(seconds: number): string | undefined {
  const whole = Math.floor(seconds), two = (n: number) => String(n % 60).padStart(2, "0");
  if (whole <= 0) return undefined;
  return `${Math.floor(whole / 3600)}:${two(Math.floor(whole / 60))}:${two(whole)}`;
}

/** A row per network with what it is. */
export function networksTable(nets: readonly Network[], header = false): string {
  const rows = nets.map(({ name, subnet4, subnet6, gateways, domain, overlay }) => [
    name,
    subnet4 || subnet6,
    gateways[0] ?? "-",
    domain || "-",
    overlay?.id ?? "-",
  ]);
  return table(["NETWORK", "SUBNET", "GATEWAY", "DOMAIN", "OVERLAY"], rows, header);
}

/** Addresses in quarantine as JSON and YAML show them. */
export function declinedList(declined: readonly Declined[]): object[] {
  return declined.map(({ until, ...rest }) => ({
    ...rest,
    ...(until && { until: new Date(until.seconds * 1000).toISOString() }),
  }));
}
