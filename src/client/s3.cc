// mf::S3: objects in S3 besides artifacts.
#include <algorithm>

#include <metaflow/s3.h>

#include "base/files.h"
#include "base/format.h"
#include "base/settings.h"
#include "base/text.h"
#include "net/plain_http.h"
#include "store/s3/s3_storage.h"

namespace metaflow {

struct S3::Impl {
  explicit Impl(const std::string& root) : Impl(root, base::Settings()) {}
  Impl(const std::string& root, const base::Settings& settings)
      : Impl(root, settings, net::AwsConfig(net::variables_of(settings))) {}
  Impl(const std::string& root, const base::Settings& settings, const net::AwsConfig& config)
      : storage(root, store::s3_options(settings, config), config, store::S3Names::any) {}

  Error missing(const std::string& name) const {
    return Error(ErrorCode::not_found, fmt::format("There is no object '{}' in {}", name, storage.root()));
  }
  void put(const std::string& name, std::span<const std::byte> bytes) {
    const store::Object object{name, store::Pieces(&bytes, 1)};
    storage.put(std::span(&object, 1));
  }
  std::vector<S3Entry> list(const std::string& prefix, bool all) {
    std::vector<S3Entry> entries;
    for (auto& [path, size, modified] : storage.list_objects(std::string(without_slash(prefix)), all)) {
      const bool is_prefix = !all && path.ends_with('/');
      if (is_prefix) path.pop_back();
      entries.push_back({std::move(path), is_prefix, size});
    }
    std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
    return entries;
  }
  static std::string_view without_slash(std::string_view prefix) {
    if (prefix.ends_with('/')) prefix.remove_suffix(1);
    return prefix;
  }

  store::S3Storage storage;
};

S3::S3(const std::string& root) : impl_(std::make_unique<Impl>(root)) {}
S3::~S3() = default;
S3::S3(S3&&) noexcept = default;
S3& S3::operator=(S3&&) noexcept = default;

std::vector<std::optional<S3Object>> S3::try_get_many(const std::vector<std::string>& names) {
  const auto contents = impl_->storage.get(names);
  std::vector<std::optional<S3Object>> objects(names.size());
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (!contents[i]) continue;
    objects[i].emplace();
    objects[i]->name_ = names[i];
    objects[i]->bytes_ = contents[i]->bytes();
    objects[i]->owner_ = contents[i]->owner();
  }
  return objects;
}

std::vector<S3Object> S3::get_many(const std::vector<std::string>& names) {
  auto found = try_get_many(names);
  std::vector<S3Object> objects;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (!found[i]) throw impl_->missing(names[i]);
    objects.push_back(std::move(*found[i]));
  }
  return objects;
}

S3Object S3::get(const std::string& name) { return std::move(get_many({name}).front()); }

S3Object S3::get_range(const std::string& name, std::uint64_t offset, std::uint64_t size) {
  const auto content = impl_->storage.get_range(name, offset, size);
  if (!content) throw impl_->missing(name);
  S3Object object;
  object.name_ = name;
  object.bytes_ = content->bytes();
  object.owner_ = content->owner();
  return object;
}

void S3::get_file(const std::string& name, const std::string& path) {
  const S3Object object = get(name);
  const auto bytes = object.bytes();
  base::write_output_file(path, std::span(&bytes, 1));
}

std::vector<std::optional<std::uint64_t>> S3::sizes(const std::vector<std::string>& names) {
  return impl_->storage.sizes(names);
}

std::optional<std::uint64_t> S3::size(const std::string& name) { return sizes({name}).front(); }

void S3::put(const std::string& name, std::string_view text) { impl_->put(name, base::as_bytes(text)); }
void S3::put(const std::string& name, std::span<const std::byte> bytes) { impl_->put(name, bytes); }

void S3::put_many(const std::vector<std::pair<std::string, std::string_view>>& objects) {
  std::vector<std::span<const std::byte>> contents;
  contents.reserve(objects.size());
  std::vector<store::Object> all;
  for (const auto& [name, text] : objects) {
    contents.push_back(base::as_bytes(text));
    all.push_back({name, store::Pieces(&contents.back(), 1)});
  }
  impl_->storage.put(all);
}

void S3::put_file(const std::string& name, const std::string& path) {
  const auto content = base::read_file(path);
  if (!content) throw Error(ErrorCode::not_found, fmt::format("There is no file {}", path));
  impl_->put(name, content->bytes());
}

std::vector<S3Entry> S3::list(const std::string& prefix) { return impl_->list(prefix, false); }
std::vector<S3Entry> S3::list_all(const std::string& prefix) { return impl_->list(prefix, true); }

std::vector<std::string> S3::names(const std::string& prefix) {
  std::vector<std::string> names;
  for (S3Entry& entry : list_all(prefix)) names.push_back(std::move(entry.name));
  return names;
}

}  // namespace metaflow
