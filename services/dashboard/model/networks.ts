/** Lists the networks of both kinds, and one network with everything in it. */
import { Ip } from "../../common/ip.ts";
import { effectiveRecord } from "../../overlay_names/effective.ts";
import { namesOf } from "../../overlay_names/names.ts";
import type { AnyNetwork, Cluster } from "../cluster.ts";
import { machineHref, networkHref } from "../links.ts";
import { TablePage, type TableSpec } from "../table.ts";
import { type AddressBlock, addressesOf, type AddressUse, utilisationOf } from "./addresses.ts";
import { type NetworkRow, rowOf } from "./network_row.ts";
import { summaryOf } from "./summary.ts";
import { addressOrder, type Machine, machinesOf } from "./machines.ts";
import { timeLeft } from "./time.ts";

/** Used addresses in percent. */
export function percentOf(
  { used, size }: { readonly used?: number; readonly size?: number },
): number | undefined {
  return used === undefined || !size ? undefined : Math.round(1000 * used / size) / 10;
}

export const networksTable: TableSpec<NetworkRow> = {
  id: "",
  caption: "Networks",
  sort: "name",
  none: "There is no network.",
  columns: [
    {
      key: "name",
      title: "Name",
      text: ({ name, title }) => title ?? name,
      href: ({ name }) => networkHref(name),
    },
    { key: "id", title: "Id", text: ({ id, title }) => title && id, look: "code", isRare: true },
    { key: "kind", title: "Kind", text: ({ kind }) => kind },
    {
      key: "range",
      title: "Range",
      text: ({ range }) => range,
      order: ({ range }) => rangeOrder(range),
      look: "code",
    },
    { key: "domain", title: "Domain", text: ({ domain }) => domain },
    { key: "machines", title: "Machines", text: ({ machines }) => machines, look: "number" },
    { key: "leases", title: "Leases", text: ({ leases }) => leases, look: "number" },
    { key: "hosts", title: "Hosts", text: ({ hosts }) => hosts, look: "number" },
    {
      key: "behind",
      title: "Behind",
      text: ({ behind, hosts }) => behind ? `${behind} of ${hosts} hosts` : behind,
      order: ({ behind }) => behind,
      tone: ({ behind }) => behind ? "warn" : undefined,
      look: "number",
    },
    {
      key: "mtu",
      title: "MTU",
      text: ({ mtu, largestMtu }) => mtu === largestMtu ? mtu : `${mtu} (hosts have up to ${largestMtu})`,
      order: ({ mtu }) => mtu,
      look: "number",
    },
    {
      key: "used",
      title: "In use",
      text: (row) => row.size === undefined ? undefined : `${row.used} of ${row.size} (${percentOf(row)} %)`,
      order: percentOf,
      part: ({ used, size }) => size ? { of: size, is: used ?? 0 } : undefined,
    },
    { key: "problem", title: "Problem", text: ({ problem }) => problem, tone: () => "bad", isRare: true },
  ],
};

function rangeOrder(range: string): number | undefined {
  const ip = Ip.tryParse(range.split("/")[0] ?? "");
  return ip && Number(ip.value);
}

/** The row of each network. @param now In ms since the epoch. */
export function networkRows(cluster: Cluster, now: number): NetworkRow[] {
  return cluster.networks().map((network) =>
    network.kind === "lan" ? rowOf(cluster, network, now) : summaryOf(cluster, network, now).row
  );
}

const machineLink = ({ id, network }: Machine) => machineHref(id, network);

/** The columns that tables of machines share. */
export const machineColumns: TableSpec<Machine>["columns"] = [
  {
    key: "name",
    title: "Name",
    // The name by which a client calls itself is not one that others can resolve.
    text: ({ name, client, mac, id }) => name || (client && `“${client}”`) || mac || id,
    href: machineLink,
  },
  {
    key: "address",
    title: "Address",
    text: ({ address }) => address,
    order: addressOrder,
    href: machineLink,
    look: "code",
  },
  { key: "mac", title: "MAC", text: ({ mac }) => mac, look: "code" },
];

const kindColumn = { key: "kind", title: "Kind", text: ({ kind }: Machine) => kind };
export const stateColumn = {
  key: "state",
  title: "State",
  text: ({ state }: Machine) => state,
  tone: ({ state, pending }: Machine) =>
    state === "inactive" || pending?.length ? "warn" as const : undefined,
};

/** The columns of the table of a network's machines. */
export function machinesTable(kind: AnyNetwork["kind"]): TableSpec<Machine> {
  const host = { key: "host", title: "Host", text: ({ host }: Machine) => host };
  return {
    id: "machines",
    caption: kind === "lan" ? "Members" : "Endpoints by host",
    sort: kind === "lan" ? "address" : "host",
    none: "Nothing is in this network.",
    columns: [...machineColumns, ...kind === "lan" ? [] : [host], kindColumn, stateColumn],
  };
}

/** The columns of the table of leases. */
export function leasesTable(now: number): TableSpec<Machine> {
  return {
    id: "leases",
    caption: "Leases",
    sort: "expires",
    none: "No lease runs.",
    columns: [
      ...machineColumns,
      {
        key: "expires",
        title: "Time left",
        text: ({ expires }) => expires && timeLeft(expires, now),
        order: ({ expires }) => expires,
        look: "number",
      },
    ],
  };
}

/** A name with its addresses. */
export interface NameRow {
  readonly name: string;
  readonly addresses: readonly string[];
}

export const namesTable: TableSpec<NameRow> = {
  id: "names",
  caption: "Names",
  sort: "name",
  none: "There are no names in this network.",
  columns: [
    { key: "name", title: "Name", text: ({ name }) => name },
    { key: "addresses", title: "Addresses", text: ({ addresses }) => addresses.join(", "), look: "code" },
  ],
};

export interface NetworkModel {
  readonly name: string;
  readonly kind: "overlay" | "lan";
  readonly problem?: string;
  /** The settings that were made and derived, in the words of a specification. */
  readonly settings: Readonly<Record<string, string>>;
  readonly used?: number;
  readonly size?: number;
  readonly addresses: { readonly grid: readonly AddressUse[] } | { readonly blocks: readonly AddressBlock[] };
  readonly machines: TablePage<Machine>;
  readonly leases: TablePage<Machine>;
  readonly names: TablePage<NameRow>;
}

/** A network with what is in it. Throws Refusal "invalid" for a parameter that is not right. */
export function networkModel(
  cluster: Cluster,
  network: AnyNetwork,
  parameters: URLSearchParams,
  now: number,
): NetworkModel {
  const machines = machinesOf(cluster, network, now), { key: name, kind } = network;
  return {
    name,
    kind,
    ...network.kind === "overlay" && network.problem !== undefined && { problem: network.problem },
    settings: settingsOf(network),
    ...utilisationOf(cluster, network, now),
    addresses: addressesOf(cluster, network, now),
    machines: new TablePage(machinesTable(kind), machines, parameters),
    leases: new TablePage(leasesTable(now), machines.filter(({ expires }) => expires), parameters),
    names: new TablePage(namesTable, nameRows(network, machines), parameters),
  };
}

function nameRows(network: AnyNetwork, machines: readonly Machine[]): NameRow[] {
  if (network.kind === "overlay") {
    const { domain } = network.settings ?? {},
      full = (label: string) => domain ? `${label}.${domain}` : label;
    return [...namesOf(network.space)].map(([label, addresses]) => ({
      name: full(label),
      addresses: addresses.map((address) => Ip.from4(address).toString()),
    }));
  }
  const named = machines.filter(({ name, address }) => name && address);
  return [...Map.groupBy(named, ({ name }) => name)].map(([name, machines]) => ({
    name,
    addresses: machines.map(({ address }) => address),
  }));
}

function settingsOf(network: AnyNetwork): Record<string, string> {
  const { settings } = network, ips = (all: readonly Ip[] = []) => all.join(", ");
  const range = (of: { begin: string; end: string } | undefined) => of ? `${of.begin} to ${of.end}` : "";
  const record = network.kind === "lan"
    ? network.settings.record
    : network.settings && network.named && effectiveRecord(network.named);
  const shown = {
    "id": network.kind === "overlay" ? network.id : "",
    "subnet4": settings?.subnet4?.toString() ?? "",
    "subnet6": settings?.subnet6?.toString() ?? "",
    "range4": record?.Range4?.begin && record.Range4.end
      ? `${record.Range4.begin} to ${record.Range4.end}`
      : "",
    "gateways": ips(settings?.gateways),
    "nameservers": ips(settings?.nameservers),
    "dhcp4server": settings?.dhcp4server?.toString() ?? "",
    "domain": settings?.domain ?? "",
    "macrange": range(settings?.macRange),
    "leaseduration": settings ? `${settings.leaseSeconds} s` : "",
    ...network.kind === "overlay" && {
      "VNI": String(network.record.vxlan_vni),
      "overlay": Object.entries(network.named?.settings.overlay ?? {}).map(([option, on]) =>
        `${option}: ${on}`
      )
        .join(", "),
      "created at": network.record.created_at,
    },
  };
  return Object.fromEntries(Object.entries(shown).filter(([, text]) => text !== ""));
}
