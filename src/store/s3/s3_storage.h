// Objects in S3, in Metaflow's layout: a blocking interface to S3Transfers.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "store/s3/s3_transfers.h"
#include "store/storage.h"

namespace metaflow::store {

/// Every call blocks until it has finished; the objects of one call are in flight together. Not thread-safe.
///
/// Small blobs are written in the background: save_blob starts the upload, and the next other call, except link(),
/// returns when it has finished. So the artifacts of a task are in flight together, and an object that refers to them
/// never exists before them.
class S3Storage : public Storage {
 public:
  /// `root`: "s3://bucket/prefix".
  S3Storage(const std::string& root, S3Options options, net::AwsConfig config, S3Names names = S3Names::of_store);
  ~S3Storage() override;

  std::string_view type() const override { return "s3"; }
  const std::string& root() const override { return transfers_.root(); }

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
  /// Also removes objects that stand for directories ("F/17/"), which browsers of S3 make.
  void remove_tree(const std::string& path) override;

  void settle() override;
  std::optional<Link> link(const std::string& path, std::int64_t seconds) override;
  std::unique_ptr<BackgroundStorage> in_background(base::EventLoop& loop) override;

  /// The entries below a path, unsorted: only the direct ones, or all objects. A path that ends with '/' is a prefix of
  /// other objects.
  std::vector<Listed> list_objects(const std::string& path, bool all);
  /// At most `size` bytes from `offset` on; nothing if the object does not exist.
  std::optional<base::SharedBytes> get_range(const std::string& path, std::uint64_t offset, std::uint64_t size);

  S3Client& client() { return transfers_.client(); }
  const S3Location& location() const { return transfers_.location(); }
  /// Throws Error{data_store} for an invalid path.
  std::string key_of(const std::string& path) const { return transfers_.key_of(path); }

 private:
  class Background;

  void list_pages(const std::string& path, bool all, const std::function<void(Listed&&)>& visit);
  bool renew_blob(const std::string& path, std::uint64_t size);
  void upload(const std::string& path, Pieces content, const net::Headers& headers);
  S3Response put_if_absent(const std::string& path, Pieces content);
  bool probe_conditions(const std::string& path);
  bool exists_with(const Object& object);

  S3Transfers transfers_;
  std::optional<bool>
      supports_conditions_{};              // whether the server supports conditional creation; nothing: not known yet
  std::uint64_t in_background_bytes_ = 0;  // bytes of blobs that are being written in the background
};

}  // namespace metaflow::store
