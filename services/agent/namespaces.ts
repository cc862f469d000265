import { reasonOf, Refusal } from "../common/refusal.ts";

const V4_UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/**
 * The ids of the networks that have a namespace bound at NETNS_PATH/NETNS_PREFIX and their id. What only begins alike
 * belongs to others: one machine may have several agents. The directory is made when there is none.
 */
export function networksIn({ netnsPath, netnsPrefix }: {
  readonly netnsPath: string;
  readonly netnsPrefix: string;
}): string[] {
  try {
    Deno.mkdirSync(netnsPath, { recursive: true, mode: 0o755 });
    return [...Deno.readDirSync(netnsPath)].flatMap(({ name }) => {
      const id = name.startsWith(netnsPrefix) ? name.slice(netnsPrefix.length) : "";
      return V4_UUID.test(id) ? [id] : [];
    });
  } catch (error) {
    const message = `NETNS_PATH: ${netnsPath} cannot be used: ${reasonOf(error)}`;
    throw new Refusal("invalid", message, { cause: error });
  }
}
