/** A problem as the dashboard lists it, with what it concerns and what to do. */

/** A problem of one part of the system, as the page of health lists it. */
export interface Trouble {
  /** The part that it concerns, like `etcd`, `host host1` or `network blue`. */
  readonly where: string;
  readonly what: string;
  readonly fix: string;
  /** The page that shows it. */
  readonly href?: string;
  /** Since when this dashboard has seen it, in RFC 3339. */
  readonly since: string;
}
