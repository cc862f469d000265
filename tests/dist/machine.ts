/** A machine to unpack Strand on: this one's programs and libraries, read-only, without a network, Node or Deno. */
import { etcdBinary } from "../../services/store/etcd_process.ts";

/** The folder that Strand was unpacked into, on that machine. */
export const PLACE = "/opt/strand";

/**
 * The command line that runs a shell script there, as root; `folder` is what was unpacked. What is compiled there is kept
 * in `cache`, a directory of this machine, for the next script; without one it is gone with the machine.
 */
export async function onMachine(folder: string, script: string, cache?: string): Promise<string[]> {
  const hidden = ["node", "nodejs", "deno"].flatMap((name) => realPath(`/usr/bin/${name}`));
  return [
    "bwrap",
    ...["--unshare-net", "--unshare-pid", "--unshare-ipc", "--cap-add", "ALL", "--die-with-parent"],
    ...["--ro-bind", "/usr", "/usr", "--tmpfs", "/usr/local"],
    ...[...new Set(hidden)].flatMap((path) => ["--ro-bind", "/dev/null", path]),
    ...["bin", "sbin", "lib", "lib64"].flatMap((name) => ["--symlink", `usr/${name}`, `/${name}`]),
    ...["passwd", "group", "hosts", "ssl", "alternatives"].flatMap((name) => [
      "--ro-bind",
      `/etc/${name}`,
      `/etc/${name}`,
    ]),
    ...["--proc", "/proc", "--dev", "/dev", "--ro-bind", "/sys", "/sys"],
    ...["/run", "/tmp", "/var", "/root", "/opt"].flatMap((path) => ["--tmpfs", path]),
    ...cache === undefined ? [] : ["--bind", cache, "/var/cache"],
    ...["--ro-bind", await etcdBinary(), "/opt/etcd/etcd", "--ro-bind", folder, PLACE],
    ...["--clearenv", "--setenv", "PATH", "/opt/etcd:/usr/bin:/usr/sbin", "--chdir", "/"],
    ...["sh", "-euc", script],
  ];
}

/** What bwrap can put something over: not a link. */
function realPath(path: string): string[] {
  try {
    return [Deno.realPathSync(path)];
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}
