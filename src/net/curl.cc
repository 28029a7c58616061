#include "net/curl.h"

#include <metaflow/error.h>

#include "base/format.h"
#include "net/library.h"

namespace metaflow::net {

namespace {

Library open_curl() { return Library({"libcurl.so.4", "libcurl-gnutls.so.4"}, "HTTP", "libcurl4"); }

Curl load() {
  const Library library = open_curl();
  Curl table{};
  library.find(table.easy_init, "curl_easy_init");
  library.find(table.easy_cleanup, "curl_easy_cleanup");
  library.find(table.easy_reset, "curl_easy_reset");
  library.find(table.easy_setopt, "curl_easy_setopt");
  library.find(table.easy_getinfo, "curl_easy_getinfo");
  library.find(table.easy_strerror, "curl_easy_strerror");
  library.find(table.multi_init, "curl_multi_init");
  library.find(table.multi_cleanup, "curl_multi_cleanup");
  library.find(table.multi_add_handle, "curl_multi_add_handle");
  library.find(table.multi_remove_handle, "curl_multi_remove_handle");
  library.find(table.multi_setopt, "curl_multi_setopt");
  library.find(table.multi_socket_action, "curl_multi_socket_action");
  library.find(table.multi_info_read, "curl_multi_info_read");
  library.find(table.multi_strerror, "curl_multi_strerror");
  library.find(table.slist_append, "curl_slist_append");
  library.find(table.slist_free_all, "curl_slist_free_all");
  decltype(::curl_global_init)* global_init = nullptr;
  library.find(global_init, "curl_global_init");
  const CURLcode code = global_init(CURL_GLOBAL_DEFAULT);
  if (code != CURLE_OK)
    throw Error(ErrorCode::internal, fmt::format("Cannot initialise libcurl: {}", table.easy_strerror(code)));
  return table;
}

}  // namespace

const Curl& curl() {
  // One per process, since libcurl has one global state.
  static const Curl table = load();
  return table;
}

std::string curl_version() {
  decltype(::curl_version)* version = nullptr;
  open_curl().find(version, "curl_version");
  return version();
}

}  // namespace metaflow::net
