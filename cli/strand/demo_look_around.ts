/** The commands that `strand demo` prints when its networks are up, for the reader to type in another terminal. */
import { DB, type Demo, DNS_SERVER } from "./demo_lab.ts";
import type { Overlay } from "./demo_networks.ts";
import { programPath } from "./program.ts";

/** The commands that a reader of the demo can type in another terminal. */
export function lookAround(demo: Demo, { network, address }: Overlay): string {
  const { server, directory, tools, hosts } = demo;
  const strand = programPath();
  const shown = quoted(strand.startsWith(`${Deno.cwd()}/`) ? `.${strand.slice(Deno.cwd().length)}` : strand);
  const inside = (netns: string) => `ip netns exec ${netns}`;
  const there = inside(server.netns);
  const [one, two] = hosts;
  const [cli, space] = [
    `${inside(one.host.netns)} ${shown} sand-agent-cli`,
    `nsenter --net=${quoted(one.namespaceOf(network))}`,
  ];
  const lines = [
    "Look around, in another terminal, as root. The network blue:",
    `  ${there} ${shown} get network blue -o yaml`,
    `  ${there} ${shown} get endpoints blue -o wide`,
    `  ${inside(one.host.netns)} ${shown} explain --config ${quoted(one.config)} blue web ${DB.name}`,
    `  ip -n ${demo.db.netns} address`,
    "Names and addresses:",
    `  ${there} ${shown} nex get members mini`,
    `  ${there} ${shown} nex set member name mini 00:00:33:33:00:01 oscar`,
    `  ${there} ${shown} status --config ${quoted(`${directory}/nex.yml`)}`,
    ...tools.dig ? [`  ${there} dig @${DNS_SERVER} whiskey.mini.net`] : [],
    "SAND's overlay, with its parts on one host:",
    `  ${cli} network-list`,
    `  ${cli} endpoint-list`,
    `  ${inside(one.host.netns)} ${shown} status agent --config ${quoted(one.config)}`,
    `  ${space} ip -d link show vxlan0`,
    `  ${space} ip neighbour show dev vxlan0`,
    `  ${space} bridge fdb show dev vxlan0`,
    `  ip -n ${one.container.host.netns} address`,
    ...tools.ping ? [`  ${inside(one.container.host.netns)} ping -c 3 ${address}`] : [],
    `  ${cli} curl --network ${network} http://${address}/`,
    "What they log:",
    `  tail -f ${[`${directory}/log`, one.log, two.log].map(quoted).join(" ")}`,
    "Ctrl-C ends the demo and removes all of it.",
  ];
  return `\n${lines.join("\n")}\n`;
}

/** Quotes a path so that a shell takes it for one word. */
function quoted(path: string): string {
  return /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`;
}
