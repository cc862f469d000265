/**
 * The Debian package. It is one, not several: every program is a link to the same launcher over the same Deno and
 * sources, so parts would share all of their 120 MB and have to be kept at one version; which services a host runs is
 * said by enabling their units, of which none is enabled by installing it.
 *
 * The portable folder lies in /usr/lib/strand as it is; around it is what Debian has a place for: commands, units, account,
 * manual pages, completion and configuration. dpkg-deb is not needed: a package is two tarballs in an ar archive (deb(5)).
 */
import { createHash } from "node:crypto";
import { writeAr } from "./ar.ts";
import { layOut, MAINTAINER, PLACE } from "./deb_files.ts";
import { packTar } from "./pack.ts";
import type { BuildTarget } from "./target.ts";

/**
 * The control file with the dependencies: the C library for Deno and `ffi/`, and the tools that create account and
 * directories.
 */
const control = (version: string, target: BuildTarget, size: number) =>
  `Package: strand
Version: ${version}
Architecture: ${target.debian}
Maintainer: ${MAINTAINER}
Installed-Size: ${size}
Depends: libc6 (>= 2.27), libgcc-s1, systemd | systemd-standalone-sysusers, systemd | systemd-standalone-tmpfiles
Recommends: ca-certificates
Suggests: etcd-server, iproute2, mount, bash-completion
Section: net
Priority: optional
Description: private networks with names and addresses for a fleet of hosts
 DHCP and DNS that scale out, overlay networks of VXLAN with an agent on each
 host, and the commands that manage both; all state is in etcd.
 .
 It brings nexd (the gRPC API), dhcpd, dnsd and the agent as units of systemd,
 none of which is enabled at installation, and the commands strand, nex and
 sand-agent-cli.
`;

export interface DebOptions {
  /** The checkout. */
  readonly source: string;
  /** The parent of the portable folder `name`; a subdirectory is created in it. */
  readonly directory: string;
  readonly name: string;
  readonly version: string;
  readonly target: BuildTarget;
  /** In seconds since 1970. */
  readonly epoch: number;
  /** Of gzip. */
  readonly level: number;
}

/** The name of the package's file. */
export function debName(version: string, target: BuildTarget): string {
  return `strand_${debVersion(version)}_${target.debian}.deb`;
}

/** Debian sorts 0.2.0~rc.1 before 0.2.0, as 0.2.0-rc.1 is. */
function debVersion(version: string): string {
  return version.replace("-", "~");
}

/** Writes the package to `path`, the same bytes for the same files. */
export async function buildDeb(path: string, options: DebOptions): Promise<void> {
  const { source, directory, name, version, target, epoch, level } = options;
  const work = `${directory}/deb`, data = `${work}/data`, about = `${work}/control`;
  await layOut(data, { ...options, version: debVersion(version), folder: `${directory}/${name}` });
  await Deno.mkdir(about);
  const trees = [{ root: data, prefix: "" }, { root: `${directory}/${name}`, prefix: `${PLACE}/` }];
  const files = trees.flatMap(({ root, prefix }) =>
    [...filesIn(root, "")].map((file) => ({ root, prefix, file }))
  );
  const sizes = files.map(({ root, file }) => Math.ceil(Deno.lstatSync(`${root}/${file}`).size / 1024));
  const size = sizes.reduce((sum, size) => sum + size, 0);
  await Deno.writeTextFile(`${about}/control`, control(debVersion(version), target, size));
  const sums = files.filter(({ root, prefix, file }) =>
    (prefix || !file.startsWith("etc/")) && Deno.lstatSync(`${root}/${file}`).isFile
  ).map(({ root, prefix, file }) =>
    `${createHash("md5").update(Deno.readFileSync(`${root}/${file}`)).digest("hex")}  ${prefix}${file}\n`
  );
  await Deno.writeTextFile(`${about}/md5sums`, sums.sort().join(""));
  const conffiles = [...filesIn(data, "")].filter((file) => file.startsWith("etc/")).sort();
  await Deno.writeTextFile(`${about}/conffiles`, conffiles.map((file) => `/${file}\n`).join(""));
  for (const script of ["postinst", "prerm", "postrm"]) {
    await Deno.copyFile(`${source}/deploy/dist/debian/${script}`, `${about}/${script}`);
    await Deno.chmod(`${about}/${script}`, 0o755);
  }
  await Deno.writeTextFile(`${work}/debian-binary`, "2.0\n");
  await packTar(`${work}/control.tar`, { epoch, level }, [`--directory=${about}`, "."]);
  // The folder comes after the directories that it is in.
  await packTar(`${work}/data.tar`, { epoch, level }, [
    `--transform=flags=r;s,^${name},./${PLACE},`,
    `--directory=${data}`,
    ".",
    `--directory=${directory}`,
    name,
  ]);
  const members = ["debian-binary", "control.tar.gz", "data.tar.gz"];
  await writeAr(path, members.map((name) => ({ name, path: `${work}/${name}` })), epoch);
}

/** Paths of files and links under a directory, relative to it. */
function* filesIn(root: string, path: string): Generator<string> {
  for (const { name, isDirectory } of Deno.readDirSync(`${root}/${path}`)) {
    if (isDirectory) yield* filesIn(root, `${path}${name}/`);
    else yield path + name;
  }
}
