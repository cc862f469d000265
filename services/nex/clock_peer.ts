/** What a process knows of another one's clock. */
import { hasEnded, type MaybeProcess } from "../common/machine.ts";
import { APART_MS } from "./clock_verdict.ts";

/** How often a process of an earlier version publishes its time, in ms: it does not say so. */
export const EVERY = 5_000;
/** How long a process's time outlives it, in seconds. */
export const TTL = 10;
/** So many of the last times of each other process count. */
const SAMPLES = 3;

export interface Peer {
  /** By how much its clock was ahead, at least: its last times, in ms. */
  readonly ahead: number[];
  /** By how much it has seen this process's clock ahead, in ms. */
  behind: number;
  /** Of the last time that it has published. */
  revision: number;
  /** The next one follows after so many ms at the latest. */
  every: number;
  process: MaybeProcess;
}

/** Takes in by how much its clock was ahead, in ms, when a time of it came. */
export function take({ ahead: samples }: Peer, ahead: number): void {
  samples.push(ahead);
  if (samples.length > SAMPLES) samples.shift();
}

/** By how much its clock is ahead at least. */
export function seen({ ahead }: Peer): number {
  return ahead.length ? Math.max(...ahead) : 0;
}

/**
 * Whether enough was heard of it to judge by. A time that it had published before this process came, at revision `first`,
 * may be as old as the next one may be late, and the process's end: one that is near enough for that says enough.
 */
export function isHeard(peer: Peer, first: number): boolean {
  const near = (every: number) => APART_MS - every - TTL * 1000;
  return peer.revision > first || Math.abs(seen(peer)) <= near(peer.every) ||
    // An ended process's time, for instance from before the machine's last boot, may be old, but not ahead.
    seen(peer) <= near(EVERY) && hasEnded(peer.process);
}
