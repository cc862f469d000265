/** Connections to nexd, for the command line and the dashboard. */
import type { ClientOptions } from "@grpc/grpc-js";
import type { NexClient } from "../../../proto/client.ts";
import { formatHostPort, type HostPort } from "../../common/host_port.ts";
import type { TlsMaterial } from "../../common/tls.ts";

/** Milliseconds that a call may take. */
export const CALL_TIMEOUT = 15_000;
/** Milliseconds that the application of a whole spec may take. */
export const APPLY_TIMEOUT = 600_000;

/** A client of the nexd at an address; nothing is sent yet. gRPC's packages are loaded now: they are slow to import. */
export async function clientAt(server: HostPort, tls: TlsMaterial | undefined): Promise<NexClient> {
  const [{ credentials }, { nexClient }] = await Promise.all([
    import("@grpc/grpc-js"),
    import("../../../proto/client.ts"),
  ]);
  const channel: ClientOptions = {
    "grpc.max_receive_message_length": -1,
    // The first would cost a DNS query, the second would send local calls through a proxy.
    "grpc.service_config_disable_resolution": 1,
    "grpc.enable_http_proxy": 0,
  };
  if (!tls?.ca) return nexClient(formatHostPort(server), credentials.createInsecure(), channel);
  const { secureChannel } = await import("../../common/secure_channel.ts");
  const security = secureChannel(server.host, tls, "nexd");
  return nexClient(formatHostPort(server), security.credentials, { ...channel, ...security.options });
}
