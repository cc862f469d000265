/**
 * Identifies machine and process, so that records of an earlier process of this machine can be distinguished from
 * those of a running one.
 */
import { createHash } from "node:crypto";
import { readFileSync, readlinkSync } from "node:fs";
import process from "node:process";

export interface ProcessIdentity {
  /** A hash of the machine and its PID namespace, which reveals nothing else. */
  readonly host: string;
  readonly pid: number;
  /** For how many seconds the machine had been up. */
  readonly up: number;
}

/** A process identity as another version, or any etcd client, may have published it. */
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
 * True for another process that is known to have ended: it ran on this machine before its last boot, or no process has its
 * PID. The boot id is not used, since /proc/sys is hidden from services (ProcSubset=pid).
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
