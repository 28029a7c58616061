// The valid names in a store: docs/format.md, "Names". Names become parts of paths, addresses and messages, so each is
// checked where it enters: from a file, a bucket, a service or a command line.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <metaflow/error.h>

namespace metaflow::store {

enum class NameKind : std::uint8_t { flow, run, step, task, artifact, key };

/// Allocates nothing: a task has about a hundred names.
bool is_name(NameKind kind, std::string_view text);

/// The message for an invalid name: "'a/b' is not the name of a step", with control characters made visible.
std::string not_a_name(NameKind kind, std::string_view text);

/// Throws Error{data_store} for an invalid name. `where`: the source of the name: "the answer of the metadata service".
void check_name(NameKind kind, std::string_view text, std::string_view where);

/// Run, step and task: the part of a pathspec below the flow.
struct TaskRef {
  std::string run;
  std::string step;
  std::string task;

  std::string path() const { return run + "/" + step + "/" + task; }
  bool operator==(const TaskRef&) const = default;
};

/// Parses "17/start/1"; nothing if the text does not have this form or a part is not a valid name.
std::optional<TaskRef> parse_task_ref(std::string_view text);

/// Throws Error{data_store} for a path that cannot be that of an object below the root of a store: empty, absolute,
/// with an empty part, a part "." or "..", or a control character.
void check_object_path(std::string_view path);

/// Returns `root`/`path` after checking the path. All reads and writes below a local root use it.
std::string path_below(std::string_view root, std::string_view path);

}  // namespace metaflow::store
