#include "net/plain_http.h"

#include <algorithm>
#include <charconv>

#include <metaflow/error.h>

#include "base/format.h"
#include "base/text.h"
#include "net/http.h"
#include "net/url.h"

namespace metaflow::net {

namespace {

constexpr const char* kAllowed = "METAFLOW_ALLOW_PLAIN_HTTP";

/// 127.0.0.0/8 in dotted-decimal form.
bool is_loopback_v4(std::string_view host) {
  const auto parts = base::split(host, '.');
  return parts.size() == 4 && parts[0] == "127" && std::all_of(parts.begin(), parts.end(), [](const std::string& part) {
           unsigned number = 0;
           const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), number);
           return error == std::errc() && end == part.data() + part.size() && number < 256;
         });
}

bool is_this_machine(std::string_view host) {
  const std::string name = base::lower(host);
  return name == "localhost" || name.ends_with(".localhost") || name == "[::1]" || is_loopback_v4(name);
}

}  // namespace

Variables variables_of(const base::Settings& settings) {
  return [settings, own = own_variables()](const std::string& name) -> std::optional<std::string> {
    if (!name.starts_with("METAFLOW_")) return own(name);
    auto found = settings.find(name);
    if (!found) return std::nullopt;
    return std::move(found->value);
  };
}

bool is_unencrypted(std::string_view text) {
  const Url url = parse_url(text);
  return base::lower(url.scheme) != "https" && !is_this_machine(url.host);
}

void check_keys_are_encrypted(std::string_view url, std::string_view what, const Variables& variables) {
  if (!is_unencrypted(url)) return;
  const std::string allowed = base::lower(variables(kAllowed).value_or(""));
  if (allowed == "1" || allowed == "true" || allowed == "yes" || allowed == "on") return;
  throw Error(
      ErrorCode::invalid_command,
      fmt::format("{} is {}, which is not https: keys would be sent there unencrypted", what, printable_url(url)),
      fmt::format("Use https. If you trust the network, set {}=1.", kAllowed));
}

}  // namespace metaflow::net
