/** Chooses random names for veths and random MACs for endpoints. */
import { macFromBytes, randomMacBytes } from "../../common/mac.ts";
import { vethName } from "../../overlay/create_endpoints.ts";

/** Reserves names of veths until they are made, so that two requests do not choose the same one. */
export class VethNames {
  readonly #reserved = new Set<string>();

  /** Returns a free name, reserved until it is released. */
  choose(taken: (name: string) => boolean): string {
    const used = { has: (name: string) => taken(name) || this.#reserved.has(name) };
    const name = vethName(used, (n) => crypto.getRandomValues(new Uint32Array(1))[0]! % n);
    this.#reserved.add(name);
    return name;
  }

  release(names: readonly string[]): void {
    for (const name of names) this.#reserved.delete(name);
  }
}

/** A random locally administered MAC, in stored form. */
export function randomMac(): string {
  return macFromBytes(randomMacBytes());
}
