/** The clients for which this dashboard changes machines just now: its history names them beside the service that writes. */

/** How long after the request an event of the machine is taken for its outcome, in ms. */
const LASTS = 5000;

/** The clients by the machines whose changes they have asked for. */
export class Writers {
  readonly #asked = new Map<string, { readonly by: string; readonly until: number }>();

  constructor(private readonly clock: () => number = () => performance.now()) {}

  /** A change of a machine, by its MAC or its endpoint's id, is asked for by a client. */
  ask(machine: string, by: string): void {
    const now = this.clock();
    for (const [one, { until }] of this.#asked) if (until < now) this.#asked.delete(one);
    this.#asked.set(machine.toLowerCase(), { by, until: now + LASTS });
  }

  /** The client that has asked for a change of one of these; undefined: none has, or it was long ago. */
  of(machines: readonly string[]): string | undefined {
    for (const machine of machines) {
      const asked = this.#asked.get(machine);
      if (asked && asked.until >= this.clock()) return asked.by;
    }
    return undefined;
  }
}
