/**
 * Finds chains of other programs that drop what is forwarded unless a rule of theirs accepts it, as Docker has iptables do: no
 * rule of another table can overrule that. Chains of iptables-legacy are not seen.
 */
import type { Netlink } from "../../../ffi/netlink.ts";
import { commit, newRule, type NftTable } from "../../../ffi/netlink_nftables.ts";
import { end, type Rule } from "../../../ffi/nftables_expressions.ts";
import { deleteRule, findRules, listChains, type ListedChain } from "../../../ffi/nftables_others.ts";
import { FROM_NETWORKS, TO_NETWORKS, UPLINKS } from "./host_rules.ts";

/** A chain that drops the networks' packets, and the commands by which it lets them pass. */
export interface DroppingChain {
  readonly chain: string;
  readonly commands: readonly string[];
}

/** The chain that Docker leaves to its users. */
const DOCKER: { readonly table: NftTable; readonly name: string } = {
  table: { family: "ip", name: "filter" },
  name: "DOCKER-USER",
};
/** The rules `-i sandh+ -j ACCEPT` and `-o sandh+ -j ACCEPT` as iptables-nft writes them, so that it can list them. */
const RULES: readonly (readonly [option: string, rule: Rule])[] = [
  ["i", [...FROM_NETWORKS, end("accept")]],
  ["o", [...TO_NETWORKS, end("accept")]],
];

/** The chains that may drop what the networks' machines send or get. */
export async function droppingChains(netlink: Netlink): Promise<DroppingChain[]> {
  const found: DroppingChain[] = [];
  for (const family of ["ip", "inet"] as const) {
    const chains = await listChains(netlink, family);
    for (const chain of chains.filter(({ dropsForwarded }) => dropsForwarded)) {
      const user = isIptables(chain) ? chains.find(isDockers) : undefined;
      const missing: string[] = [];
      for (const [option, rule] of RULES) {
        const places = user ? [user, chain] : [chain];
        const there = await Promise.all(
          places.map(({ table, name }) => findRules(netlink, table, name, rule)),
        );
        if (!there.flat().length) missing.push(commandFor(user ?? chain, option));
      }
      if (missing.length) {
        found.push({ chain: `${chain.name} of table ${family} ${chain.table.name}`, commands: missing });
      }
    }
  }
  return found;
}

function commandFor(chain: ListedChain, option: string): string {
  if (isIptables(chain)) return `iptables -I ${chain.name} -${option} ${UPLINKS}+ -j ACCEPT`;
  const { table: { family, name } } = chain;
  return `nft insert rule ${family} ${name} ${chain.name} ${option}ifname '"${UPLINKS}*"' accept`;
}

function isIptables({ table: { family, name }, name: chain }: ListedChain): boolean {
  return family === "ip" && name === "filter" && ["FORWARD", DOCKER.name].includes(chain);
}

function isDockers({ table: { family, name }, name: chain }: ListedChain): boolean {
  return family === DOCKER.table.family && name === DOCKER.table.name && chain === DOCKER.name;
}

/** Has Docker's chain let the networks' packets pass, where there is such a chain. */
export async function allowInDocker(netlink: Netlink): Promise<void> {
  if (!(await listChains(netlink, "ip")).some(isDockers)) return;
  for (const [, rule] of RULES) {
    if ((await findRules(netlink, DOCKER.table, DOCKER.name, rule)).length) continue;
    // The chain may end with a rule that has the packet go on without it.
    await commit(netlink, [newRule(DOCKER.table, DOCKER.name, rule, "first")]);
  }
}

/** Takes away what {@link allowInDocker} has added. */
export async function forgetInDocker(netlink: Netlink): Promise<void> {
  if (!(await listChains(netlink, "ip")).some(isDockers)) return;
  for (const [, rule] of RULES) {
    const handles = await findRules(netlink, DOCKER.table, DOCKER.name, rule);
    await commit(netlink, handles.map((handle) => deleteRule(DOCKER.table, DOCKER.name, handle)));
  }
}
