// Where the objects of runs are kept: one interface for directories, S3 and memory.
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

using Pieces = std::span<const std::span<const std::byte>>;

/// One object to be written.
struct Object {
  std::string path;  // below the root: "BigSum/17/start/1/0.data.json"
  Pieces content;
  /// A mark or the like: many objects have this content, and one that exists may be left as it is.
  bool common = false;
};

/// An object's content under a second path.
struct Copy {
  std::string from;
  std::string to;
};

/// One object to be written later: it owns its content.
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

/// A URL that reads one object without any key, for a while. A secret.
struct Link {
  std::string url;
  std::int64_t expires = 0;  // seconds since 1970
};

/// Reads and writes that their caller, who lives in an event loop, does not wait for. Not thread-safe.
///
/// `done` is called once, when all of it is there: from the loop, or before the function returns if the storage is not
/// slow. What fails is thrown, by the function or out of the loop, and `done` is not called. What is not over when this
/// is destroyed ends there, done or not.
class BackgroundStorage {
 public:
  using Got = std::function<void(std::vector<std::optional<base::SharedBytes>>&&)>;
  using Put = std::function<void()>;

  virtual ~BackgroundStorage() = default;
  /// As Storage::get() and put(); different calls are carried out in any order.
  virtual void get(std::vector<std::string> paths, Got done) = 0;
  virtual void put(std::vector<OwnedObject> objects, Put done) = 0;
};

/// A tree of objects. Paths are relative to the root, with '/'. Objects appear whole or not at all. All functions throw
/// Error{data_store}. Not thread-safe, except for objects already got.
///
/// Calls take many objects at once, since a remote store wants them in flight together.
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
  /// Writes an object that must not exist; false, and nothing changed, if it does. Of several at a time one wins.
  virtual bool create(const Object& object) = 0;

  /// Gives objects' contents second paths, without moving bytes where that can be had. False for those that do not
  /// exist.
  virtual std::vector<bool> copy(std::span<const Copy> copies) = 0;

  /// The entries directly below a path, unsorted; none if there is no such path.
  virtual std::vector<Entry> list(const std::string& path) = 0;

  /// Stores one raw blob (cas_raw) by content, as `directory`/kk/key; gives back the key. What is there already is not
  /// written again. `spool_file`: an open file without a name that holds just this content, or -1. A remote store may
  /// only begin here: the blob is there when the next other call has returned, which throws if it could not be written.
  virtual std::string save_blob(const std::string& directory, Pieces content, int spool_file) = 0;

  /// Lets others read an object for at most so many seconds, or for as long as our keys live. Nothing if this storage
  /// has no such thing.
  virtual std::optional<Link> link(const std::string& path, std::int64_t seconds);

  /// The same objects, without waiting for them. This and the loop must outlive it.
  virtual std::unique_ptr<BackgroundStorage> in_background(base::EventLoop& loop);
};

// For one object at a time.
std::optional<base::SharedBytes> get(Storage& storage, const std::string& path);
void put(Storage& storage, const std::string& path, std::string_view content);
void put(Storage& storage, const OwnedObject& object);
bool copy(Storage& storage, const std::string& from, const std::string& to);
bool create(Storage& storage, const std::string& path, std::string_view content);
bool exists(Storage& storage, const std::string& path);

/// `directory`/kk/key
std::string blob_path(std::string_view directory, std::string_view key);

}  // namespace metaflow::store
