import assert from "node:assert/strict";
import { labNexd } from "./nexd.ts";
import { run } from "../lab/host.ts";

Deno.test("python3-grpcio, knowing nothing but reflection, drives every rpc", async () => {
  await using nexd = await labNexd();
  const client = new URL("grpcio_client.py", import.meta.url).pathname;
  const { stdout } = await run(["/usr/bin/python3", client, nexd.address]);
  const rpcs =
    "GetMembers AddMembers DeleteMembers UpdateMembers ChangeMemberID GetNetworks GetNetwork AddNetwork " +
    "UpdateNetwork DeleteNetwork Apply GetDeclined DeleteDeclined";
  assert.deepEqual(stdout.trimEnd().split("\n"), [
    "reflection v1 nex.Nex",
    "reflection v1alpha nex.Nex",
    `rpcs ${rpcs}`,
    "health server 1",
    "health nex.Nex 1",
    "GetNetworks py",
    "GetNetwork 10.7.0.0/24 10.7.0.10 4294967294 42 False",
    "AddMembers 02:00:00:00:00:0a=ten.py.net=10.7.0.10 02:00:00:00:00:0b==10.7.0.11",
    "UpdateMembers 02:00:00:00:00:0a=ten.py.net=10.7.0.10 02:00:00:00:00:0b=eleven.py.net=10.7.0.11",
    "ChangeMemberID 02:00:00:00:00:0b=eleven.py.net=10.7.0.11 02:00:00:00:00:0c=ten.py.net=10.7.0.10",
    "DeleteMembers 02:00:00:00:00:0c=ten.py.net=10.7.0.10",
    "UpdateNetwork 10.7.0.2 10.7.0.3 900 py.net",
    "Apply Network/py/unchanged Member/d.py.net/created",
    "GetDeclined 0",
    "DeleteDeclined NOT_FOUND network py: 10.7.0.99 is not among its declined addresses",
    'DeleteNetwork NOT_FOUND there is no network "py"',
    'bad INVALID_ARGUMENT network bad: subnet4: "10.7.0.0" is not a CIDR, like 10.0.0.0/24',
  ]);
});
