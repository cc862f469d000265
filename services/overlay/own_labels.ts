/** Labels of a network's domain that its gateway answers for itself. No machine can have one of them. */
import { Refusal } from "../common/refusal.ts";

/** The label of the gateway's own address. */
export const GATEWAY_LABEL = "gateway";

/** The label of the zone's name server, which is the gateway too. */
const NAME_SERVER_LABEL = "ns";

/** True for a label that the gateway answers for itself. */
export function isOwnLabel(label: string): boolean {
  return label === GATEWAY_LABEL || label === NAME_SERVER_LABEL;
}

/** Throws Refusal "exists" for such a label. @param field The field that has it, like `name` */
export function refuseOwnLabel(label: string, field: string, network: string): void {
  if (!isOwnLabel(label)) return;
  throw new Refusal(
    "exists",
    `${field}: ${label} of network ${network} is the name of its gateway: take another one`,
  );
}
