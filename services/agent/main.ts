/** The process agent. It opens the store, the kernel, the APIs and the Docker plugin, and connects them to one another. */
import { abortConnection } from "../../ffi/abort.ts";
import { missingForLinks } from "../../ffi/network_check.ts";
import { sendDatagram } from "../../ffi/unix_datagram.ts";
import { Limit } from "../common/async.ts";
import { runDaemon } from "../common/daemon.ts";
import { formatHostPort, tryParseHostPort } from "../common/host_port.ts";
import { messageOf, Refusal } from "../common/refusal.ts";
import { readTls } from "../common/tls.ts";
import { concernsPeers, vtepsBeside } from "../overlay/peers.ts";
import { OverlayView } from "../overlay/view.ts";
import { openSandStore, refuseOtherPrefix } from "../store/sand_store.ts";
import { onceReached } from "../store/once_reached.ts";
import { Agent } from "./agent.ts";
import { Attachments } from "./endpoints/attachments.ts";
import { Checks } from "./reconcile/checks.ts";
import { ClaimsSweeper } from "./reconcile/claims_sweeper.ts";
import { reportContainment } from "./ports/containment_health.ts";
import type { Context } from "./context.ts";
import { createCounters } from "./counters.ts";
import { HostEgress } from "./egress/host_egress.ts";
import { reportEgress } from "./egress/health.ts";
import { controlPlane, vxlanPorts } from "./egress/host_rules.ts";
import { adoptEndpoints } from "./docker/adopt.ts";
import { DockerEndpoints } from "./docker/endpoints.ts";
import { DockerNames } from "./docker/names.ts";
import { servePlugin } from "./docker/plugin.ts";
import { ForgottenEndpoints } from "./docker/sweeper.ts";
import { Drift } from "./reconcile/drift_check.ts";
import { serveAgentApi } from "./http/server.ts";
import { nameLater } from "./endpoints/give_name.ts";
import { reportHealth, reportHold } from "./health.ts";
import { GatewayDhcp } from "./gateway/dhcp.ts";
import { LeaseSweeper } from "./gateway/lease_sweeper.ts";
import { Gateways } from "./gateway/gateways.ts";
import { HeldAddresses } from "./reconcile/held_addresses.ts";
import { connectionLimits } from "./kernel/egress_limits.ts";
import { HostKernel } from "./kernel/host.ts";
import { Notifications } from "./kernel/notifications.ts";
import { guardedBy } from "./store_guard/name_claim.ts";
import { publishRepairs } from "./reconcile/repairs.ts";
import { claimName } from "./store_guard/claim_name.ts";
import { networksIn, watchRemoved } from "./reconcile/namespaces.ts";
import { reportPeers } from "./probe/health.ts";
import { readinessGate, type Running, type StartedApis } from "./readiness_gate.ts";
import { machineRequester } from "./ports/request_machine.ts";
import { Ports } from "./ports/ports.ts";
import { PortsFile } from "./ports/ports_file.ts";
import { Prober } from "./probe/prober.ts";
import { StoreGuard } from "./store_guard/guard.ts";
import { releaseHold } from "./store_guard/release.ts";
import { StateFile } from "./store_guard/state_file.ts";
import { UnderlayWatch } from "./underlay/underlay_watch.ts";
import { VethNames } from "./endpoints/veth_names.ts";
import { VtepAdmission } from "./underlay/vteps.ts";
import { reportVteps } from "./underlay/vteps_health.ts";
import { COMPARED_AT_ONCE, Workers } from "./reconcile/networks.ts";

/** Runs the agent until it is stopped. @returns the exit status */
export function main(args: string[]): Promise<number> {
  return runDaemon({ name: "agent", args, abort: abortConnection, notify: sendDatagram }, async (daemon) => {
    const { config, log, metrics } = daemon;
    const settings = config.agent;
    const fields = { cert: "agent.tls.cert", key: "agent.tls.key", ca: "agent.tls.ca" };
    const tls = settings.tls && readTls(settings.tls, fields, config.where);
    daemon.certificates(tls?.certificates ?? []);
    if (!tls) daemon.warnIfOpen(settings.listen, "HTTP_TLS_CERT, HTTP_TLS_KEY and HTTP_TLS_CA");
    const missing = await missingForLinks();
    if (missing !== undefined) throw new Refusal("forbidden", missing);
    const notifications = new Notifications((error) =>
      log.warn(
        `the kernel's notifications are not available, so changes by other programs are found by periodic checks alone: ${
          messageOf(error)
        }`,
      )
    );
    daemon.defer("notifications", () => notifications.close());
    const underlay = await UnderlayWatch.open({ configured: settings.ip, log, notifications });
    daemon.defer("underlay", () => underlay.close());
    const { hostname, apiHostname, etcdPrefix: prefix } = settings;
    const owner = { hostname, prefix, namespaces: settings.namespacePath("") };
    const file = new StateFile(settings.stateDir, owner);

    const { endpoints, tls: etcdTls } = config.etcd;
    const running: Running = {}, apis: StartedApis = {};
    const onRelisted = () => void running.storeGuard?.verify();
    const store = openSandStore({
      endpoints,
      ...etcdTls && { tls: etcdTls },
      prefix,
      hostname,
      log,
      onRelisted,
    });
    daemon.defer("etcd", () => store.close());
    // The claim on the name is released last, when nothing is left that could change anything.
    daemon.defer("the host's name", () => running.claim?.close());
    daemon.follow(store.mirror, { writer: store.committer });
    const started = readinessGate(apis, running, endpoints);
    const dockerStarted = Promise.withResolvers<void>();
    const server = await serveAgentApi(() => started("api"), {
      listen: settings.listen,
      tls,
      port: settings.listen.port,
      names: [hostname, tryParseHostPort(apiHostname, 0)?.host ?? hostname, settings.listen.host],
      report: daemon.report,
      metrics,
      log,
      local: {
        path: settings.socket.path,
        required: settings.socket.configured,
        attachments: () => started("attachments"),
        ports: () => started("ports"),
      },
    });
    daemon.defer("API", () => server.close());
    daemon.check(() => server.problem());
    if (settings.docker.enabled) {
      const plugin = await servePlugin(
        () => started("docker"),
        dockerStarted.promise,
        settings,
        tls,
        log,
      );
      daemon.defer("Docker plugin", () => plugin.close());
      daemon.check(() => plugin.problem());
    }

    await store.mirror.ready({ signal: daemon.stopping });
    await onceReached(() => refuseOtherPrefix(store), daemon.stopping);
    const claim = running.claim = claimName(store, settings, file, {
      ip: () => underlay.ip,
      log,
      onHeld: async () => {
        if (running.storeGuard?.verify()) await running.resume?.();
      },
    });
    reportHold(daemon, claim, store.mirror, () => running.storeGuard);
    daemon.action("release", () => {
      const { storeGuard, resume = () => Promise.resolve() } = running;
      return releaseHold({ claim, storeGuard, resume, log, stopping: daemon.stopping });
    });
    await claim.first(daemon.stopping);

    const view = new OverlayView(store.mirror, store.keys);
    const inKernel = networksIn(settings);
    const storeGuard = new StoreGuard(
      file,
      () => ({
        clusterId: store.mirror.clusterId ?? "",
        revision: store.mirror.state.revision,
        networks: view.networksOn(hostname),
      }),
      {
        onHold: (reason) => log.error(`on hold, this host's networks stay as they are: ${reason}`),
        onUnsaved: (reason) => log.warn(`the state file cannot be written: ${reason}`),
      },
      inKernel,
      claim,
    );
    daemon.defer("state file", () => storeGuard.close());
    const kernel = new HostKernel({
      get vtep() {
        return underlay.ip;
      },
      checksumOffload: settings.checksumOffload,
      broadcastLimit: settings.broadcastLimit,
      egressLimits: connectionLimits(settings.egressConnections),
      onUnlimited: (reason) =>
        log.warn(
          `connections of networks with egress are not limited on this host, whose kernel does not count them: ${reason}`,
        ),
      notifications,
      onUncontained: (reason) =>
        log.warn(
          `frames from ports are not checked on this host, whose kernel has no nf_tables for bridges: ${reason}`,
        ),
    });
    daemon.defer("kernel", () => kernel[Symbol.dispose]());
    const drift = new Drift({ log, storeGuard });
    const prober = new Prober(() => context, () => ({
      path: settings.namespacePath("strand-probe"),
      vtep: context.host.ip,
      port: settings.vxlanPort,
    }), () => underlay.name);
    const dhcp = new GatewayDhcp(() => context, { registerNames: config.dhcpd.dnsRegister, metrics });
    daemon.defer("DHCP", () => dhcp.close());
    const gateways = new Gateways(() => context, {
      dhcp,
      path: settings.gatewaySocket,
      user: settings.gatewayUser,
      ttl: config.dnsd.ttl,
      networks: () => [...workers.all()].map(({ id }) => id),
      mtu: (network) => workers.get(network)?.mtu,
    });
    const ports = new Ports(() => context, {
      file: new PortsFile(file.beside("ports")),
      workers: () => workers,
      underlay: () => underlay.name,
      requestMachine: machineRequester(tls, settings.listen.port),
    });
    const vteps = new VtepAdmission(() => context, { underlay, notifications });
    daemon.defer("rules for VXLAN", () => vteps.close());
    const egress = new HostEgress({
      pool: settings.transferSubnet,
      vxlanPorts: () => vxlanPorts(view, settings.vxlanPort),
      control: settings.egressControlPlane ? undefined : controlPlane(
        [settings.listen.port, ...settings.docker.enabled ? [settings.docker.port] : []],
        endpoints,
      ),
      file: file.beside("forwarding"),
      docker: settings.firewall === "docker-user",
      isHeld: () => storeGuard.hold !== undefined,
      log,
    });
    const held = new HeldAddresses(() => context);
    daemon.defer("allowed addresses", () => held.close());
    const context: Context = {
      store: guardedBy(claim, store),
      view,
      kernel,
      comparisons: new Limit(COMPARED_AT_ONCE),
      storeGuard,
      drift,
      prober,
      gateways,
      egress,
      ports,
      vteps,
      held,
      host: {
        hostname,
        apiHostname,
        get ip() {
          return underlay.ip;
        },
      },
      namespacePath: settings.namespacePath,
      underlayMtu: () => underlay.mtu,
      broadcastLimit: settings.broadcastLimit,
      counters: createCounters(metrics),
      log,
    };
    publishRepairs(daemon, context, () => claim.lease);
    const workers = new Workers(context);
    daemon.defer("networks", () => workers.close());
    daemon.defer("drift", () => drift.close());
    daemon.defer("removed namespaces", watchRemoved(settings, workers, drift, log));
    await underlay.follow(() => vtepsBeside(view, hostname), {
      changed: () => workers.compareAll("change"),
      interfaces: () => vteps.followInterfaces(),
    });
    // A new host may be reached by another route.
    daemon.defer(
      "peers",
      view.subscribe((changes) => {
        for (const [network, change] of changes) {
          if (concernsPeers(view, hostname, network, change)) return void underlay.check();
        }
      }),
    );
    daemon.defer("probes", () => prober.close());
    reportHealth(daemon, context, { workers, underlay, gateways, ports, admission: dhcp.admission });
    reportContainment(daemon, context, workers);
    reportVteps(daemon, context, vteps);
    reportEgress(daemon, egress, context, workers);
    reportPeers(daemon, prober, settings.vxlanPort);
    storeGuard.verify();
    running.storeGuard = storeGuard;
    const adopt = async () => {
      if (settings.docker.enabled) await onceReached(() => adoptEndpoints(context), daemon.stopping);
    };
    running.resume = async () => {
      // Adoption comes first: a comparison would rename and move back the interfaces that Docker has renamed and moved.
      await adopt();
      // What gatewayd was not told meanwhile it is told also where etcd goes away again.
      await workers.resume().finally(() => gateways.resume());
    };
    await adopt();
    await onceReached(() => workers.start(inKernel), daemon.stopping);
    await vteps.start();
    prober.start(workers);
    egress.start();
    daemon.defer("egress", () => egress.close());
    // From here on this process knows which networks there are: gatewayd goes on with those of the agent before until then.
    gateways.start();
    daemon.defer("gateways", () => gateways.close());
    const names = new VethNames();
    const agent = new Agent(context, workers, { ...settings, names, admission: dhcp.admission });
    ports.start();
    daemon.defer("ports", () => ports.close());
    const graceMs = settings.addressGraceSeconds * 1000, ids = () => [...workers.all()].map(({ id }) => id);
    const sweeper = new ClaimsSweeper(context, ids, graceMs);
    daemon.defer("sweeper", () => sweeper.close());
    const leases = new LeaseSweeper(() => context, {
      writer: dhcp.writer,
      earliest: () => dhcp.clock.earliest,
      hasLink: workers.hasLink,
    });
    daemon.defer("leases", () => leases.close());
    if (settings.docker.enabled) {
      const docker = new DockerEndpoints(context, workers, names, (network) => sweeper.include(network));
      apis.docker = docker;
      dockerStarted.resolve();
      const forgotten = new ForgottenEndpoints(context, docker, graceMs);
      daemon.defer("forgotten endpoints", () => forgotten.close());
      if (settings.docker.names) {
        const dockerNames = new DockerNames(context, workers, settings.docker.socket);
        daemon.defer("names of Docker's containers", () => dockerNames.close());
      }
    }
    daemon.defer("names", nameLater(context, workers));
    apis.api = agent;
    apis.attachments = new Attachments(agent, context, workers);
    apis.ports = ports;
    const checks = new Checks(context, workers, settings.checkEverySeconds * 1000, async () => {
      await underlay.check();
      await vteps.check();
    });
    daemon.defer("checks", () => checks.close());
    log.info(
      {
        hostname,
        vtep: underlay.ip.toString(),
        underlay: underlay.name,
        mtu: underlay.mtu,
        tls: tls ? "mutual" : "none",
      },
      `serving on ${formatHostPort(server.at)}`,
    );
  });
}
