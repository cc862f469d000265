/** The program as it is in a clone: with the commands that test and measure it. What it is asked for is its arguments. */
import { commands } from "../../cli/commands.ts";
import { main } from "../../cli/main.ts";
import { cloneCommands } from "./commands.ts";
import { systemPath } from "./system_path.ts";

Deno.env.set("PATH", systemPath(Deno.env.get("PATH") ?? ""));
Deno.exit(await main(Deno.args, [...commands, ...cloneCommands]));
