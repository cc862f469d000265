/** The commands `nex set network …` and `nex set member …`. */
import type { Command } from "commander";
import type { MemberUpdate, MessageInput, NetworkUpdateRequest } from "../../proto/types.ts";
import { Refusal } from "../../services/common/refusal.ts";
import { UsageError } from "../../services/common/usage.ts";
import type { NexSession } from "./session.ts";

/** Properties that are one text: command, argument, field. */
const texts = [
  ["subnet4", "<cidr>", "subnet4"],
  ["dhcp4server", "<ip>", "dhcp4server"],
  ["domain", "<domain>", "domain"],
  ["siaddr", "<ip>", "siaddr"],
] as const;

const ranges = [
  ["range4", "the addresses that members are given", "Range4"],
  ["macrange", "the MACs that get a lease without being members", "macRange"],
] as const;

const lists = [
  ["gateway", "gatewaysPresent", "gatewaysAbsent"],
  ["nameserver", "nameserversPresent", "nameserversAbsent"],
] as const;

interface ListOptions {
  absent?: boolean;
}

/** Adds `set network`: by a spec file, or a subcommand a property. @returns the command, for further properties */
export function addSetNetwork(set: Command, session: NexSession): Command {
  const network = set.command("network").description("change networks: by a spec file, or one property")
    .argument("<file>", "YAML spec of networks; - is standard input")
    .action(async (file: string) => {
      const spec = await session.spec(file);
      if (spec.members.length) {
        throw new Refusal("invalid", `${file}: holds a MemberList, which is for nex apply`);
      }
      await session.apply(spec, {});
    });
  const property = (name: string, description: string) =>
    network.command(name).description(description).argument("<net>");
  const update = async (request: MessageInput<NetworkUpdateRequest>) => {
    await session.call("UpdateNetwork", request);
  };
  for (const [name, argument, field] of texts) {
    property(name, `set its ${name}; "" clears it`).argument(argument)
      .action((name: string, value: string) => update({ name, [field]: value }));
  }
  for (const [name, what, field] of ranges) {
    property(name, `set ${what}, both ends included`).argument("<begin>").argument("<end>")
      .action((name: string, begin: string, end: string) => update({ name, [field]: { begin, end } }));
  }
  for (const [name, present, absent] of lists) {
    property(name, `add ${name}s`).argument("<ip...>").option("-a, --absent", "remove them instead")
      .action((name: string, addresses: string[], options: ListOptions) =>
        update({ name, [options.absent ? absent : present]: addresses })
      );
  }
  property("option", "set a DHCP option").argument("<number>").argument("[value]", "0x… for raw bytes")
    .option("-a, --absent", "remove it instead")
    .action((name: string, digits: string, value: string | undefined, options: ListOptions) => {
      const number = wholeNumber("option", digits);
      if (options.absent) return update({ name, optionsAbsent: [{ number }] });
      if (value === undefined) throw new UsageError(`option ${number}: its value is missing`);
      return update({ name, optionsPresent: [{ number, value }] });
    });
  property("duration", "set how long its leases last").argument("<seconds>")
    .action((name: string, digits: string) =>
      update({ name, leaseDuration: wholeNumber("duration", digits) })
    );
  return network;
}

/** Adds `set member ip4` and `nex set member name`. */
export function addSetMember(set: Command, session: NexSession): void {
  const member = set.command("member").description("change a member");
  const update = async (net: string, change: MessageInput<MemberUpdate>, force = false) => {
    await session.call("UpdateMembers", { net, list: [change], force });
  };
  member.command("ip4").description("set its static address").argument("<net>").argument("<mac>").argument(
    "<ip>",
  )
    .option("--force", "though a client's lease on it, or on the address that it leaves, still runs")
    .action((net: string, mac: string, address: string, { force }: { force?: boolean }) =>
      update(net, { mac, ip4: { address } }, force)
    );
  member.command("name").description("set its name").argument("<net>").argument("<mac>").argument("<name>")
    .action((net: string, mac: string, value: string) => update(net, { mac, name: value }));
}

function wholeNumber(field: string, text: string): number {
  const number = /^\d{1,10}$/.test(text) ? Number(text) : NaN;
  if (number <= 0xffffffff) return number;
  throw new UsageError(`${field}: "${text}" is not a whole number up to 4294967295`);
}
