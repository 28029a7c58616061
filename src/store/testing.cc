#include "store/testing.h"

#include <utility>

#include <metaflow/error.h>

namespace metaflow::store {

void ScriptedStorage::operate() {
  if (++operations == fails_at) throw Error(ErrorCode::data_store, "no connection");
}

std::vector<std::optional<base::SharedBytes>> ScriptedStorage::get(std::span<const std::string> paths) {
  operate();
  return disk_.get(paths);
}

std::vector<std::optional<std::uint64_t>> ScriptedStorage::sizes(std::span<const std::string> paths) {
  operate();
  return disk_.sizes(paths);
}

void ScriptedStorage::put(std::span<const Object> objects) {
  for (const Object& object : objects) {
    operate();
    if (refuses && refuses(object.path)) throw Error(ErrorCode::data_store, "no connection");
    if (on_put) on_put(object.path);
    ++puts[object.path];
    disk_.put(std::span(&object, 1));
  }
}

bool ScriptedStorage::create(const Object& object) {
  operate();
  return disk_.create(object);
}

std::vector<bool> ScriptedStorage::copy(std::span<const Copy> copies) {
  operate();
  return disk_.copy(copies);
}

std::vector<Entry> ScriptedStorage::list(const std::string& path) {
  operate();
  return disk_.list(path);
}

std::string ScriptedStorage::save_blob(const std::string& directory, Pieces content, int spool_file) {
  operate();
  return disk_.save_blob(directory, content, spool_file);
}

void ScriptedStorage::walk(const std::string& path, const std::function<void(Listed&&)>& visit) {
  operate();
  disk_.walk(path, visit);
}

std::vector<std::optional<base::SharedBytes>> ScriptedStorage::get_begins(std::span<const std::string> paths,
                                                                          std::size_t size) {
  operate();
  return disk_.get_begins(paths, size);
}

void ScriptedStorage::remove(std::span<const std::string> paths) {
  for (const std::string& path : paths) {
    operate();
    store::remove(disk_, path);
  }
}

std::vector<bool> ScriptedStorage::remove_unchanged(std::span<const Listed> blobs) {
  std::vector<bool> removed;
  for (const Listed& blob : blobs) {
    operate();
    removed.push_back(disk_.remove_unchanged(std::span(&blob, 1)).front());
  }
  return removed;
}

void ScriptedBackground::carry_out(const std::string& path, std::function<void()> what) {
  if (holds && holds(path)) {
    held_.push_back(std::move(what));
  } else if (const std::int64_t time = takes ? takes() : 0; time > 0) {
    timers_.after(time, std::move(what));
  } else {
    what();
  }
}

void ScriptedBackground::get(std::vector<std::string> paths, Got done) {
  const std::string first = paths.front();
  carry_out(first, [this, paths = std::move(paths), done = std::move(done)] { done(storage_.get(paths)); });
}

void ScriptedBackground::put(std::vector<OwnedObject> objects, Put done) {
  if (objects.empty()) return done();
  const std::string first = objects.front().path;
  carry_out(first, [this, objects = std::move(objects), done = std::move(done)] {
    for (const OwnedObject& object : objects) store::put(storage_, object);
    done();
  });
}

void ScriptedBackground::release() {
  holds = nullptr;
  for (const auto& what : std::exchange(held_, {})) what();
}

}  // namespace metaflow::store
