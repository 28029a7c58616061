// A store in memory, for tests.
#pragma once

#include <map>

#include "base/clock.h"
#include "store/storage.h"

namespace metaflow::store {

class MemoryStorage : public Storage {
 public:
  MemoryStorage() = default;
  /// The clock gives objects their times, and outlives this.
  explicit MemoryStorage(base::Clock& clock) : clock_(&clock) {}

  std::string_view type() const override { return "memory"; }
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

 private:
  std::string root_ = "memory";
  struct Content {
    std::string text;
    std::int64_t modified = 0;
  };
  std::int64_t now() { return clock_->wall_microseconds(); }

  base::SystemClock system_clock_;
  base::Clock* clock_ = &system_clock_;
  std::map<std::string, Content> objects_;
};

}  // namespace metaflow::store
