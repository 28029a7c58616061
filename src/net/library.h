// Shared libraries that are loaded when they are first needed: a task that needs none of them does not pay for them.
#pragma once

#include <string>
#include <vector>

namespace metaflow::net {

/// An open shared library. It stays loaded for good: what it registered (handlers at exit, thread keys) cannot be
/// taken back.
class Library {
 public:
  /// Opens the first of these sonames that there is. Throws Error{invalid_command}, which names what is missing, what
  /// it is needed for, and the package.
  Library(const std::vector<std::string>& sonames, const std::string& purpose, const std::string& debian_package);

  /// Sets a pointer to the function of this name. Throws Error{invalid_command} if there is none.
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
