/** Hosts for tests that need a network: see {@link Lab}. */
export {
  Lab,
  type LabHost,
  type LabHostOptions,
  type Segment,
  type StartOptions,
} from "../../cli/strand/lab.ts";
export { type Output, Process, run } from "../../cli/strand/process.ts";
export { strandCommand } from "../../cli/strand/program.ts";
