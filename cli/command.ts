/** The type of a command: how the table in commands.ts describes it, and what its module offers. */

export interface CommandModule {
  /** Runs with the arguments after the command's name; resolves to the exit status. */
  main(args: string[]): Promise<number>;
}

export interface Command {
  readonly name: string;
  /** Other names of links to the program. */
  readonly aliases?: readonly string[];
  /** Its usage line, without the program's name. */
  readonly usage: string;
  /** Its description: a line without a full stop. */
  readonly about: string;
  readonly details?: string;
  /** True: it asks services and ends, so that all of it is one trace, where traces are made. */
  readonly isClient?: boolean;
  /** True: it answers `--help` itself. */
  readonly ownHelp?: boolean;
  /** The manual page that describes it, where that is not one of its own. */
  readonly page?: string;
  load(): Promise<CommandModule>;
}
