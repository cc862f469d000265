/** Namespaces for tests of ffi/, removed also when a test fails, and what iproute2 sees in them. */
import { libc } from "../../ffi/libc.ts";
import { createNamespace, removeNamespace } from "../../ffi/netns.ts";
import { run } from "../lab/host.ts";

/** What is looked at of `ip -j -d link`. */
export interface IpLink {
  readonly ifindex: number;
  readonly ifname: string;
  readonly flags: readonly string[];
  readonly mtu: number;
  readonly operstate: string;
  readonly address: string;
  readonly master?: string;
  readonly link_netnsid?: number;
  readonly linkinfo?: { readonly info_kind: string; readonly info_data: Record<string, unknown> };
}

let serial = 0;

/** A namespace that is gone at the end of the block. */
export class TestNamespace implements Disposable {
  readonly name = `strand-ffi-${Deno.pid}-${serial++}`;
  readonly path = `/run/netns/${this.name}`;
  readonly fd: number;

  constructor() {
    Deno.mkdirSync("/run/netns", { recursive: true });
    this.fd = createNamespace(this.path);
  }

  /** `ip ARGS` in here, with its JSON read. */
  async ip<T = IpLink>(...args: string[]): Promise<T[]> {
    return JSON.parse((await this.command("ip", ...args)) || "[]");
  }

  /** `bridge ARGS` in here, with its JSON read. */
  async bridge<T>(...args: string[]): Promise<T[]> {
    return JSON.parse((await this.command("bridge", ...args)) || "[]");
  }

  private async command(program: string, ...args: string[]): Promise<string> {
    return (await run([program, "-n", this.name, "-j", "-d", ...args])).stdout;
  }

  [Symbol.dispose](): void {
    libc.close(this.fd);
    removeNamespace(this.path);
  }
}
