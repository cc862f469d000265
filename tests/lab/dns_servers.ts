/** Configurations of the DNS servers that ours is compared with: each on a loopback port, with all of its files in one folder. */

/**
 * The configuration of NSD.
 * @param zones each zone's file in `folder`, by the zone's name
 * @param server further lines of the server's section
 */
export function nsdConfig(
  folder: string,
  port: number,
  zones: Readonly<Record<string, string>>,
  ...server: readonly string[]
): string {
  return [
    "server:",
    "  server-count: 1",
    `  ip-address: 127.0.0.1@${port}`,
    '  username: ""',
    `  zonesdir: "${folder}"`,
    '  database: ""',
    '  pidfile: ""',
    `  logfile: "${folder}/nsd.log"`,
    `  xfrdfile: "${folder}/xfrd.state"`,
    `  xfrdir: "${folder}"`,
    `  zonelistfile: "${folder}/zone.list"`,
    "  rrl-ratelimit: 0",
    ...server.map((line) => `  ${line}`),
    "remote-control:",
    "  control-enable: no",
    ...Object.entries(zones).map(([name, file]) => `zone:\n  name: ${name}\n  zonefile: ${file}`),
    "",
  ].join("\n");
}

/**
 * The configuration of Knot DNS.
 * @param zones each zone's file in `folder`, by the zone's name
 * @param more further lines of the server's section, and of each zone
 */
export function knotConfig(
  folder: string,
  port: number,
  zones: Readonly<Record<string, string>>,
  more: { readonly server?: readonly string[]; readonly zone?: readonly string[] } = {},
): string {
  return [
    "server:",
    `  rundir: "${folder}"`,
    `  listen: 127.0.0.1@${port}`,
    ...(more.server ?? []).map((line) => `  ${line}`),
    "database:",
    `  storage: "${folder}"`,
    "log:",
    "  - target: stderr",
    "    any: error",
    "zone:",
    ...Object.entries(zones).flatMap(([name, file]) => [
      `  - domain: "${name}"`,
      `    file: "${folder}/${file}"`,
      "    zonefile-sync: -1",
      "    journal-content: none",
      ...(more.zone ?? []).map((line) => `    ${line}`),
    ]),
    "",
  ].join("\n");
}
