// A store for tests, which fails or is slow when they say so.
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

/// A store, some operations of which fail.
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

  int operations = 0;
  int fails_at = 0;                                      // the operation of this number throws; 0: none does
  std::function<bool(const std::string& path)> refuses;  // to write it
  std::function<void(const std::string& path)> on_put;   // before it is carried out
  std::map<std::string, int> puts;                       // per path, how often

 private:
  void operate();
  Storage& disk_;
};

/// The same in the background. Like S3 it carries out what it was asked for later and in any order, if `takes` says so.
class ScriptedBackground : public BackgroundStorage {
 public:
  ScriptedBackground(base::EventLoop& loop, Storage& storage) : timers_(loop), storage_(storage) {}

  void get(std::vector<std::string> paths, Got done) override;
  void put(std::vector<OwnedObject> objects, Put done) override;
  /// Carries out what was kept while `holds`.
  void release();
  std::size_t held() const { return held_.size(); }

  std::function<std::int64_t()> takes;                 // microseconds; 0: it is over when the call returns
  std::function<bool(const std::string& path)> holds;  // until release(), perhaps never

 private:
  void carry_out(const std::string& path, std::function<void()> what);
  base::Timers timers_;
  Storage& storage_;
  std::deque<std::function<void()>> held_;
};

}  // namespace metaflow::store
