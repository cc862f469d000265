/** The CNI plugin's error codes, and the error class that carries one to the runtime. */
import { printable } from "../../services/common/refusal.ts";

/** Error codes: below 100 those of the CNI specification, section "Error", from 100 on ours. */
export const codes = {
  incompatibleVersion: 1,
  unsupportedField: 2,
  unknownContainer: 3,
  environment: 4,
  io: 5,
  decode: 6,
  config: 7,
  tryLater: 11,
  /** STATUS: nothing can be added. */
  notAvailable: 50,
  /** STATUS: the same, and existing containers may not reach all of their network. */
  limitedConnectivity: 51,
  /** The interface, its address or its MAC is taken. */
  exists: 100,
  /** The network has no address left. */
  exhausted: 101,
  /** The request is valid, but the state in etcd rules it out. */
  forbidden: 102,
  /** CHECK: it differs from the result of its ADD. */
  differs: 103,
  /** A defect of the agent or of this program. */
  fault: 110,
} as const;

export type Code = typeof codes[keyof typeof codes];

/** The error that a plugin reports. */
export class CniError extends Error {
  override readonly name = "CniError";
  constructor(readonly code: Code, message: string, readonly details = "", options?: ErrorOptions) {
    super(printable(message), options);
  }
}
