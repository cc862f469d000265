/** Fills the portable folder with sources, npm packages, Deno, licences and documents. */
import { type BuildTarget, copyDeno } from "./target.ts";
import { installPackages, type NpmPackage } from "./packages.ts";

/** The links beside the launcher, in `bin/`: each is the command of its name. */
export const links = ["strand", "nex", "nexc", "nexd", "nex-dhcpd", "sand-agent", "sand-agent-cli"];

/** Folders that are copied whole, except tests and the build of the folder itself. */
const program = ["cli", "services", "ffi", "proto", "examples"];
const folders = ["docs", "deploy"];
const files = ["LICENSE", "README.md", "CHANGELOG.md", "CONTRIBUTING.md"];
const excluded =
  /_test\.ts$|^deploy\/(dist|image|npm\/npm\.ts)$|^proto\/generator$|^docs\/.*\.svg$|^docs\/BENCHMARKS\.md$/;

/** Fills `target`, an empty directory, from the checkout `source`; returns the npm packages in it. */
export async function fillFolder(
  source: string,
  target: string,
  machine: BuildTarget,
): Promise<NpmPackage[]> {
  // First, since it may be refused: before thousands of files are copied.
  await copyDeno(machine, `${target}/deno`);
  const packages = await copyProgram(source, target);
  for (const file of files) await Deno.copyFile(`${source}/${file}`, `${target}/${file}`);
  for (const folder of folders) await copySources(source, target, folder);
  await Deno.copyFile(`${source}/deploy/dist/launcher`, `${target}/strand`);
  await Deno.mkdir(`${target}/bin`);
  for (const link of links) await Deno.symlink("../strand", `${target}/bin/${link}`);
  for (const program of ["strand", "deno"]) await Deno.chmod(`${target}/${program}`, 0o755);
  await Deno.writeTextFile(`${target}/THIRD-PARTY-LICENSES`, await licences(source, target, packages));
  return packages;
}

/** Copies what runs: sources and npm packages, which are returned. */
export async function copyProgram(source: string, target: string): Promise<NpmPackage[]> {
  // Tasks, and how sources are formatted and checked, are a clone's. So are lazy imports, which a folder's launcher asks
  // for: a compiled program would lack what is imported so.
  const { version, license, nodeModulesDir, imports, compilerOptions: { jsx, jsxImportSource } } = JSON.parse(
    await Deno.readTextFile(`${source}/deno.json`),
  );
  const config = JSON.stringify(
    {
      version,
      license,
      nodeModulesDir,
      imports,
      compilerOptions: { jsx, jsxImportSource },
    },
    null,
    2,
  );
  await Deno.writeTextFile(`${target}/deno.json`, `${config}\n`);
  for (const folder of program) await copySources(source, target, folder);
  return await installPackages(source, target);
}

async function copySources(source: string, target: string, path: string): Promise<void> {
  const { isDirectory } = await Deno.stat(`${source}/${path}`);
  if (!isDirectory) return await Deno.copyFile(`${source}/${path}`, `${target}/${path}`);
  await Deno.mkdir(`${target}/${path}`);
  for await (const { name } of Deno.readDir(`${source}/${path}`)) {
    if (!excluded.test(`${path}/${name}`)) await copySources(source, target, `${path}/${name}`);
  }
}

/** The licence of each third-party part, with its text. */
async function licences(source: string, target: string, packages: readonly NpmPackage[]): Promise<string> {
  const parts = [{
    title: `Deno ${Deno.version.deno} (MIT), the file deno; it holds V8 ${Deno.version.v8} (BSD-3-Clause)`,
    text: await Deno.readTextFile(`${source}/deploy/dist/DENO-LICENSE`),
  }];
  for (const { name, version, license, folder } of packages) {
    const file = [...Deno.readDirSync(`${target}/${folder}`)]
      .map(({ name }) => name)
      .sort()
      .find((name) => /^licen[cs]e/i.test(name));
    const text = file
      ? await Deno.readTextFile(`${target}/${folder}/${file}`)
      : "It comes without a text; its package.json names this licence.\n";
    parts.push({ title: `${name} ${version} (${license}), ${folder}`, text });
  }
  const line = "=".repeat(80);
  return parts.map(({ title, text }) => `${line}\n${title}\n${line}\n\n${text.trim()}\n`).join("\n");
}
