// A store in a directory: Metaflow's "local" datastore.
#pragma once

#include "base/file_tree.h"
#include "store/local/link_pool.h"
#include "store/names.h"
#include "store/storage.h"

namespace metaflow::store {

/// The ends of the names of a blob's side file, and of files of blobs that are about to be removed.
inline constexpr std::string_view kSideFile = "_meta";
inline constexpr std::string_view kSetAside = ".removing";

class LocalStorage : public Storage {
 public:
  /// `root`: the .metaflow directory, absolute; need not exist.
  explicit LocalStorage(std::string root) : root_(std::move(root)) {}

  std::string_view type() const override { return "local"; }
  const std::string& root() const override { return root_; }
  std::vector<std::optional<base::SharedBytes>> get(std::span<const std::string> paths) override;
  std::vector<std::optional<std::uint64_t>> sizes(std::span<const std::string> paths) override;
  void put(std::span<const Object> objects) override;
  bool create(const Object& object) override;
  std::vector<bool> copy(std::span<const Copy> copies) override;
  std::vector<Entry> list(const std::string& path) override;
  std::string save_blob(const std::string& directory, Pieces content, int spool_file) override;
  void walk(const std::string& path, const std::function<void(Listed&&)>& visit) override;
  std::vector<std::optional<base::SharedBytes>> get_begins(std::span<const std::string> paths,
                                                           std::size_t size) override;
  void remove(std::span<const std::string> paths) override;
  std::vector<bool> remove_unchanged(std::span<const Listed> blobs) override;
  void remove_tree(const std::string& path) override;

 private:
  std::string full(std::string_view path) const { return path_below(root_, path); }
  base::FileTree tree() const { return base::FileTree(root_); }
  bool copy_one(const Copy& copy);
  bool has_blob(const std::string& path, std::uint64_t size) const;
  bool reuse_blob(const std::string& path, Pieces content) const;
  bool remove_blob(const Listed& blob);
  std::string save_large(const std::string& directory, Pieces content, int spool_file);
  void create_side_file(const std::string& path);
  void keep_side_file(const std::string& path);

  std::string root_;
  LinkPool links_;
};

}  // namespace metaflow::store
