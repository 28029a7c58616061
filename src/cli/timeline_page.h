// The page of `timeline`: HTML with style and script.
#pragma once

#include <string>
#include <string_view>

namespace metaflow::cli {

/// The page that shows `json`. Nothing in the data ends its script or begins a comment in it.
std::string timeline_page(std::string_view json);

}  // namespace metaflow::cli
