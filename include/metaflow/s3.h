// Reads and writes objects in S3: data of a step besides its artifacts. Transfers many objects at once, over as many
// connections as needed:
//
//   mf::S3 s3("s3://my-bucket/prices");
//   s3.put("2026/01.csv", text);
//   for (const mf::S3Object& object : s3.get_many(s3.names("2026"))) parse(object.text());
//   auto header = s3.get_range("2026/all.bin", 0, 64);
//
// Keys, region and server are found as docs/s3.md describes; the flow needs no configuration. Every function throws
// Error{data_store} if S3 cannot be reached or refuses, after retries. Not thread-safe; give every thread its own
// object.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <metaflow/error.h>

namespace metaflow {

/// An object that was read. Cheap to copy; the bytes live as long as a copy does. Large ones are mapped from a file.
class S3Object {
 public:
  /// The name with which it was requested.
  const std::string& name() const { return name_; }
  /// The content.
  std::span<const std::byte> bytes() const { return bytes_; }
  /// The content as text.
  std::string_view text() const { return {reinterpret_cast<const char*>(bytes_.data()), bytes_.size()}; }
  /// The size in bytes.
  std::size_t size() const { return bytes_.size(); }

 private:
  friend class S3;
  std::string name_;
  std::span<const std::byte> bytes_;
  std::shared_ptr<const void> owner_;
};

/// One result of list().
struct S3Entry {
  std::string name;        ///< the name to pass to get()
  bool is_prefix = false;  ///< whether other names continue this one after a "/"
  std::uint64_t size = 0;  ///< of an object
};

/// A place in S3, and the connections to it. Movable, not copyable.
class S3 {
 public:
  /// All names are relative to `root`: "s3://bucket" or "s3://bucket/prefix". Sends no request. Throws
  /// Error{invalid_command} if `root` is not such a URL.
  explicit S3(const std::string& root);
  ~S3();
  /// Takes over the connections.
  S3(S3&&) noexcept;
  /// Closes its connections, and takes over the others.
  S3& operator=(S3&&) noexcept;

  /// Throws Error{not_found} if it does not exist.
  S3Object get(const std::string& name);
  /// At most `size` bytes from `offset` on; fewer, or none, if the object ends earlier. Throws Error{not_found}.
  S3Object get_range(const std::string& name, std::uint64_t offset, std::uint64_t size);
  /// All objects, in this order. Throws Error{not_found} if one does not exist.
  std::vector<S3Object> get_many(const std::vector<std::string>& names);
  /// As get_many, but nothing for an object that does not exist.
  std::vector<std::optional<S3Object>> try_get_many(const std::vector<std::string>& names);
  /// Writes the object to a file, which is created or replaced.
  void get_file(const std::string& name, const std::string& path);

  /// The size; nothing if the object does not exist.
  std::optional<std::uint64_t> size(const std::string& name);
  /// The sizes of many objects, in this order.
  std::vector<std::optional<std::uint64_t>> sizes(const std::vector<std::string>& names);

  /// Writes an object, or replaces it.
  void put(const std::string& name, std::string_view text);
  /// Writes an object of bytes, or replaces it.
  void put(const std::string& name, std::span<const std::byte> bytes);
  /// Writes many objects: pairs of name and content.
  void put_many(const std::vector<std::pair<std::string, std::string_view>>& objects);
  /// Writes the content of a file. Throws Error{data_store} if it cannot be read.
  void put_file(const std::string& name, const std::string& path);

  /// The objects and prefixes directly below a prefix ("" for the root), sorted.
  std::vector<S3Entry> list(const std::string& prefix = {});
  /// All objects below a prefix, at any depth, sorted.
  std::vector<S3Entry> list_all(const std::string& prefix = {});
  /// The names of list_all().
  std::vector<std::string> names(const std::string& prefix = {});

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace metaflow
