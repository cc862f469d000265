/** The type of a change in one overlay network, as the view tells it to subscribers. */
import type { OverlayEndpoint } from "./overlay_endpoint.ts";

/** The changes of one network in a batch. */
export interface NetworkChange {
  readonly kinds: Set<"network" | "hosts" | "applied" | "deleted" | "names" | "held">;
  readonly endpoints: EndpointChange[];
  /** The labels that changed reservations had and have. */
  readonly labels: Set<string>;
  /** The newest revision of the network's endpoints among them, and of those that hosts publish as applied; 0: none. */
  revision: number;
}

/** The change of one endpoint. */
export interface EndpointChange {
  readonly before: OverlayEndpoint | undefined;
  readonly after: OverlayEndpoint | undefined;
}
