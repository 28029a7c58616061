#include "store/memory/memory_storage.h"

#include "base/text.h"
#include "store/names.h"
#include "value/key.h"

namespace metaflow::store {

namespace {

const std::string& checked(const std::string& path) {
  check_object_path(path);
  return path;
}

std::string flat(Pieces pieces) {
  std::string text;
  for (const auto& piece : pieces) text += base::as_text(piece);
  return text;
}

}  // namespace

std::vector<std::optional<base::SharedBytes>> MemoryStorage::get(std::span<const std::string> paths) {
  std::vector<std::optional<base::SharedBytes>> contents;
  for (const std::string& path : paths) {
    const auto found = objects_.find(checked(path));
    if (found == objects_.end()) {
      contents.emplace_back();
    } else {
      contents.emplace_back(base::SharedBytes(found->second));
    }
  }
  return contents;
}

std::vector<std::optional<std::uint64_t>> MemoryStorage::sizes(std::span<const std::string> paths) {
  std::vector<std::optional<std::uint64_t>> sizes;
  for (const std::string& path : paths) {
    const auto found = objects_.find(checked(path));
    sizes.push_back(found == objects_.end() ? std::nullopt : std::optional<std::uint64_t>(found->second.size()));
  }
  return sizes;
}

void MemoryStorage::put(std::span<const Object> objects) {
  for (const Object& object : objects) objects_[checked(object.path)] = flat(object.content);
}

bool MemoryStorage::create(const Object& object) {
  return objects_.try_emplace(checked(object.path), flat(object.content)).second;
}

std::vector<bool> MemoryStorage::copy(std::span<const Copy> copies) {
  std::vector<bool> copied;
  for (const Copy& copy : copies) {
    const auto found = objects_.find(checked(copy.from));
    copied.push_back(found != objects_.end());
    check_object_path(copy.to);
    if (copied.back()) objects_[copy.to] = std::string(found->second);
  }
  return copied;
}

std::vector<Entry> MemoryStorage::list(const std::string& path) {
  std::vector<Entry> entries;
  const std::string prefix = path.empty() ? "" : checked(path) + "/";
  for (auto at = objects_.lower_bound(prefix); at != objects_.end() && at->first.starts_with(prefix); ++at) {
    const std::string rest = at->first.substr(prefix.size());
    const std::size_t slash = rest.find('/');
    const std::string name = rest.substr(0, slash);
    if (entries.empty() || entries.back().name != name) entries.push_back({name, slash != std::string::npos});
  }
  return entries;
}

std::string MemoryStorage::save_blob(const std::string& directory, Pieces content, int) {
  std::string key = value::key_of(content);
  objects_.try_emplace(checked(blob_path(directory, key)), flat(content));
  return key;
}

}  // namespace metaflow::store
