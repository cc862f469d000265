import assert from "node:assert/strict";
import { credentials, Server, ServerCredentials } from "@grpc/grpc-js";
import { nexClient } from "./client.ts";
import { type NexHandlers, nexPackage, nexService } from "./service.ts";
import type { Network } from "./types.ts";

Deno.test("nexService has the rpcs of the contract", () => {
  assert.deepEqual(
    Object.values(nexService).map((method) => method.path),
    [
      "GetMembers",
      "AddMembers",
      "DeleteMembers",
      "UpdateMembers",
      "ChangeMemberID",
      "GetNetworks",
      "GetNetwork",
    ]
      .concat(["AddNetwork", "UpdateNetwork", "DeleteNetwork", "Apply", "GetDeclined", "DeleteDeclined"])
      .concat(["GetEndpoints", "GetHosts", "GetLeases"]).map(
        (name) => `/nex.Nex/${name}`,
      ),
  );
});

Deno.test("nexPackage gives reflection the three files, imports first", () => {
  const definition = nexPackage()["nex.proto"];
  assert.ok(definition);
  const files = definition["fileDescriptorProtos"] as Buffer[];
  const names = files.map((file) => file.toString("latin1", 2, 2 + (file[1] ?? 0)));
  assert.deepEqual(names, ["google/protobuf/timestamp.proto", "google/protobuf/wrappers.proto", "nex.proto"]);
});

Deno.test("a client and a server agree on what is absent, on numbers and on capitalised names", async () => {
  const server = new Server();
  const seen: unknown[] = [];
  const handlers = {
    GetNetwork: (call, answer) => {
      seen.push(call.request);
      answer(null, {
        net: { name: call.request.name, Range4: { begin: "10.0.0.1" }, leaseDuration: 2 ** 40 },
      });
    },
    UpdateMembers: (call, answer) => {
      seen.push(call.request);
      answer(null, {});
    },
  } satisfies Partial<NexHandlers>;
  server.addService(nexService, handlers);
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync(
      "127.0.0.1:0",
      ServerCredentials.createInsecure(),
      (e, port) => e ? reject(e) : resolve(port),
    )
  );
  const client = nexClient(`127.0.0.1:${port}`, credentials.createInsecure());
  try {
    const { net } = await client.call("GetNetwork", { name: "mini" }, 60_000);
    const expected: Network = {
      ...{ name: "mini", subnet4: "", subnet6: "", dhcp4server: "", dhcp6server: "", domain: "", siaddr: "" },
      ...{ gateways: [], nameservers: [], options: [], Range6: null, macRange: null, overlay: null },
      Range4: { begin: "10.0.0.1", end: "" },
      leaseDuration: 2 ** 40,
    };
    assert.deepEqual(net, expected);
    await client.call("UpdateMembers", { list: [{ mac: "a", name: "" }, { mac: "b" }] });
    assert.deepEqual(seen[1], {
      net: "",
      force: false,
      list: [
        { mac: "a", name: "", ip4: null, ip6: null },
        { mac: "b", name: null, ip4: null, ip6: null },
      ],
    });
    await assert.rejects(client.call("DeleteNetwork", { name: "mini" }), { code: 12 });
  } finally {
    client.close();
    server.forceShutdown();
  }
});
