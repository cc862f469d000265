import type { OverlayPeer } from "../../overlay/peers.ts";

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
  readonly peer: OverlayPeer;
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
  readonly vtep: number;
  readonly size: number;
}

interface State {
  /** Hosts that are reached there: one, unless a host has been given another name and its old one is left in etcd. */
  peers: readonly OverlayPeer[];
  /** The largest of theirs. */
  mtu: number;
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
  /** By VTEP. */
  readonly #states = new Map<number, State>();

  /** @param onChange Told when what is known of a path becomes another. */
  constructor(private readonly onChange: (path: Path, before: Path) => void) {}

  /** These are asked from now on, and no others. */
  setPeers(peers: ReadonlyMap<string, OverlayPeer>, now: number): void {
    const wanted = new Map<number, OverlayPeer[]>();
    for (const peer of peers.values()) {
      const others = wanted.get(peer.vtep);
      if (others) others.push(peer);
      else wanted.set(peer.vtep, [peer]);
    }
    for (const [vtep, state] of this.#states) {
      const known = new Set(state.peers.map(({ hostname }) => hostname));
      const there = wanted.get(vtep) ?? [];
      if (!there.some(({ hostname }) => known.has(hostname))) this.#states.delete(vtep);
    }
    for (const [vtep, there] of wanted) {
      const state = this.#states.get(vtep), mtu = Math.max(...there.map((peer) => peer.mtu));
      if (!state) this.#states.set(vtep, newState(there, mtu, now));
      else {
        if (mtu !== state.mtu) {
          Object.assign(state, { mtu, fullAt: now, fullLost: 0, search: undefined, pathMtu: undefined });
        }
        state.peers = there;
      }
    }
  }

  all(): Path[] {
    return [...this.#states.values()].flatMap(pathsOf);
  }

  /** When a question will be due, as known now; a time that is past while an answer is awaited. */
  get nextAt(): number {
    let next = Infinity;
    for (const state of this.#states.values()) next = Math.min(next, state.asked ? -Infinity : state.next);
    return next;
  }

  /** Notes answers that are overdue, and gives the questions that are due, at most `limit`. */
  due(now: number, limit: number): Question[] {
    const questions: Question[] = [];
    for (const [vtep, state] of this.#states) {
      if (state.asked && now - state.asked.at >= WITHIN) this.#missed(state, now);
      if (state.asked || now < state.next || questions.length >= limit) continue;
      questions.push({ vtep, size: sizeFor(state, now) });
    }
    // Those that found no room are the first next time.
    if (questions.length >= limit) this.#rotate(questions[questions.length - 1]?.vtep);
    return questions;
  }

  /** The question was sent. */
  sent({ vtep, size }: Question, token: number, now: number): void {
    const state = this.#states.get(vtep);
    if (state) state.asked = { at: now, token, size };
  }

  /** An answer has come. @returns false when nobody was asked that */
  answered(from: number, token: number, now: number): boolean {
    const state = this.#states.get(from), asked = state?.asked;
    if (!asked || asked.token !== token) return false;
    state.asked = undefined;
    this.#passed(state, asked.size, now);
    return true;
  }

  /** A host has asked. @returns false when it is none of ours */
  heard(from: number, now: number): boolean {
    const state = this.#states.get(from);
    if (state) state.heardAt = now;
    return state !== undefined;
  }

  #passed(state: State, size: number, now: number): void {
    const before = pathsOf(state);
    state.missingSince = undefined;
    if (!state.reachable) Object.assign(state, { reachable: true, since: now, fullAt: now, fullLost: 0 });
    state.next = now + EVERY;
    const { search, mtu } = state;
    if (size >= mtu) {
      Object.assign(state, { fullLost: 0, fullAt: now + FULL_EVERY, search: undefined, pathMtu: undefined });
    } else if (search) {
      if (size > search.low) Object.assign(search, { low: size, lost: 0 });
      this.#measure(state, now);
    } else if (state.fullAt <= now) state.next = now;
    this.#tell(before, state);
  }

  #missed(state: State, now: number): void {
    const before = pathsOf(state), { asked, search, mtu } = state;
    state.asked = undefined;
    state.next = now;
    if (asked && asked.size > SMALL) {
      if (search && ++search.lost >= SIZE_TRIES) {
        Object.assign(search, { high: asked.size, lost: 0 });
        this.#measure(state, now);
      } else if (!search && ++state.fullLost >= FULL_TRIES) {
        if (state.pathMtu === undefined) state.search = { low: 0, high: mtu, lost: 0 };
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

  #tell(before: readonly Path[], state: State): void {
    for (const [i, after] of pathsOf(state).entries()) {
      const was = before[i];
      if (was && (after.reachable !== was.reachable || after.pathMtu !== was.pathMtu)) {
        this.onChange(after, was);
      }
    }
  }

  #rotate(last: number | undefined): void {
    const all = [...this.#states], at = all.findIndex(([vtep]) => vtep === last) + 1;
    if (at === all.length) return;
    this.#states.clear();
    for (const [vtep, state] of [...all.slice(at), ...all.slice(0, at)]) this.#states.set(vtep, state);
  }
}

function newState(peers: readonly OverlayPeer[], mtu: number, now: number): State {
  return {
    peers,
    mtu,
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
  };
}

function sizeFor({ mtu, reachable, fullAt, missingSince, search }: State, now: number): number {
  // Whether anything passes at all is the first thing to know.
  if (search) return search.low === 0 ? SMALL : (search.low + search.high) >> 1;
  const full = reachable && missingSince === undefined && fullAt <= now;
  return full ? mtu : SMALL;
}

/** One for each of the hosts there. */
function pathsOf({ peers, reachable, since, heardAt, pathMtu }: State): Path[] {
  return peers.map((peer) => ({ peer, reachable, since, heard: heardAt > since, pathMtu }));
}
