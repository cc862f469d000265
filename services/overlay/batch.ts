/** Gathers the writes of several endpoints into few etcd transactions. */
import type { Plan } from "../store/types.ts";
import type { Claims } from "./claims.ts";
import type { Step } from "./step.ts";

/** An endpoint takes two keys, Docker's three; a step may also have claims, the network's guard, and the host's two keys. */
const ROOM = 8;

/** Gathers endpoints into as few transactions as etcd's limit allows, each with the claims as they are by then. */
export class Batch {
  readonly #plans: Plan[] = [];
  #step: Step | undefined;

  constructor(private readonly begin: () => Step, private readonly claims: Claims | undefined) {}

  /** Adds one endpoint. What it claims or gives back is in the claims by now. */
  next(add: (step: Step) => void): void {
    const step = this.#step ??= this.begin();
    add(step);
    if (step.room < ROOM) this.#close(step);
  }

  plans(): Plan[] {
    if (this.#step) this.#close(this.#step);
    return this.#plans;
  }

  #close(step: Step): void {
    this.claims?.writeTo(step);
    this.#plans.push(step.plan());
    this.#step = undefined;
  }
}
