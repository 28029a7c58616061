// Keys of AWS's single sign-on, from the files of `aws sso login`.
#pragma once

#include <cstdint>
#include <string>

#include "net/aws_config.h"
#include "net/aws_credentials.h"
#include "net/http.h"

namespace metaflow::net {

/// The keys of a profile with sso_account_id. Renews the login if that is possible without a browser. Throws
/// Error{invalid_command} with the command for a new login.
AwsCredentials sso_credentials(HttpClient& http, const AwsConfig& config, const std::string& profile, std::int64_t now);

}  // namespace metaflow::net
