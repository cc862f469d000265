/**
 * A name resolver for grpc-js through which a channel's sockets can be closed at any moment: while they connect, in the
 * handshake, or in use. grpc-js itself gives up no connection attempt (grpc/grpc-node issue 2785) and closes gracefully.
 *
 * It hands each address that the "dns" resolver finds to `net.connect` with an AbortSignal in it.
 */
import { type ChannelOptions, experimental } from "@grpc/grpc-js";

const { createResolver, registerResolver, statusOrFromValue } = experimental;
const SCHEME = "lifeline", SIGNAL = "strand.lifeline";

/** The target of a channel to `address`, like `10.0.0.1:2379`, and the options that tie its sockets to `signal`. */
export function targetUntilAborted(
  signal: AbortSignal,
  address: string,
): { target: string; options: ChannelOptions } {
  return { target: `${SCHEME}:${address}`, options: { [SIGNAL]: signal } };
}

class LifelineResolver implements experimental.Resolver {
  readonly #dns: experimental.Resolver;
  #destroyed = false;

  constructor(
    target: experimental.GrpcUri,
    listener: Parameters<typeof createResolver>[1],
    options: ChannelOptions,
  ) {
    const signal = options[SIGNAL] as AbortSignal;
    this.#dns = createResolver({ ...target, scheme: "dns" }, (found, ...rest) => {
      // It tells an address that needs no look-up a moment later: a channel that is closed by then would connect, and for ever.
      if (this.#destroyed) return true;
      if (!found.ok) return listener(found, ...rest);
      const endpoints = found.value.map(({ addresses }) => ({
        addresses: addresses.map((address) => ({ ...address, signal })),
      }));
      return listener(statusOrFromValue(endpoints), ...rest);
    }, options);
  }

  updateResolution(): void {
    this.#destroyed = false;
    this.#dns.updateResolution();
  }

  destroy(): void {
    this.#destroyed = true;
    this.#dns.destroy();
  }

  static getDefaultAuthority(target: experimental.GrpcUri): string {
    return target.path;
  }
}

registerResolver(SCHEME, LifelineResolver);
