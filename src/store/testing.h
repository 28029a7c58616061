// Stores for tests that fail or are slow when the test says so.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/timers.h"
#include "store/storage.h"

namespace metaflow::store {

/// A store whose operations can be made to fail.
class ScriptedStorage : public Storage {
 public:
  explicit ScriptedStorage(Storage& disk) : disk_(disk) {}

  std::string_view type() const override { return disk_.type(); }
  const std::string& root() const override { return disk_.root(); }
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
  void settle() override { disk_.settle(); }

  int operations = 0;
  int fails_at = 0;                                      // the operation with this number throws; 0: none
  std::function<bool(const std::string& path)> refuses;  // paths whose write fails
  std::function<void(const std::string& path)> on_put;   // called before the write
  std::map<std::string, int> puts;                       // per path: the number of writes

 private:
  void operate();
  Storage& disk_;
};

/// The same in the background. If `takes` is set, it carries out calls later and in any order, like S3.
class ScriptedBackground : public BackgroundStorage {
 public:
  ScriptedBackground(base::EventLoop& loop, Storage& storage) : timers_(loop), storage_(storage) {}

  void get(std::vector<std::string> paths, Got done) override;
  void put(std::vector<OwnedObject> objects, Put done) override;
  /// Carries out the calls that `holds` has held back.
  void release();
  std::size_t held() const { return held_.size(); }

  std::function<std::int64_t()> takes;                 // microseconds; 0: the call is carried out before it returns
  std::function<bool(const std::string& path)> holds;  // holds calls back until release()

 private:
  void carry_out(const std::string& path, std::function<void()> what);
  base::Timers timers_;
  Storage& storage_;
  std::deque<std::function<void()>> held_;
};

}  // namespace metaflow::store
