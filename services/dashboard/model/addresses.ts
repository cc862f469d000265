/** Lists the addresses of a network that are in use, and what uses each of them. */
import { Cidr, Ip } from "../../common/ip.ts";
import { inRange } from "../../nex/network.ts";
import type { AnyNetwork, Cluster, LanNetwork, OverlayNetwork } from "../cluster.ts";

/**
 * `free`; `reserved` for a machine that does not have it now; `leased` by DHCP; `attached` to a namespace or named by
 * a port; `held` for one client or by one of several machines; `declined` by a client that found it in use;
 * `gateway`; `outside` of the range.
 */
export type GridState =
  | "free"
  | "reserved"
  | "leased"
  | "attached"
  | "held"
  | "declined"
  | "gateway"
  | "outside";

export interface AddressUse {
  readonly address: string;
  readonly state: GridState;
  /** The machine's MAC or its endpoint's id, where a machine has it. */
  readonly machine?: string;
  readonly name?: string;
}

/** 256 neighbouring addresses. */
export interface AddressBlock {
  readonly block: string;
  readonly counts: Readonly<Partial<Record<GridState, number>>>;
}

export interface Utilisation {
  /** Addresses that machines can get. */
  readonly size: number;
  /** The number of them that are not free. */
  readonly used: number;
}

type Uses = Map<number, Omit<AddressUse, "address">>;

/** A subnet that is shown address by address: a /24 or smaller. */
const GRID = 256;

/** The addresses in use, by their 32-bit value. @param now In ms since the epoch. */
function usesOf(cluster: Cluster, network: AnyNetwork, now: number): Uses {
  const uses: Uses = new Map();
  for (const ip of network.settings?.gateways ?? []) {
    if (ip.family === 4) uses.set(ip.u32, { state: "gateway" });
  }
  if (network.kind === "lan") ofLan(cluster, network, now, uses);
  else ofOverlay(network, now, uses);
  return uses;
}

function ofLan({ nex }: Cluster, { key }: LanNetwork, now: number, uses: Uses): void {
  for (const member of nex.membersOf(key)) {
    const ip = Ip.tryParse(member.ip4 ?? "");
    if (ip?.family !== 4) continue;
    const runs = member.expires !== undefined && member.expires * 1000 > now;
    uses.set(ip.u32, { state: runs ? "leased" : "reserved", machine: member.mac, name: member.name ?? "" });
  }
  for (const [address, { net, leased, until, mac }] of nex.withheld) {
    const ip = Ip.tryParse(address);
    if (net !== key || ip?.family !== 4 || until * 1000 <= now) continue;
    uses.set(ip.u32, { state: leased ? "held" : "declined", machine: mac });
  }
}

function ofOverlay({ space }: OverlayNetwork, now: number, uses: Uses): void {
  for (const [mac, { ip4, name = "" }] of space.reservations) {
    const ip = Ip.tryParse(ip4 ?? "");
    if (ip?.family === 4) uses.set(ip.u32, { state: "reserved", machine: mac, name });
  }
  for (const { hot: { address }, mac, id, record } of space.endpoints.values()) {
    if (address < 0) continue;
    const state = record.kind === "dhcp" ? "leased" : "attached";
    uses.set(address, {
      state,
      machine: mac ?? id,
      name: record.strand_name ?? uses.get(address)?.name ?? "",
    });
  }
  for (const address of space.allowed.all()) {
    const holder = space.endpoints.get(space.allowed.holderOf(address) ?? "");
    uses.set(address, { state: "held", ...holder && { machine: holder.mac ?? holder.id } });
  }
  for (const [address, { until }] of space.withheld) {
    const ip = Ip.tryParse(address);
    if (ip?.family === 4 && until * 1000 > now) uses.set(ip.u32, { state: "declined" });
  }
}

/** How much of a network's range is in use; undefined where it has none. */
export function utilisationOf(cluster: Cluster, network: AnyNetwork, now: number): Utilisation | undefined {
  const { range4 } = network.settings ?? {};
  if (!range4) return undefined;
  let used = 0;
  for (const address of usesOf(cluster, network, now).keys()) {
    if (address >= range4.begin && address <= range4.end) used++;
  }
  return { size: range4.end - range4.begin + 1, used };
}

/** The addresses of a small network one by one, or those of a larger one by blocks in which something is in use. */
export function addressesOf(
  cluster: Cluster,
  network: AnyNetwork,
  now: number,
): { readonly grid: readonly AddressUse[] } | { readonly blocks: readonly AddressBlock[] } {
  const { settings } = network, subnet = settings?.subnet4, uses = usesOf(cluster, network, now);
  if (!settings || !subnet) return { grid: [] };
  const stateAt = (ip: Ip): GridState =>
    uses.get(ip.u32)?.state ?? (inRange(settings, ip) ? "free" : "outside");
  if (subnet.size > GRID) return { blocks: blocksOf(uses, subnet) };
  return {
    grid: Array.from({ length: Number(subnet.size) }, (_, i) => {
      const ip = Ip.from4(subnet.first.u32 + i);
      return { address: ip.toString(), ...uses.get(ip.u32), state: stateAt(ip) };
    }),
  };
}

function blocksOf(uses: Uses, subnet: Cidr): AddressBlock[] {
  const counts = new Map<number, Partial<Record<GridState, number>>>();
  for (const [address, { state }] of uses) {
    if (!subnet.contains(Ip.from4(address))) continue;
    const first = address - address % GRID, block = counts.get(first) ?? {};
    block[state] = (block[state] ?? 0) + 1;
    counts.set(first, block);
  }
  return [...counts].sort(([a], [b]) => a - b).map(([first, counts]) => ({
    block: `${Ip.from4(first)}/24`,
    counts,
  }));
}
