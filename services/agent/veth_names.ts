import { macFromBytes, randomMacBytes } from "../common/mac.ts";
import { vethName } from "../overlay/create_endpoints.ts";

/** Names of veths that are about to be made: nobody else is given them meanwhile. */
export class VethNames {
  readonly #reserved = new Set<string>();

  /** A name that is free, reserved until it is let go. */
  choose(taken: (name: string) => boolean): string {
    const used = { has: (name: string) => taken(name) || this.#reserved.has(name) };
    const name = vethName(used, (n) => crypto.getRandomValues(new Uint32Array(1))[0]! % n);
    this.#reserved.add(name);
    return name;
  }

  letGo(names: readonly string[]): void {
    for (const name of names) this.#reserved.delete(name);
  }
}

/** A MAC of no vendor's, in stored form. */
export function randomMac(): string {
  return macFromBytes(randomMacBytes());
}
