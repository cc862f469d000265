import { Buffer } from "node:buffer";
import {
  logVerbosity,
  type sendUnaryData,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  setLogVerbosity,
  status,
} from "@grpc/grpc-js";
import { ReflectionService } from "@grpc/reflection";
import { HealthImplementation } from "grpc-health-check";
import { type NexHandlers, nexPackage, nexService } from "../../proto/service.ts";
import { formatHostPort, type HostPort } from "../common/host_port.ts";
import { messageOf, Refusal, type RefusalCode } from "../common/refusal.ts";
import type { TlsMaterial } from "../common/tls.ts";
import { UnknownOutcome } from "../store/errors.ts";
import type { NexApi } from "./api.ts";

/** A list of 100,000 members is some 10 MB. */
const MAX_MESSAGE = 64 << 20;

const statusOf: Record<RefusalCode, status> = {
  "invalid": status.INVALID_ARGUMENT,
  "not-found": status.NOT_FOUND,
  "exists": status.ALREADY_EXISTS,
  "forbidden": status.FAILED_PRECONDITION,
  "exhausted": status.RESOURCE_EXHAUSTED,
  "conflict": status.ABORTED,
  "unavailable": status.UNAVAILABLE,
};

export interface GrpcOptions {
  readonly listen: HostPort;
  /** With `ca`, a client must show a certificate that it signed. */
  readonly tls?: TlsMaterial | undefined;
  /** Throws when no call can be answered now. */
  readonly gate?: () => void;
  /** Told of each call when it ends: the method, the status's name, and how long it took in seconds. */
  readonly onCall?: (method: string, code: string, seconds: number) => void;
  /** Told of what went wrong in us, rather than in the request. */
  readonly onError?: (method: string, error: unknown) => void;
}

export interface GrpcServer {
  /** With the port that the kernel chose, when 0 was asked for. */
  readonly at: HostPort;
  /** Health as grpc.health.v1 tells it. */
  setServing(serving: boolean): void;
  /** Takes no more calls and finishes those in flight. */
  stop(): Promise<void>;
}

/** Serves the API, grpc.health.v1 and reflection; a Refusal when the address cannot be listened on. */
export async function serveGrpc(api: NexApi, options: GrpcOptions): Promise<GrpcServer> {
  // Its errors come to us too, and are told in our log.
  setLogVerbosity(logVerbosity.NONE);
  const server = new Server({
    "grpc.max_receive_message_length": MAX_MESSAGE,
    "grpc.max_send_message_length": MAX_MESSAGE,
  });
  server.addService(nexService, handlers(api, options));
  const health = new HealthImplementation({ "": "NOT_SERVING", "nex.Nex": "NOT_SERVING" });
  health.addToServer(server);
  new ReflectionService(nexPackage()).addToServer(server);
  const { host } = options.listen;
  const port = await bind(server, formatHostPort(options.listen), credentials(options.tls));
  return {
    at: { host, port },
    setServing(serving) {
      for (const service of ["", "nex.Nex"]) health.setStatus(service, serving ? "SERVING" : "NOT_SERVING");
    },
    stop: () => new Promise((resolve) => server.tryShutdown(() => resolve())),
  };
}

function handlers(api: NexApi, { gate, onCall, onError }: GrpcOptions): NexHandlers {
  const handle =
    (method: keyof NexApi) => async (call: ServerUnaryCall<never, never>, callback: sendUnaryData<never>) => {
      const started = performance.now();
      let code: status = status.OK;
      try {
        gate?.();
        callback(null, await api[method](call.request) as never);
      } catch (error) {
        code = codeOf(error);
        if (code === status.INTERNAL) onError?.(method, error);
        callback({ code, details: messageOf(error) });
      }
      onCall?.(method, status[code], (performance.now() - started) / 1000);
    };
  return Object.fromEntries(
    Object.keys(nexService).map((m) => [m, handle(m as keyof NexApi)]),
  ) as unknown as NexHandlers;
}

function codeOf(error: unknown): status {
  if (error instanceof Refusal) return statusOf[error.code];
  return error instanceof UnknownOutcome ? status.UNAVAILABLE : status.INTERNAL;
}

function credentials(tls: TlsMaterial | undefined): ServerCredentials {
  if (!tls?.cert || !tls.key) return ServerCredentials.createInsecure();
  const pair = { cert_chain: Buffer.from(tls.cert), private_key: Buffer.from(tls.key) };
  // Without an authority grpc-js would serve in the clear here: for one-way TLS any will do, since nobody is asked.
  return ServerCredentials.createSsl(Buffer.from(tls.ca ?? tls.cert), [pair], tls.ca !== undefined);
}

function bind(server: Server, address: string, credentials: ServerCredentials): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(address, credentials, (error, port) => {
      if (!error) return resolve(port);
      // Inside the brackets is what the system said.
      const reason = /\[listen (E\w+: .*?)(?: \S+:\d+)?\]$/.exec(error.message)?.[1] ?? error.message;
      const message = `nexd.listen: cannot listen on ${address}: ${reason}`;
      reject(new Refusal("unavailable", message, { cause: error }));
    });
  });
}
