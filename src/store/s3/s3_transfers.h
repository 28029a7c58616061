// The objects of a place in S3 on their way: the asynchronous engine under S3Storage (which waits) and its
// BackgroundStorage (which does not).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/files.h"
#include "store/s3/s3_client.h"
#include "store/storage.h"

namespace metaflow::store {

/// What objects may be called: what a store has, or whatever S3 takes.
enum class S3Names : std::uint8_t { of_store, any };

/// Memory for an object that comes: a buffer, or from kSpoolFrom on a mapped file without a name in the temporary
/// directory, so that it may be larger than the memory.
class S3Destination {
 public:
  static constexpr std::uint64_t kSpoolFrom = 64U << 20U;

  /// Throws Error{data_store} if the disk has no room.
  explicit S3Destination(std::uint64_t size);

  std::uint64_t size() const { return size_; }
  /// For `length` bytes from `begin` on.
  net::Sink sink(std::uint64_t begin, std::uint64_t length) const;
  /// All of it. Once.
  base::SharedBytes take();

 private:
  std::uint64_t size_;
  std::unique_ptr<std::byte[]> buffer_;
  std::optional<base::SpoolFile> spool_;
};

/// Nothing here waits: each start_...() begins, and its callback comes when the client is driven, by its finish() and
/// poll() or by a loop. What fails is thrown there, as Error{data_store}. Large objects move in parts. Not thread-safe.
class S3Transfers {
 public:
  static constexpr std::uint64_t kPart = 8U << 20U;        // read at once
  static constexpr std::uint64_t kWholeUpTo = 16U << 20U;  // written without parts

  /// `root`: "s3://bucket/prefix".
  S3Transfers(const std::string& root, S3Options options, net::AwsConfig config, S3Names names);

  /// With options of its own for the same place: its calls and connections are apart from these, its keys are the same.
  S3Transfers(S3Transfers& other, S3Options options);

  /// nothing: there is no such object.
  using Downloaded = std::function<void(std::optional<base::SharedBytes>&&)>;
  void start_download(const std::string& path, Downloaded done);

  void start_whole_upload(const std::string& path, net::Body content, net::Headers headers, std::function<void()> done);

  struct Upload;
  using Uploads = std::vector<std::shared_ptr<Upload>>;
  /// In parts if it is large: such an upload is added to `uploads`. The content must stay until it is over.
  void start_upload(const std::string& path, Pieces content, net::Headers headers, Uploads& uploads);
  /// Waits. What was not completed is dropped: parts would be paid for until somebody looks for them.
  void abort(const Uploads& uploads);

  S3Client& client() { return client_; }
  const S3Client& client() const { return client_; }
  const std::string& root() const { return root_; }
  const S3Location& location() const { return location_; }
  base::Clock& clock() { return clock_; }

  /// Throws Error{data_store} for a name that an object here may not have.
  void check(const std::string& path) const;
  /// Checked.
  std::string key_of(const std::string& path) const;
  std::string unchecked_key_of(const std::string& path) const;
  /// For an object. Checked.
  S3Request request(const std::string& method, const std::string& path) const;
  /// What every new object gets.
  net::Headers write_headers() const;
  [[noreturn]] void fail(std::string_view operation, const std::string& path, const S3Response& response) const;

 private:
  struct Download;

  void start_download(const std::shared_ptr<Download>& download);
  void download_rest(const std::shared_ptr<Download>& download);
  void upload_parts(const std::shared_ptr<Upload>& upload);
  void complete_upload(const std::shared_ptr<Upload>& upload);

  std::string root_;
  S3Names names_;
  S3Location location_;
  base::SystemClock clock_;
  S3Client client_;
};

/// Refers to the pieces: they must stay.
net::Body body_of(Pieces pieces);

/// Whether the answer is that there is no such object.
bool is_missing(const S3Response& response);

}  // namespace metaflow::store
