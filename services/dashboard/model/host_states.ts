/** The state of each host in a network, packed: of all networks together there may be as many as endpoints. */
import { Shared } from "../../common/shared.ts";
import { addHosts, type HostState, noHostState, type Reports } from "../../overlay_names/attached.ts";
import type { Space } from "../../overlay/space.ts";

const texts = new Shared<string>();
/** How many numbers a state has. */
const EACH = 5;

/** The states of the hosts of one network, in the order in which they are listed. */
export class HostStates {
  readonly #hosts: readonly string[];
  readonly #vteps: readonly string[];
  readonly #numbers: Float64Array;

  /** @param space The contents of the network. */
  constructor(space: Space) {
    const states = new Map<string, HostState>();
    addHosts(space, (host) => {
      let state = states.get(host);
      if (!state) states.set(host, state = noHostState());
      return state;
    });
    this.#hosts = [...states.keys()];
    this.#vteps = Array.from(states.values(), ({ vtep }) => texts.get(vtep, () => vtep));
    this.#numbers = Float64Array.from(
      [...states.values()].flatMap(({ networks, endpoints, applied, behind, silent }) => [
        ...[networks, endpoints, applied, behind],
        Number(silent),
      ]),
    );
  }

  /** The hosts that have the network, or endpoints in it. */
  get hosts(): readonly string[] {
    return this.#hosts;
  }

  /** Undefined for another host. */
  get(host: string): HostState | undefined {
    const i = this.#hosts.indexOf(host);
    return i < 0 ? undefined : this.#at(i);
  }

  *[Symbol.iterator](): Generator<[host: string, state: HostState]> {
    for (let i = 0; i < this.#hosts.length; i++) yield [this.#hosts[i] ?? "", this.#at(i)];
  }

  /** Adds the states to those that other networks say. */
  addTo(of: (host: string) => HostState): void {
    const numbers = this.#numbers;
    for (let i = 0, at = 0; i < this.#hosts.length; i++, at += EACH) {
      const state = of(this.#hosts[i] ?? "");
      state.vtep ||= this.#vteps[i] ?? "";
      state.networks += numbers[at] ?? 0;
      state.endpoints += numbers[at + 1] ?? 0;
      state.applied = Math.max(state.applied, numbers[at + 2] ?? 0);
      state.behind += numbers[at + 3] ?? 0;
      state.silent ||= numbers[at + 4] === 1;
    }
  }

  /** The revision that each host says to have applied, see {@link Reports}. */
  reports(): Reports {
    const reports = new Map<string, number | undefined>();
    for (const [host, { networks, endpoints, silent, applied }] of this) {
      if (networks && endpoints) reports.set(host, silent ? undefined : applied);
    }
    return reports;
  }

  #at(i: number): HostState {
    const number = (at: number) => this.#numbers[EACH * i + at] ?? 0;
    return {
      vtep: this.#vteps[i] ?? "",
      networks: number(0),
      endpoints: number(1),
      applied: number(2),
      behind: number(3),
      silent: number(4) === 1,
    };
  }
}
