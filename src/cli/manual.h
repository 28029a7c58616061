// Manual pages of commands in roff, made from the table of commands.
#pragma once

#include <memory>
#include <string>

#include "cli/command_line.h"

namespace metaflow::cli {

/// `path`: the words that call the command: "sweep tag add". `title`: of the whole manual: "Sweep".
std::string manual_page(const Command& command, const std::string& path, const std::string& title);

/// The command `man`. `root` has all commands, and outlives it; `path`: the words that precede them.
Command manual_command(const Command& root, const std::string& path, const std::string& title);

}  // namespace metaflow::cli
