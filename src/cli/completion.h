// The commands `completion`, which prints a shell's completion script, and `complete`, which the script calls.
#pragma once

#include <memory>
#include <string>

#include "cli/complete.h"
#include "cli/context.h"

namespace metaflow::cli {

/// `program`: the name that the shell completes.
Command completion_command(const std::string& program);

/// The hidden command `complete -- WORD...`. It prints a line for each candidate: the word, a tab, its help. The line
/// ":files" or ":directories" requests names of files. `root` has all commands, and outlives it.
Command complete_command(const Command& root, FindValues find_values);

/// The runs in the local store, the steps of the flow, the decorators of the program. `context` outlives it.
FindValues values_of_flow(Context& context);

}  // namespace metaflow::cli
