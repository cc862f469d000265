/** Classifies the errors of calls to etcd: whether the request may have been applied, and what to tell the operator. */
import { status as Code } from "@grpc/grpc-js";
import { messageOf } from "../common/refusal.ts";

/** The consequence of a failed call for the request that it carried. */
export type FailureClass =
  | "not-sent" // nothing left this process, or the member turned it away unread: another member may be asked
  | "refused" // etcd read it and did nothing
  | "unknown"; // it may have happened

interface CallError {
  readonly code: number;
  readonly details: string;
}

function isCallError(error: unknown): error is CallError {
  return error instanceof Error && "code" in error && "details" in error && typeof error.details === "string";
}

/** The details of grpc-js's errors for a request that had no connection yet. */
const beforeSending =
  /^No connection established|^no connection|^Name resolution failed|Waiting for LB pick|^Failed to connect|^Channel closed before/;
const noLeader = "etcdserver: no leader";

const refusals: ReadonlySet<number> = new Set([
  Code.INVALID_ARGUMENT,
  Code.NOT_FOUND,
  Code.FAILED_PRECONDITION,
  Code.OUT_OF_RANGE,
  Code.UNAUTHENTICATED,
  Code.PERMISSION_DENIED,
  Code.RESOURCE_EXHAUSTED,
  Code.UNIMPLEMENTED,
]);

/** The consequence of an error for the call's request; it is unknown for an error that is not one of gRPC. */
export function verdictOf(error: unknown): FailureClass {
  if (!isCallError(error)) return "unknown";
  const { code, details } = error;
  if (details === noLeader) return "not-sent";
  if ((code === Code.UNAVAILABLE || code === Code.DEADLINE_EXCEEDED) && beforeSending.test(details)) {
    return "not-sent";
  }
  // Only etcd's own errors count: grpc-js uses some of these codes for failures while the answer was received.
  return refusals.has(code) && details.startsWith("etcdserver: ") ? "refused" : "unknown";
}

/** The error of a request that was not sent because its member could not be connected to. */
export function notConnected(details: string): Error {
  return Object.assign(new Error(details), { code: Code.UNAVAILABLE, details });
}

/** The error of a request whose time was over here, and that was `sent` or still waited for a connection. */
export function lateCall(timeoutMs: number, sent: boolean): Error {
  const details = `Deadline exceeded after ${timeoutMs} ms${sent ? "" : ": Waiting for LB pick"}`;
  return Object.assign(new Error(details), { code: Code.DEADLINE_EXCEEDED, details });
}

/** True when the request's deadline passed on this side; etcd may still have processed it. */
export function isLate(error: unknown): boolean {
  return isCallError(error) && error.code === Code.DEADLINE_EXCEEDED &&
    error.details.startsWith("Deadline exceeded");
}

/** True for the answer of a member that knows no leader. */
export function isLeaderless(error: unknown): boolean {
  return isCallError(error) && error.details === noLeader;
}

/** True when the request named a lease that has ended: nothing was done. */
export function isLeaseGone(error: unknown): boolean {
  return isCallError(error) && error.details === "etcdserver: requested lease not found";
}

/** True when a lease was asked for by an id that one has: nothing was done. */
export function isLeaseThere(error: unknown): boolean {
  return isCallError(error) && error.details === "etcdserver: lease already exists";
}

/** Errors that have the code of a malformed request, but are caused by etcd's authentication settings. */
const ownSettings = /^etcdserver: (user name is empty|authentication is not enabled)/;

/** True when the request is valid, but etcd has no space, is overloaded, or does not permit it. */
export function isOperational(error: unknown): boolean {
  return isCallError(error) &&
    (error.code === Code.RESOURCE_EXHAUSTED || error.code === Code.PERMISSION_DENIED ||
      error.code === Code.UNAUTHENTICATED || ownSettings.test(error.details));
}

/** The remedy for an etcd that refuses to work, by the reason or the alarm that it gives. */
export function remedyFor(reason: string, endpoints: readonly string[], revision?: number): string {
  const etcdctl = `etcdctl --endpoints=${endpoints.join(",")}`;
  if (/space exceeded|NOSPACE/.test(reason)) {
    return `make room, then lift the alarm: ${etcdctl} compact ${
      revision ?? "REVISION"
    }; ${etcdctl} defrag; ` +
      `${etcdctl} alarm disarm; should it fill again, give it a larger --quota-backend-bytes`;
  }
  if (/user name is empty|permission denied|invalid auth token|authentication/.test(reason)) {
    return "name a client certificate (etcd.cert, etcd.key) whose common name is an etcd user that may read and write all keys, " +
      "or switch its authentication off (etcdctl auth disable)";
  }
  if (/CORRUPT/.test(reason)) {
    return `its members hold different data: ${etcdctl} endpoint hashkv tells which one, replace that`;
  }
  return `see etcd's log, and ${etcdctl} endpoint status and alarm list`;
}

/** grpc-js's error for a connection that this client closed because its member did not answer. */
const dropped = /The operation was aborted/;

/** The reason in words fit for a sentence. */
export function callReason(error: unknown): string {
  if (!isCallError(error)) return messageOf(error);
  if (error.code === Code.DEADLINE_EXCEEDED || dropped.test(error.details)) return "no answer in time";
  if (/^Received RST_STREAM|^Connection dropped/.test(error.details)) return "it closed the connection";
  const last = /Last error: (.*?)\. Resolution note:/.exec(error.details)?.[1] ?? error.details;
  return last.replace(/^Error(?: \[\w+\])?: |^etcdserver: /, "").replace(/ \(\d{4}-[-\dT:.]+Z\)$/, "");
}
