/** Calls that do not get on: a request that does not become complete, or an answer that its client does not read, is ended. */
import {
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
  type ServiceDefinition,
  status,
} from "@grpc/grpc-js";

export interface CallLimits {
  /** Milliseconds within which a request, once begun, is to be complete. */
  readonly requestMs: number;
  /** Milliseconds within which the client is to have taken its answer. */
  readonly answerMs: number;
  /** So many requests may be incomplete; of more, the oldest are ended once they are a second old. */
  readonly most: number;
  /**
   * So many octets of answers may wait to be taken, of all clients together. Beyond that, the connection that most of them
   * wait on is closed once its oldest is a second old.
   */
  readonly unsent: number;
}

/** The connections that calls come by, named by the client's address and port. */
export interface CallConnections {
  begin(from: string): void;
  end(from: string): void;
  drop(from: string): void;
}

const SECOND = 1000;
/** What an answer holds of memory besides its octets, about. */
const OVERHEAD = 2048;

export class UnfinishedCalls {
  readonly #requests: Stalled;
  readonly #answers: Unsent;
  readonly #timer: ReturnType<typeof setInterval>;
  /** The length of the answer that was serialized last. */
  #length = 0;

  constructor(
    { requestMs, answerMs, most, unsent }: CallLimits,
    private readonly connections: CallConnections,
  ) {
    this.#requests = new Stalled(requestMs, most);
    this.#answers = new Unsent(answerMs, unsent, (from) => connections.drop(from));
    this.#timer = setInterval(() => {
      this.#requests.check();
      this.#answers.check();
    }, Math.min(SECOND, requestMs / 4, answerMs / 4));
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** The service, with the length of each answer noted for the interceptor, which grpc-js does not tell it. */
  measured<Service extends ServiceDefinition>(service: Service): Service {
    return Object.fromEntries(
      Object.entries(service).map(([name, method]) => [name, {
        ...method,
        responseSerialize: (answer: unknown) => {
          const bytes = method.responseSerialize(answer);
          this.#length = bytes.byteLength;
          return bytes;
        },
      }]),
    ) as Service;
  }

  /** For grpc-js, around every call. */
  readonly interceptor: ServerInterceptor = ({ requestStream, responseStream }, call) => {
    const from = call.getPeer();
    let ended = false;
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
            ended = true;
            this.#requests.delete(call);
            this.#answers.delete(from, call);
            this.connections.end(from);
          },
        });
      },
      sendMessage: (message, forward) => {
        this.#length = 0;
        // It is serialized before this returns.
        forward(message);
        // A client that has cancelled its call takes no answer, and is not to be closed for that.
        if (!responseStream && !ended) this.#answers.add(from, call, this.#length + OVERHEAD);
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

/** Requests that are not complete, oldest first. */
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

/** Answers that their clients have not taken yet. */
class Unsent {
  /** By the client's address and port, oldest first. */
  readonly #waiting = new Map<
    string,
    Map<ServerInterceptingCallInterface, { since: number; size: number }>
  >();
  #size = 0;

  constructor(
    private readonly within: number,
    private readonly most: number,
    private readonly drop: (from: string) => void,
  ) {}

  add(from: string, call: ServerInterceptingCallInterface, size: number): void {
    const answers = this.#waiting.get(from) ?? new Map();
    this.#waiting.set(from, answers.set(call, { since: performance.now(), size }));
    this.#size += size;
    if (this.#size > this.most) this.check();
  }

  delete(from: string, call: ServerInterceptingCallInterface): void {
    const answers = this.#waiting.get(from), answer = answers?.get(call);
    if (!answers || !answer) return;
    this.#size -= answer.size;
    answers.delete(call);
    if (answers.size === 0) this.#waiting.delete(from);
  }

  /** Closes the connections with an overdue answer and, while too much waits, the one that most of it waits on. */
  check(): void {
    const now = performance.now();
    const waiting = [...this.#waiting].map(([from, answers]) => {
      let size = 0, since = now;
      for (const answer of answers.values()) {
        [size, since] = [size + answer.size, Math.min(since, answer.since)];
      }
      return { from, size, age: now - since };
    }).sort((a, b) => b.size - a.size);
    for (const { from, size, age } of waiting) {
      if (age < this.within && !(this.#size > this.most && age >= SECOND)) continue;
      this.#size -= size;
      this.#waiting.delete(from);
      this.drop(from);
    }
  }
}
