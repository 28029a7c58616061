#include <utility>

#include <metaflow/error.h>

#include "base/text.h"

namespace metaflow {

namespace {

constexpr std::size_t kMaxMessageSize = 16 * 1024;  // bytes of a message or a hint

/// Escapes and limits text that may come from a server, a store or a step: it may have megabytes.
std::string limited_and_visible(std::string text) {
  if (text.size() > kMaxMessageSize) text.replace(kMaxMessageSize, std::string::npos, "...");
  return base::visible_lines(text);
}

}  // namespace

Error::Error(ErrorCode code, std::string message, std::string hint)
    : code_(code),
      message_(limited_and_visible(std::move(message))),
      hint_(limited_and_visible(std::move(hint))),
      text_(hint_.empty() ? message_ : message_ + "\n" + hint_) {}

Error Error::of_platform(std::string_view platform, std::string message, std::string hint) {
  Error error(ErrorCode::platform, std::move(message), std::move(hint));
  error.platform_ = platform;
  return error;
}

Error Error::prefixed(std::string_view words) const {
  Error error(code_, std::string(words) + message_, hint_);
  error.platform_ = platform_;
  return error;
}

std::string Error::headline() const {
  switch (code_) {
    case ErrorCode::usage: return "Usage";
    case ErrorCode::invalid_command: return "Invalid command";
    case ErrorCode::invalid_flow: return "Flow failed";
    case ErrorCode::unknown_decorator: return "Unknown step decorator";
    case ErrorCode::unknown_attribute: return "Unknown decorator attribute";
    case ErrorCode::invalid_value: return "Invalid value";
    case ErrorCode::not_found: return "Object not found";
    case ErrorCode::data_store: return "Data store error";
    case ErrorCode::data_missing: return "Data missing";
    case ErrorCode::metadata_service: return "Metaflow service error";
    case ErrorCode::merge_conflict: return "Unhandled artifacts in merge";
    case ErrorCode::merge_missing: return "Missing artifacts in merge";
    case ErrorCode::tagging: return "Tagging error";
    case ErrorCode::unknown_user: return "Unknown user";
    case ErrorCode::out_of_memory: return "Out of memory";
    case ErrorCode::step_failure: return "Step failure";
    case ErrorCode::item_failure: return "Item failure";
    case ErrorCode::platform: return platform_ + " error";
    case ErrorCode::interrupted: return "Interrupted";
    case ErrorCode::internal: return "Internal error";
  }
  return "Internal error";
}

}  // namespace metaflow
