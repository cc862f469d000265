/** A client of the gRPC API of nex.proto over grpc-js, with one typed method that calls any of its rpcs. */
import { type ChannelCredentials, Client, type ClientOptions } from "@grpc/grpc-js";
import { encode, rpcs } from "./codec.ts";
import type { MessageInput, NexMethods } from "./types.ts";

/** A connection to a server of the Nex API. */
export interface NexClient {
  /**
   * Calls one rpc.
   * @param timeout milliseconds until it fails with DEADLINE_EXCEEDED; without it there is no limit
   * @returns the response; rejects with a grpc-js ServiceError
   */
  call<Method extends keyof NexMethods>(
    method: Method,
    request: MessageInput<NexMethods[Method][0]>,
    timeout?: number,
  ): Promise<NexMethods[Method][1]>;
  close(): void;
}

/** A client of the server at `target` (host:port); it connects at the first call. */
export function nexClient(
  target: string,
  credentials: ChannelCredentials,
  options?: ClientOptions,
): NexClient {
  const client = new Client(target, credentials, options);
  return {
    call: (method, request, timeout) =>
      new Promise((resolve, reject) => {
        const { path, request: sent, response: received } = rpcs[method];
        const deadline = timeout === undefined ? {} : { deadline: Date.now() + timeout };
        client.makeUnaryRequest(
          path,
          (message: object) => encode(sent, message),
          (bytes) => received.decode(bytes) as NexMethods[typeof method][1],
          request,
          deadline,
          (error, response) => {
            if (error) reject(error);
            else resolve(response as NexMethods[typeof method][1]);
          },
        );
      }),
    close: () => client.close(),
  };
}
