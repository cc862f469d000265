/** The address spaces from which leases are given: the one that all of Nex's networks share, or one for each overlay network. */
import type { LeaseSpace } from "../nex/lease_space.ts";
import type { NexView } from "../nex/view.ts";
import { Offers } from "./offers.ts";

/** A client that has a new record, by its network's name and its MAC. */
export interface Recorded {
  readonly net: string;
  readonly mac: string;
  /** The addresses that are offered in its space. */
  readonly offers: Offers;
}

/** `From` is the link that a message came from. */
export interface AddressSpaces<From> {
  /** The address space of a link, as the view of the mirror shows it now, and what is offered in it. */
  of(from: From): { readonly space: LeaseSpace; readonly offers: Offers };
  /** True while a record cannot be read that may hold any address of the space. */
  isUnreadable(from: From): boolean;
  /** Calls back with the clients whose records have changed. Returns the function that stops it. */
  subscribe(listener: (clients: readonly Recorded[]) => void): () => void;
}

/** The one space that all links share. */
export function oneSpace(view: NexView): AddressSpaces<unknown> {
  const offers = new Offers(), one = { space: view, offers };
  return {
    of: () => one,
    isUnreadable: () => view.unreadable.foreign !== undefined,
    subscribe: (listener) =>
      view.subscribe(({ members }) =>
        listener(
          members.flatMap(({ after }) => after ? [{ net: after.net ?? "", mac: after.mac, offers }] : []),
        )
      ),
  };
}
