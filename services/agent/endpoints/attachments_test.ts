import assert from "node:assert/strict";
import { Refusal } from "../../common/refusal.ts";
import type { AgentApi } from "../api.ts";
import { Attachments } from "./attachments.ts";
import type { Context } from "../context.ts";
import { DockerEndpoints } from "../docker/endpoints.ts";
import { VethNames } from "./veth_names.ts";
import type { Workers } from "../reconcile/networks.ts";

const attachment = { network: "blue", container: "c1", ifname: "eth0" };
/** One endpoint, which is both a container's by CNI and Docker's here. */
const endpoint = {
  id: "e1",
  network: "blue",
  record: { strand_cni: attachment, strand_docker: { network: "n1", endpoint: "d1" } },
};

/** An agent whose mirror shows nothing until etcd has confirmed it. @param confirmed what it shows then, or throws */
function agent(confirmed: () => object[]) {
  const deleted: string[] = [], shown: object[] = [];
  const context = {
    storeGuard: { assertNotHeld() {} },
    host: { hostname: "h1" },
    view: { endpointsOn: () => shown, endpoint: () => shown[0] },
    store: { confirmed: () => Promise.resolve().then(() => void shown.push(...confirmed())) },
  } as unknown as Context;
  const remove = (id: string) => Promise.resolve(deleted.push(id));
  const worker = { whenApplied: () => Promise.resolve(), forget() {}, writer: { delete: remove } };
  const workers = { use: () => Promise.resolve({ worker, release() {} }) } as unknown as Workers;
  const api = { deleteEndpoint: remove } as unknown as AgentApi;
  const docker = new DockerEndpoints(context, workers, new VethNames(), () => {});
  return { deleted, context, attachments: new Attachments(api, context, workers), docker };
}

const away = () => {
  throw new Refusal("unavailable", "etcd is away");
};

Deno.test("what was made while its answer was lost is found when it is to go, though the mirror lags behind", async () => {
  const cni = agent(() => [endpoint]);
  await cni.attachments.detach(attachment);
  assert.deepEqual(cni.deleted, ["e1"]);
  const docker = agent(() => [endpoint]);
  await docker.docker.deleteEndpoint("d1");
  assert.deepEqual(docker.deleted, ["e1"]);
});

Deno.test("without a list of the valid ones those are collected whose namespace is gone", async () => {
  const gone = { ...endpoint, active: false }, other = { strand_cni: { ...attachment, network: "red" } };
  const { attachments, context, deleted } = agent(() => [
    gone,
    { ...gone, id: "e2", active: true },
    { ...gone, id: "e3", record: other },
  ]);
  await context.store.confirmed(AbortSignal.abort());
  assert.deepEqual(await attachments.collect("blue", undefined), ["e1"]);
  assert.deepEqual(deleted, ["e1"]);
});

Deno.test("that nothing is there is told only when etcd has confirmed it", async () => {
  await agent(() => []).attachments.detach(attachment);
  await agent(() => []).docker.deleteEndpoint("d1");
  await agent(() => []).docker.leave("d1");
  await assert.rejects(agent(() => []).attachments.check(attachment, "/n"), { code: "not-found" });
  const cut = agent(away), unavailable = { code: "unavailable" };
  await assert.rejects(cut.attachments.detach(attachment), unavailable);
  await assert.rejects(cut.attachments.check(attachment, "/n"), unavailable);
  await assert.rejects(cut.docker.deleteEndpoint("d1"), unavailable);
  await assert.rejects(cut.docker.leave("d1"), unavailable);
  await assert.rejects(cut.docker.join("d1", "/n"), unavailable);
});
