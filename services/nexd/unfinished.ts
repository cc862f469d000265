/** Ends stalled gRPC calls: requests that do not become complete, and answers that their client does not read. */
import {
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
  type ServiceDefinition,
  status,
} from "@grpc/grpc-js";
import { checkEvery } from "../common/check_every.ts";

export interface CallLimits {
  /** Milliseconds within which a request must be complete. */
  readonly requestMs: number;
  /** Milliseconds within which the client must have read its answer. */
  readonly answerMs: number;
  /** The most requests that may be incomplete; of more, the oldest are ended once they are a second old. */
  readonly most: number;
  /**
   * The most octets of answers that may wait to be read, of all clients together. Beyond that, the connection with most of them
   * is closed once its oldest answer is a second old.
   */
  readonly unsent: number;
}

/** The connections of the calls, by the client's address and port. */
export interface CallConnections {
  begin(from: string): void;
  end(from: string): void;
  drop(from: string): void;
}

const SECOND = 1000;
/** Roughly the memory of an answer beside its octets. */
const OVERHEAD = 2048;

/** Checks all calls at intervals, and ends the stalled ones. */
export class UnfinishedCalls {
  readonly #requests: IncompleteRequests;
  readonly #answers: UnreadAnswers;
  /** Ends the checks. */
  readonly stop: () => void;
  /** The length of the answer that was serialized last. */
  #length = 0;

  constructor(
    { requestMs, answerMs, most, unsent }: CallLimits,
    private readonly connections: CallConnections,
  ) {
    this.#requests = new IncompleteRequests(requestMs, most);
    this.#answers = new UnreadAnswers(answerMs, unsent, (from) => connections.drop(from));
    this.stop = checkEvery(Math.min(SECOND, requestMs / 4, answerMs / 4), () => {
      this.#requests.check();
      this.#answers.check();
    });
  }

  /** The service with serializers that note the length of each answer, which grpc-js does not pass to interceptors. */
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

  /** An interceptor of grpc-js around every call. */
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
            // A stream of requests may last as long as requests arrive.
            if (requestStream) this.#requests.add(call, late);
            forward(message);
          },
          onReceiveHalfClose: (forward) => {
            this.#requests.delete(call);
            forward();
          },
          // grpc-js calls this at the end of every call, also of a successful one.
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
        // The answer is serialized before this returns.
        forward(message);
        // A client that has cancelled its call reads no answer, and its connection is not closed for that.
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

/** Requests that are not complete yet, oldest first. */
class IncompleteRequests {
  readonly #calls = new Map<
    ServerInterceptingCallInterface,
    { since: number; end: (tooMany: boolean) => void }
  >();

  constructor(private readonly within: number, private readonly most: number) {}

  /** Adds a call; for one that is there already, its time begins again. */
  add(call: ServerInterceptingCallInterface, end: (tooMany: boolean) => void): void {
    this.#calls.delete(call);
    this.#calls.set(call, { since: performance.now(), end });
    if (this.#calls.size > this.most) this.check();
  }

  delete(call: ServerInterceptingCallInterface): void {
    this.#calls.delete(call);
  }

  /** Ends requests that are overdue, and the oldest of too many. */
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

/** Answers that their clients have not read yet. */
class UnreadAnswers {
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

  /**
   * Closes the connections with an overdue answer and, while too many octets wait, the one with most of them: where that is too
   * young, it is waited for, since a smaller one would make room for it.
   */
  check(): void {
    const now = performance.now();
    const waiting = [...this.#waiting].map(([from, answers]) => {
      let size = 0, since = now;
      for (const answer of answers.values()) {
        [size, since] = [size + answer.size, Math.min(since, answer.since)];
      }
      return { from, size, age: now - since };
    }).sort((a, b) => b.size - a.size);
    let isLargest = true;
    for (const { from, size, age } of waiting) {
      const tooMuch = isLargest && this.#size > this.most && age >= SECOND;
      if (age < this.within && !tooMuch) {
        isLargest = false;
        continue;
      }
      this.#size -= size;
      this.#waiting.delete(from);
      this.drop(from);
    }
  }
}
