// The package: a flow's executable with everything that it needs to start on another machine.
//
//   bin/flow                  the executable
//   lib/ld.so                 its loader, and beside it the libraries that it is loaded with; not of a static one
//   etc/ca-certificates.crt   whom this machine trusts
//
// The loader is started with the program as its argument (docs/decisions/bundled-loader.md), so that the package starts
// on any Linux of the same architecture, whatever C library that has.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "compute/package/libraries.h"

namespace metaflow::compute {

struct PackageFile {
  std::string name;    // in the package
  std::string source;  // here
  std::uint64_t size = 0;
  bool executable = false;
};

/// What a package will have in it; nothing was read into memory yet.
struct PackagePlan {
  std::uint16_t machine = 0;
  bool is_static = false;
  std::vector<PackageFile> files;    // by name
  std::vector<std::string> of_host;  // driver libraries, which the machine that executes must have
  bool has_roots = false;            // whether this machine has a list of certificate authorities

  std::uint64_t size() const;
};

/// `opened`: names or paths of libraries that the program opens by dlopen. Throws Error{invalid_command} for what
/// cannot work elsewhere, with the reason: a missing library, a mixed architecture, no executable.
PackagePlan plan_package(const std::string& program, const std::vector<std::string>& opened,
                         const LibraryPlaces& places);

/// Of this program: with the libraries that flows open, and those that the user declared (METAFLOW_PACKAGE_LIBRARIES).
PackagePlan plan_own_package(const std::vector<std::string>& declared);

/// This machine's file of certificate authorities: SSL_CERT_FILE, or where the distributions have it; empty if there is
/// none.
std::string find_certificate_authorities();

struct Package {
  base::SharedBytes bytes;  // tar, gzipped; the same bytes for the same files
  std::string sha256;       // of them, in hexadecimal digits: coreutils can check it, where the package is fetched
};
Package make_package(const PackagePlan& plan);

/// A small archive for Metaflow's Python client, which shows it as Task.code: `text` is its `flowspec`, by this name.
std::string make_code_archive(const std::string& name, std::string_view text, const std::string& user);
/// The value of the field `code-package` that makes a client find it. `location`: the full path or URL of the blob.
std::string code_package_field(std::string_view datastore, std::string_view key, std::string_view location);

/// The words that start the program of a package that was unpacked in `directory` (an absolute path): no shell is
/// needed. The flow's arguments follow.
std::vector<std::string> start_command(const std::string& directory, bool is_static);

/// The list of certificate authorities of the package that this process runs from; empty if it runs from none.
std::string packaged_certificate_authorities();

}  // namespace metaflow::compute
