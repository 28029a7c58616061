// For tests of the removal of runs and blobs.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "store/memory/memory_storage.h"
#include "store/metadata.h"

namespace metaflow::runtime {

/// Nothing is known, as of runs on other hosts.
class NoMetadata : public store::MetadataReader {
 public:
  std::vector<std::string> flows() override { return {}; }
  std::vector<store::RunInfo> runs(const std::string&) override { return {}; }
  std::optional<store::RunInfo> run(const std::string&, const std::string&) override { return {}; }
  std::vector<store::ObjectInfo> steps(const std::string&, const std::string&) override { return {}; }
  std::vector<store::ObjectInfo> tasks(const std::string&, const std::string&, const std::string&) override {
    return {};
  }
  std::vector<store::FieldInfo> fields(const std::string&, const store::TaskRef&) override { return {}; }
  std::vector<store::ArtifactInfo> artifacts(const std::string&, const store::TaskRef&, int) override { return {}; }
  std::optional<store::ObjectInfo> flow(const std::string&) override { return {}; }
  std::optional<store::ObjectInfo> step(const std::string&, const std::string&, const std::string&) override {
    return {};
  }
  std::optional<store::ObjectInfo> task(const std::string&, const store::TaskRef&) override { return {}; }
  std::optional<store::ArtifactInfo> artifact(const std::string&, const store::TaskRef&, int,
                                              const std::string&) override {
    return {};
  }
};

/// Between two operations of the collector, other processes go on.
class BusyStorage : public store::MemoryStorage {
 public:
  explicit BusyStorage(base::Clock& clock) : MemoryStorage(clock) {}
  std::vector<std::optional<base::SharedBytes>> get(std::span<const std::string> paths) override {
    disturb();
    return MemoryStorage::get(paths);
  }
  void put(std::span<const store::Object> objects) override {
    disturb();
    MemoryStorage::put(objects);
  }
  std::vector<store::Entry> list(const std::string& path) override {
    disturb();
    return MemoryStorage::list(path);
  }
  void walk(const std::string& path, const std::function<void(store::Listed&&)>& visit) override {
    disturb();
    MemoryStorage::walk(path, visit);
  }
  void remove(std::span<const std::string> paths) override {
    for (const std::string& path : paths) {  // a kill leaves some of them
      disturb();
      MemoryStorage::remove(std::span(&path, 1));
    }
  }
  std::vector<bool> remove_unchanged(std::span<const store::Listed> blobs) override {
    std::vector<bool> gone;
    for (const store::Listed& blob : blobs) {
      disturb();
      gone.push_back(MemoryStorage::remove_unchanged(std::span(&blob, 1)).front());
    }
    return gone;
  }
  std::function<void()> between;

 private:
  void disturb() {
    if (!between) return;
    const auto what = std::exchange(between, nullptr);  // not during what it does itself
    try {
      what();
    } catch (...) {
      between = what;
      throw;
    }
    between = what;
  }
};

}  // namespace metaflow::runtime
