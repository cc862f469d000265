/** Which machine and process this is, so that what an earlier process of this machine left can be told from what a live one says. */
import { createHash } from "node:crypto";
import { readFileSync, readlinkSync } from "node:fs";
import process from "node:process";

export interface ProcessIdentity {
  /** Of the machine and its PID namespace: a hash, so that it tells nothing else. */
  readonly host: string;
  readonly pid: number;
  /** For how many seconds the machine had been up. */
  readonly up: number;
}

/** As an older version, or anything else, may have published it. */
export type MaybeProcess = { readonly [K in keyof ProcessIdentity]?: ProcessIdentity[K] | undefined };

let host: string | undefined;

/** This process, now. */
export function thisProcess(): ProcessIdentity {
  host ??= createHash("sha256")
    .update([Deno.hostname(), readOr("/etc/machine-id"), namespaceOfPids()].join("\n"))
    .digest("hex").slice(0, 16);
  return { host, pid: Deno.pid, up: Math.floor(Deno.osUptime()) };
}

/**
 * Whether another process is known to have ended: it ran on this machine before its last boot, or no process
 * has its PID. Without the boot's id, since /proc/sys is hidden from services (ProcSubset=pid).
 */
export function hasEnded({ host, pid, up }: MaybeProcess): boolean {
  const own = thisProcess();
  if (host !== own.host || pid === undefined || up === undefined) return false;
  return up > own.up || !isRunning(pid);
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as { code?: string }).code !== "ESRCH";
  }
}

function readOr(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function namespaceOfPids(): string {
  try {
    return readlinkSync("/proc/self/ns/pid");
  } catch {
    return "";
  }
}
