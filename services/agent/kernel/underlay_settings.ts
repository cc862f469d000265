/** The kernel settings that all networks of a host share: the VTEP, and the agent's nf_tables tables. */
import type { Ip } from "../../common/ip.ts";
import type { BroadcastTables } from "./broadcast.ts";
import type { Containment } from "./containment.ts";
import type { EgressTables } from "./egress.ts";
import type { NftablesSockets } from "./nftables_sockets.ts";

/** The host's settings that a network's state depends on. */
export interface UnderlaySettings {
  /** The source address of the vxlan devices. */
  readonly vtep: Ip;
  /** False: checksums are computed in software. */
  readonly checksumOffload: boolean;
  readonly tables: NftablesSockets;
  readonly containment: Containment;
  readonly egress: EgressTables;
  readonly broadcast: BroadcastTables;
}
