/** Sets kernel settings (sysctl(8)) of this network namespace. */
import { checked } from "./errno.ts";
import { libc } from "./libc.ts";

const O_WRONLY = 1, O_CLOEXEC = 0x80000;
/** System calls have these numbers on every architecture (fsopen(2), fsconfig(2), fsmount(2)). */
const SYS_FSOPEN = 430n, SYS_FSCONFIG = 431n, SYS_FSMOUNT = 432n;
const FSOPEN_CLOEXEC = 1, FSCONFIG_CMD_CREATE = 6, FSMOUNT_CLOEXEC = 1;

/**
 * Sets one of the kernel's settings (sysctl(8)) of this process's network namespace, like `net/ipv4/ip_forward`. In a
 * container, where /proc/sys is read-only, it is set through a procfs of its own, mounted nowhere.
 *
 * @returns false when the kernel has no such setting
 * @throws Error when it may not be changed
 */
export function setSysctl(name: string, value: string): boolean {
  const path = `/proc/sys/${name}`;
  try {
    if (Deno.readTextFileSync(path).trim() !== value) write(path, name, value);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

function write(path: string, name: string, value: string): void {
  try {
    Deno.writeTextFileSync(path, value, { create: false });
  } catch (error) {
    // EROFS has no class of its own everywhere.
    if (!(error instanceof Error) || !/read-only/i.test(error.message)) throw error;
    writeThroughOwn(name, value);
  }
}

function writeThroughOwn(name: string, value: string): void {
  const text = (text: string) => new TextEncoder().encode(`${text}\0`);
  const what = `set ${name}: /proc/sys is read-only, and mounting another`;
  const opened: number[] = [];
  const open = (result: number | bigint) => {
    const fd = checked(Number(result), what);
    opened.push(fd);
    return fd;
  };
  try {
    const context = open(libc.fsopen(SYS_FSOPEN, text("proc"), FSOPEN_CLOEXEC));
    checked(Number(libc.fsconfig(SYS_FSCONFIG, context, FSCONFIG_CMD_CREATE, null, null, 0)), what);
    const mounted = open(libc.fsmount(SYS_FSMOUNT, context, FSMOUNT_CLOEXEC, 0));
    const file = open(libc.openat(mounted, text(`sys/${name}`), O_WRONLY | O_CLOEXEC, 0));
    const octets = new TextEncoder().encode(value);
    checked(libc.write(file, octets, octets.length), `set ${name}`);
  } finally {
    for (const fd of opened) libc.close(fd);
  }
}
