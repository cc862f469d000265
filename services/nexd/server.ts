/** nexd's gRPC server: the API, grpc.health.v1 and reflection on one listener, with and without TLS. */
import { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import { createServer as createTlsServer, type Server as TlsServer } from "node:tls";
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
import type { HostPort } from "../common/host_port.ts";
import { connectionLimit } from "../common/http/acceptor.ts";
import type { Abort, ByteStream } from "../common/http/byte_stream.ts";
import { handshake } from "../common/http/handshakes.ts";
import type { Problem } from "../common/http_status.ts";
import { invalid, messageOf, Refusal, type RefusalCode } from "../common/refusal.ts";
import type { TlsMaterial } from "../common/tls.ts";
import { parentOf, type SpanContext } from "../common/tracing.ts";
import { UnknownOutcome } from "../store/errors.ts";
import type { NexApi } from "./api.ts";
import { Listener } from "./listener.ts";
import { PacedSocket } from "./paced_socket.ts";
import { type CallLimits, UnfinishedCalls } from "./unfinished.ts";

/** The longest request in bytes: 10,000 members with the longest names. grpc-js refuses a longer one by its length prefix. */
const MAX_REQUEST = 4 << 20;
/** The longest answer in bytes: a list of 100,000 members is some 10 MB. */
const MAX_ANSWER = 64 << 20;
/** The most calls at once on one connection, and after how long without a call it is closed, in ms. */
const MAX_STREAMS = 100, IDLE = 300_000;

export interface GrpcLimits extends CallLimits {
  /** Connections at once. */
  readonly connections: number;
}

const usual: CallLimits = { requestMs: 20_000, answerMs: 60_000, most: 64, unsent: 256 << 20 };

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
  readonly limits?: Partial<GrpcLimits>;
  /** With `ca`, a client must have a certificate signed by it. */
  readonly tls?: TlsMaterial | undefined;
  readonly abort?: Abort;
  /** Throws while no call can be answered. */
  readonly gate?: () => void;
  /** Called at the end of each call with the method, the name of the status, the duration in seconds, and the client's span. */
  readonly onCall?: (method: string, code: string, seconds: number, span: SpanContext | undefined) => void;
  /** Called with a sentence when a connection is refused or none can be accepted. */
  readonly onTrouble?: (what: string) => void;
  /** Called with an error of the server, rather than of the request. */
  readonly onError?: (method: string, error: unknown) => void;
}

export interface GrpcServer {
  /** The problem for /readyz where connections cannot be accepted. */
  problem(): Problem | undefined;
  /** The address and port; for port 0 the one that the kernel chose. */
  readonly at: HostPort;
  /** Sets the status that grpc.health.v1 reports. */
  setServing(serving: boolean): void;
  /** Accepts no more calls, and resolves when those in progress have ended. */
  stop(): Promise<void>;
}

/**
 * Starts the server.
 * @throws Refusal "unavailable" when the address cannot be listened on
 */
export async function serveGrpc(api: NexApi, options: GrpcOptions): Promise<GrpcServer> {
  // grpc-js's errors are passed to callbacks too, and logged there.
  setLogVerbosity(logVerbosity.NONE);
  const limits = { connections: connectionLimit(512, 1 / 4), ...usual, ...options.limits };
  const unfinished = new UnfinishedCalls(limits, {
    begin: (from) => listener.begin(from),
    end: (from) => listener.end(from),
    drop: (from) => listener.drop(from),
  });
  const server = new Server({
    "grpc.max_receive_message_length": MAX_REQUEST,
    "grpc.max_send_message_length": MAX_ANSWER,
    "grpc.max_concurrent_streams": MAX_STREAMS,
    "grpc.max_connection_idle_ms": IDLE,
    interceptors: [unfinished.interceptor],
  });
  server.addService(unfinished.measured(readable(nexService)), handlers(api, options));
  const health = new HealthImplementation({ "": "NOT_SERVING", "nex.Nex": "NOT_SERVING" });
  health.addToServer(server);
  new ReflectionService(nexPackage()).addToServer(server);
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  const tls = options.tls?.cert && options.tls.key ? tlsServer(options.tls) : undefined;
  const listener = await Listener.open({
    listen: options.listen,
    most: limits.connections,
    abort: options.abort,
    onConnection(end, peer) {
      const paced = (end: ByteStream) => {
        const { remoteAddress, remotePort } = peer;
        injector.injectConnection(new PacedSocket(end, remoteAddress, remotePort) as unknown as Socket);
      };
      // TLS is set up below PacedSocket, since a TLS record is longer than what is parsed at a time.
      if (tls) handshake(tls, end, peer, paced);
      else paced(end);
    },
    onTrouble: options.onTrouble ?? (() => {}),
  }).catch((error) => {
    unfinished.stop();
    throw error;
  });
  return {
    at: { host: options.listen.host, port: listener.port },
    problem: () => listener.problem(),
    setServing(serving) {
      for (const service of ["", "nex.Nex"]) health.setStatus(service, serving ? "SERVING" : "NOT_SERVING");
    },
    async stop() {
      await listener.stop();
      await new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
      listener.close();
      unfinished.stop();
    },
  };
}

/** The service with deserializers that return a Refusal for an unreadable request, which grpc-js would report as INTERNAL. */
function readable(service: typeof nexService): typeof nexService {
  return Object.fromEntries(
    Object.entries(service).map(([name, method]) => [name, {
      ...method,
      requestDeserialize: (bytes: Buffer) => {
        try {
          return method.requestDeserialize(bytes);
        } catch (error) {
          return invalid(messageOf(error));
        }
      },
    }]),
  ) as unknown as typeof nexService;
}

function handlers(api: NexApi, { gate, onCall, onError }: GrpcOptions): NexHandlers {
  const handle =
    (method: keyof NexApi) => async (call: ServerUnaryCall<never, never>, callback: sendUnaryData<never>) => {
      const started = performance.now();
      let code: status = status.OK;
      try {
        gate?.();
        if (call.request as unknown instanceof Refusal) throw call.request;
        callback(null, await api[method](call.request) as never);
      } catch (error) {
        code = codeOf(error);
        if (code === status.INTERNAL) onError?.(method, error);
        callback({ code, details: messageOf(error) });
      }
      const [traceparent] = call.metadata.get("traceparent");
      onCall?.(method, status[code], (performance.now() - started) / 1000, parentOf(traceparent?.toString()));
    };
  return Object.fromEntries(
    Object.keys(nexService).map((m) => [m, handle(m as keyof NexApi)]),
  ) as unknown as NexHandlers;
}

function codeOf(error: unknown): status {
  if (error instanceof Refusal) return statusOf[error.code];
  return error instanceof UnknownOutcome ? status.UNAVAILABLE : status.INTERNAL;
}

function tlsServer({ cert, key, ca }: TlsMaterial): TlsServer {
  const pem = (bytes: Uint8Array | undefined) => bytes && Buffer.from(bytes);
  return createTlsServer({
    ALPNProtocols: ["h2"],
    cert: pem(cert),
    key: pem(key),
    ca: pem(ca),
    requestCert: ca !== undefined,
    rejectUnauthorized: ca !== undefined,
  });
}
