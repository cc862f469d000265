/**
 * A thread in the namespace of a host that runs `strand explain`, `get` and `apply` there again and again: a process's start costs
 * more than what it does. Its first message is a descriptor of the namespace, and each further one is a command with its arguments,
 * whose answer is what was printed.
 */
/// <reference lib="deno.worker" />
import { run as atAgent } from "../../cli/strand/attach.ts";
import { run as atNexd } from "../../cli/strand/networks.ts";
import { runHere } from "../../cli/testing.ts";
import { libc } from "../../ffi/libc.ts";

const CLONE_NEWNET = 0x40000000;

self.onmessage = ({ data: namespace }: MessageEvent<number>) => {
  // The thread never leaves it: what opens a connection in here opens it there.
  if (libc.setns(namespace, CLONE_NEWNET) < 0) throw new Error("the thread cannot enter the namespace");
  self.onmessage = async ({ data: [name = "", ...args] }: MessageEvent<string[]>) => {
    const run = name === "explain" ? atAgent : atNexd;
    self.postMessage(await runHere((terminal) => run(name, args, terminal)));
  };
};
