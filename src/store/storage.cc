#include "store/storage.h"

#include "base/text.h"

namespace metaflow::store {

std::optional<base::SharedBytes> get(Storage& storage, const std::string& path) {
  return std::move(storage.get(std::span(&path, 1)).front());
}

void put(Storage& storage, const std::string& path, std::string_view content) {
  const auto bytes = base::as_bytes(content);
  const Object object{path, Pieces(&bytes, 1)};
  storage.put(std::span(&object, 1));
}

bool create(Storage& storage, const std::string& path, std::string_view content) {
  const auto bytes = base::as_bytes(content);
  return storage.create({path, Pieces(&bytes, 1)});
}

bool exists(Storage& storage, const std::string& path) {
  return storage.sizes(std::span(&path, 1)).front().has_value();
}

std::optional<Link> Storage::link(const std::string& /*path*/, std::int64_t /*seconds*/) { return std::nullopt; }

std::string blob_path(std::string_view directory, std::string_view key) {
  std::string path(directory);
  path += '/';
  path += key.substr(0, 2);
  path += '/';
  path += key;
  return path;
}

}  // namespace metaflow::store
