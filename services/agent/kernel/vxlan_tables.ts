/** Changes the ARP and FDB entries of a network's vxlan0. */
import { SystemError } from "../../../ffi/errno.ts";
import {
  addFloods,
  deleteMacs,
  deleteNeighbours,
  forgetLearned,
  type Neighbours,
  type NeighTable,
  setBoth,
} from "../../../ffi/netlink_neigh.ts";
import type { NetlinkFailure } from "../../../ffi/netlink_replies.ts";
import { Ip } from "../../common/ip.ts";
import { macFromBytes } from "../../common/mac.ts";
import { VXLAN } from "../../overlay/state.ts";
import type { NetworkNamespace } from "./network_namespace.ts";
import { addressesOnly, arpEntries, fdbEntries, macsOnly } from "./tables.ts";

const NONE: ReadonlyMap<number, number> = new Map();

/** Each call throws SystemError for the first of the entries that the kernel refuses; all others are changed. */
export class VxlanTables {
  readonly #namespace: NetworkNamespace;
  readonly #irreplaceable: ReadonlySet<number>;

  /** @param irreplaceable MACs whose entry must be deleted before another one is set; see {@link Fdb.irreplaceable}. */
  constructor(namespace: NetworkNamespace, irreplaceable: ReadonlySet<number>) {
    this.#namespace = namespace;
    this.#irreplaceable = irreplaceable;
  }

  /** Sets entries, MAC → VTEP and address → MAC. */
  async set(
    macs: ReadonlyMap<number, number> = NONE,
    addresses: ReadonlyMap<number, number> = NONE,
  ): Promise<void> {
    const blocked = new Set([...this.#irreplaceable].filter((mac) => macs.has(mac)));
    if (blocked.size) await this.removeMacs(blocked);
    const fdb = fdbEntries(macs), arp = arpEntries(addresses), { netlink } = this.#namespace;
    const failures = await setBoth(netlink, this.#index, { fdb, arp });
    check("fdb", failures.fdb, fdb);
    check("arp", failures.arp, arp);
  }

  async removeAddresses(addresses: ReadonlySet<number>): Promise<void> {
    const { netlink } = this.#namespace, gone = addressesOnly(addresses);
    check("arp", await deleteNeighbours(netlink, "arp", this.#index, gone));
  }

  async removeMacs(macs: ReadonlySet<number>): Promise<void> {
    const { netlink } = this.#namespace, index = this.#index, gone = macsOnly(macs);
    // The bridge does not send a frame out of the port behind which it has learned the destination, so what it has
    // learned of an endpoint that moved here is deleted.
    check("fdb", await forgetLearned(netlink, index, gone));
    check("fdb", await deleteMacs(netlink, index, gone));
  }

  /** Has the bridge forget what it has learned behind a port; does nothing without that port. */
  async forget(port: string, macs: ReadonlySet<number>): Promise<void> {
    const { netlink } = this.#namespace, index = netlink.index(port);
    if (index) check("fdb", await forgetLearned(netlink, index, macsOnly(macs)));
  }

  /** Adds VTEPs of the all-zero MAC. */
  async flood(vteps: ReadonlySet<number>): Promise<void> {
    check("fdb", await addFloods(this.#namespace.netlink, this.#index, addressesOnly(vteps)));
  }

  get #index(): number {
    return this.#namespace.index(VXLAN);
  }
}

function check(table: NeighTable, failures: readonly NetlinkFailure[], entries?: Neighbours): void {
  const [first] = failures;
  if (!first) return;
  const { index, errno, detail } = first;
  const which = entries &&
    ` ${new Ip(4, entries.addresses.slice(index * 4, index * 4 + 4))} ${
      macFromBytes(entries.macs, index * 6)
    }`;
  const more = failures.length > 1 ? ` and ${failures.length - 1} more` : "";
  throw new SystemError(`change the ${table} of ${VXLAN}:${which ?? ""}${more}`, errno, detail);
}
