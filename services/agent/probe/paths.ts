/** Decides when each host is probed, and derives from the answers whether it is reached and with which MTU. */
import type { OverlayPeer } from "../../overlay/peers.ts";

/** How often each host is probed, and how often with full-size packets, in ms. */
const EVERY = 10_000, FULL_EVERY = 60_000;
/** An answer that takes longer counts as lost, in ms. */
const WITHIN = 1000;
/** A host is unreachable when it has not answered for this long, in ms, while it is probed every second. */
const PATIENCE = 5000;
/** The time after which a host that has never answered is unreachable: its agent may not know this host yet. */
const FIRST_PATIENCE = 20_000;
/**
 * How many full-size packets in a row must be lost before the path MTU is measured, and how many of each size while
 * it is.
 */
const FULL_TRIES = 3, SIZE_TRIES = 2;
/** The size of the smallest packet, in octets. */
const SMALL = 64;
/** The octets that VXLAN adds to a packet: see services/overlay/desired.ts. */
const OVERHEAD = 50;

/** The state of the path to a host by its probes. */
export interface Path {
  readonly peer: OverlayPeer;
  /** Undefined: unknown yet. */
  readonly reachable: boolean | undefined;
  /** Since when, in the time of the calls. */
  readonly since: number;
  /** True when probes from the host have arrived since then. */
  readonly heard: boolean;
  /** The largest underlay packet that passes, where that is less than the networks need; undefined otherwise. */
  readonly pathMtu: number | undefined;
}

/** A probe to be sent: an IPv4 packet of `size` octets. */
export interface ProbeRequest {
  readonly vtep: number;
  readonly size: number;
}

interface State {
  /** The hosts with this VTEP: one, unless a host was renamed and its old name is still in etcd. */
  peers: readonly OverlayPeer[];
  /** The largest MTU of theirs. */
  mtu: number;
  reachable: boolean | undefined;
  since: number;
  heardAt: number;
  pathMtu: number | undefined;
  outstanding: { readonly at: number; readonly token: number; readonly size: number } | undefined;
  next: number;
  fullAt: number;
  /** When the first of the missing answers was due. */
  missingSince: number | undefined;
  /** The number of full-size packets lost in a row. */
  fullLost: number;
  /** The largest size known to pass and the smallest known not to, while the path is measured. */
  search: { low: number; high: number; lost: number } | undefined;
}

/**
 * Decides which probes are sent to learn whether VXLAN passes between hosts, and evaluates the answers. It is pure:
 * time and tokens are arguments.
 */
export class Paths {
  /** By VTEP. */
  readonly #states = new Map<number, State>();

  /** @param onChange Called when the state of a path changes. */
  constructor(private readonly onChange: (path: Path, before: Path) => void) {}

  /** Sets the peers; only these are probed from now on. */
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
      const state = this.#states.get(vtep), mtu = there.reduce((most, peer) => Math.max(most, peer.mtu), 0);
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

  /** The time of the next probe or timeout, as known now; a past time while an answer may come at any moment. */
  get nextAt(): number {
    let next = Infinity;
    for (const { outstanding, next: due, reachable } of this.#states.values()) {
      // A host that did not answer is asked once in a while: its answer may as well be read when its time is over.
      const awaited = reachable === false && outstanding ? outstanding.at + WITHIN : -Infinity;
      next = Math.min(next, outstanding ? awaited : due);
    }
    return next;
  }

  /** Records overdue answers, and returns the probes that are due, at most `limit`. */
  due(now: number, limit: number): ProbeRequest[] {
    const questions: ProbeRequest[] = [];
    for (const [vtep, state] of this.#states) {
      if (state.outstanding && now - state.outstanding.at >= WITHIN) this.#missed(state, now);
      if (state.outstanding || now < state.next || questions.length >= limit) continue;
      questions.push({ vtep, size: sizeFor(state, now) });
    }
    // Hosts that did not fit come first the next time.
    if (questions.length >= limit) this.#rotate(questions[questions.length - 1]?.vtep);
    return questions;
  }

  /** Records that a probe was sent. */
  sent({ vtep, size }: ProbeRequest, token: number, now: number): void {
    const state = this.#states.get(vtep);
    if (state) state.outstanding = { at: now, token, size };
  }

  /** Records an answer. @returns false when no such probe was sent */
  answered(from: number, token: number, now: number): boolean {
    const state = this.#states.get(from), outstanding = state?.outstanding;
    if (!outstanding || outstanding.token !== token) return false;
    state.outstanding = undefined;
    this.#passed(state, outstanding.size, now);
    return true;
  }

  /** Records a probe from a host. @returns false when it is no peer */
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
    const before = pathsOf(state), { outstanding, search, mtu } = state;
    state.outstanding = undefined;
    state.next = now;
    if (outstanding && outstanding.size > SMALL) {
      if (search && ++search.lost >= SIZE_TRIES) {
        Object.assign(search, { high: outstanding.size, lost: 0 });
        this.#measure(state, now);
      } else if (!search && ++state.fullLost >= FULL_TRIES) {
        if (state.pathMtu === undefined) state.search = { low: 0, high: mtu, lost: 0 };
        Object.assign(state, { fullAt: now + FULL_EVERY, fullLost: 0 });
      }
    } else {
      state.missingSince ??= outstanding?.at ?? now;
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

  /** Continues the measurement of the path MTU, or ends it. */
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
    outstanding: undefined,
    next: now,
    fullAt: now,
    missingSince: undefined,
    fullLost: 0,
    search: undefined,
  };
}

function sizeFor({ mtu, reachable, fullAt, missingSince, search }: State, now: number): number {
  // First of all it must be known whether anything passes.
  if (search) return search.low === 0 ? SMALL : (search.low + search.high) >> 1;
  const full = reachable && missingSince === undefined && fullAt <= now;
  return full ? mtu : SMALL;
}

/** One path for each host with this VTEP. */
function pathsOf({ peers, reachable, since, heardAt, pathMtu }: State): Path[] {
  return peers.map((peer) => ({ peer, reachable, since, heard: heardAt > since, pathMtu }));
}
