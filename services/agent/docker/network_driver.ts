/** Handlers of the NetworkDriver calls: Docker creates networks and endpoints, and joins containers to them. */
import { Cidr } from "../../common/ip.ts";
import { invalid } from "../../common/refusal.ts";
import { rangeOf } from "../../overlay/claims.ts";
import type { NetworkRecord } from "../../store/sand_records.ts";
import type { Calls } from "./api.ts";
import { ADDRESS_SPACE } from "./pools.ts";
import { allowOption, networkOption, optionalAddress, optionalMac, readCall, requests } from "./requests.ts";

/** An option that engines from version 28 on send, by which IPv4 can be disabled. */
const ENABLE_IPV4 = "com.docker.network.enable_ipv4";

const nothing = () => Promise.resolve({});

/** The calls NetworkDriver.* of libnetwork's protocol for remote drivers. */
export const networkDriver: Calls = {
  GetCapabilities: () => Promise.resolve({ Scope: "local", ConnectivityScope: "global" }),

  async CreateNetwork(api, body, pools) {
    const { NetworkID, Options, IPv4Data, IPv6Data } = readCall(requests.createNetwork, body);
    const network = await api.network(networkOption(Options));
    if (IPv6Data.length) throw invalid("IPv6Data: networks have IPv4 addresses only: leave --ipv6 out");
    if (Options[ENABLE_IPV4] === false) {
      throw invalid("IPv4Data: networks have IPv4 addresses only: leave --ipv4=false out");
    }
    for (const { Pool, AuxAddresses } of IPv4Data) {
      checkPool(network, Pool);
      const [name] = Object.keys(AuxAddresses);
      if (name === undefined) continue;
      throw invalid(
        `AuxAddresses: ${name} cannot be kept from others by Docker: make an endpoint with that address instead`,
      );
    }
    if (IPv4Data.some(({ AddressSpace }) => AddressSpace === ADDRESS_SPACE)) pools.use(network.id);
    await api.addNetwork(NetworkID, network.id);
    return {};
  },

  async DeleteNetwork(api, body) {
    await api.removeNetwork(readCall(requests.network, body).NetworkID);
    return {};
  },

  async CreateEndpoint(api, body, _asked, span) {
    const { NetworkID, EndpointID, Interface, Options } = readCall(requests.createEndpoint, body);
    const { Address = "", AddressIPv6 = "", MacAddress = "" } = Interface ?? {};
    if (AddressIPv6 !== "") throw invalid("AddressIPv6: networks have IPv4 addresses only");
    const record = await api.createEndpoint(
      { network: NetworkID, endpoint: EndpointID },
      {
        address: optionalAddress(Address, "Address"),
        mac: optionalMac(MacAddress),
        allowed: allowOption(Options),
        ...span && { parent: span },
      },
    );
    // libnetwork refuses an answer that repeats fields of the request.
    return {
      Interface: {
        ...Address === "" && { Address: record.target_veth_ip },
        ...MacAddress === "" && { MacAddress: record.target_veth_mac },
      },
    };
  },

  async EndpointOperInfo(api, body) {
    const { EndpointID } = readCall(requests.endpoint, body);
    const record = await api.endpoint(EndpointID);
    return {
      Value: record
        ? {
          "sand-id": record.network_id,
          "sand-endpoint-id": record.id,
          "sand-hostname": record.hostname,
          "sand-veth": record.overlay_veth_name,
          "sand-active": `${record.active}`,
        }
        : {},
    };
  },

  async DeleteEndpoint(api, body, _asked, span) {
    await api.deleteEndpoint(readCall(requests.endpoint, body).EndpointID, span);
    return {};
  },

  /**
   * Join answers without a gateway: the network's address on br0 leads nowhere, so a default route to it would only
   * replace one that works. Docker itself provides the way out, as with its own overlay networks, unless the network
   * is created with --internal.
   */
  async Join(api, body) {
    const { EndpointID, SandboxKey } = readCall(requests.join, body);
    return { InterfaceName: { SrcName: await api.join(EndpointID, SandboxKey), DstPrefix: "sand" } };
  },

  async Leave(api, body) {
    await api.leave(readCall(requests.endpoint, body).EndpointID);
    return {};
  },

  DiscoverNew: nothing,
  DiscoverDelete: nothing,
  ProgramExternalConnectivity: nothing,
  RevokeExternalConnectivity: nothing,
  AllocateNetwork: () => Promise.resolve({ Options: {} }),
  FreeNetwork: nothing,
};

/** With another IPAM driver, the pool must be the network's own range, or empty. */
function checkPool(network: NetworkRecord, pool: string): void {
  const range = rangeOf(network);
  const given = Cidr.tryParse(pool);
  if (pool === "" || given?.prefix === 0 || (given && `${given.first}/${given.prefix}` === `${range}`)) {
    return;
  }
  throw invalid(
    `Pool: ${pool} is not ${range}, the range of network ${network.name}: add --ipam-driver sand --ipam-opt sand-id=${network.id}`,
  );
}
