/** nexd's gRPC API with Python's grpcio, by reflection and by Nex's published field numbers. */
import assert from "node:assert/strict";
import { labNexd } from "./nexd.ts";
import { run } from "../lab/host.ts";

Deno.test("python3-grpcio, knowing nothing but reflection, drives every rpc", async () => {
  await using nexd = await labNexd();
  const client = new URL("grpcio_client.py", import.meta.url).pathname;
  const { stdout } = await run(["/usr/bin/python3", client, nexd.address]);
  const rpcs =
    "GetMembers AddMembers DeleteMembers UpdateMembers ChangeMemberID GetNetworks GetNetwork AddNetwork " +
    "UpdateNetwork DeleteNetwork Apply GetDeclined DeleteDeclined GetEndpoints GetHosts GetLeases";
  assert.deepEqual(stdout.trimEnd().split("\n"), [
    "reflection v1 nex.Nex",
    "reflection v1alpha nex.Nex",
    `rpcs ${rpcs}`,
    "health server 1",
    "health nex.Nex 1",
    "GetNetworks py",
    "GetNetwork 10.7.0.0/24 10.7.0.10 4294967294 42 False",
    "AddMembers 02:00:00:00:00:0a=ten.py.net=10.7.0.10 02:00:00:00:00:0b==10.7.0.11",
    "AddMembers 02:00:00:00:00:0a=both.py.net=10.8.0.1 02:00:00:00:00:0e=ten.py.net= True False",
    "UpdateMembers 02:00:00:00:00:0a=ten.py.net=10.7.0.10 02:00:00:00:00:0b=eleven.py.net=10.7.0.11",
    "ChangeMemberID 02:00:00:00:00:0b=eleven.py.net=10.7.0.11 02:00:00:00:00:0c=ten.py.net=10.7.0.10",
    "DeleteMembers 02:00:00:00:00:0c=ten.py.net=10.7.0.10",
    "UpdateNetwork 10.7.0.2 10.7.0.3 900 py.net",
    "Apply Network/py/unchanged Member/d.py.net/created",
    "GetDeclined 0",
    "DeleteDeclined NOT_FOUND network py: 10.7.0.99 is not among its declined addresses",
    "GetEndpoints FAILED_PRECONDITION network py has no overlay, and no endpoints: its members are its machines",
    "GetHosts 0 GetLeases 0",
    'DeleteNetwork NOT_FOUND there is no network "py"',
    'bad INVALID_ARGUMENT network bad: subnet4: "10.7.0.0" is not a CIDR, like 10.0.0.0/24',
  ]);
});

Deno.test("a client that knows the published field numbers alone changes what it means to, and nothing else", async () => {
  await using nexd = await labNexd();
  const client = new URL("published_nex.py", import.meta.url).pathname;
  const { stdout } = await run(["/usr/bin/python3", client, nexd.address]);
  const [a, b, c] = ["a", "b", "c"].map((last) => `02:00:00:00:00:0${last}`);
  assert.deepEqual(stdout.trimEnd().split("\n"), [
    "GetNetworks py",
    "GetNetwork name py",
    "GetNetwork subnet4 10.7.0.0/24",
    "GetNetwork subnet6 fd00:7::/64",
    "GetNetwork dhcp4server 10.7.0.1",
    "GetNetwork dhcp6server fd00:7::1",
    "GetNetwork Range4 10.7.0.10-10.7.0.20",
    "GetNetwork Range6 fd00:7::10-fd00:7::20",
    "GetNetwork gateways 10.7.0.1 10.7.0.2",
    "GetNetwork nameservers 10.7.0.3 10.7.0.4",
    "GetNetwork options 66=boot 42=10.7.0.5",
    "GetNetwork domain py.net",
    "GetNetwork macRange 02:aa:00:00:00:00-02:aa:00:00:00:ff",
    "GetNetwork siaddr 10.7.0.6",
    "GetNetwork lease_duration 900",
    `AddMembers {'${a}': 'a.py.net 10.7.0.11', '${b}': 'b.py.net 10.7.0.10'}`,
    `AddMembers ALREADY_EXISTS member ${a} exists with another name (a.py.net, 10.7.0.11); replace it with --force`,
    `AddMembers ${a}: a.py.net 10.7.0.11 -> alpha.py.net 10.7.0.11`,
    "UpdateNetwork subnet4: 10.7.0.0/24 -> 10.7.0.0/23",
    "UpdateNetwork subnet6: fd00:7::/64 -> fd00:7::/56",
    "UpdateNetwork dhcp4server: 10.7.0.1 -> 10.7.0.2",
    "UpdateNetwork dhcp6server: fd00:7::1 -> fd00:7::2",
    "UpdateNetwork Range4: 10.7.0.10-10.7.0.20 -> 10.7.0.10-10.7.0.30",
    "UpdateNetwork Range6: fd00:7::10-fd00:7::20 -> fd00:7::10-fd00:7::30",
    "UpdateNetwork gateways: 10.7.0.1 10.7.0.2 -> 10.7.0.1 10.7.0.2 10.7.0.9",
    "UpdateNetwork gateways: 10.7.0.1 10.7.0.2 10.7.0.9 -> 10.7.0.1 10.7.0.9",
    "UpdateNetwork nameservers: 10.7.0.3 10.7.0.4 -> 10.7.0.3 10.7.0.4 10.7.0.8",
    "UpdateNetwork nameservers: 10.7.0.3 10.7.0.4 10.7.0.8 -> 10.7.0.4 10.7.0.8",
    "UpdateNetwork options: 66=boot 42=10.7.0.5 -> 66=other 42=10.7.0.5 67=file",
    "UpdateNetwork options: 66=other 42=10.7.0.5 67=file -> 66=other 67=file",
    "UpdateNetwork macRange: 02:aa:00:00:00:00-02:aa:00:00:00:ff -> 02:bb:00:00:00:00-02:bb:00:00:00:ff",
    "UpdateNetwork siaddr: 10.7.0.6 -> 10.7.0.7",
    "UpdateNetwork siaddr: 10.7.0.7 -> ",
    "UpdateNetwork lease_duration: 900 -> 1200",
    "UpdateNetwork domain: py.net -> new.net",
    `members {'${a}': 'alpha.py.net 10.7.0.11', '${b}': 'b.py.net 10.7.0.10'} -> ` +
    `{'${a}': 'alpha.new.net 10.7.0.11', '${b}': 'b.new.net 10.7.0.10'}`,
    `UpdateMembers ${b}: b.new.net 10.7.0.10 -> beta.new.net 10.7.0.10`,
    `UpdateMembers ${b}: beta.new.net 10.7.0.10 -> beta.new.net 10.7.0.15`,
    `ChangeMemberID ${a}: alpha.new.net 10.7.0.11 -> None`,
    `ChangeMemberID ${c}: None -> alpha.new.net 10.7.0.11`,
    `ChangeMemberID NOT_FOUND network py has no member ${a}`,
    `DeleteMembers ${b}: beta.new.net 10.7.0.15 -> None`,
    "AddNetwork INVALID_ARGUMENT Network: field 12 (macRange) is not exactly an AddressRange (begin, end); " +
    "the client has another version of this API",
    `network new.net members {'${c}': 'alpha.new.net 10.7.0.11'}`,
    "GetNetworks",
  ]);
});
