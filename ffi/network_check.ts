/** Checks whether this process may create network namespaces and links, and whether the kernel supports them. */
import { EOPNOTSUPP, EPERM, SystemError } from "./errno.ts";
import { libc } from "./libc.ts";
import { Netlink, type Request } from "./netlink.ts";
import { newBridge, newVeth, newVxlan } from "./netlink_link.ts";
import { createNamespace } from "./netns.ts";

const local = Uint8Array.of(127, 0, 0, 1);
/** One link of each kind, by the kernel module that it needs. */
const kinds: Readonly<Record<string, Request>> = {
  bridge: newBridge({ name: "try0" }),
  veth: newVeth({ name: "try1" }, { name: "try2" }),
  vxlan: newVxlan({ name: "try3", vni: 1, port: 4789, local }),
};

/**
 * Tries, in a temporary namespace, whether this process may create namespaces and links and the kernel supports all
 * kinds.
 *
 * @param trials A request for each kernel module.
 * @returns a sentence that says what is missing and what to do; undefined when nothing is
 */
export async function missingForLinks(trials = kinds): Promise<string | undefined> {
  let namespace;
  try {
    namespace = createNamespace();
  } catch (error) {
    if (!(error instanceof SystemError && error.errno === EPERM)) throw error;
    return "this process may not make network namespaces: run it as root, or with the capability CAP_SYS_ADMIN";
  }
  try {
    using netlink = new Netlink(namespace);
    for (const [module, request] of Object.entries(trials)) {
      try {
        await netlink.run(request);
      } catch (error) {
        if (!(error instanceof SystemError)) throw error;
        if (error.errno === EPERM) {
          return "this process may not change network links: run it as root, or with the capability CAP_NET_ADMIN";
        }
        if (error.errno !== EOPNOTSUPP) throw error;
        return `this kernel has no ${module} links: load its module (modprobe ${module}), or use a kernel that has it`;
      }
    }
    return undefined;
  } finally {
    libc.close(namespace);
  }
}
