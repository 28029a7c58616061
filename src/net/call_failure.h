// The failure of a call of any service.
#pragma once

#include <string>
#include <string_view>

#include <metaflow/error.h>

namespace metaflow::net {

/// A message and its hint on one line.
std::string advised(std::string_view text, std::string_view hint);

struct CallFailure {
  int status = 0;          // HTTP status; 0: no answer
  std::string code{};      // the service's error code: "AlreadyExists", "ThrottlingException"; empty: none
  std::string message{};   // the service's error message, or the reason why there was no answer
  std::string text{};      // "Cannot create job x in namespace n: ...": for messages
  std::string hint{};      // what to do next; may be empty
  bool transient = false;  // a retry may succeed

  /// `platform`: the name, "Kubernetes".
  Error error(std::string_view platform) const { return Error::of_platform(platform, text, hint); }
  std::string advised() const { return net::advised(text, hint); }
};

/// The text of a body that is not in the service's own format, such as "Too many requests", on one line; empty for
/// HTML.
std::string plain_text(std::string_view body);

/// Replaces line breaks by blanks.
std::string on_one_line(std::string text);

}  // namespace metaflow::net
