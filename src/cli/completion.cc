#include "cli/completion.h"

#include "base/files.h"
#include "base/format.h"
#include "base/text.h"

namespace metaflow::cli {

namespace {

// The scripts call `PROGRAM complete -- WORD...`, so they know no command, and one script completes every program of
// its name, also by a path. Nothing that the user has typed is evaluated. @NAMES@ and @EXAMPLE@ are replaced.

constexpr std::string_view kBash = R"script(# Completion for bash: @NAMES@
# To install it: @EXAMPLE@ completion bash >> ~/.bashrc
_metaflow_complete() {
  local program=${COMP_WORDS[0]/#\~\//$HOME/} rest=${COMP_LINE:0:COMP_POINT} i piece glued cut= word _
  local -a words=()
  # bash splits words at = and :, too. Those without blanks between them are one word.
  for ((i = 0; i <= COMP_CWORD; i++)); do
    glued=${#words[@]}
    if [[ $rest =~ ^[[:space:]]+ ]]; then rest=${rest:${#BASH_REMATCH}} glued=0; fi
    piece=${COMP_WORDS[i]}
    if ((i == COMP_CWORD)); then piece=$rest; fi
    rest=${rest:${#piece}}
    if ((glued)); then words[-1]+=$piece; else words+=("$piece"); fi
  done
  # The part of the word before the last = or :, which bash does not replace.
  for i in = :; do
    word=${words[-1]%"${words[-1]##*"$i"}"}
    if [[ $COMP_WORDBREAKS == *"$i"* ]] && ((${#word} > ${#cut})); then cut=$word; fi
  done
  COMPREPLY=()
  while IFS=$'\t' read -r word _; do
    case $word in
      :files) compopt -o default ;;
      :directories) compopt -o dirnames ;;
      *) COMPREPLY+=("${word#"$cut"}") ;;
    esac
  done < <("$program" complete -- "${words[@]:1}" 2>/dev/null)
  if [[ ${#COMPREPLY[@]} == 1 && $COMPREPLY == *[/=:] ]]; then compopt -o nospace; fi
}
complete -F _metaflow_complete -- @NAMES@
)script";

constexpr std::string_view kZsh = R"script(#compdef @NAMES@
# Completion for zsh: @NAMES@
# To install it: @EXAMPLE@ completion zsh >> ~/.zshrc
_metaflow_complete() {
  local program=${${(Q)words[1]}/#\~\//$HOME/} line word help
  local -a whole open whole_shown open_shown
  for line in ${(f)"$("$program" complete -- "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)"}; do
    word=${line%%$'\t'*} help=${line#*$'\t'}
    case $word in
      :files) [[ $PREFIX == -*=* ]] && compset -P '*='; _files; return ;;
      :directories) [[ $PREFIX == -*=* ]] && compset -P '*='; _files -/; return ;;
      *[/=:]) open+=("$word") open_shown+=("$word${help:+  -- $help}") ;;
      *) whole+=("$word") whole_shown+=("$word${help:+  -- $help}") ;;
    esac
  done
  compadd -l -d open_shown -S '' -a open
  compadd -l -d whole_shown -a whole
}
if [[ ${funcstack[1]-} == _* ]]; then
  _metaflow_complete
else
  (( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
  compdef _metaflow_complete @NAMES@
fi
)script";

constexpr std::string_view kFish = R"script(# Completion for fish: @NAMES@
# To install it: @EXAMPLE@ completion fish > ~/.config/fish/completions/@FIRST@.fish
function __metaflow_complete
    set -l words (commandline -opc)
    set -l word (commandline -ct)
    set -l program (string replace -r '^~/' "$HOME/" -- $words[1])
    set -l lines ($program complete -- $words[2..-1] "$word" 2>/dev/null)
    set -l option (string match -r -- '^-[^=]*=' "$word")
    for line in $lines
        switch $line
            case ':files*'
                __fish_complete_path (string replace -r -- '^-[^=]*=' '' "$word") | string replace -r '^' -- "$option"
            case ':directories*'
                __fish_complete_directories (string replace -r -- '^-[^=]*=' '' "$word") '' | string replace -r '^' -- "$option"
            case '*'
                echo $line
        end
    end
end
for name in @NAMES@
    complete -c $name -f -a '(__metaflow_complete)'
end
)script";

std::string script_of(std::string_view shell, const std::string& program, std::vector<std::string> names) {
  if (names.empty()) names.push_back(program.substr(program.rfind('/') + 1));
  const std::string first = names[0].substr(names[0].rfind('/') + 1);
  for (std::string& name : names) name = base::shell_quoted(name.substr(name.rfind('/') + 1));
  std::string text(shell == "bash" ? kBash : shell == "zsh" ? kZsh : kFish);
  for (const auto& [mark, value] : {std::pair<std::string_view, std::string>{"@NAMES@", base::join(names, " ")},
                                    {"@EXAMPLE@", base::shell_quoted(program)},
                                    {"@FIRST@", base::shell_quoted(first)}}) {
    for (std::size_t at = text.find(mark); at != std::string::npos; at = text.find(mark, at + value.size()))
      text.replace(at, mark.size(), value);
  }
  return text;
}

}  // namespace

Command completion_command(const std::string& program) {
  struct Options {
    std::string shell;
    std::vector<std::string> names;
  };
  auto options = std::make_shared<Options>();
  Command command{.name = "completion",
                  .help =
                      "Print a completion script for bash, zsh or fish. It completes commands, options, runs, "
                      "steps and file names. The script works for each flow of the given names, in any "
                      "directory. Default: the name of this program."};
  const auto choice = store_choice("SHELL", options->shell, {"bash", "zsh", "fish"});
  command.arguments = {{.name = "SHELL", .choices = {"bash", "zsh", "fish"}, .set = choice},
                       {.name = "PROGRAM", .required = false, .multiple = true, .set = append_text(options->names)}};
  command.examples = {{"bash >> ~/.bashrc", "Install it for bash; it works in the next shell."},
                      {"zsh >> ~/.zshrc", "Install it for zsh."},
                      {"bash train score >> ~/.bashrc", "Install it for the programs train and score."}};
  command.standalone = true;
  command.run = [options, program] {
    Context::print(script_of(options->shell, program, options->names));
    return 0;
  };
  return command;
}

Command complete_command(const Command& root, FindValues find_values) {
  auto words = std::make_shared<std::vector<std::string>>();
  Command command{.name = "complete",
                  .help = "Internal command for completion scripts.",
                  .hidden = true,
                  .arguments = {{.name = "WORD", .required = false, .multiple = true, .set = append_text(*words)}},
                  .standalone = true};
  command.run = [&root, find_values = std::move(find_values), words] {
    const Completion found = complete(root, *words, find_values);
    std::string text;
    if (found.paths == ValueKind::file) text += ":files\n";
    if (found.paths == ValueKind::directory) text += ":directories\n";
    for (const Candidate& candidate : found.candidates) {
      const std::size_t sentence = candidate.help.find(". ");
      text += candidate.text + "\t" + candidate.help.substr(0, sentence == std::string::npos ? sentence : sentence + 1);
      std::replace(text.begin() + static_cast<std::ptrdiff_t>(text.rfind('\t')), text.end(), '\n', ' ');
      text += "\n";
    }
    Context::print(text);
    return 0;
  };
  return command;
}

}  // namespace metaflow::cli
