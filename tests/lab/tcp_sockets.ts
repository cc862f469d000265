/** The TCP sockets of this network namespace, as proc_pid_net(5) lists them: other tests of this process have their own ports. */

export interface TcpSocket {
  readonly localPort: number;
  readonly remotePort: number;
  /** As the kernel numbers them: 1 is ESTABLISHED, 10 is LISTEN. */
  readonly state: number;
  /** True while a process has it open. */
  readonly isOpen: boolean;
}

/** Those over IPv4. */
export function tcpSockets(): TcpSocket[] {
  const [, ...lines] = Deno.readTextFileSync("/proc/thread-self/net/tcp").trim().split("\n");
  return lines.map((line) => {
    const [, local = "", remote = "", state = "", , , , , , inode] = line.trim().split(/\s+/);
    const portOf = (address: string) => parseInt(address.split(":")[1] ?? "", 16);
    return {
      localPort: portOf(local),
      remotePort: portOf(remote),
      state: parseInt(state, 16),
      isOpen: inode !== "0",
    };
  });
}
