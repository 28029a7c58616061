// The page of `timeline`: HTML with style and script, complete but for the data, which replaces /*DATA*/null.
#pragma once

#include <string_view>

namespace metaflow::cli {

extern const std::string_view kTimelinePage;

}  // namespace metaflow::cli
