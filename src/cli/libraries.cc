#include "cli/libraries.h"

#include <nettle/version.h>
#include <zlib.h>

#include <metaflow/error.h>

#include "base/format.h"
#include "net/curl.h"

namespace metaflow::cli {

std::vector<std::pair<std::string, std::string>> library_versions() {
  std::vector<std::pair<std::string, std::string>> versions{
      {"nettle", fmt::format("{}.{}", ::nettle_version_major(), ::nettle_version_minor())},
      {"yaml-cpp", METAFLOW_YAML_CPP_VERSION},
      {"zlib", ::zlibVersion()}};
  try {
    versions.emplace_back("libcurl", net::curl_version());  // "libcurl/7.88.1 OpenSSL/3.0.17 zlib/1.2.13 ..."
  } catch (const Error&) {                                  // not installed: an error only where it is needed
  }
  return versions;
}

}  // namespace metaflow::cli
