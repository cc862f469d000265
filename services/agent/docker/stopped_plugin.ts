/** Manages a second plugin file, which makes a Docker engine that starts while the agent is stopped go on without it. */

/**
 * Keeps a Docker engine from waiting for a stopped agent. An engine that starts while a plugin does not answer waits
 * up to 15 s for each network, endpoint and container, minutes in all, and then continues without the plugin. While
 * the agent is stopped, a plugin file with an address that cannot be connected to makes it continue immediately.
 *
 * The file is in a directory that is empty after a reboot: an engine that starts before the agent at boot should wait
 * for it.
 */
export class StoppedPluginFile {
  readonly #link: string;
  readonly #file: string;

  /**
   * @param spec The file by which Docker finds the plugin, like /etc/docker/plugins/sand.json.
   * @param directory A directory that is empty after a reboot.
   */
  constructor(spec: string, directory: string) {
    // Engines look for a .spec file, which contains an address only, before they look for a .json file.
    this.#link = spec.replace(/\.json$/, ".spec");
    this.#file = `${directory}/docker-away.spec`;
  }

  /** Removes the file, so that engines find the running plugin. */
  async end(): Promise<void> {
    await Deno.remove(this.#file).catch(unlessAbsent);
    await Deno.remove(this.#link).catch(unlessAbsent);
    // The link is dangling while the agent runs, and is the first file that engines find once it does not.
    await Deno.symlink(this.#file, this.#link);
  }

  async begin(): Promise<void> {
    await Deno.mkdir(this.#file.slice(0, this.#file.lastIndexOf("/")), { recursive: true, mode: 0o755 });
    await Deno.writeTextFile(this.#file, ADDRESS + "\n", { mode: 0o644 });
  }
}

/** Longer than a socket's path may be, so that connecting fails; the engine quotes it in its error. */
const ADDRESS = `unix:///${"the agent is stopped: start it".padEnd(120, ".")}`;

function unlessAbsent(error: unknown): void {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}
