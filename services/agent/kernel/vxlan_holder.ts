/** Whose vxlan device has a port or VNI that another one was to have: for the message, so that it can be removed. */
import { libc } from "../../../ffi/libc.ts";
import { Netlink } from "../../../ffi/netlink.ts";
import { type Link, listLinks, namespaceNumber } from "../../../ffi/netlink_links.ts";
import { home, homeIdentity, namespaceIdentity, openNamespace } from "../../../ffi/netns.ts";

/** Where programs bind network namespaces: iproute2 and container runtimes, Docker. */
const DIRECTORIES = ["/run/netns", "/run/docker/netns"];
/** So many namespaces are looked into at most. */
const MOST = 1024;

export interface Sought {
  readonly port: number;
  /** Undefined: any. */
  readonly vni?: number;
  /** The path of a namespace whose devices are not meant. */
  readonly except: string;
}

/**
 * The device that has the port in this process's namespace, wherever it is itself; undefined when it is not found.
 * @returns like `the interface vxlan.calico of this host`
 */
export async function findHolder(underlay: Netlink, sought: Sought): Promise<string | undefined> {
  const here = (await listLinks(underlay)).find((link) =>
    has(link, sought) && link.peerNamespace === undefined
  );
  if (here) return `the interface ${here.name} of this host`;
  const seen = new Set<string>([homeIdentity]);
  try {
    const own = openNamespace(sought.except);
    seen.add(namespaceIdentity(own));
    libc.close(own);
  } catch {
    // It may be gone by now: nothing to leave out.
  }
  for (const path of namespacePaths(sought.except)) {
    const found = seen.size > MOST ? undefined : await inNamespaceAt(path, sought, seen);
    if (found) return `the interface ${found.name} in the network namespace ${path}`;
  }
  return undefined;
}

function has({ vxlan }: Link, { port, vni }: Sought): boolean {
  return vxlan?.port === port && (vni === undefined || vxlan.vni === vni);
}

/** One that cannot be looked into, or has gone meanwhile, tells nothing. */
async function inNamespaceAt(path: string, sought: Sought, seen: Set<string>): Promise<Link | undefined> {
  let namespace: number;
  try {
    namespace = openNamespace(path);
  } catch {
    return undefined;
  }
  try {
    const identity = namespaceIdentity(namespace);
    if (seen.has(identity)) return undefined;
    seen.add(identity);
    using netlink = new Netlink(namespace);
    const number = await namespaceNumber(netlink, home);
    if (number === undefined) return undefined;
    return (await listLinks(netlink)).find((link) => has(link, sought) && link.peerNamespace === number);
  } catch {
    return undefined;
  } finally {
    libc.close(namespace);
  }
}

/** Of bound namespaces first, whose paths say more than a process's. */
function* namespacePaths(own: string): Generator<string> {
  const folders = new Set([own.slice(0, own.lastIndexOf("/")), ...DIRECTORIES]);
  for (const folder of folders) for (const name of names(folder)) yield `${folder}/${name}`;
  for (const pid of names("/proc")) if (/^\d+$/.test(pid)) yield `/proc/${pid}/ns/net`;
}

function names(folder: string): string[] {
  try {
    return [...Deno.readDirSync(folder)].map(({ name }) => name);
  } catch {
    return [];
  }
}
