// Many small files of a run have the same content. They share one inode: a link costs a fifth of a file, and no block.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>

namespace metaflow::store {

/// Creates files, as hard links to an earlier file of the same content where possible. Not thread-safe.
class LinkPool {
 public:
  /// Creates the file; an existing one is left unchanged.
  void create(const std::string& path, std::string_view content);

 private:
  static constexpr std::size_t kMaxContents = 256;  // then all are forgotten: most are used only for a short time
  std::unordered_map<std::string, std::string> first_path_;
};

}  // namespace metaflow::store
