/** Compares the rules of a network's ports with what etcd says, as nft(8) lists them; shares no code with what it checks. */
import type { Records } from "./etcd_kv.ts";
import { run } from "./host.ts";
import type { ApiEndpoint } from "./overlay_api.ts";

interface Listed {
  readonly set?: {
    readonly name: string;
    readonly elem?: readonly (string | { concat: readonly string[] })[];
  };
  readonly rule?: { readonly chain: string; readonly expr: readonly Record<string, unknown>[] };
  readonly chain?: { readonly hook?: string; readonly policy?: string };
}

/** False where nft is not installed. */
const hasNft = (await run(["which", "nft"], { mayFail: true })).code === 0;

/** What is wrong, a line each; nothing where nft is not installed. @param here The network's active endpoints on the host. @param devices Of the host, that are ports of it. */
export async function compareContainment(
  records: Records,
  network: string,
  namespace: string,
  here: readonly ApiEndpoint[],
  devices: readonly string[] = [],
): Promise<string[]> {
  if (!hasNft) return [];
  const command = ["nsenter", `--net=${namespace}`, "nft", "-j", "list", "table", "bridge", "strand"];
  const { stdout } = await run(command, { mayFail: true });
  const listed: Listed[] = stdout === "" ? [] : JSON.parse(stdout).nftables;
  const { overlay = {} } = JSON.parse(records.get(`/sc-net/strand/net/${network}/settings`) ?? "{}");
  const faults: string[] = [];
  const chains = listed.flatMap(({ chain }) => chain ? `${chain.hook} ${chain.policy}` : []).sort();
  if (`${chains}` !== "postrouting accept,prerouting accept,prerouting accept") {
    return [`the rules' chains are [${chains}]`];
  }
  const rulesOf = (name: string) =>
    listed.flatMap(({ rule }) => rule?.chain === name ? [JSON.stringify(rule.expr)] : []);
  const rules = rulesOf("prerouting"), leaving = rulesOf("postrouting");
  if (leaving.length !== 1 || !leaving[0]?.includes('"vxlan0"') || !leaving[0].includes('"priority"')) {
    faults.push(`what leaves is not told from others: ${leaving}`);
  }
  const arriving = rulesOf("arriving"), settings = records.has(`/sc-net/strand/net/${network}/settings`);
  if (
    arriving.length !== (settings ? 7 : 0) ||
    arriving.filter((rule) => rule.endsWith('{"drop":null}]')).length !== (settings ? 6 : 0)
  ) {
    faults.push(`what comes from other hosts: ${arriving.join(" ")}`);
  }
  if (overlay.trusted) return rules.length ? [...faults, "a trusted network's ports are checked"] : faults;
  const verdict = overlay.contain ? "drop" : "accept",
    counting = rules.filter((rule) => rule.includes('"counter"'));
  if (
    rules.length !== 25 || counting.length !== 15 ||
    !counting.every((rule) => rule.endsWith(`{"${verdict}":null}]`))
  ) {
    faults.push(`the rules do not ${verdict}: ${rules.join(" ")}`);
  }
  const found = listed.flatMap(({ set }) =>
    (set?.elem ?? []).map((own) => `${set?.name} ${typeof own === "string" ? own : own.concat.join(" ")}`)
  );
  const ofEndpoints = here.flatMap((endpoint) => {
    const { overlay_veth_name: veth, strand_port: device, target_veth_mac: mac, target_veth_ip: cidr } =
      endpoint;
    const port = veth || device;
    if (veth && (!mac || !cidr)) return [`ports ${veth}`, `unchecked-ports ${veth}`];
    if (!port || !mac || !cidr) return [];
    const own = `${port} ${mac.toLowerCase()}`,
      its = [`macs ${own}`, `addresses ${own} ${cidr.split("/")[0]}`];
    return veth ? [`ports ${veth}`, ...its] : its;
  });
  const wanted = [
    ...ofEndpoints,
    ...devices.flatMap((device) => [`ports ${device}`, `host-devices ${device}`]),
  ];
  if (`${found.toSorted()}` !== `${wanted.toSorted()}`) {
    faults.push(`the ports' own are [${found}], not [${wanted}]`);
  }
  return faults;
}
