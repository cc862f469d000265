/**
 * What an engine is told while the agent is stopped. One that starts then, and asks a plugin that does not answer, waits
 * for 15 s at each network, endpoint and container that it has: minutes, at the end of which it goes on without. Being
 * told a socket that nobody can have, it goes on without at once.
 *
 * The word lies where nothing outlasts a reboot: an engine that starts before the agent does at boot waits for it.
 */
export class Away {
  readonly #link: string;
  readonly #file: string;

  /**
   * @param spec The file by which Docker knows the plugin, like /etc/docker/plugins/sand.json.
   * @param directory A directory that is empty after a reboot.
   */
  constructor(spec: string, directory: string) {
    // Engines look for a .spec, which holds an address alone, before they look for a .json.
    this.#link = spec.replace(/\.json$/, ".spec");
    this.#file = `${directory}/docker-away.spec`;
  }

  /** Nobody is told anything. */
  async end(): Promise<void> {
    await Deno.remove(this.#file).catch(unlessAbsent);
    await Deno.remove(this.#link).catch(unlessAbsent);
    // It leads nowhere while the agent runs, and is the first to be found once it does not.
    await Deno.symlink(this.#file, this.#link);
  }

  async begin(): Promise<void> {
    await Deno.mkdir(this.#file.slice(0, this.#file.lastIndexOf("/")), { recursive: true, mode: 0o755 });
    await Deno.writeTextFile(this.#file, ADDRESS + "\n", { mode: 0o644 });
  }
}

/** Longer than the path of a socket can be: the engine quotes it in its refusal. */
const ADDRESS = `unix:///${"the agent is stopped: start it".padEnd(120, ".")}`;

function unlessAbsent(error: unknown): void {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}
