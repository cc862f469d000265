/** Shell completion for a commander program: a script per shell, which asks the program itself for the words. */
import type { Command, Option } from "commander";
import { type Candidate, DESCRIBED } from "./candidates.ts";

export type Shell = "bash" | "zsh" | "fish";

/** The name of commander's own help command. */
const HELP = "help";

/** The part of the command line that `values` gets. */
export interface CompletionLine {
  /** The name of the argument to complete, like `net`, or the attribute of an option. */
  readonly argument: string;
  /** Options with a value, by attribute name: those on the line, and those of the environment. */
  readonly options: Readonly<Record<string, string>>;
}

/**
 * The script for `source <(NAME completion SHELL)`, or for the file that a shell loads for NAME.
 *
 * @param links other names that the program is called by
 */
export function completionScript(shell: Shell, name: string, links: readonly string[] = []): string {
  const id = name.replaceAll("-", "_");
  const names = [name, ...links];
  return {
    // The words are split here by white space, as bash would break them at colons too. Bash inserts what the function returns,
    // so descriptions are added only where it lists several words (COMP_TYPE !, @ or ?, see bash(1)): what these have in common
    // ends before any description.
    bash: `_${id}_complete() {
  local line="\${COMP_LINE:0:COMP_POINT}" words
  read -ra words <<<"$line"
  [[ "$line" == *[[:space:]] ]] && words+=("")
  mapfile -t COMPREPLY < <("\${words[0]}" ${DESCRIBED} "\${words[@]:1}" 2>/dev/null)
  if [[ "\${COMP_TYPE:-9}" =~ ^(33|63|64)$ ]] && (( \${#COMPREPLY[@]} > 1 )); then
    local i word about width=0
    for word in "\${COMPREPLY[@]%%$'\\t'*}"; do (( \${#word} > width )) && width=\${#word}; done
    for i in "\${!COMPREPLY[@]}"; do
      word="\${COMPREPLY[i]%%$'\\t'*}" about="\${COMPREPLY[i]#*$'\\t'}"
      [[ -n "$about" ]] && printf -v word '%-*s  (%s)' "$width" "$word" "\${about:0:\${COLUMNS:-80}-width-6}"
      COMPREPLY[i]="$word"
    done
  else
    COMPREPLY=("\${COMPREPLY[@]%%$'\\t'*}")
  fi
}
complete -o default -F _${id}_complete ${names.join(" ")}
`,
    // As a file of fpath, this is the body of the function that the first completion calls.
    zsh: `#compdef ${names.join(" ")}
_${id}_complete() {
  local -a found
  local line about
  local -a described
  found=("\${(@f)$("\${words[1]}" ${DESCRIBED} "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ -z "\${found[1]}" ]]; then _files; return; fi
  for line in "\${(@)found}"; do
    about="\${line#*$'\\t'}"
    described+=("\${\${line%%$'\\t'*}//:/\\\\:}\${about:+:$about}")
  done
  _describe -V -t words word described
}
compdef _${id}_complete ${names.join(" ")}
if [[ "\${funcstack[1]}" == _${name} ]]; then _${id}_complete "$@"; fi
`,
    fish: `function __${id}_complete
  set -l words (commandline -opc) (commandline -ct)
  set -l found ($words[1] ${DESCRIBED} $words[2..-1] 2>/dev/null)
  if set -q found[1]; printf '%s\\n' $found; else; __fish_complete_path (commandline -ct); end
end
complete ${names.map((name) => `-c ${name}`).join(" ")} -f -a '(__${id}_complete)'
`,
  }[shell];
}

/**
 * Returns the candidates for the last of `words`.
 *
 * @param words The words after the program's name; the last, perhaps empty, is being typed.
 * @param values Returns the values of an argument or option that only the program's server knows.
 */
export async function complete(
  program: Command,
  words: readonly string[],
  values: (line: CompletionLine) => Promise<readonly string[]>,
): Promise<Candidate[]> {
  const typed = words.at(-1) ?? "";
  const options: Record<string, string> = {};
  for (const option of program.options) {
    const value = option.envVar && Deno.env.get(option.envVar);
    if (value) options[option.attributeName()] = value;
  }
  let command = program, operands = 0, helps = false, pending: Option | undefined;
  for (const word of words.slice(0, -1)) {
    if (pending) {
      options[pending.attributeName()] = word;
      pending = undefined;
    } else if (word.startsWith("-")) {
      const option = optionsOf(command).find(({ short, long }) => word === short || word === long);
      if (option?.required) pending = option;
    } else if (word === HELP && command.commands.length && !operands) {
      helps = true;
    } else {
      const inner = operands ? undefined : command.commands.find((inner) => inner.name() === word);
      if (inner) command = inner;
      else operands++;
    }
  }
  return (await candidates()).filter(({ word }) => word.startsWith(typed));

  async function candidates(): Promise<readonly Candidate[]> {
    if (pending) {
      return bare(pending.argChoices ?? await values({ argument: pending.attributeName(), options }));
    }
    if (typed.startsWith("-")) {
      const named = optionsOf(command).flatMap(({ long, description }) =>
        long ? { word: long, about: description } : []
      );
      return [...named, { word: "--help", about: "say how the command is used" }];
    }
    const inner: Candidate[] = operands
      ? []
      : command.commands.map((inner) => ({ word: inner.name(), about: inner.description() }));
    if (helps) return inner;
    if (inner.length && command.parent === null) {
      inner.push({ word: HELP, about: "say how a command is used" });
    }
    const argument = command.registeredArguments[operands];
    if (!argument) return inner;
    return [...inner, ...bare(argument.argChoices ?? await values({ argument: argument.name(), options }))];
  }
}

function bare(words: readonly string[]): Candidate[] {
  return words.map((word) => ({ word }));
}

/** A command's own options and those of the commands it stands under. */
function optionsOf(command: Command | null): readonly Option[] {
  return command ? [...command.options, ...optionsOf(command.parent)] : [];
}
