/** The launchers of a clone and of a portable folder start services as the program itself does. */
import assert from "node:assert/strict";
import { SERVICE_FLAGS, SERVICES } from "./program.ts";

for (const launcher of ["strand", "deploy/dist/launcher"]) {
  Deno.test(`${launcher} gives every service, and each name of it, the services' V8 flags`, async () => {
    const text = await Deno.readTextFile(new URL(`../../${launcher}`, import.meta.url));
    const [, names = "", block = ""] = /^ {2}(nexd \|[^)]*)\)\n(.*?);;/ms.exec(text) ?? [];
    assert.deepEqual(names.split(" | ").toSorted(), [...SERVICES, "nex-dhcpd", "sand-agent"].toSorted());
    for (const flag of SERVICE_FLAGS) assert.ok(block.includes(flag), block);
  });
}
