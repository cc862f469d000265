/** The search path of the programs that tests and benchmarks run: the system's own, without those of npm packages. */

/**
 * `path` without the folders of npm packages' programs, which `deno task` puts first. One package that tests import has a
 * program named `dhcpd`, which would be run in place of ISC's.
 */
export function systemPath(path: string): string {
  return path.split(":").filter((folder) => !/(^|\/)node_modules\/\.bin\/?$/.test(folder)).join(":");
}
