#include "store/local/link_pool.h"

#include "base/files.h"

namespace metaflow::store {

void LinkPool::create(const std::string& path, std::string_view content) {
  std::string key(content);
  const auto found = first_path_.find(key);
  // A link can fail: too many links, no support in the file system, or the first file was removed. Then this file
  // becomes the first one.
  if (found != first_path_.end() && base::link_file(found->second, path)) return;
  base::create_file(path, content);
  if (first_path_.size() >= kMaxContents) first_path_.clear();
  first_path_[std::move(key)] = path;
}

}  // namespace metaflow::store
