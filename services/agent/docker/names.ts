/**
 * Gives endpoints the names of their Docker containers: the container's name, and its aliases in the network. They
 * are learned from dockerd's events, apart from every call of the plugin.
 */
import { delay, Mutex } from "../../common/async.ts";
import { OncePerMinute } from "../../common/log.ts";
import { messageOf } from "../../common/refusal.ts";
import { whyUnnamed } from "../../overlay/taken_names.ts";
import type { NetworkChange } from "../../overlay/network_change.ts";
import { isLabel } from "../../store/sand_schemas.ts";
import type { Context } from "../context.ts";
import { giveName } from "../endpoints/give_name.ts";
import type { Workers } from "../reconcile/networks.ts";
import { type Container, Engine } from "./engine.ts";

/** How long after a failure dockerd is asked again, in ms. */
const LATER = 2000;
/** Docker gives each container the beginning of its id as an alias, of this length. */
const SHORT_ID = 12;

/** Follows dockerd for as long as the agent runs: from its start, from each new start of dockerd, and from each failure on. */
export class DockerNames {
  readonly #closing = new AbortController();
  readonly #running: Promise<void>;
  readonly #unsubscribe: () => void;
  /** Containers that are to be looked at. */
  readonly #waiting = new Set<string>();
  readonly #engine: Engine;
  /** Looks at all containers again, while dockerd is followed. */
  #again: (() => void) | undefined;
  readonly #once = new OncePerMinute();
  readonly #work = new Mutex();
  /** The problem that was logged last; undefined: dockerd is followed. */
  #told: string | undefined = "";

  constructor(
    private readonly context: Context,
    private readonly workers: Workers,
    socket: string,
  ) {
    this.#engine = new Engine(socket);
    this.#unsubscribe = context.view.subscribe((changes) => this.#notice(changes));
    this.#running = this.#run();
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      const failure = await this.#follow().catch((error) => error);
      if (signal.aborted) return;
      const why = messageOf(failure);
      // An agent usually starts before dockerd.
      const level = this.#told === "" ? "info" : "warn";
      if (why !== this.#told) {
        this.context.log[level](`Docker's containers are not named now: dockerd: ${why}`);
      }
      this.#told = why;
      await delay(LATER, signal);
    }
  }

  /** Names the containers that run, and those that come. @throws Error, at the latest when dockerd ends */
  async #follow(): Promise<never> {
    const events = await this.#engine.events();
    let failure: unknown;
    const fail = (error: unknown) => {
      failure ??= error;
      events.close();
    };
    this.#again = () => void this.#takeAll(fail).catch(fail);
    try {
      await this.#takeAll(fail);
      if (this.#told !== undefined) this.context.log.info("Docker's containers are called by their names");
      this.#told = undefined;
      for await (const ids of events) this.#take(ids, fail);
    } catch (error) {
      failure ??= error;
    } finally {
      this.#again = undefined;
      events.close();
      await this.#work.run(() => {});
      this.#waiting.clear();
    }
    throw failure ?? new Error("it has ended");
  }

  /** Docker's ids of this host's endpoints in networks that have names. */
  #endpoints(): Set<string> {
    const { view, host } = this.context;
    return new Set(
      [...view.endpointsOn(host.hostname)].flatMap(({ network, record: { strand_docker: docker } }) =>
        docker && view.space(network).settings ? docker.endpoint : []
      ),
    );
  }

  async #takeAll(fail: (error: unknown) => void): Promise<void> {
    const endpoints = this.#endpoints();
    if (endpoints.size) this.#take(await this.#engine.runningWith(endpoints), fail);
  }

  #take(ids: readonly string[], fail: (error: unknown) => void): void {
    // A host whose networks have no names asks for nothing.
    if (this.#endpoints().size === 0) return;
    for (const id of ids) this.#waiting.add(id);
    void this.#work.run(async () => {
      for (const id of this.#waiting) {
        this.#waiting.delete(id);
        // A container that cannot be named does not keep others from their names.
        await this.#look(id).catch(fail);
      }
    });
  }

  async #look(id: string): Promise<void> {
    const container = await this.#engine.container(id);
    if (container) await this.#name(container);
  }

  async #name({ Id: id, Name: slashed, NetworkSettings: networks }: Container): Promise<void> {
    const { view, host, log } = this.context, given = slashed.replace(/^\//, ""), label = given.toLowerCase();
    for (const { EndpointID, Aliases } of networks) {
      const endpoint = view.endpointsOn(host.hostname)
        .find(({ record }) => record.strand_docker?.endpoint === EndpointID);
      if (!endpoint || EndpointID === "" || !view.space(endpoint.network).settings) continue;
      const name = isLabel(label) ? label : undefined;
      const aliases = Aliases.filter((alias) => alias !== id.slice(0, SHORT_ID)).map((alias) =>
        alias.toLowerCase()
      );
      await giveName(this.context, this.workers, endpoint.id, { name, aliases });
      const now = view.endpoint(endpoint.id);
      const why = name === undefined
        ? `container "${given}" has no name: it is not one label`
        : now && whyUnnamed(view, now);
      if (why !== undefined && this.#once.due(endpoint.id)) log.warn({ endpoint: endpoint.id }, why);
    }
  }

  /** A network that has got settings has names from now on: dockerd is asked again for those of the containers in it. */
  #notice(changes: ReadonlyMap<string, NetworkChange>): void {
    const { view, host } = this.context;
    for (const [network, { kinds }] of changes) {
      const space = view.space(network);
      if (!kinds.has("names") || !space.settings) continue;
      const isNameless = [...space.endpointsOn(host.hostname)].some(({ record }) =>
        record.strand_docker && record.strand_name === undefined && record.strand_unnamed === undefined
      );
      if (isNameless) return this.#again?.();
    }
  }

  /** Resolves when nothing is asked or written any more. */
  async close(): Promise<void> {
    this.#unsubscribe();
    this.#closing.abort();
    this.#engine.close();
    await this.#running;
  }
}
