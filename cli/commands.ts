/** Every command, in one table. Its code is loaded only when it is called, so that each starts quickly. */
import type { Command } from "./command.ts";

/** One of the commands about networks, which are one program. */
const networks = (name: string) => async () => (await import("./strand/networks.ts")).command(name);

/** One of the commands about what is attached on this host. */
const attaching = (name: string) => async () => (await import("./strand/attach.ts")).command(name);

const daemonDetails = (port: number) =>
  `  --config F           the configuration file (/etc/nex/nex.yml, if it exists)
  --metrics-listen A   where /healthz, /readyz and /metrics are served (127.0.0.1:${port})

SIGTERM and SIGINT finish what is in flight, for 5 s at most.`;

export const commands: readonly Command[] = [
  {
    name: "demo",
    usage: "demo [--once] [--json]",
    about: "Show it working on this machine, in network namespaces of its own",
    details:
      `Starts etcd, nexd, dhcpd and dnsd in a namespace, and two hosts with agents. From one file a container and a
machine behind a device get addresses and names in an overlay network; then three DHCP clients take leases on a
LAN, and containers reach each other by SAND's commands. Says how to look around and stays until Ctrl-C. Needs
root. Nothing is left behind.

  --once   clean up at the end; exit 0 only if every step held
  --json   a JSON object per line instead of text`,
    load: () => import("./strand/demo.ts"),
  },
  {
    name: "up",
    usage: "up [--config F] [--dashboard]",
    about: "Run every service of this machine in the foreground",
    details: `  --config F    the configuration file (/etc/nex/nex.yml, if it exists)
  --dashboard   the page too that shows the whole, see "strand help dashboard"

Starts nexd and dnsd, dhcpd when dhcpd.interfaces names one, the agent and gatewayd when there is a section agent or
PEER_IP, and an etcd of its own when none is configured.
A service that ends is started again. Without a configuration everything listens on loopback.`,
    load: () => import("./strand/up.ts"),
  },
  {
    name: "status",
    usage: "status [nexd|dhcpd|dnsd|agent|gatewayd|dashboard]… [--config F] [-o table|json]",
    about: "Show each service of this machine, what is wrong and what to do about it",
    details: `  nexd, dhcpd, …   only these, and etcd, as on a host that has the agent alone
  --config F       the configuration file (/etc/nex/nex.yml, if it exists)
  -o table|json    the output's form

Exit status 1 if anything is wrong.`,
    load: () => import("./strand/status.ts"),
  },
  {
    name: "takeover",
    usage: "takeover --check [--config F] [-o table|json]",
    about: "Show what taking over Nex's store would write and remove, without doing it",
    details: `  --check          only looks: nexd takes a store over when it starts
  --config F       the configuration file (/etc/nex/nex.yml, if it exists): its etcd is read
  -o table|json    the output's form

Lists every key that would be written, with its value, removed or kept, and each that is not understood, with the
reason; while there is one, nexd writes nothing. Exit status 1 if there is one. docs/UPGRADE-NEX.md has the rest.`,
    load: () => import("./strand/takeover.ts"),
  },
  {
    name: "nexd",
    usage: "nexd [--config F] [--metrics-listen ADDRESS]",
    about: "Serve the gRPC API",
    details: daemonDetails(9640),
    load: () => import("../services/nexd/main.ts"),
  },
  {
    name: "dhcpd",
    aliases: ["nex-dhcpd"],
    usage: "dhcpd [--config F] [--metrics-listen ADDRESS]",
    about: "Serve DHCP on the configured interfaces",
    details: daemonDetails(9641),
    load: () => import("../services/dhcpd/main.ts"),
  },
  {
    name: "dnsd",
    usage: "dnsd [--config F] [--metrics-listen ADDRESS]",
    about: "Serve DNS",
    details: daemonDetails(9642),
    load: () => import("../services/dnsd/main.ts"),
  },
  {
    name: "agent",
    aliases: ["sand-agent"],
    usage: "agent [release] [--config F] [--metrics-listen ADDRESS]",
    about: "Build this host's part of the overlay networks, and serve their HTTP API",
    details:
      `  release              tells the agent that runs here to believe etcd again, after it has put itself on hold;
                       takes --config only
${daemonDetails(9643)}
Overlays go on carrying traffic without it.`,
    load: () => import("./strand/agent.ts"),
  },
  {
    name: "gatewayd",
    usage: "gatewayd [--config F] [--metrics-listen ADDRESS]",
    about: "Answer DNS at the gateways of this host's overlay networks",
    details: `${daemonDetails(9644)}
It needs no rights: the agent of this host hands it the sockets.`,
    load: () => import("../services/gatewayd/main.ts"),
  },
  {
    name: "dashboard",
    usage: "dashboard [--config F] [--metrics-listen ADDRESS]",
    about: "Serve a page that shows networks, hosts and machines, and what is wrong",
    details: `${daemonDetails(9645)}
It only reads etcd, unless dashboard.write is true. The page is at dashboard.listen, http://127.0.0.1:8090 by default.`,
    load: () => import("../services/dashboard/main.ts"),
  },
  {
    name: "apply",
    isClient: true,
    usage: "apply [--dry-run] [--force] [-s SERVER] FILE…",
    about: "Make networks and members what spec files say",
    details: `  FILE          YAML; - is standard input, of a folder its *.yml and *.yaml
  --dry-run     say what would happen, change nothing
  --force       replace members that exist with other contents
  -s SERVER     nexd's address (NEX_SERVER, localhost:6000); --ca-file, --cert-file, --key-file for TLS

Networks with overlay: {} and those without. All files are checked before anything is changed; docs/NETWORKS.md has examples.`,
    ownHelp: true,
    page: "strand.1",
    load: networks("apply"),
  },
  {
    name: "get",
    isClient: true,
    usage:
      "get networks|network|members|endpoints|hosts|leases|declined [NET] [-o table|wide|json|yaml] [--watch] [-s SERVER]",
    about: "Show networks, their members, what is attached to them, hosts and leases",
    details: `  networks        all networks; wide: with range, gateway, domain and overlay
  network NET     a network with all that is derived
  members NET     its members: MAC, name, address
  endpoints [NET] what is attached to a network with an overlay, or to all, and what hosts have applied
  hosts [NET]     its hosts, or all
  leases [NET]    DHCP leases that run
  declined [NET]  addresses that clients found in use
  --watch         go on, and show what changes
  -o FORMAT       YAML of networks and members can be applied as it is
  -s SERVER       nexd's address (NEX_SERVER, localhost:6000); --ca-file, --cert-file, --key-file for TLS`,
    ownHelp: true,
    page: "strand.1",
    load: networks("get"),
  },
  {
    name: "set",
    isClient: true,
    usage: "set network|member PROPERTY NET … [-s SERVER]",
    about: "Change a property of a network or a member",
    details:
      "set network --help and set member --help list the properties; an empty value restores what is derived.",
    ownHelp: true,
    page: "strand.1",
    load: networks("set"),
  },
  {
    name: "delete",
    isClient: true,
    usage: "delete network|member|declined NET … [-s SERVER]",
    about: "Delete a network, a member, or a quarantine",
    details: `  network NET          with its members; refused while an overlay has endpoints
  member NET MAC       --force: free its address at once, though its lease still runs
  declined NET IP      give a declined address back to use
  -s SERVER            nexd's address (NEX_SERVER, localhost:6000); --ca-file, --cert-file, --key-file for TLS`,
    ownHelp: true,
    page: "strand.1",
    load: networks("delete"),
  },
  {
    name: "attach",
    isClient: true,
    usage: "attach NET --ns PATH [--name NAME] [--ip A] [--mac M] [--wait[=D]] [-o table|json] [--agent URL]",
    about: "Connect a network namespace of this host to an overlay network",
    details: `  NET           the network's name, or its id
  --ns PATH     the namespace, like /run/netns/web or /proc/PID/ns/net
  --name NAME   its name in the network: one label
  --ip A        its address (what is reserved for its MAC, else the next free one)
  --mac M       its MAC (made from its address)
  --wait[=D]    until every host of the network has it, at most for D (5s)
  --agent URL   this host's agent (unix: and agent.socket)

A namespace that is in the network already stays as it is.`,
    ownHelp: true,
    page: "strand.1",
    load: attaching("attach"),
  },
  {
    name: "detach",
    isClient: true,
    usage: "detach NET NAME|ADDRESS|--ns PATH [-o table|json] [--agent URL]",
    about: "Take an endpoint of this host out of an overlay network",
    details: `  --ns PATH     the endpoint in this namespace
  --agent URL   this host's agent (unix: and agent.socket)`,
    ownHelp: true,
    page: "strand.1",
    load: attaching("detach"),
  },
  {
    name: "explain",
    isClient: true,
    usage: "explain NET A B [-o table|json] [--agent URL] [--config F]",
    about: "Show each step of the way between two endpoints, which one is broken and what to do",
    details: `  A, B          names or addresses of endpoints of an overlay network
  --agent URL   this host's agent (unix: and agent.socket)
  --config F    the configuration file (/etc/nex/nex.yml, if it exists): other hosts' agents are asked as this one is

Exit status 1 if a step is broken.`,
    ownHelp: true,
    page: "strand.1",
    load: attaching("explain"),
  },
  {
    name: "nex",
    isClient: true,
    aliases: ["nexc"],
    usage: "nex …",
    about: "Show and change networks and their members",
    details: "nex --help lists its commands, nex COMMAND --help says how one is used.",
    ownHelp: true,
    load: () => import("./nex/main.ts"),
  },
  {
    name: "sand-agent-cli",
    isClient: true,
    usage: "sand-agent-cli …",
    about: "Show and change overlay networks and their endpoints",
    details: "sand-agent-cli --help lists its commands, sand-agent-cli COMMAND --help says how one is used.",
    ownHelp: true,
    load: () => import("./sand/main.ts"),
  },
  {
    name: "cni",
    isClient: true,
    usage: "cni",
    about: "Attach containers to overlay networks, as a plugin of a runtime (CNI 0.3.0 to 1.1.0)",
    details:
      `A link to this program in a runtime's folder of plugins, like /opt/cni/bin/strand, is all it needs: with CNI_COMMAND in
the environment and no argument, strand is this. The agent of the host does the work. docs/CNI.md has examples.`,
    load: () => import("./cni/main.ts"),
  },
  {
    name: "netavark",
    isClient: true,
    usage: "netavark [info|create|setup NETNS|teardown NETNS]",
    about: "Attach podman's containers to overlay networks, as a network driver (plugin of netavark)",
    details:
      `A link to this program called strand in a folder called netavark where podman looks for drivers, like
/usr/local/lib/netavark/strand, is all it needs: "podman network create --driver strand" finds it there, and strand called by
such a link is this. The agent of the host does the work. docs/PODMAN.md has examples.`,
    load: () => import("./netavark/main.ts"),
  },
  {
    name: "completion",
    usage: "completion bash|zsh|fish",
    about: "Print a completion script for a shell",
    details:
      `  source <(strand completion bash)     in ~/.bashrc; in ~/.zshrc, after compinit, the same with zsh
  strand completion fish | source      in fish's config.fish

Links called nexd, nex-dhcpd and sand-agent are completed by it too; nex (nexc with it) and sand-agent-cli have a
script each: nex completion bash. docs/INSTALL.md has the files that shells load by themselves.`,
    load: () => import("./strand/completion.ts"),
  },
];
