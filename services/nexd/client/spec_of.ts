/** Writes networks and members as the documents of a spec that would make them, and as YAML text. */
import type { Held, Lease, Member, Network, Overlay } from "../../../proto/types.ts";
import { tryParseMac } from "../../common/mac.ts";

/** A network as a spec document that would create it. */
export function networkSpec(
  { Range4, Range6, macRange, leaseDuration, overlay, ...net }: Network,
): object {
  const spec = { ...net, range4: Range4, range6: Range6, macrange: macRange, leaseduration: leaseDuration };
  return { kind: "Network", ...withoutEmpty({ ...spec, overlay: overlaySpec(overlay) }) };
}

/** The options of an overlay that are set, off or on, and its id. */
export function overlaySpec(overlay: Overlay | null): object | undefined {
  return overlay
    ? Object.fromEntries(Object.entries(overlay).filter(([, value]) => value !== null && value !== ""))
    : undefined;
}

/**
 * The members of a network as a spec document, including what `apply` ignores: clients' own names, ends of leases,
 * and held addresses.
 */
export function memberSpec(net: string, members: readonly Member[], held: readonly Held[]): object {
  const address = (lease: Lease | null) =>
    lease?.address && {
      address: lease.address,
      ...(lease.expires && { expires: new Date(lease.expires.seconds * 1000).toISOString() }),
    };
  const list = members.map(({ mac, name, clientName, ip4, ip6, shared }) => {
    const other = clientName === name ? "" : clientName;
    return withoutEmpty({ mac, name, client_name: other, shared, ip4: address(ip4), ip6: address(ip6) });
  });
  const leases = held.map(({ mac, ip4 }) => ({ mac, ip4: address(ip4) }));
  return { kind: "MemberList", net, list, ...(held.length && { held: leases }) };
}

/** A value as YAML text, with its newline; readers of YAML 1.1 and 1.2 understand the same. */
export async function yamlText(value: unknown): Promise<string> {
  const { Document, visit } = await import("yaml");
  const document = new Document(value, { compat: "yaml-1.1" });
  visit(document, {
    Scalar(_, node) {
      if (typeof node.value !== "string") return;
      // YAML has escapes only between double quotes. A MAC of digits is a number in base 60 in YAML 1.1.
      if (/\p{Cc}/u.test(node.value) || tryParseMac(node.value)) node.type = "QUOTE_DOUBLE";
    },
  });
  return document.toString({ doubleQuotedAsJSON: true }).replace(/[\x7f-\x9f]/g, (c) => `\\x${hex(c)}`);
}

function hex(character: string): string {
  return character.charCodeAt(0).toString(16).padStart(2, "0");
}

function withoutEmpty(object: object): object {
  return Object.fromEntries(
    Object.entries(object).filter(([, value]) => Array.isArray(value) ? value.length > 0 : Boolean(value)),
  );
}
