#include "store/overlay/overlay_storage.h"

#include <algorithm>
#include <set>

namespace metaflow::store {

std::vector<std::optional<base::SharedBytes>> OverlayStorage::get(std::span<const std::string> paths) {
  auto contents = upper_->get(paths);
  for (std::size_t i = 0; i < paths.size(); ++i) {
    if (!contents[i]) contents[i] = store::get(*lower_, paths[i]);
  }
  return contents;
}

std::vector<std::optional<std::uint64_t>> OverlayStorage::sizes(std::span<const std::string> paths) {
  auto sizes = upper_->sizes(paths);
  const auto below = lower_->sizes(paths);
  for (std::size_t i = 0; i < paths.size(); ++i) {
    if (!sizes[i]) sizes[i] = below[i];
  }
  return sizes;
}

bool OverlayStorage::create(const Object& object) { return !exists(*lower_, object.path) && upper_->create(object); }

std::vector<bool> OverlayStorage::copy(std::span<const Copy> copies) {
  std::vector<bool> copied = upper_->copy(copies);
  for (std::size_t i = 0; i < copies.size(); ++i) {
    if (copied[i]) continue;
    const auto content = store::get(*lower_, copies[i].from);
    if (content) store::put(*upper_, OwnedObject{copies[i].to, *content});
    copied[i] = content.has_value();
  }
  return copied;
}

void OverlayStorage::walk(const std::string& path, const std::function<void(Listed&&)>& visit) {
  std::set<std::string> above;
  upper_->walk(path, [&](Listed&& object) {
    above.insert(object.path);
    visit(std::move(object));
  });
  lower_->walk(path, [&](Listed&& object) {
    if (!above.contains(object.path)) visit(std::move(object));
  });
}

std::vector<std::optional<base::SharedBytes>> OverlayStorage::get_begins(std::span<const std::string> paths,
                                                                         std::size_t size) {
  auto begins = upper_->get_begins(paths, size);
  const auto below = lower_->get_begins(paths, size);
  for (std::size_t i = 0; i < paths.size(); ++i) {
    if (!begins[i]) begins[i] = below[i];
  }
  return begins;
}

std::vector<Entry> OverlayStorage::list(const std::string& path) {
  std::vector<Entry> entries = upper_->list(path);
  for (Entry& entry : lower_->list(path)) {
    const bool known =
        std::any_of(entries.begin(), entries.end(), [&](const Entry& above) { return above.name == entry.name; });
    if (!known) entries.push_back(std::move(entry));
  }
  return entries;
}

}  // namespace metaflow::store
