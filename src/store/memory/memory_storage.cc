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
      contents.emplace_back(base::SharedBytes(found->second.text));
    }
  }
  return contents;
}

std::vector<std::optional<std::uint64_t>> MemoryStorage::sizes(std::span<const std::string> paths) {
  std::vector<std::optional<std::uint64_t>> sizes;
  for (const std::string& path : paths) {
    const auto found = objects_.find(checked(path));
    sizes.push_back(found == objects_.end() ? std::nullopt : std::optional<std::uint64_t>(found->second.text.size()));
  }
  return sizes;
}

void MemoryStorage::put(std::span<const Object> objects) {
  for (const Object& object : objects) objects_[checked(object.path)] = {flat(object.content), now()};
}

bool MemoryStorage::create(const Object& object) {
  return objects_.try_emplace(checked(object.path), Content{flat(object.content), now()}).second;
}

std::vector<bool> MemoryStorage::copy(std::span<const Copy> copies) {
  std::vector<bool> copied;
  for (const Copy& copy : copies) {
    const auto found = objects_.find(checked(copy.from));
    copied.push_back(found != objects_.end());
    check_object_path(copy.to);
    if (copied.back()) objects_[copy.to] = Content{found->second.text, now()};
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
  const auto [blob, is_new] = objects_.try_emplace(checked(blob_path(directory, key)), Content{flat(content), now()});
  if (now() - blob->second.modified >= kBlobIsYoung) blob->second.modified = now();
  return key;
}

void MemoryStorage::walk(const std::string& path, const std::function<void(Listed&&)>& visit) {
  const std::string prefix = path.empty() ? "" : checked(path) + "/";
  for (auto at = objects_.lower_bound(prefix); at != objects_.end() && at->first.starts_with(prefix); ++at)
    visit({at->first, at->second.text.size(), at->second.modified});
}

std::vector<std::optional<base::SharedBytes>> MemoryStorage::get_begins(std::span<const std::string> paths,
                                                                        std::size_t size) {
  auto contents = get(paths);
  for (auto& content : contents) {
    if (content) content = base::SharedBytes(std::string(content->text().substr(0, size)));
  }
  return contents;
}

void MemoryStorage::remove(std::span<const std::string> paths) {
  for (const std::string& path : paths) objects_.erase(checked(path));
}

std::vector<bool> MemoryStorage::remove_unchanged(std::span<const Listed> blobs) {
  std::vector<bool> gone;
  for (const Listed& blob : blobs) {
    const auto found = objects_.find(checked(blob.path));
    const bool exists = found != objects_.end();
    gone.push_back(!exists || found->second.modified == blob.modified);
    if (exists && gone.back()) objects_.erase(found);
  }
  return gone;
}

}  // namespace metaflow::store
