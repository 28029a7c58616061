// Why a call of a service did not succeed, whichever service it is.
#pragma once

#include <string>
#include <string_view>

#include <metaflow/error.h>

namespace metaflow::net {

/// A sentence, and what to try, in one line.
std::string advised(std::string_view text, std::string_view hint);

struct CallFailure {
  int status = 0;      // of the answer; 0: none came
  std::string code{};  // the service's word for programs: "AlreadyExists", "ThrottlingException"; empty: it said none
  std::string message{};   // the service's words for people, or why there was no answer
  std::string text{};      // "Cannot create job x in namespace n: ...": for messages
  std::string hint{};      // what to try; may be empty
  bool transient = false;  // another try may succeed

  /// `platform`: its name, "Kubernetes".
  Error error(std::string_view platform) const { return Error::of_platform(platform, text, hint); }
  std::string advised() const { return net::advised(text, hint); }
};

/// What a body says that is not in the service's own form, such as "Too many requests", on one line; empty for a page.
std::string plain_words(std::string_view body);

/// On one line: what would end or begin one becomes a blank.
std::string on_one_line(std::string text);

}  // namespace metaflow::net
