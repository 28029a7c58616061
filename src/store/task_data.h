// The result of a task: the content of data.json. docs/format.md describes it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "store/names.h"

namespace metaflow::store {

struct ArtifactRecord {
  std::string name;
  std::string key;
  std::uint64_t size = 0;
  std::string type;  // "<class 'int'>"
  std::string encoding = "pickle-v4";

  bool operator==(const ArtifactRecord&) const = default;
};

/// The location of the items of a foreach around a task, so that a deeply nested task finds its item in O(1).
struct ItemSource {
  std::string variable;
  std::string key;  // of the stored range
  std::uint64_t size = 0;
  std::string offsets;     // key of the table of item positions; empty: small range, or an array
  std::string separate{};  // key of the items, each of which can be read alone (SeparateItems); empty: no such value

  bool operator==(const ItemSource&) const = default;
};

/// data.json. The members after `artifacts` are specific to this implementation, under "cpp"; tasks written by Python
/// do not have them.
struct TaskData {
  int attempt = 0;
  std::vector<ArtifactRecord> artifacts;  // sorted by name

  bool has_details = false;             // whether there is a "cpp"
  std::vector<std::string> next;        // the steps that follow
  std::optional<std::uint64_t> splits;  // of a foreach: the number of items
  std::vector<ItemSource> items;   // of the foreachs around the task, outermost first; at a split, the new one last
  std::vector<std::size_t> place;  // the items of the foreachs around the task, outermost first
  std::optional<std::size_t> iteration;  // of a step that chooses itself: 0, 1, ...
  bool ok = true;                        // false: the step threw
  std::string failure;                   // if not ok: the failure, in one line

  const ArtifactRecord* find(std::string_view name) const;
};

std::string to_json(const TaskData& data, std::string_view datastore);
/// Throws Error{data_store} if the text is damaged, has an invalid name, or is of a later version.
TaskData task_data_from_json(std::string_view text, std::string_view path);
/// Throws Error{data_store} if a step, an artifact or a key in the details has an invalid name. `path`: of data.json.
void check_details(const TaskData& data, std::string_view path);

}  // namespace metaflow::store
