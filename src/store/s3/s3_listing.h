// The listing of a bucket, page by page.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "net/page_tokens.h"
#include "store/s3/s3_client.h"

namespace metaflow::store {

/// One result of a listing.
struct S3Listed {
  std::string key;
  std::uint64_t size = 0;     // bytes, of an object
  std::int64_t modified = 0;  // seconds since 1970, of an object
  bool is_prefix = false;     // of other keys; it ends with '/'
};

class S3Listing {
 public:
  /// `prefix`: of the keys; empty: the whole bucket. `all`: not only those without another '/' behind the prefix.
  S3Listing(std::string bucket, std::string prefix, bool all)
      : bucket_(std::move(bucket)), prefix_(std::move(prefix)), all_(all) {}

  bool is_complete() const { return is_complete_; }
  S3Request next_page() const;
  /// Calls `visit` for the results of the answer to next_page(): the objects of the page, then the prefixes. Returns
  /// the fault of the answer; empty: none.
  std::string add(const S3Response& response, const std::function<void(S3Listed&&)>& visit);

 private:
  std::string bucket_;
  std::string prefix_;
  bool all_;
  bool is_complete_ = false;
  std::string token_{};  // of the next page
  net::PageTokens tokens_{};
};

}  // namespace metaflow::store
