// Shared libraries that are loaded on first use: a task that needs none of them has no cost.
#pragma once

#include <string>
#include <vector>

namespace metaflow::net {

/// An open shared library. It is never unloaded, since it may have registered exit handlers and thread keys.
class Library {
 public:
  /// Opens the first of these sonames that exists. Throws Error{invalid_command}, which names the missing library, its
  /// purpose, and the package.
  Library(const std::vector<std::string>& sonames, const std::string& purpose, const std::string& debian_package);

  /// Sets a pointer to the function `name`. Throws Error{invalid_command} if the library has no such function.
  template <class Function>
  void find(Function*& function, const char* name) const {
    function = reinterpret_cast<Function*>(address(name));
  }

 private:
  void* address(const char* name) const;

  std::string soname_;
  std::string debian_package_;
  void* handle_ = nullptr;
};

}  // namespace metaflow::net
