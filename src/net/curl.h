// The functions of libcurl, loaded on first use.
#pragma once

#include <curl/curl.h>

#include <string>

namespace metaflow::net {

struct Curl {
  decltype(::curl_easy_init)* easy_init;
  decltype(::curl_easy_cleanup)* easy_cleanup;
  decltype(::curl_easy_reset)* easy_reset;
  decltype(::curl_easy_setopt)* easy_setopt;
  decltype(::curl_easy_getinfo)* easy_getinfo;
  decltype(::curl_easy_strerror)* easy_strerror;
  decltype(::curl_multi_init)* multi_init;
  decltype(::curl_multi_cleanup)* multi_cleanup;
  decltype(::curl_multi_add_handle)* multi_add_handle;
  decltype(::curl_multi_remove_handle)* multi_remove_handle;
  decltype(::curl_multi_setopt)* multi_setopt;
  decltype(::curl_multi_socket_action)* multi_socket_action;
  decltype(::curl_multi_info_read)* multi_info_read;
  decltype(::curl_multi_strerror)* multi_strerror;
  decltype(::curl_slist_append)* slist_append;
  decltype(::curl_slist_free_all)* slist_free_all;
};

/// Loads and initialises the library on the first call. Thread-safe. Throws Error{invalid_command} if it is missing.
const Curl& curl();

/// "libcurl/7.88.1 OpenSSL/3.0.17 zlib/1.2.13": the library and its dependencies. Throws as curl().
std::string curl_version();

}  // namespace metaflow::net
