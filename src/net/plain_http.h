// Prevents keys from being sent unencrypted over a network.
#pragma once

#include <string_view>

#include "base/settings.h"
#include "net/aws_config.h"

namespace metaflow::net {

/// Variables of the environment, and for METAFLOW_X also of the configuration files.
Variables variables_of(const base::Settings& settings);

/// Whether requests to this URL are unencrypted and leave this machine.
bool is_unencrypted(std::string_view url);

/// Throws Error{invalid_command} if keys would be sent unencrypted over a network, unless METAFLOW_ALLOW_PLAIN_HTTP
/// allows it. `what`: "The S3 endpoint".
void check_keys_are_encrypted(std::string_view url, std::string_view what, const Variables& variables);

}  // namespace metaflow::net
