/** Another process's clock, as this process knows it from the times that the other publishes. */
import { hasEnded, type MaybeProcess } from "../common/machine.ts";
import { APART_MS } from "./clock_verdict.ts";

/** How often a process of an earlier version publishes its time, in ms: its record does not contain that. */
export const EVERY = 5_000;
/** For how long a process's time stays in etcd after it has ended, in seconds. */
export const TTL = 10;
/** The number of last times of each other process that count. */
const SAMPLES = 3;

export interface ClockPeer {
  /** The least milliseconds by which its clock was ahead, at each of its last times. */
  readonly ahead: number[];
  /** The milliseconds by which it has seen this process's clock ahead. */
  behind: number;
  /** etcd's revision of the last time that it has published. */
  revision: number;
  /** The most ms until it publishes its next time. */
  every: number;
  process: MaybeProcess;
}

/** Adds by how much its clock was ahead, in ms, when one of its times arrived. */
export function addSample({ ahead: samples }: ClockPeer, ahead: number): void {
  samples.push(ahead);
  if (samples.length > SAMPLES) samples.shift();
}

/** The least milliseconds by which its clock is ahead. */
export function minimumLead({ ahead }: ClockPeer): number {
  return ahead.length ? Math.max(...ahead) : 0;
}

/**
 * True when its times suffice to compare the clocks. A time that it published before this process did, at revision `first`, may
 * be old: its next one may be late, or the process may have ended. It suffices where it is near enough even so.
 */
export function hasEnoughSamples(peer: ClockPeer, first: number): boolean {
  const near = (every: number) => APART_MS - every - TTL * 1000;
  return peer.revision > first || Math.abs(minimumLead(peer)) <= near(peer.every) ||
    // An ended process's time, for instance from before the machine's last boot, may be old, but not ahead.
    minimumLead(peer) <= near(EVERY) && hasEnded(peer.process);
}
