// Objects in any bucket, to and from files and memory, with what S3 records about them: for the S3 client of Python.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "store/s3/s3_listing.h"
#include "store/s3/s3_transfers.h"

namespace metaflow::store {

struct S3Get {
  std::string file;  // where to write the content; created or replaced
  std::uint64_t begin = 0;
  std::uint64_t size = net::kUnlimited;  // bytes, at most; more than 0
  std::uint64_t last = 0;                // if not 0: so many bytes at the end, instead of `begin` and `size`
};

struct S3Head {};

struct S3List {
  bool all = true;  // not only keys without another '/' behind the prefix, which is the item's key
};

struct S3Put {
  std::string file{};                    // the content, from its begin to its end; empty:
  std::span<const std::byte> content{};  // which stays valid until the operation has ended
  std::string content_type{};
  std::string encryption{};       // "AES256"
  std::string user_attributes{};  // JSON; empty: none
  bool overwrite = true;
};

/// One operation, on one object or prefix.
struct S3Operation {
  std::string bucket;
  std::string key;
  std::variant<S3Get, S3Head, S3List, S3Put> what;
};

/// What S3 records about an object. Empty texts: nothing.
struct S3Info {
  std::uint64_t size = 0;  // bytes of the whole object
  std::string content_type{};
  std::string encryption{};
  std::string user_attributes{};  // the JSON that Metaflow's clients keep in the user metadata
  std::int64_t modified = 0;      // seconds since 1970
};

enum class S3Status : std::uint8_t {
  ok,
  missing,        // the object or the bucket does not exist
  denied,         // the keys do not permit it
  invalid_range,  // the object ends before the range
  exists,         // nothing was written, because the object exists
  disk_full,      // the file could not be written
};

struct S3Result {
  S3Status status = S3Status::ok;
  std::string error{};             // unless ok or exists: the operation, the object, the cause, the hint
  S3Info info{};                   // of get and head
  std::uint64_t begin = 0;         // of the bytes that were got
  std::uint64_t size = 0;          // their number
  std::vector<S3Listed> listed{};  // of each page the objects, then the prefixes
};

/// Executes operations, many in flight. Buckets take turns. Not thread-safe.
class S3Objects {
 public:
  /// Nothing is requested before the first operation.
  S3Objects(S3Options options, net::AwsConfig config);
  ~S3Objects();
  S3Objects(const S3Objects&) = delete;
  S3Objects& operator=(const S3Objects&) = delete;

  /// Begins operations, when no other is left.
  void start(std::vector<S3Operation> operations);
  /// Continues for at most `most`. Returns whether all operations have ended. Failures that no status describes cancel
  /// all operations, and are thrown: Error{data_store} for S3, Error{invalid_command} for its settings, an Error for a
  /// file.
  bool finish_within(std::chrono::milliseconds most);
  const std::vector<S3Operation>& operations() const { return operations_; }
  /// The results, in the order of the operations.
  const std::vector<S3Result>& results() const { return results_; }
  /// Ends all operations. Incomplete objects do not appear in S3.
  void cancel();

 private:
  static constexpr std::size_t kAtOnce = 64;  // unfinished operations: each may have an open file

  S3Transfers& transfers(const std::string& bucket);
  void start_some();
  void start(std::size_t index);
  void start(std::size_t index, const S3Get& get);
  void start(std::size_t index, const S3Head& head);
  void start(std::size_t index, const S3List& list);
  void start(std::size_t index, const S3Put& put);
  void receive(std::size_t index, S3Wanted wanted);
  void upload(std::size_t index, bool if_absent);
  void list_page(std::size_t index, const std::shared_ptr<S3Listing>& listing);
  void fail(std::size_t index, std::string_view verb, const S3Response& response);
  void end();

  S3Options options_;
  net::AwsConfig config_;
  std::map<std::string, std::unique_ptr<S3Transfers>> transfers_{};  // by bucket
  std::vector<S3Operation> operations_{};
  std::vector<S3Result> results_{};
  std::map<std::string, std::deque<std::size_t>> waiting_{};  // operations by bucket; the first is the current one
  std::size_t running_ = 0;
  S3Transfers::Uploads uploads_{};  // in parts, of the current bucket
};

}  // namespace metaflow::store
