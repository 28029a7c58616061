// Asynchronous transfers of objects below an S3 URL: used by S3Storage, which blocks, and its BackgroundStorage, which
// does not.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "base/bytes.h"
#include "base/files.h"
#include "store/s3/s3_client.h"
#include "store/storage.h"

namespace metaflow::store {

/// The accepted names: those of a store, or all that S3 accepts.
enum class S3Names : std::uint8_t { of_store, any };

/// Where an object is received: a file, if it has a name. Else memory: a buffer, or from kSpoolFrom on a mapped unnamed
/// file in the temporary directory, so that the object may be larger than the memory.
class S3Destination {
 public:
  static constexpr std::uint64_t kSpoolFrom = 64U << 20U;
  /// Objects up to this size are received in a buffer, and written to their file at once.
  static constexpr std::uint64_t kWrittenAtOnce = 1U << 20U;

  /// Throws Error{data_store} if the disk is full; std::system_error if a named file cannot be made.
  explicit S3Destination(std::uint64_t size, std::string file = {});

  std::uint64_t size() const { return size_; }
  /// A sink for `length` bytes from `begin` on.
  net::Sink sink(std::uint64_t begin, std::uint64_t length) const;
  /// The whole object; empty if it is in a named file, which is complete and closed now. Called once. Throws
  /// std::system_error.
  base::SharedBytes take();

 private:
  void open_file();

  std::uint64_t size_;
  std::string file_;
  base::Fd fd_;  // of the named file
  std::unique_ptr<std::byte[]> buffer_;
  std::optional<base::SpoolFile> spool_;
};

/// An object, or a part of one, to read.
struct S3Wanted {
  std::string path;
  std::uint64_t begin = 0;
  std::uint64_t size = net::kUnlimited;  // bytes, at most; more than 0
  std::string file{};                    // created or replaced; empty: memory
};

/// What was read.
struct S3Received {
  S3Response response{};           // to the first request. Not ok: nothing was read, response.status says why
  base::SharedBytes content{};     // if it was wanted in memory
  std::uint64_t size = 0;          // bytes that were read
  std::uint64_t total = 0;         // bytes of the whole object
  std::error_code file_failure{};  // the file could not be made or written
};

/// An object to write.
struct S3New {
  std::string path;
  net::Body content{};  // stays valid until the upload has finished
  net::Headers headers{};
  bool if_absent = false;  // the server refuses with 412 if the object exists
};

/// No function blocks, except abort(): each start_...() starts a transfer, whose callback is called when the client is
/// driven, by its finish() and poll() or by a loop. Failures are thrown there, as Error{data_store}. Large objects are
/// transferred in parts. Not thread-safe.
class S3Transfers {
 public:
  static constexpr std::uint64_t kPart = 8U << 20U;        // one read request
  static constexpr std::uint64_t kWholeUpTo = 16U << 20U;  // written without parts

  /// `root`: "s3://bucket/prefix".
  S3Transfers(const std::string& root, S3Options options, net::AwsConfig config, S3Names names);

  /// For the same URL with other options: with calls and connections of its own, and the same keys.
  S3Transfers(S3Transfers& other, S3Options options);

  /// For a bucket or prefix other than that of `other`, with the same keys.
  S3Transfers(S3Transfers& other, const std::string& root);

  /// Nothing: the object does not exist.
  using Downloaded = std::function<void(std::optional<base::SharedBytes>&&)>;
  void start_download(const std::string& path, Downloaded done);

  /// `done` is also called if the server refuses the object. An empty object is answered with 416.
  using Received = std::function<void(S3Received&&)>;
  void start_receiving(S3Wanted wanted, Received done);

  void start_whole_upload(const std::string& path, net::Body content, net::Headers headers, std::function<void()> done);

  struct Upload;
  using Uploads = std::vector<std::shared_ptr<Upload>>;
  /// A large object is uploaded in parts, and added to `uploads`. `done` gets the server's last answer, also if it
  /// refuses the object; without `done`, a refusal is a failure.
  using Uploaded = std::function<void(S3Response&&)>;
  void start_upload(S3New object, Uploads& uploads, Uploaded done = {});
  /// Aborts incomplete uploads, whose parts would otherwise be billed for ever. Blocks.
  void abort(const Uploads& uploads);

  S3Client& client() { return client_; }
  const S3Client& client() const { return client_; }
  const std::string& root() const { return root_; }
  const S3Location& location() const { return location_; }
  base::Clock& clock() { return clock_; }

  /// Throws Error{data_store} for a name that is not accepted here.
  void check(const std::string& path) const;
  /// The key of a path, which is checked.
  std::string key_of(const std::string& path) const;
  std::string unchecked_key_of(const std::string& path) const;
  /// A request for an object, whose path is checked.
  S3Request request(const std::string& method, const std::string& path) const;
  /// The headers of every new object.
  net::Headers write_headers() const;
  [[noreturn]] void fail(std::string_view operation, const std::string& path, const S3Response& response) const;

 private:
  struct Download;

  void start_download(const std::shared_ptr<Download>& download);
  void download_rest(const std::shared_ptr<Download>& download);
  static void end_download(const std::shared_ptr<Download>& download);
  void upload_parts(const std::shared_ptr<Upload>& upload);
  void complete_upload(const std::shared_ptr<Upload>& upload);
  void end_upload(const std::shared_ptr<Upload>& upload, S3Response&& response);

  std::string root_;
  S3Names names_;
  S3Location location_;
  base::SystemClock clock_;
  S3Client client_;
};

/// Refers to the pieces, which must stay valid.
net::Body body_of(Pieces pieces);

/// Whether the answer means that the object does not exist.
bool is_missing(const S3Response& response);

}  // namespace metaflow::store
