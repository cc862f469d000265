/** The commands of a clone, which are no part of the program that is shipped: `./strand test` and `./strand bench`. */
import type { Command } from "../../cli/command.ts";

export const cloneCommands: readonly Command[] = [
  {
    name: "test",
    usage: "test [unit|lab|etcd-3.5|all] [FILTER] [--times]",
    about: "Run the tests (in a clone)",
    details: `  unit      beside the code; needs nothing
  lab       with real daemons and clients in network namespaces; needs root
  etcd-3.5  some of these again, with Debian 13's etcd in place of Debian 12's
  all       all of them (the default; with FILTER alone, unit and lab)
  FILTER    only files whose path contains this, or else tests whose name does; refused where there is neither
  --times   list what every file took, not the longest ten alone

Closes with "N passed, N failed, N skipped".`,
    load: () => import("./run_tests.ts"),
  },
  {
    name: "bench",
    usage: "bench dashboard|dns|dhcp|endpoint|neigh|overlay|store [--json FILE] [--install-peers]",
    about: "Measure, side by side with the peers that are installed (in a clone)",
    details: `  --json FILE       what was measured goes into FILE too
  --install-peers   install the peers from their Debian packages before`,
    load: () => import("./run_bench.ts"),
  },
];
