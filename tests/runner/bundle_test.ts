import assert from "node:assert/strict";
import { finding, naming } from "./bundle.ts";

Deno.test("a bundled module finds files beside its own, and the package of settings as a bundle", () => {
  const bundled = [
    "var require_health = __commonJS({",
    '  "node_modules/.deno/health@2/node_modules/health/build/health.js"(exports) {',
    "    includeDirs: [`${__dirname}/../proto`]",
    "  }",
    "});",
    "var require_service = __commonJS({",
    '  "node_modules/service/main.js"(exports) { path.join(__dirname, "service.proto"); }',
    "});",
    'const { isMap } = require2("yaml");',
  ].join("\n");
  assert.deepEqual(finding(bundled, "/clone/").split("\n"), [
    "var require_health = __commonJS({",
    '  "node_modules/.deno/health@2/node_modules/health/build/health.js"(exports) {',
    '    includeDirs: [`${"/clone/node_modules/.deno/health@2/node_modules/health/build"}/../proto`]',
    "  }",
    "});",
    "var require_service = __commonJS({",
    '  "node_modules/service/main.js"(exports) { path.join("/clone/node_modules/service", "service.proto"); }',
    "});",
    'const { isMap } = require2("./yaml.cjs");',
  ]);
});

Deno.test("a bundled module that imports a CommonJS package when it needs it gets the package's names", () => {
  const modules = new Map([
    ["src-A.js", 'import { require_src } from "./chunk-B.js";\nexport default require_src();\n'],
    ["main-C.js", "export { main };\n"],
  ]);
  assert.equal(
    naming('const [{ credentials }] = [import("./src-A.js"), import("./main-C.js")];', modules),
    'const [{ credentials }] = [import("./src-A.js").then((module) => module.default), import("./main-C.js")];',
  );
});
