/**
 * Describes problems in a store's contents, a sentence each: those of a store that was taken over, or that other
 * programs write to.
 */
import { keyOf } from "../store/keys.ts";
import type { NexView } from "./view.ts";

/** Contents that a store which was taken over may have, and that Strand itself would not write. */
export function problems(view: NexView): string[] {
  const networks = [...view.networks()];
  const lost = [...view.members()].filter((m) => !view.networkOf(m) && !view.deleted.has(m.net ?? ""));
  const orphans = lost.length
    ? [
      `${lost.length} members are in no network that exists and are not served; the first: ${lost[0]?.mac}`,
    ]
    : [];
  return orphans.concat(
    invalidDeletionMarks(view),
    [...view.members()].flatMap(({ mac, name, record }) => {
      const stored = record.name || record.hostname;
      return stored && name === undefined
        ? `the name ${JSON.stringify(stored)} of member ${mac} holds a slash and is not served; ` +
          "change it with: nex set member name"
        : [];
    }),
    networks.flatMap((a, i) =>
      networks.slice(i + 1).flatMap((b) =>
        a.subnet4 && b.subnet4?.overlaps(a.subnet4)
          ? `networks ${a.name} (${a.subnet4}) and ${b.name} (${b.subnet4}) overlap; the narrower one answers for an address`
          : []
      )
    ),
  );
}

/** Marks of deletions that have no effect, since no deletion can have set them. */
export function invalidDeletionMarks(view: NexView): string[] {
  return [...view.deleted.keys()].filter((name) => isForgedMark(view, name)).map((name) =>
    `the record ${
      keyOf.deletedNetwork(name)
    } in etcd says that network ${name} was deleted, which is there and older: nothing of it is removed`
  );
}

/** True for a mark of a deletion that is younger than the existing network, see planDeletedNetwork(). */
export function isForgedMark(view: NexView, name: string): boolean {
  const mark = view.entry(keyOf.deletedNetwork(name)), living = view.entry(keyOf.network(name));
  return mark !== undefined && living !== undefined && mark.createRevision > living.createRevision;
}
