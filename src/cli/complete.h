// Completion of a command line by the table of commands.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cli/command_line.h"

namespace metaflow::cli {

/// A word that may stand in the place of the completed one. It ends with '/', '=' or ':' if more must follow.
struct Candidate {
  std::string text;
  std::string help{};
};

struct Completion {
  std::vector<Candidate> candidates{};
  ValueKind paths = ValueKind::other;  // file or directory: the shell adds their names
};

/// The values of a kind that depend on the flow and its store. `word`: what the user has typed of it.
using FindValues = std::function<std::vector<Candidate>(ValueKind kind, const std::string& word)>;

/// Completes the last of the words after the program's name. Sets the options of the root that precede it, on which
/// values may depend.
Completion complete(const Command& root, const std::vector<std::string>& words, const FindValues& find_values);

}  // namespace metaflow::cli
