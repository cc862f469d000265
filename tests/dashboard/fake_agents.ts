/** Stand-ins for the agents' APIs of the sample's hosts: what they say of each other, as real ones do at /metrics and /readyz. */

export class FakeAgents implements AsyncDisposable {
  /** By host: what an endpoint's record says of its agent's API. */
  readonly addresses = new Map<string, string>();
  /** Hosts that are gone: the others say that they do not answer. */
  readonly lost = new Set<string>();
  readonly #servers: Deno.HttpServer[] = [];

  constructor(private readonly hosts: readonly string[]) {
    for (const host of hosts) {
      const server = Deno.serve(
        { hostname: "127.0.0.1", port: 0, onListen() {} },
        (request) => this.#answer(host, request),
      );
      this.#servers.push(server);
      this.addresses.set(host, `127.0.0.1:${(server.addr as Deno.NetAddr).port}`);
    }
  }

  #answer(host: string, { url }: Request): Response {
    const { pathname } = new URL(url), others = this.hosts.filter((other) => other !== host);
    if (this.lost.has(host)) return Response.json({ error: "it is gone" }, { status: 503 });
    if (pathname === "/metrics") {
      const peers = others.map((other) =>
        `agent_peer_reachable{peer="${other}"} ${this.lost.has(other) ? 0 : 1}\n`
      );
      return new Response(
        `${peers.join("")}agent_drift_repaired_total{op="fdb"} ${host.endsWith("a") ? 2 : 0}\n`,
      );
    }
    if (pathname !== "/readyz") {
      return Response.json({ error: `there is nothing at ${pathname}` }, { status: 404 });
    }
    const problems = others.filter((other) => this.lost.has(other)).map((other) => ({
      what: `${other} does not answer over VXLAN, since 12 s`,
      fix: "let UDP 4789 pass between the hosts in both directions: firewalls of both, security groups",
      blocks: false,
    }));
    return Response.json({ service: "agent", version: "0.1.0", ready: true, problems });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#servers.map((server) => server.shutdown()));
  }
}
