/** The launchers of a clone and of a portable folder start services as the program itself does. */
import assert from "node:assert/strict";
import { codeFolder, heapFlags, SERVICES } from "./program.ts";

/** What else a service is called. */
const ALIASES: Readonly<Record<string, string>> = { "nex-dhcpd": "dhcpd", "sand-agent": "agent" };

for (const launcher of ["strand", "deploy/dist/launcher"]) {
  Deno.test(`${launcher} gives every service, and each name of it, the service's V8 flags and cache`, async () => {
    const text = await Deno.readTextFile(new URL(`../../${launcher}`, import.meta.url));
    const found = [...text.matchAll(/^ {2}([a-z| -]+)\)\n([^;]*--v8-flags=.*?);;/gms)];
    const names = found.flatMap(([, names = ""]) => names.split(" | "));
    assert.deepEqual(names.toSorted(), [...SERVICES, ...Object.keys(ALIASES)].toSorted());
    for (const [, names = "", block = ""] of found) {
      for (const name of names.split(" | ").map((name) => ALIASES[name] ?? name)) {
        assert.match(block, new RegExp(`--v8-flags=${heapFlags(name)}["' ]`));
        assert.match(block, new RegExp(`/${codeFolder(name)}\n`));
      }
    }
  });
}
