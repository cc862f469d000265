/** The manifest of what is shipped: SPDX 2.3, as JSON. */
import { createHash } from "node:crypto";
import type { NpmPackage } from "./packages.ts";
import type { BuildTarget } from "./target.ts";

interface Part {
  readonly id: string;
  readonly license: string;
  /** Its files are those under here that belong to no other part. */
  readonly folder: string;
}

export interface ManifestOptions {
  /** The folder that is shipped; the manifest itself is not to be in it yet. */
  readonly folder: string;
  readonly version: string;
  readonly target: BuildTarget;
  readonly packages: readonly NpmPackage[];
  /** When what is shipped was last changed, in seconds since 1970. */
  readonly epoch: number;
}

/** The document for a folder: every package with version, licence and origin, every file with its hashes. */
export async function manifest(options: ManifestOptions): Promise<Record<string, unknown>> {
  const { version, target, packages, epoch, folder } = options;
  const name = `strand-${version}-linux-${target.arch}`;
  const parts: Part[] = [
    { id: "SPDXRef-Package-strand", license: "Apache-2.0", folder: "" },
    { id: "SPDXRef-Package-deno", license: "MIT", folder: "deno" },
    ...packages.map((npm) => ({ id: idOf(npm), license: npm.license, folder: `${npm.folder}/` })),
  ];
  const files = (await Array.fromAsync(walk(folder, ""))).sort((a, b) => a < b ? -1 : 1).map(
    (path, index) => {
      const part = parts.findLast(({ folder }) => path.startsWith(folder)) ?? parts[0] as Part;
      const bytes = Deno.readFileSync(`${folder}/${path}`);
      return {
        path,
        part,
        id: `SPDXRef-File-${index}`,
        sha1: hash("sha1", bytes),
        sha256: hash("sha256", bytes),
      };
    },
  );
  const contents = hash("sha256", files.map(({ path, sha256 }) => `${sha256}  ${path}\n`).join(""));
  const verification = ({ id }: Part) => {
    const own = files.filter(({ part }) => part.id === id).map(({ sha1 }) => sha1).sort();
    return { packageVerificationCodeValue: hash("sha1", own.join("")) };
  };
  const described = (part: Part, versionInfo: string, name: string, purl: string) => ({
    SPDXID: part.id,
    name,
    versionInfo,
    supplier: "NOASSERTION",
    downloadLocation: "NOASSERTION",
    filesAnalyzed: true,
    packageVerificationCode: verification(part),
    licenseConcluded: part.license,
    licenseDeclared: part.license,
    licenseInfoFromFiles: ["NOASSERTION"],
    copyrightText: "NOASSERTION",
    externalRefs: [{
      referenceCategory: "PACKAGE-MANAGER",
      referenceType: "purl",
      referenceLocator: purl,
    }],
  });
  const [strand, deno, ...npm] = parts as [Part, Part, ...Part[]];
  const relation = (from: string, relationshipType: string, to: string) => ({
    spdxElementId: from,
    relationshipType,
    relatedSpdxElement: to,
  });
  return {
    spdxVersion: "SPDX-2.3",
    dataLicense: "CC0-1.0",
    SPDXID: "SPDXRef-DOCUMENT",
    name,
    documentNamespace: `https://spdx.org/spdxdocs/${name}-${contents}`,
    creationInfo: {
      created: new Date(epoch * 1000).toISOString().replace(".000", ""),
      creators: [`Tool: strand-dist-${version}`],
    },
    packages: [
      described(strand, version, "strand", `pkg:generic/strand@${version}?arch=${target.arch}`),
      described(deno, Deno.version.deno, "deno", npmUrl(target.denoPackage, Deno.version.deno)),
      ...packages.map((from, index) => ({
        ...described(npm[index] as Part, from.version, from.name, npmUrl(from.name, from.version)),
        checksums: [{ algorithm: "SHA512", checksumValue: digestOf(from.integrity) }],
        comment:
          "The checksum is of the package's archive, of which declarations and source maps are left out.",
      })),
    ],
    files: files.map(({ path, part, id, sha1, sha256 }) => ({
      SPDXID: id,
      fileName: `./${path}`,
      checksums: [
        { algorithm: "SHA1", checksumValue: sha1 },
        { algorithm: "SHA256", checksumValue: sha256 },
      ],
      licenseConcluded: part.license,
      licenseInfoInFiles: ["NOASSERTION"],
      copyrightText: "NOASSERTION",
    })),
    relationships: [
      relation("SPDXRef-DOCUMENT", "DESCRIBES", strand.id),
      relation(strand.id, "CONTAINS", deno.id),
      ...npm.map(({ id }) => relation(strand.id, "CONTAINS", id)),
      ...packages.flatMap((from) =>
        from.dependencies.flatMap((wanted) => {
          const to = packages.find(({ name, version }) => wanted === name || wanted === `${name}@${version}`);
          return to ? [relation(idOf(from), "DEPENDS_ON", idOf(to))] : [];
        })
      ),
      ...files.map(({ id, part }) => relation(part.id, "CONTAINS", id)),
    ],
  };
}

function idOf({ name, version }: NpmPackage): string {
  return `SPDXRef-Package-npm-${`${name}-${version}`.replaceAll(/[^a-zA-Z0-9.-]/g, "-")}`;
}

function npmUrl(name: string, version: string): string {
  return `pkg:npm/${name.replace("@", "%40")}@${version}`;
}

/** The digest of `sha512-BASE64`, in hexadecimal. */
function digestOf(integrity: string): string {
  return Uint8Array.fromBase64(integrity.replace("sha512-", "")).toHex();
}

function hash(algorithm: string, data: string | Uint8Array): string {
  return createHash(algorithm).update(data).digest("hex");
}

/** Paths of the files under a directory, relative to it; links are no files of their own. */
async function* walk(root: string, path: string): AsyncGenerator<string> {
  for await (const { name, isDirectory, isFile } of Deno.readDir(`${root}/${path}`)) {
    if (isDirectory) yield* walk(root, `${path}${name}/`);
    else if (isFile) yield path + name;
  }
}
