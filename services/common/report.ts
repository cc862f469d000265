/** The form in which a process reports its own state, in `/readyz` and `strand status`. */

/** A problem and its remedy. */
export interface Problem {
  readonly what: string;
  readonly fix: string;
  /** True: the process must not be given work until this is repaired. */
  readonly blocks: boolean;
}

/** A fact that is no problem: `{what: "networks", value: 3}`. */
export interface Note {
  readonly what: string;
  readonly value: string | number;
}

/** A process's report of its state: the body of /readyz, and a row of `strand status`. */
export interface Report {
  readonly service: string;
  readonly version: string;
  readonly ready: boolean;
  /** The etcd revision that its mirror has processed; absent where it has none. */
  readonly revision?: number;
  /** For how many milliseconds its mirror has been out of sync with etcd; 0 while it is in sync. */
  readonly lag?: number;
  readonly problems: readonly Problem[];
  readonly notes?: readonly Note[];
}
