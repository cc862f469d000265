/** Reads the CNI_* environment variables by which a container runtime says which operation it wants, and for which container. */
import { CniError, codes } from "./error.ts";

export const operations = ["ADD", "DEL", "CHECK", "STATUS", "GC", "VERSION"] as const;

export type CniOperation = typeof operations[number];

/** The parameters that a runtime sets as environment variables; those that an operation does not need are empty. */
export interface Parameters {
  readonly operation: CniOperation;
  readonly container: string;
  readonly ifname: string;
  /** Path of the container's namespace. */
  readonly netns: string;
  /** Of CNI_ARGS. */
  readonly args: ReadonlyMap<string, string>;
}

/** The required variables of each operation. */
const needed: Readonly<Record<CniOperation, readonly (keyof typeof forms)[]>> = {
  ADD: ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"],
  CHECK: ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"],
  DEL: ["CNI_CONTAINERID", "CNI_IFNAME"],
  STATUS: [],
  GC: [],
  VERSION: [],
};

type Form = readonly [form: RegExp, wanted: string];

/** A name that a runtime has for a network or a container. */
export const NAME: Form = [
  /^[a-z0-9][\w.-]*$/i,
  "a letter or digit, then letters, digits, underscores, dots and hyphens",
];

/** The valid form of each variable, where it is given and needed. */
export const forms = {
  CNI_CONTAINERID: NAME,
  CNI_IFNAME: [/^(?!\.\.?$)[^\s/:\0]{1,15}$/, "an interface's name of 15 bytes at most, like eth0"],
  CNI_NETNS: [/^\/[^\0]*$/, "the absolute path of a network namespace, like /run/netns/blue"],
} satisfies Readonly<Record<string, Form>>;

/** @throws CniError 4 that names every variable that is missing or wrong */
export function readParameters(environment: Readonly<Record<string, string>>): Parameters {
  const value = (name: string) => environment[name] ?? "";
  const operation = operations.find((operation) => operation === value("CNI_COMMAND"));
  if (!operation) {
    throw new CniError(
      codes.environment,
      `CNI_COMMAND: "${value("CNI_COMMAND")}" is not one of ${operations.join(", ")}`,
    );
  }
  const wrong = needed[operation].flatMap((name) => {
    const [form, wanted] = forms[name];
    if (value(name) === "") return [`${name}: missing, ${operation} needs it`];
    return form.test(value(name)) ? [] : [`${name}: "${value(name)}" is not ${wanted}`];
  });
  const args = readArgs(value("CNI_ARGS"));
  if (!args) wrong.push(`CNI_ARGS: "${value("CNI_ARGS")}" is not like IP=10.0.0.5;MAC=02:84:0a:00:00:05`);
  if (wrong.length) throw new CniError(codes.environment, wrong.join("; "));
  return {
    operation,
    container: value("CNI_CONTAINERID"),
    ifname: value("CNI_IFNAME"),
    netns: value("CNI_NETNS"),
    args: args ?? new Map(),
  };
}

/** Undefined when the text is not pairs separated by semicolons. */
function readArgs(text: string): Map<string, string> | undefined {
  const pairs = text.split(";").filter((pair) => pair.trim() !== "");
  if (!pairs.every((pair) => /^[^=]+=/.test(pair))) return undefined;
  return new Map(pairs.map((pair) => {
    const equals = pair.indexOf("=");
    return [pair.slice(0, equals).trim(), pair.slice(equals + 1).trim()];
  }));
}
