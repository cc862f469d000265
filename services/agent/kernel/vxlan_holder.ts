/** Finds the vxlan device that has a UDP port or VNI which the agent needs, so that an error can name it. */
import { libc } from "../../../ffi/libc.ts";
import { Netlink } from "../../../ffi/netlink.ts";
import { type Link, listLinks, namespaceNumber } from "../../../ffi/netlink_links.ts";
import { home, homeIdentity, namespaceIdentity, openNamespace } from "../../../ffi/netns.ts";

/** Directories in which programs mount network namespaces: iproute2 and container runtimes, Docker. */
const DIRECTORIES = ["/run/netns", "/run/docker/netns"];
/** The most namespaces that are searched. */
const MOST = 1024;

export interface VxlanSearch {
  readonly port: number;
  /** Undefined: any VNI. */
  readonly vni?: number;
  /** The path of a namespace to leave out. */
  readonly except: string;
}

/**
 * Finds the device that has the port in this process's namespace, wherever the device itself is; undefined when it is
 * not found.
 * @returns a phrase such as `the interface vxlan.calico of this host`
 */
export async function findHolder(underlay: Netlink, sought: VxlanSearch): Promise<string | undefined> {
  const here = (await listLinks(underlay)).find((link) =>
    has(link, sought) && link.peerNamespace === undefined
  );
  if (here) return `the interface ${here.name} of this host`;
  const seen = new Set<string>([homeIdentity()]);
  try {
    const own = openNamespace(sought.except);
    seen.add(namespaceIdentity(own));
    libc.close(own);
  } catch {
    // The namespace is gone, so there is nothing to leave out.
  }
  for (const path of namespacePaths(sought.except)) {
    const found = seen.size > MOST ? undefined : await inNamespaceAt(path, sought, seen);
    if (found) return `the interface ${found.name} in the network namespace ${path}`;
  }
  return undefined;
}

function has({ vxlan }: Link, { port, vni }: VxlanSearch): boolean {
  return vxlan?.port === port && (vni === undefined || vxlan.vni === vni);
}

/** A namespace that cannot be opened, or is gone by now, counts as having no such device. */
async function inNamespaceAt(
  path: string,
  sought: VxlanSearch,
  seen: Set<string>,
): Promise<Link | undefined> {
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

/** Mounted namespaces come first, since their paths tell more than those of processes. */
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
