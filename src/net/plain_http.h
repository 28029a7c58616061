// Keys are not sent where everybody on the way can read them.
#pragma once

#include <string_view>

#include "base/settings.h"
#include "net/aws_config.h"

namespace metaflow::net {

/// The environment, and for METAFLOW_X also the configuration files.
Variables variables_of(const base::Settings& settings);

/// Whether what is sent to this address can be read on the way: http, to another machine.
bool is_readable_on_the_way(std::string_view url);

/// Throws Error{invalid_command} if keys cannot be sent there unread, and METAFLOW_ALLOW_PLAIN_HTTP does not allow
/// that. `what`: "The S3 endpoint".
void check_keys_may_go_to(std::string_view url, std::string_view what, const Variables& variables);

}  // namespace metaflow::net
