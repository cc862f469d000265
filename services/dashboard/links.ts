/** Builds the URLs of the dashboard's pages. */
import { LONGEST_FILTER } from "./table.ts";

/** A text of a URL. A name of a record may have half of a character in it, which has no encoding: pages show it as U+FFFD, too. */
function encoded(text: string): string {
  return encodeURIComponent(text.toWellFormed());
}

/** A text as one segment of a path; its end is not taken for `.json`. */
function segment(text: string): string {
  return encoded(text).replace(/\.json$/, "%2Ejson");
}

/** The page of a network. */
export function networkHref(key: string): string {
  return `/networks/${segment(key)}`;
}

/** @param network Undefined: the machine's page over all networks. */
export function machineHref(id: string, network?: string): string {
  return `/machines/${segment(id)}${network === undefined ? "" : `?network=${encoded(network)}`}`;
}

/** The search for a machine by its MAC, address or name. */
export function findHref(text: string): string {
  return `/find?q=${encoded(text)}`;
}

/** @param a One of the two machines, by its name or its address. */
export function explainHref(network: string, a = ""): string {
  return `/explain?${new URLSearchParams({ network, ...a && { a } })}`;
}

/** The list of hosts with those whose row has the name in it. */
export function hostHref(name: string): string {
  return `/hosts?filter=${filterOf(name)}`;
}

/** The list of repairs with those of a host. */
export function repairsHref(host: string): string {
  return `/repairs?filter=${filterOf(host)}`;
}

/** A name as a filter takes it. */
function filterOf(name: string): string {
  const beginning = name.slice(0, LONGEST_FILTER);
  // The cut may have left half of the last character, which is no part of the name.
  const isCut = beginning.length < name.length && /[\ud800-\udbff]$/.test(beginning);
  return encoded(isCut ? beginning.slice(0, -1) : beginning);
}

/** The form with a network, or a member of it, as it is. */
export function applyHref(network: string, member?: string): string {
  return `/apply?${new URLSearchParams({ network, ...member !== undefined && { member } })}`;
}

/** The page that asks before a network, or a member or endpoint of it, is deleted. */
export function deleteHref(
  network: string,
  what: { readonly member?: string | undefined; readonly endpoint?: string | undefined } = {},
): string {
  const { member, endpoint } = what;
  return `/delete?${new URLSearchParams({ network, ...member && { member }, ...endpoint && { endpoint } })}`;
}

/** Grafana's dashboard of deploy/dashboards/strand.json, by its uid, over the hour that the page of rates shows. */
export function grafanaHref(grafana: string): string {
  return `${grafana}/d/strand?${new URLSearchParams({ from: "now-1h", to: "now" })}`;
}

/** The page of what happened to a MAC, address or name. */
export function historyHref(of?: string): string {
  return of === undefined ? "/history" : `/history?q=${encoded(of)}`;
}
