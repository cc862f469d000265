/** Handlers of the IpamDriver calls: Docker gets a network's range as its pool, and addresses of it for its endpoints. */
import { Cidr } from "../../common/ip.ts";
import { invalid } from "../../common/refusal.ts";
import { gatewayOf, rangeOf } from "../../overlay/claims.ts";
import type { NetworkRecord } from "../../store/sand_records.ts";
import type { Calls } from "./api.ts";
import { ADDRESS_SPACE } from "./pools.ts";
import { optionalAddress, poolNetwork, poolOption, readCall, requests } from "./requests.ts";

const GATEWAY = "com.docker.network.gateway", ADDRESS_TYPE = "RequestAddressType";

/** IpamDriver of libnetwork's remote drivers: a network is a pool. */
export const ipamDriver: Calls = {
  // Pools and addresses outlast a restart of the engine, so it need not ask for them again.
  GetCapabilities: () => Promise.resolve({ RequiresMACAddress: false, RequiresRequestReplay: false }),

  GetDefaultAddressSpaces: () =>
    Promise.resolve({ LocalDefaultAddressSpace: ADDRESS_SPACE, GlobalDefaultAddressSpace: ADDRESS_SPACE }),

  async RequestPool(api, body, pools) {
    const { Pool, SubPool, Options, V6 } = readCall(requests.requestPool, body);
    const network = await api.network(poolOption(Options)), range = rangeOf(network);
    if (V6) throw invalid("V6: networks have IPv4 addresses only: leave --ipv6 out");
    if (SubPool !== "") {
      throw invalid(
        `SubPool: ${SubPool}: all hosts of a network share its range ${range}: leave --ip-range out`,
      );
    }
    const given = Cidr.tryParse(Pool);
    if (Pool !== "" && (!given || `${given.first}/${given.prefix}` !== `${range}`)) {
      throw invalid(
        `Pool: ${Pool} is not ${range}, the range of network ${network.name}: leave --subnet out`,
      );
    }
    pools.request(network.id, `${range}`);
    return { PoolID: network.id, Pool: range.toString(), Data: { [GATEWAY]: gatewayText(network) } };
  },

  // The pool is the network, which stays.
  ReleasePool(_api, body, pools) {
    pools.release(poolNetwork(readCall(requests.pool, body).PoolID));
    return Promise.resolve({});
  },

  async RequestAddress(api, body) {
    const { PoolID, Address, Options } = readCall(requests.address, body);
    const network = await api.network(poolNetwork(PoolID)), wanted = optionalAddress(Address, "Address");
    if (Options[ADDRESS_TYPE] === GATEWAY) {
      if (!wanted || wanted.equals(gatewayOf(network))) return { Address: gatewayText(network), Data: {} };
      throw invalid(
        `Address: ${wanted} is not ${
          gatewayOf(network)
        }, the gateway of network ${network.name}: leave --gateway out`,
      );
    }
    const address = await api.claim(network.id, wanted);
    return { Address: `${address}/${rangeOf(network).prefix}`, Data: {} };
  },

  async ReleaseAddress(api, body) {
    const { PoolID, Address } = readCall(requests.address, body);
    const address = optionalAddress(Address, "Address");
    if (address) await api.release(poolNetwork(PoolID), address);
    return {};
  },
};

/** In CIDR form, with the range's prefix length. */
function gatewayText(network: NetworkRecord): string {
  return `${gatewayOf(network)}/${rangeOf(network).prefix}`;
}
