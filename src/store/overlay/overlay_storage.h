// A store on top of another: reads from both, writes to the upper one only. For `debug`, which executes a task without
// changing its run.
#pragma once

#include <memory>

#include "store/storage.h"

namespace metaflow::store {

class OverlayStorage : public Storage {
 public:
  OverlayStorage(std::unique_ptr<Storage> lower, std::unique_ptr<Storage> upper)
      : lower_(std::move(lower)), upper_(std::move(upper)) {}

  // Presents itself as the lower store.
  std::string_view type() const override { return lower_->type(); }
  const std::string& root() const override { return lower_->root(); }

  std::vector<std::optional<base::SharedBytes>> get(std::span<const std::string> paths) override;
  std::vector<std::optional<std::uint64_t>> sizes(std::span<const std::string> paths) override;
  void put(std::span<const Object> objects) override { upper_->put(objects); }
  bool create(const Object& object) override;
  std::vector<bool> copy(std::span<const Copy> copies) override;
  std::vector<Entry> list(const std::string& path) override;
  std::string save_blob(const std::string& directory, Pieces content, int spool_file) override {
    return upper_->save_blob(directory, content, spool_file);
  }
  void settle() override { upper_->settle(); }
  void walk(const std::string& path, const std::function<void(Listed&&)>& visit) override;
  std::vector<std::optional<base::SharedBytes>> get_begins(std::span<const std::string> paths,
                                                           std::size_t size) override;
  // Only from the upper one.
  void remove(std::span<const std::string> paths) override { upper_->remove(paths); }
  std::vector<bool> remove_unchanged(std::span<const Listed> blobs) override { return upper_->remove_unchanged(blobs); }
  void remove_tree(const std::string& path) override { upper_->remove_tree(path); }

 private:
  std::unique_ptr<Storage> lower_;
  std::unique_ptr<Storage> upper_;
};

}  // namespace metaflow::store
