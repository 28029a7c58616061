#include "store/storage.h"

#include <algorithm>

#include "base/text.h"

namespace metaflow::store {

namespace {

/// For a storage whose calls do not block for long: carries out each call at once.
class Immediate : public BackgroundStorage {
 public:
  explicit Immediate(Storage& storage) : storage_(storage) {}

  void get(std::vector<std::string> paths, Got done) override { done(storage_.get(paths)); }
  void put(std::vector<OwnedObject> objects, Put done) override {
    for (const OwnedObject& object : objects) store::put(storage_, object);
    done();
  }

 private:
  Storage& storage_;
};

}  // namespace

std::optional<base::SharedBytes> get(Storage& storage, const std::string& path) {
  return std::move(storage.get(std::span(&path, 1)).front());
}

void put(Storage& storage, const std::string& path, std::string_view content) {
  const auto bytes = base::as_bytes(content);
  const Object object{path, Pieces(&bytes, 1)};
  storage.put(std::span(&object, 1));
}

void put(Storage& storage, const OwnedObject& owned) {
  const auto bytes = owned.content.bytes();
  const Object object{owned.path, Pieces(&bytes, 1), owned.common};
  storage.put(std::span(&object, 1));
}

bool copy(Storage& storage, const std::string& from, const std::string& to) {
  const Copy copy{from, to};
  return storage.copy(std::span(&copy, 1)).front();
}

bool create(Storage& storage, const std::string& path, std::string_view content) {
  const auto bytes = base::as_bytes(content);
  return storage.create({path, Pieces(&bytes, 1)});
}

bool exists(Storage& storage, const std::string& path) {
  return storage.sizes(std::span(&path, 1)).front().has_value();
}

void remove(Storage& storage, const std::string& path) { storage.remove(std::span(&path, 1)); }

void Storage::remove_tree(const std::string& path) {
  constexpr std::size_t kAtOnce = 10'000;
  std::vector<std::string> paths;
  walk(path, [&](Listed&& object) { paths.push_back(std::move(object.path)); });
  for (std::size_t i = 0; i < paths.size(); i += kAtOnce)
    remove(std::span(paths).subspan(i, std::min(kAtOnce, paths.size() - i)));
}

std::optional<Link> Storage::link(const std::string& /*path*/, std::int64_t /*seconds*/) { return std::nullopt; }

std::unique_ptr<BackgroundStorage> Storage::in_background(base::EventLoop& /*loop*/) {
  return std::make_unique<Immediate>(*this);
}

std::string blob_path(std::string_view directory, std::string_view key) {
  std::string path(directory);
  path += '/';
  path += key.substr(0, 2);
  path += '/';
  path += key;
  return path;
}

}  // namespace metaflow::store
