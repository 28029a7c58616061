#include "store/metadata.h"

#include <set>

#include <metaflow/error.h>

#include "base/format.h"
#include "base/text.h"
#include "base/utf8.h"

namespace metaflow::store {

void check_tags(const std::vector<std::string>& tags) {
  constexpr std::size_t kMaxLength = 500;
  constexpr std::size_t kMaxTags = 50;
  for (const std::string& tag : tags) {
    if (tag.empty()) throw Error(ErrorCode::tagging, "Tags must not be empty string");
    if (base::find_invalid_utf8(tag) != std::string::npos) throw Error(ErrorCode::tagging, "Tags must be UTF-8");
    const std::size_t length = base::characters(tag);
    if (length > kMaxLength)
      throw Error(ErrorCode::tagging, fmt::format("Tag is too long {} > {}", length, kMaxLength));
  }
  if (std::set<std::string>(tags.begin(), tags.end()).size() > kMaxTags) {
    throw Error(ErrorCode::tagging, fmt::format("Cannot increase size of tag set beyond {}", kMaxTags));
  }
}

}  // namespace metaflow::store
