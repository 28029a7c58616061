// A store in a directory: Metaflow's "local" datastore.
#pragma once

#include "store/local/link_pool.h"
#include "store/names.h"
#include "store/storage.h"

namespace metaflow::store {

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

 private:
  std::string full(std::string_view path) const { return path_below(root_, path); }
  bool copy_one(const Copy& copy);
  bool has_blob(const std::string& path, std::uint64_t size) const;
  std::string save_large(const std::string& directory, Pieces content, int spool_file);
  void create_side_file(const std::string& path);

  std::string root_;
  LinkPool links_;
};

}  // namespace metaflow::store
