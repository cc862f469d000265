/** Compares from which hosts a host takes VXLAN with what etcd says, as nft(8) lists it; shares no code with what it checks. */
import type { Records } from "./etcd_kv.ts";
import { run } from "./host.ts";
import type { ApiEndpoint, ApiNetwork } from "./overlay_api.ts";
import type { OverlayHost } from "./overlay_host.ts";

/** False where nft is not installed. */
const hasNft = (await run(["which", "nft"], { mayFail: true })).code === 0;

type Element = string | number | { concat: readonly (string | number)[] };
interface Listed {
  readonly set?: { readonly name: string; readonly elem?: readonly Element[] };
}

/** What is wrong, a line each. @param networks Those that the host has. @param endpoints Of all networks and hosts. */
export async function compareVteps(
  records: Records,
  host: OverlayHost,
  networks: readonly ApiNetwork[],
  endpoints: readonly ApiEndpoint[],
): Promise<string[]> {
  if (!hasNft) return [];
  const { stdout } = await run(host.host.enter(["nft", "-j", "list", "table", "ip", "strand"]), {
    mayFail: true,
  });
  const listed: Listed[] = stdout === "" ? [] : JSON.parse(stdout).nftables;
  const found = listed.flatMap(({ set }) =>
    ["vteps", "contained", "counted"].includes(set?.name ?? "")
      ? (set?.elem ?? []).map((element) =>
        `${set?.name} ${typeof element === "object" ? element.concat.join(" ") : element}`
      )
      : []
  );
  const wanted = new Set(networks.flatMap(({ id, vxlan_vni: vni }) => {
    const { overlay = {} } = JSON.parse(records.get(`/sc-net/strand/net/${id}/settings`) ?? "{}");
    const others = endpoints.filter((e) =>
      e.network_id === id && e.hostname !== host.name && isUsable(e.host_ip)
    )
      .map(({ host_ip }) => `vteps ${vni} ${host_ip}`);
    return [`${overlay.contain ? "contained" : "counted"} ${vni}`, ...others];
  }));
  if (`${found.sort()}` === `${[...wanted].sort()}`) return [];
  return [`VXLAN is taken from [${found}], not [${[...wanted].sort()}]`];
}

/** False for what no single host can have in the underlay. */
function isUsable(address: string): boolean {
  const first = Number(address.split(".")[0]);
  return first > 0 && first !== 127 && first < 224;
}
