/**
 * One request and its answer over a channel of grpc-js. Its clients put interceptors, events and the caller's stack around
 * each call, none of which is of use here; without them a call takes a twentieth less of this process's time.
 */
import type { Buffer } from "node:buffer";
import { type ChannelInterface, type Metadata, status as Status } from "@grpc/grpc-js";

/** The result of a call: its answer, or an error with etcd's or grpc-js's `code` and `details`. */
export type Ended = (error: Error | undefined, answer: Uint8Array) => void;

export interface UnaryCall {
  /** The address to which it was sent; the channel's target before that. */
  getPeer(): string;
  cancel(): void;
}

/** Sends one message; `ended` is called once. Throws Error when the channel is closed. */
export function unaryCall(
  channel: ChannelInterface,
  path: string,
  message: Buffer,
  metadata: Metadata,
  ended: Ended,
): UnaryCall {
  const call = channel.createCall(path, Infinity, undefined, null, undefined);
  const none = new Uint8Array();
  let answer: Uint8Array | undefined;
  call.start(metadata, {
    onReceiveMetadata() {},
    onReceiveMessage(received: Uint8Array | null) {
      answer ??= received ?? undefined;
    },
    onReceiveStatus({ code, details, metadata }) {
      if (code === Status.OK && answer) return ended(undefined, answer);
      const found = code === Status.OK
        ? { code: Status.UNIMPLEMENTED, details: "No message received" }
        : { code, details };
      const error = new Error(`${found.code} ${Status[found.code]}: ${found.details}`);
      ended(Object.assign(error, found, { metadata }), none);
    },
  });
  call.sendMessageWithContext({}, message);
  call.halfClose();
  call.startRead();
  return {
    getPeer: () => call.getPeer(),
    cancel: () => call.cancelWithStatus(Status.CANCELLED, "Cancelled on client"),
  };
}
