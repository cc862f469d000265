import type { Peer } from "../../overlay/peers.ts";

/** A host is asked so often, and whether full-size packets reach it so often, in ms. */
const EVERY = 10_000, FULL_EVERY = 60_000;
/** An answer that takes longer is lost, in ms. */
const WITHIN = 1000;
/** A host that has not answered for so long, asked every second meanwhile, is not reachable, in ms. */
const PATIENCE = 5000;
/** The same for one that has never answered: its agent may be about to learn of this host. */
const FIRST_PATIENCE = 20_000;
/** So many full-size packets in a row are lost before the path is measured, and so many of each size while it is. */
const FULL_TRIES = 3, SIZE_TRIES = 2;
/** Octets of the smallest packet that is sent. */
const SMALL = 64;
/** What VXLAN puts around a packet: see services/overlay/desired.ts. */
const OVERHEAD = 50;

/** What is known of the path to a host. */
export interface Path {
  readonly peer: Peer;
  /** Undefined: not known yet. */
  readonly reachable: boolean | undefined;
  /** When that began, on the clock of the calls. */
  readonly since: number;
  /** True where questions of the host have arrived since then. */
  readonly heard: boolean;
  /** The largest underlay packet that passes, where that is less than the networks need; else undefined. */
  readonly pathMtu: number | undefined;
}

/** A question to be sent: an IPv4 packet of `size` octets. */
export interface Question {
  readonly hostname: string;
  readonly vtep: number;
  readonly size: number;
}

interface State {
  peer: Peer;
  reachable: boolean | undefined;
  since: number;
  heardAt: number;
  pathMtu: number | undefined;
  asked: { readonly at: number; readonly token: number; readonly size: number } | undefined;
  next: number;
  fullAt: number;
  /** When the first of the answers that are missing now was due. */
  missingSince: number | undefined;
  /** Full-size packets lost in a row. */
  fullLost: number;
  /** Sizes that pass and that do not, while the path is measured. */
  search: { low: number; high: number; lost: number } | undefined;
}

/**
 * What a host asks others to learn whether VXLAN passes between them, and what follows from the answers. Pure: time and
 * tokens come in as arguments.
 */
export class Paths {
  readonly #states = new Map<string, State>();
  readonly #byVtep = new Map<number, State>();

  /** @param onChange Told when what is known of a path becomes another. */
  constructor(private readonly onChange: (path: Path, before: Path) => void) {}

  /** These are asked from now on, and no others. */
  setPeers(peers: ReadonlyMap<string, Peer>, now: number): void {
    for (const [hostname, state] of this.#states) {
      const peer = peers.get(hostname);
      if (!peer || peer.vtep !== state.peer.vtep) this.#states.delete(hostname);
      else if (peer.mtu !== state.peer.mtu) {
        Object.assign(state, { peer, fullAt: now, fullLost: 0, search: undefined, pathMtu: undefined });
      }
    }
    for (const [hostname, peer] of peers) {
      if (this.#states.has(hostname)) continue;
      this.#states.set(hostname, {
        peer,
        reachable: undefined,
        since: now,
        heardAt: -Infinity,
        pathMtu: undefined,
        asked: undefined,
        next: now,
        fullAt: now,
        missingSince: undefined,
        fullLost: 0,
        search: undefined,
      });
    }
    this.#byVtep.clear();
    for (const state of this.#states.values()) this.#byVtep.set(state.peer.vtep, state);
  }

  all(): Path[] {
    return [...this.#states.values()].map(pathOf);
  }

  /** Notes answers that are overdue, and gives the questions that are due, at most `limit`. */
  due(now: number, limit: number): Question[] {
    const questions: Question[] = [];
    for (const [hostname, state] of this.#states) {
      if (state.asked && now - state.asked.at >= WITHIN) this.#missed(state, now);
      if (state.asked || now < state.next || questions.length >= limit) continue;
      questions.push({ hostname, vtep: state.peer.vtep, size: sizeFor(state, now) });
    }
    // Those that found no room are the first next time.
    if (questions.length >= limit) this.#rotate(questions[questions.length - 1]?.hostname);
    return questions;
  }

  /** The question was sent. */
  sent({ hostname, size }: Question, token: number, now: number): void {
    const state = this.#states.get(hostname);
    if (state) state.asked = { at: now, token, size };
  }

  /** An answer has come. @returns false when nobody was asked that */
  answered(from: number, token: number, now: number): boolean {
    const state = this.#byVtep.get(from), asked = state?.asked;
    if (!asked || asked.token !== token) return false;
    state.asked = undefined;
    this.#passed(state, asked.size, now);
    return true;
  }

  /** A host has asked. @returns false when it is none of ours */
  heard(from: number, now: number): boolean {
    const state = this.#byVtep.get(from);
    if (state) state.heardAt = now;
    return state !== undefined;
  }

  #passed(state: State, size: number, now: number): void {
    const before = pathOf(state);
    state.missingSince = undefined;
    if (!state.reachable) Object.assign(state, { reachable: true, since: now, fullAt: now, fullLost: 0 });
    state.next = now + EVERY;
    const { search, peer } = state;
    if (size >= peer.mtu) {
      Object.assign(state, { fullLost: 0, fullAt: now + FULL_EVERY, search: undefined, pathMtu: undefined });
    } else if (search) {
      if (size > search.low) Object.assign(search, { low: size, lost: 0 });
      this.#measure(state, now);
    } else if (state.fullAt <= now) state.next = now;
    this.#tell(before, state);
  }

  #missed(state: State, now: number): void {
    const before = pathOf(state), { asked, search, peer } = state;
    state.asked = undefined;
    state.next = now;
    if (asked && asked.size > SMALL) {
      if (search && ++search.lost >= SIZE_TRIES) {
        Object.assign(search, { high: asked.size, lost: 0 });
        this.#measure(state, now);
      } else if (!search && ++state.fullLost >= FULL_TRIES) {
        if (state.pathMtu === undefined) state.search = { low: 0, high: peer.mtu, lost: 0 };
        Object.assign(state, { fullAt: now + FULL_EVERY, fullLost: 0 });
      }
    } else {
      state.missingSince ??= asked?.at ?? now;
      state.search = undefined;
      const patience = state.reachable === undefined ? FIRST_PATIENCE : PATIENCE;
      if (now - state.missingSince >= patience) {
        if (state.reachable !== false) Object.assign(state, { reachable: false, since: state.missingSince });
        state.pathMtu = undefined;
        state.next = now + EVERY;
      }
    }
    this.#tell(before, state);
  }

  /** Goes on measuring, or is done with it. */
  #measure(state: State, now: number): void {
    const { search } = state;
    if (!search) return;
    state.next = now;
    if (search.high - search.low > 1) return;
    Object.assign(state, { pathMtu: search.low + OVERHEAD, search: undefined, fullAt: now + FULL_EVERY });
    state.next = now + EVERY;
  }

  #tell(before: Path, state: State): void {
    const after = pathOf(state);
    if (after.reachable !== before.reachable || after.pathMtu !== before.pathMtu) {
      this.onChange(after, before);
    }
  }

  #rotate(last: string | undefined): void {
    const all = [...this.#states], at = all.findIndex(([hostname]) => hostname === last) + 1;
    if (at === all.length) return;
    this.#states.clear();
    for (const [hostname, state] of [...all.slice(at), ...all.slice(0, at)]) {
      this.#states.set(hostname, state);
    }
  }
}

function sizeFor({ peer, reachable, fullAt, missingSince, search }: State, now: number): number {
  // Whether anything passes at all is the first thing to know.
  if (search) return search.low === 0 ? SMALL : (search.low + search.high) >> 1;
  const full = reachable && missingSince === undefined && fullAt <= now;
  return full ? peer.mtu : SMALL;
}

function pathOf({ peer, reachable, since, heardAt, pathMtu }: State): Path {
  return { peer, reachable, since, heard: heardAt > since, pathMtu };
}
