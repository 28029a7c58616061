// Storage for the objects of runs: one interface for directories, S3 and memory.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/event_loop.h"

namespace metaflow::store {

/// In microseconds: an existing blob of this age is reused without renewing its time.
inline constexpr std::int64_t kBlobIsYoung = 3'600'000'000;

using Pieces = std::span<const std::span<const std::byte>>;

/// One object to write.
struct Object {
  std::string path;  // below the root: "BigSum/17/start/1/0.data.json"
  Pieces content;
  /// For a mark or the like: many objects have this content, and an existing one need not be written again.
  bool common = false;
};

/// An object's content under a second path.
struct Copy {
  std::string from;
  std::string to;
};

/// One object to write later: owns its content.
struct OwnedObject {
  std::string path;
  base::SharedBytes content;
  bool common = false;
};

/// One name below a path.
struct Entry {
  std::string name;
  bool is_directory = false;
};

/// One object, as walk() reports it.
struct Listed {
  std::string path;           // below the root
  std::uint64_t size = 0;     // bytes
  std::int64_t modified = 0;  // the time of its last write, in microseconds since 1970 by the clock of the storage
};

/// A URL that reads one object without a key, for a limited time. It is a secret.
struct Link {
  std::string url;
  std::int64_t expires = 0;  // seconds since 1970
};

/// Asynchronous reads and writes, for callers in an event loop. Not thread-safe.
///
/// `done` is called once, when the whole call has succeeded: from the loop, or before the function returns if the
/// storage is fast. A failure is thrown by the function or from the loop, and `done` is not called. The destructor
/// cancels pending calls, which may or may not have been carried out.
class BackgroundStorage {
 public:
  using Got = std::function<void(std::vector<std::optional<base::SharedBytes>>&&)>;
  using Put = std::function<void()>;

  virtual ~BackgroundStorage() = default;
  /// As Storage::get() and put(). Calls may be carried out in any order.
  virtual void get(std::vector<std::string> paths, Got done) = 0;
  virtual void put(std::vector<OwnedObject> objects, Put done) = 0;
};

/// A tree of objects. Paths are relative to the root, with '/'. An object appears as a whole or not at all. All
/// functions throw Error{data_store}. Not thread-safe, except for the results of get().
///
/// Calls take many objects, since a remote store transfers them in parallel.
class Storage {
 public:
  virtual ~Storage() = default;

  virtual std::string_view type() const = 0;    // "local", "s3": Metaflow's ds_type
  virtual const std::string& root() const = 0;  // Metaflow's ds-root

  /// The contents, nothing for those that do not exist.
  virtual std::vector<std::optional<base::SharedBytes>> get(std::span<const std::string> paths) = 0;
  /// The sizes, nothing for those that do not exist.
  virtual std::vector<std::optional<std::uint64_t>> sizes(std::span<const std::string> paths) = 0;
  /// Writes objects, replacing older ones.
  virtual void put(std::span<const Object> objects) = 0;
  /// Writes an object that must not exist; returns false, and changes nothing, if it does. Of several concurrent calls
  /// one succeeds.
  virtual bool create(const Object& object) = 0;

  /// Makes the content of objects available under second paths, without transferring the bytes if possible. Returns
  /// false for objects that do not exist.
  virtual std::vector<bool> copy(std::span<const Copy> copies) = 0;

  /// The entries directly below a path, unsorted; none if the path does not exist.
  virtual std::vector<Entry> list(const std::string& path) = 0;

  /// Stores one raw blob (cas_raw) by content, as `directory`/kk/key; returns the key. An existing blob is not written
  /// again, but its time is renewed unless it is younger than kBlobIsYoung: the collector of blobs removes old ones.
  /// `spool_file`: an open unnamed file with exactly this content, or -1. A remote store may only start the
  /// upload: the blob exists when the next other call has returned, which throws if it could not be written.
  virtual std::string save_blob(const std::string& directory, Pieces content, int spool_file) = 0;

  /// Waits until every blob of save_blob() is written; throws if one could not be.
  virtual void settle() {}

  // --- removing

  /// Visits every object below a path, in any order; an empty path is the root. Objects that are written or removed
  /// meanwhile may be visited or not. `visit` must not call the storage.
  virtual void walk(const std::string& path, const std::function<void(Listed&&)>& visit) = 0;
  /// The first `size` bytes of objects, or the whole of shorter ones; nothing for those that do not exist.
  virtual std::vector<std::optional<base::SharedBytes>> get_begins(std::span<const std::string> paths,
                                                                   std::size_t size) = 0;
  /// Removes objects. Those that do not exist are skipped.
  virtual void remove(std::span<const std::string> paths) = 0;
  /// Removes blobs that have not been written, and whose time has not been renewed, since they were listed. Returns
  /// which of them no longer exist.
  virtual std::vector<bool> remove_unchanged(std::span<const Listed> blobs) = 0;
  /// Removes everything below a path.
  virtual void remove_tree(const std::string& path);

  /// Lets others read an existing object for at most so many seconds, or until our keys expire. Nothing if this storage
  /// does not support links. Sends no request, so that a loop may call it once keys are known.
  virtual std::optional<Link> link(const std::string& path, std::int64_t seconds);

  /// The same objects, asynchronously. This object and the loop must outlive the result.
  virtual std::unique_ptr<BackgroundStorage> in_background(base::EventLoop& loop);
};

// For one object at a time.
std::optional<base::SharedBytes> get(Storage& storage, const std::string& path);
void put(Storage& storage, const std::string& path, std::string_view content);
void put(Storage& storage, const OwnedObject& object);
bool copy(Storage& storage, const std::string& from, const std::string& to);
bool create(Storage& storage, const std::string& path, std::string_view content);
bool exists(Storage& storage, const std::string& path);
void remove(Storage& storage, const std::string& path);

/// `directory`/kk/key
std::string blob_path(std::string_view directory, std::string_view key);

}  // namespace metaflow::store
