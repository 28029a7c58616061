#include "runtime/cleaning/store_index.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>

#include <metaflow/error.h>

#include "base/format.h"
#include "base/text.h"
#include "store/local/local_storage.h"
#include "store/names.h"

namespace metaflow::runtime {

namespace {

using store::Listed;
using store::NameKind;

/// ".mf-4711-0.tmp" of ours (base/files.cc), "tmpab12_xyz" of Python's tempfile.
bool is_temporary(std::string_view name) {
  constexpr std::string_view kPythons = "tmp";
  constexpr std::size_t kPythonsRandom = 8;
  if (name.starts_with(".mf-") && name.ends_with(".tmp")) return true;
  if (!name.starts_with(kPythons) || name.size() != kPythons.size() + kPythonsRandom) return false;
  name.remove_prefix(kPythons.size());
  return std::all_of(name.begin(), name.end(),
                     [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; });
}

/// The number in "lease_execute.3.json".
std::optional<int> lease_number(std::string_view name) {
  constexpr std::string_view kBegin = "lease_execute.";
  constexpr std::string_view kEnd = ".json";
  if (!name.starts_with(kBegin) || !name.ends_with(kEnd)) return std::nullopt;
  name = name.substr(kBegin.size(), name.size() - kBegin.size() - kEnd.size());
  int number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error != std::errc() || end != name.data() + name.size() || number < 0) return std::nullopt;
  return number;
}

void add_blob(StoreIndex& index, Listed&& object, std::string_view name) {
  if (name.ends_with(store::kSetAside)) {
    name.remove_suffix(store::kSetAside.size());
    if (name.ends_with(store::kSideFile)) name.remove_suffix(store::kSideFile.size());
    if (is_name(NameKind::key, name)) index.set_aside.push_back(std::move(object));
  } else if (is_name(NameKind::key, name)) {
    index.blobs[std::string(name)] = {object.size, object.modified};
  } else if (name.ends_with(store::kSideFile)) {
    name.remove_suffix(store::kSideFile.size());
    if (is_name(NameKind::key, name)) index.blobs.try_emplace(std::string(name));
  }
}

void add_object(StoreIndex& index, Listed&& object, const std::vector<std::string>& parts) {
  IndexedRun& run = index.runs[parts[0]];
  run.bytes += object.size;
  run.modified = std::max(run.modified, object.modified);
  const std::string& name = parts.back();
  if (parts.size() == 2 && name == store::kRemovedMark) run.is_removed = true;
  if (parts.size() == 3 && parts[1] == "_meta") {
    if (const auto number = lease_number(name); number && *number > run.last_lease) {
      run.last_lease = *number;
      run.lease_renewed = object.modified;
    }
  }
  if (parts.size() != 4) return;
  if (parts[1] == "end" && name.ends_with(".DONE.lock")) run.has_end = true;
  if (!name.ends_with(".data.json")) return;
  if (parts[1] == "_parameters") run.began = object.modified;
  run.data.push_back(std::move(object.path));
}

store::TaskData parse(std::string_view text, const std::string& path) {
  try {
    return store::task_data_from_json(text, path);
  } catch (const Error& error) {
    throw Error(
        error.code(), error.message(),
        fmt::format("The file may refer to any value. Remove its run first: `rm {}`", base::split(path, '/')[1]));
  }
}

}  // namespace

bool is_ordinary_path(const std::string& path) {
  try {
    store::check_object_path(path);
    return true;
  } catch (const Error&) {
    return false;
  }
}

StoreIndex read_index(store::FlowStore& store, std::int64_t now, const std::string& path) {
  StoreIndex index{.now = now};
  const std::size_t front = store.flow().size() + 1;
  store.storage().walk(path, [&](Listed&& object) {
    if (!is_ordinary_path(object.path)) return;
    const std::vector<std::string> parts = base::split(std::string_view(object.path).substr(front), '/');
    if (is_temporary(parts.back())) {
      index.temporary.push_back(std::move(object));
    } else if (parts.size() == 3 && parts[0] == "data") {
      add_blob(index, std::move(object), parts[2]);
    } else if (parts.size() >= 2 && is_name(NameKind::run, parts[0])) {
      add_object(index, std::move(object), parts);
    }
  });
  return index;
}

void add_references(store::FlowStore& store, const StoreIndex& index, const std::unordered_set<std::string>& without,
                    std::unordered_set<std::string>& keys) {
  constexpr std::size_t kAtOnce = 500;
  std::vector<std::string> paths;
  auto read = [&] {
    const auto texts = store.storage().get(paths);
    for (std::size_t i = 0; i < paths.size(); ++i) {
      if (!texts[i]) continue;  // the run was removed meanwhile
      const store::TaskData data = parse(texts[i]->text(), paths[i]);
      for (const store::ArtifactRecord& artifact : data.artifacts) keys.insert(artifact.key);
      for (const store::ItemSource& items : data.items) {
        keys.insert(items.key);
        keys.insert(items.offsets);
        keys.insert(items.separate);
      }
    }
    paths.clear();
  };
  for (const auto& [id, run] : index.runs) {
    if (run.is_removed || without.contains(id)) continue;
    for (const std::string& path : run.data) {
      paths.push_back(path);
      if (paths.size() == kAtOnce) read();
    }
  }
  read();
}

}  // namespace metaflow::runtime
