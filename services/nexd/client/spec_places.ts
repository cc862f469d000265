/** The places in spec files of what a server refuses. */
import type { MemberList, MessageInput, Network, RefusedObject } from "../../../proto/types.ts";
import { tryParseMac } from "../../common/mac.ts";
import { Refusal, type RefusalCode } from "../../common/refusal.ts";
import { at, placeOf, refused, type Value } from "./spec_values.ts";

interface Objects {
  readonly networks: readonly MessageInput<Network>[];
  readonly members: readonly MessageInput<MemberList>[];
}

const codes: ReadonlySet<string> = new Set<RefusalCode>(["not-found", "exists", "forbidden", "exhausted"]);

/** A server's refusal with file, document, line and field; without these where the spec has no such object. */
export function placedRefusal(spec: Objects, { reason, code, field, ...object }: RefusedObject): Refusal {
  const why = codes.has(code) ? code as RefusalCode : "invalid", value = objectIn(spec, object);
  if (!value) return new Refusal(why, reason);
  const inner = field || (object.kind === "MemberList" ? "net" : ""), path = inner.match(/\w+/g) ?? [];
  const there = at(value, ...path.map((step) => /^\d+$/.test(step) ? Number(step) : step));
  return refused(there, reason, { code: why, about: [value.field, inner].filter(Boolean).join(".") });
}

function objectIn(
  spec: Objects,
  { kind, net, mac }: Pick<RefusedObject, "kind" | "net" | "mac">,
): Value | undefined {
  if (kind === "Network") {
    const network = spec.networks.find(({ name }) => name === net);
    return network && placeOf(network);
  }
  const lists = spec.members.filter((list) => list.net === net), wanted = tryParseMac(mac);
  const member = lists.flatMap(({ list }) => list ?? []).find((one) =>
    wanted !== undefined && tryParseMac(one.mac ?? "") === wanted
  );
  const found = member ?? lists[0];
  return found && placeOf(found);
}
