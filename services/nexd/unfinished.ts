/** Calls that do not get on: a request that does not become complete, or an answer that its client does not read, is ended. */
import {
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
  status,
} from "@grpc/grpc-js";

export interface CallLimits {
  /** Milliseconds within which a request, once begun, is to be complete. */
  readonly requestMs: number;
  /** Milliseconds within which the client is to have taken its answer. */
  readonly answerMs: number;
  /** So many of either may be under way; of more, the oldest are ended once they are a second old. */
  readonly most: number;
}

/** The connections that calls come by, named by the client's address and port. */
export interface CallConnections {
  begin(from: string): void;
  end(from: string): void;
  drop(from: string): void;
}

const SECOND = 1000;

export class UnfinishedCalls {
  readonly #requests: Stalled;
  readonly #answers: Stalled;
  readonly #timer: ReturnType<typeof setInterval>;

  constructor({ requestMs, answerMs, most }: CallLimits, private readonly connections: CallConnections) {
    this.#requests = new Stalled(requestMs, most);
    this.#answers = new Stalled(answerMs, most);
    this.#timer = setInterval(() => {
      this.#requests.check();
      this.#answers.check();
    }, Math.min(SECOND, requestMs / 4, answerMs / 4));
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** For grpc-js, around every call. */
  readonly interceptor: ServerInterceptor = ({ requestStream, responseStream }, call) => {
    const from = call.getPeer();
    const dropped = () => this.connections.drop(from);
    const late = (tooMany: boolean) => call.sendStatus(tooMany ? crowded : incomplete);
    return new ServerInterceptingCall(call, {
      start: (next) => {
        this.connections.begin(from);
        this.#requests.add(call, late);
        next({
          onReceiveMessage: (message, forward) => {
            // A stream of requests may go on as long as they come.
            if (requestStream) this.#requests.add(call, late);
            forward(message);
          },
          onReceiveHalfClose: (forward) => {
            this.#requests.delete(call);
            forward();
          },
          // The end of a call of any kind, also a good one.
          onCancel: () => {
            this.#requests.delete(call);
            this.#answers.delete(call);
            this.connections.end(from);
          },
        });
      },
      sendMessage: (message, forward) => {
        if (!responseStream) this.#answers.add(call, dropped);
        forward(message);
      },
    });
  };
}

const incomplete = {
  code: status.DEADLINE_EXCEEDED,
  details: "the request did not become complete in time",
};
const crowded = {
  code: status.RESOURCE_EXHAUSTED,
  details: "too many requests are incomplete: this one has been for longest",
};

/** What is under way, oldest first. */
class Stalled {
  readonly #calls = new Map<
    ServerInterceptingCallInterface,
    { since: number; end: (tooMany: boolean) => void }
  >();

  constructor(private readonly within: number, private readonly most: number) {}

  /** A call that is in here begins anew. */
  add(call: ServerInterceptingCallInterface, end: (tooMany: boolean) => void): void {
    this.#calls.delete(call);
    this.#calls.set(call, { since: performance.now(), end });
    if (this.#calls.size > this.most) this.check();
  }

  delete(call: ServerInterceptingCallInterface): void {
    this.#calls.delete(call);
  }

  /** Ends what is overdue, and the oldest of too many. */
  check(): void {
    const now = performance.now();
    for (const [call, { since, end }] of this.#calls) {
      const tooMany = this.#calls.size > this.most && now - since >= SECOND;
      if (!tooMany && now - since < this.within) break;
      this.#calls.delete(call);
      end(tooMany);
    }
  }
}
