// The page of `timeline`: HTML with style and script.
#pragma once

#include <string>
#include <string_view>

namespace metaflow::cli {

/// Returns the page that shows `json`. The data is escaped: it cannot end the script or begin a comment in it.
std::string timeline_page(std::string_view json);

}  // namespace metaflow::cli
