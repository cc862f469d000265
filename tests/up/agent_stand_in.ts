/** An agent without networks: what `strand status` and `strand agent release` have to do with, and no more. */
import { runDaemon } from "../../services/common/daemon.ts";
import { Refusal } from "../../services/common/refusal.ts";

let held = true;

const code = await runDaemon(
  { name: "agent", args: Deno.args, abort: () => {}, notify: () => {} },
  (daemon) => {
    daemon.note(() => [{ what: "networks", value: 3 }, { what: "host host2", value: "12 revisions behind" }]);
    daemon.check(() =>
      held
        ? { what: "etcd is another cluster's", fix: 'look, then "strand agent release"', blocks: true }
        : undefined
    );
    daemon.action("release", () => {
      if (!held) throw new Refusal("invalid", "nothing is on hold");
      held = false;
      return "released: this host follows etcd again";
    });
    return Promise.resolve();
  },
);
Deno.exit(code);
