/**
 * Lays out the files of the Debian package: the portable folder, and around it each file where Debian has a place for
 * its kind.
 */
import { gzipSync } from "node:zlib";
import { completionScript, type Shell } from "../../cli/completion.ts";
import { links } from "./folder.ts";

/** The path of the portable folder. */
export const PLACE = "usr/lib/strand";
export const MAINTAINER = "Strand <strand@packages.invalid>";

export interface LayoutOptions {
  /** The checkout. */
  readonly source: string;
  /** The portable folder, from which manual pages and units are copied. */
  readonly folder: string;
  readonly version: string;
  /** In seconds since 1970. */
  readonly epoch: number;
}

/** The path at which each shell finds the completion of a command. */
const completions: Readonly<Record<Shell, (command: string) => string>> = {
  bash: (command) => `usr/share/bash-completion/completions/${command}`,
  zsh: (command) => `usr/share/zsh/vendor-completions/_${command}`,
  fish: (command) => `usr/share/fish/vendor_completions.d/${command}.fish`,
};
/** The commands with a completion script, and the links that it serves as well. */
const completed: Readonly<Record<string, readonly string[]>> = {
  strand: ["nexd", "nex-dhcpd", "sand-agent"],
  nex: ["nexc"],
  "sand-agent-cli": [],
};

/** Fills the new directory `data`. */
export async function layOut(data: string, options: LayoutOptions): Promise<void> {
  const { source, folder } = options;
  const write = async (path: string, content: string | Uint8Array) => {
    await Deno.mkdir(`${data}/${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
    await Deno.writeFile(
      `${data}/${path}`,
      typeof content === "string" ? new TextEncoder().encode(content) : content,
    );
  };
  const link = async (path: string, target: string) => {
    await Deno.mkdir(`${data}/${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
    await Deno.symlink(target, `${data}/${path}`);
  };
  for (const name of links) await link(`usr/bin/${name}`, "../lib/strand/strand");
  // Podman looks for network drivers in this folder.
  await link("usr/lib/netavark/strand", "../strand/strand");
  const systemd = `${folder}/deploy/systemd`;
  for (const { name } of Deno.readDirSync(systemd)) {
    const text = await Deno.readTextFile(`${systemd}/${name}`);
    if (name.endsWith(".conf")) await write(`usr/lib/${name.replace(".conf", ".d")}/strand.conf`, text);
    else await write(`usr/lib/systemd/system/${name}`, inItsPlace(text));
  }
  for (const { name } of Deno.readDirSync(`${folder}/docs/man`)) {
    const page = await Deno.readFile(`${folder}/docs/man/${name}`);
    await write(`usr/share/man/man${name.at(-1)}/${name}.gz`, gzipSync(page, { level: 9 }));
  }
  for (const [shell, path] of Object.entries(completions) as [Shell, (command: string) => string][]) {
    for (const [command, others] of Object.entries(completed)) {
      await write(path(command), completionScript(shell, command, others));
      // A script for zsh itself names the commands that it completes.
      if (shell === "zsh") continue;
      for (const other of others) await link(path(other), path(command).replace(/.*\//, ""));
    }
  }
  const own = (name: string) => Deno.readTextFile(`${source}/deploy/dist/debian/${name}`);
  await write("etc/nex/nex.yml", await own("nex.yml"));
  for (const name of ["strand", "strand-agent"]) {
    await write(`etc/default/${name}`, await own(`${name}.default`));
  }
  const doc = "usr/share/doc/strand";
  await write(`${doc}/copyright`, await own("copyright"));
  await write(`${doc}/changelog.gz`, gzipSync(changelog(options), { level: 9 }));
  for (const name of ["README.md", "CHANGELOG.md", "docs", "examples"]) {
    await link(`${doc}/${name}`, `../../../lib/strand/${name}`);
  }
  await write("usr/share/lintian/overrides/strand", await own("lintian-overrides"));
}

/** A unit of the tarball, which is at /opt/strand, for the package. */
function inItsPlace(unit: string): string {
  return unit.replaceAll("/opt/strand/bin/", "/usr/bin/").replaceAll("/opt/strand/", `/${PLACE}/`);
}

/** The changelog that Debian's tools require; the changes are in CHANGELOG.md. */
function changelog({ version, epoch }: LayoutOptions): string {
  const date = new Date(epoch * 1000).toUTCString().replace("GMT", "+0000");
  return `strand (${version}) unstable; urgency=medium

  * What has changed is in CHANGELOG.md.

 -- ${MAINTAINER}  ${date}
`;
}
