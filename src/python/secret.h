// Secrets for @secrets of flows in Python.
#pragma once

#include <string>

namespace metaflow::python {

/// The answer of AWS Secrets Manager for a secret: JSON with Name, and SecretString or SecretBinary (base64). `region`:
/// empty: the configured one. `role`: a role to assume for it; empty: none. Blocks. Throws Error{invalid_command}
/// without credentials, Error{platform} for a failed call.
std::string get_aws_secret(const std::string& id, const std::string& region, const std::string& role);

}  // namespace metaflow::python
