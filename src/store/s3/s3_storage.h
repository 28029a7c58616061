// Objects in S3, in Metaflow's layout.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "store/s3/s3_client.h"
#include "store/storage.h"

namespace metaflow::store {

/// The objects of one call are in flight together. Large ones move in parts: a value above kSpoolFrom is read into a
/// file without a name in the temporary directory, and mapped, so that it may be larger than the memory.
///
/// Small blobs are written behind: save_blob begins, and the next other call ends when they are there. So the artifacts
/// of a task are in flight together, and what refers to them is never there before them.
class S3Storage : public Storage {
 public:
  static constexpr std::uint64_t kPart = 8U << 20U;        // read at once
  static constexpr std::uint64_t kWholeUpTo = 16U << 20U;  // written without parts
  static constexpr std::uint64_t kSpoolFrom = 64U << 20U;

  /// What objects may be called: what a store has, or whatever S3 takes.
  enum class Names : std::uint8_t { of_store, any };

  /// `root`: "s3://bucket/prefix".
  S3Storage(const std::string& root, S3Options options, net::AwsConfig config, Names names = Names::of_store);
  ~S3Storage() override;

  std::string_view type() const override { return "s3"; }
  const std::string& root() const override { return root_; }

  std::vector<std::optional<base::SharedBytes>> get(std::span<const std::string> paths) override;
  std::vector<std::optional<std::uint64_t>> sizes(std::span<const std::string> paths) override;
  void put(std::span<const Object> objects) override;
  bool create(const Object& object) override;
  std::vector<bool> copy(std::span<const Copy> copies) override;
  std::vector<Entry> list(const std::string& path) override;
  std::string save_blob(const std::string& directory, Pieces content, int spool_file) override;

  std::optional<Link> link(const std::string& path, std::int64_t seconds) override;
  std::unique_ptr<BackgroundStorage> in_background(base::EventLoop& loop) override;

  /// One object found by list_objects; a prefix if it ends with '/'.
  struct Listed {
    std::string path;  // below the root
    std::uint64_t size = 0;
  };
  /// What is below a path, unsorted: directly, or all objects.
  std::vector<Listed> list_objects(const std::string& path, bool all);
  /// At most `size` bytes from `offset` on; nothing if there is no such object.
  std::optional<base::SharedBytes> get_range(const std::string& path, std::uint64_t offset, std::uint64_t size);

  S3Client& client() { return client_; }
  const S3Location& location() const { return location_; }
  /// Throws Error{data_store} for a path of no object.
  std::string key_of(const std::string& path) const;

 private:
  class Background;
  struct Download;
  struct Upload;
  using Downloaded = std::function<void(std::optional<base::SharedBytes>&&)>;

  /// Throws Error{data_store} for a name that this may not have.
  void check(const std::string& path) const;
  std::string unchecked_key_of(const std::string& path) const;
  S3Request request(const std::string& method, const std::string& path) const;
  void settle();
  void start_download(const std::string& path, Downloaded done);
  void start_download(const std::shared_ptr<Download>& download);
  void download_rest(const std::shared_ptr<Download>& download);
  void start_whole_upload(const std::string& path, net::Body content, net::Headers headers, std::function<void()> done);
  void start_upload(const std::string& path, Pieces content, net::Headers headers,
                    std::vector<std::shared_ptr<Upload>>& uploads);
  void upload_parts(const std::shared_ptr<Upload>& upload);
  void complete_upload(const std::shared_ptr<Upload>& upload);
  void upload(const std::string& path, Pieces content, const net::Headers& headers);
  void abort_uploads(const std::vector<std::shared_ptr<Upload>>& uploads);
  bool is_there_with(const Object& object);
  net::Headers write_headers() const;
  [[noreturn]] void fail(std::string_view operation, const std::string& path, const S3Response& response) const;

  std::string root_;
  Names names_;
  S3Location location_;
  base::SystemClock clock_;
  S3Client client_;
  std::uint64_t behind_ = 0;  // bytes of blobs that are being written behind
};

}  // namespace metaflow::store
