#include "store/s3/s3_listing.h"

#include <algorithm>

#include "base/iso_time.h"
#include "base/percent.h"
#include "net/xml.h"
#include "store/s3/content_range.h"

namespace metaflow::store {

namespace {

constexpr int kListAtOnce = 1'000;  // S3's limit

}  // namespace

S3Request S3Listing::next_page() const {
  S3Request page{.bucket = bucket_,
                 .query = {{"list-type", "2"},
                           {"prefix", prefix_},
                           {"max-keys", std::to_string(kListAtOnce)},
                           // XML cannot represent every character that a key may have.
                           {"encoding-type", "url"}}};
  if (!all_) page.query.emplace_back("delimiter", "/");
  if (!token_.empty()) page.query.emplace_back("continuation-token", token_);
  return page;
}

std::string S3Listing::add(const S3Response& response, const std::function<void(S3Listed&&)>& visit) {
  const auto xml = response.ok() ? net::parse_xml(response.body) : std::nullopt;
  if (!xml) return "the answer is not XML";
  const bool encoded = xml->text_of("EncodingType") == "url";
  bool is_empty = true;
  auto add = [&](S3Listed&& found) {
    if (encoded) {
      std::replace(found.key.begin(), found.key.end(), '+', ' ');
      found.key = base::percent_decode(found.key);
    }
    if (!found.key.starts_with(prefix_)) return;
    is_empty = false;
    visit(std::move(found));
  };
  // Servers differ in whether objects or prefixes come first.
  for (const net::XmlElement& element : xml->children) {
    if (element.name != "Contents") continue;
    add({.key = element.text_of("Key"),
         .size = parse_size(element.text_of("Size")).value_or(0),
         .modified = base::parse_iso_time(element.text_of("LastModified")).value_or(0)});
  }
  for (const net::XmlElement& element : xml->children) {
    if (element.name == "CommonPrefixes") add({.key = element.text_of("Prefix"), .is_prefix = true});
  }
  is_complete_ = xml->text_of("IsTruncated") != "true";
  if (is_complete_) return {};
  token_ = xml->text_of("NextContinuationToken");
  if (token_.empty()) return "the server announced another page but sent no continuation token";
  return tokens_.add(token_, is_empty) ? "" : "the server's pages do not end";
}

}  // namespace metaflow::store
