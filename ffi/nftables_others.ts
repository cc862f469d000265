/** Lists the nf_tables chains of other programs, iptables-nft's among them, and finds and deletes single rules there. */
import type { Netlink, Request } from "./netlink.ts";
import { readAttributes, readList, readNested, readOctets, readText, text } from "./netlink_message.ts";
import {
  encode,
  FAMILIES,
  GETCHAIN,
  GETRULE,
  hasAll,
  HOOKS,
  NFGENMSG,
  type NftTable,
} from "./netlink_nftables.ts";
import { NF_DROP, type Rule } from "./nftables_expressions.ts";

const DELRULE = 8;

/** A chain as listed. */
export interface ListedChain {
  readonly table: NftTable;
  readonly name: string;
  /** True: forwarded packets pass it by themselves, and those that no rule decides are dropped. */
  readonly dropsForwarded: boolean;
}

/** Lists the chains of a family. */
export function listChains(netlink: Netlink, family: NftTable["family"]): Promise<ListedChain[]> {
  const message = encode({ family }, GETCHAIN, 0, []);
  return netlink.dump("list the chains", message, () => [] as ListedChain[], (chains, view, from, to) => {
    if (view.getUint8(from) !== FAMILIES[family]) return;
    const found = readAttributes(view, from + NFGENMSG, to), hook = readNested(found.get(4)).get(1);
    const dropsForwarded = hook?.getUint32(0) === HOOKS.forward && found.get(5)?.getUint32(0) === NF_DROP;
    const table = { family, name: readText(found.get(1)) };
    chains.push({ table, name: readText(found.get(3)), dropsForwarded });
  });
}

/** The handles of the rules of a chain that are this one, with or without a counter. */
export function findRules(
  netlink: Netlink,
  table: NftTable,
  chain: string,
  rule: Rule,
): Promise<Uint8Array[]> {
  const message = encode(table, GETRULE, 0, [[1, text(table.name)], [2, text(chain)]]);
  const what = `list the rules of ${chain}`;
  return netlink.dump(what, message, () => [] as Uint8Array[], (handles, view, from, to) => {
    const found = readAttributes(view, from + NFGENMSG, to);
    const expressions = readList(found.get(4)).map((expression) => readNested(expression))
      .filter((expression) => readText(expression.get(1)) !== "counter");
    const isSame = expressions.length === rule.length && rule.every(([name, attributes], i) => {
      const expression = expressions[i];
      return expression && readText(expression.get(1)) === name &&
        hasAll(readNested(expression.get(2)), attributes);
    });
    if (isSame) handles.push(readOctets(found.get(3)));
  });
}

/** Removes a rule by a handle of {@link findRules}. */
export function deleteRule(table: NftTable, chain: string, handle: Uint8Array): Request {
  const attributes = [[1, text(table.name)], [2, text(chain)], [3, handle]] as const;
  return { what: `delete a rule of ${chain}`, message: encode(table, DELRULE, 0, attributes) };
}
