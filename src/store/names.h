// What the names in a store look like: docs/format.md, "Names". They become parts of paths, of addresses and of
// messages, so each is checked where it comes in: from a file, a bucket, a service or a command line.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <metaflow/error.h>

namespace metaflow::store {

enum class NameKind : std::uint8_t { flow, run, step, task, artifact, key };

/// Allocates nothing: every task has some hundred names.
bool is_name(NameKind kind, std::string_view text);

/// "'a/b' is not the name of a step", with control characters made visible.
std::string not_a_name(NameKind kind, std::string_view text);

/// Throws Error{data_store} for what is not one. `where`: what has the name: "the answer of the metadata service".
void check_name(NameKind kind, std::string_view text, std::string_view where);

/// Run, step and task: what a pathspec names below the flow.
struct TaskRef {
  std::string run;
  std::string step;
  std::string task;

  std::string path() const { return run + "/" + step + "/" + task; }
  bool operator==(const TaskRef&) const = default;
};

/// "17/start/1"; nothing if it is not of that form or has a part that is not a name.
std::optional<TaskRef> parse_task_ref(std::string_view text);

/// Throws Error{data_store} for a path that is not one of an object below the root of a store: empty, absolute, with an
/// empty part, a part "." or "..", or a control character.
void check_object_path(std::string_view path);

/// `root`/`path`, where the path is checked. All that reads or writes below a local root makes its paths by this.
std::string path_below(std::string_view root, std::string_view path);

}  // namespace metaflow::store
