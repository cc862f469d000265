/** Packs the writes of several endpoints into few etcd transactions. */
import type { PlanBuilder } from "../store/plan_builder.ts";
import type { Plan } from "../store/types.ts";
import type { Claims } from "./claims.ts";

/** An endpoint takes two keys, Docker's three; a plan may also hold claims, the network's guard and the host's two keys. */
const ROOM = 9;

/** Packs endpoints into as few plans as etcd's limit on a transaction allows; each plan also writes the claims made so far. */
export class PlanBatch {
  readonly #plans: Plan[] = [];
  #builder: PlanBuilder | undefined;

  constructor(private readonly begin: () => PlanBuilder, private readonly claims: Claims | undefined) {}

  /** Adds one endpoint; its claims and releases are in the claims already. */
  next(add: (builder: PlanBuilder) => void): void {
    const builder = this.#builder ??= this.begin();
    add(builder);
    if (builder.room < ROOM) this.#close(builder);
  }

  plans(): Plan[] {
    if (this.#builder) this.#close(this.#builder);
    return this.#plans;
  }

  #close(builder: PlanBuilder): void {
    this.claims?.writeTo(builder);
    this.#plans.push(builder.plan());
    this.#builder = undefined;
  }
}
