// A store in memory, for tests.
#pragma once

#include <map>

#include "store/storage.h"

namespace metaflow::store {

class MemoryStorage : public Storage {
 public:
  std::string_view type() const override { return "memory"; }
  const std::string& root() const override { return root_; }
  std::vector<std::optional<base::SharedBytes>> get(std::span<const std::string> paths) override;
  std::vector<std::optional<std::uint64_t>> sizes(std::span<const std::string> paths) override;
  void put(std::span<const Object> objects) override;
  bool create(const Object& object) override;
  std::vector<bool> copy(std::span<const Copy> copies) override;
  std::vector<Entry> list(const std::string& path) override;
  std::string save_blob(const std::string& directory, Pieces content, int spool_file) override;

 private:
  std::string root_ = "memory";
  std::map<std::string, std::string> objects_;
};

}  // namespace metaflow::store
