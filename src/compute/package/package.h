// The package: a flow's executable with everything that it needs to start on another machine.
//
//   bin/flow                  the executable
//   lib/ld.so                 its loader, with its libraries beside it; not for a static executable
//   etc/ca-certificates.crt   the certificate authorities that this host trusts
//   ...                       what the language of the flow adds
//
// The loader is started with the program as its argument (docs/decisions/bundled-loader.md), so that the package starts
// on any Linux of the same architecture, with any C library.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "compute/package/libraries.h"

namespace metaflow::compute {

struct PackageFile {
  std::string name;    // in the package
  std::string source;  // on this host; of a file that exists in the package only: what it comes from
  std::uint64_t size = 0;
  bool executable = false;
  std::optional<std::string> content{};  // of a file that exists in the package only
};

/// The code of a flow that is not in this program.
struct FlowCode {
  std::vector<PackageFile> files{};      // of the package
  std::vector<std::string> libraries{};  // that tasks open: names or paths
  /// What clients show as the code of a task: names relative to the directory of the flow.
  std::vector<PackageFile> sources{};
  std::string script{};  // of the sources
  std::string language{};
  std::string directory{};  // that the sources come from
};

/// The content of a package, before any of it is read.
struct PackagePlan {
  std::uint16_t machine = 0;
  bool is_static = false;
  std::vector<PackageFile> files;    // by name
  std::vector<std::string> of_host;  // driver libraries, which the executing host must have
  bool has_roots = false;            // whether this host has a list of certificate authorities

  std::uint64_t size() const;
};

/// Plans a package. `opened`: names or paths of libraries that the program opens by dlopen. Throws
/// Error{invalid_command} with the reason for what cannot work elsewhere: a missing library, a mixed architecture, not
/// an executable.
PackagePlan plan_package(const std::string& program, const std::vector<std::string>& opened,
                         const LibraryPlaces& places);

/// Plans a package of this program, with the libraries that flows open, those that the user declared
/// (METAFLOW_PACKAGE_LIBRARIES), and the flow's code.
PackagePlan plan_own_package(const std::vector<std::string>& declared, const FlowCode* code);
/// A sentence for the user about code that is larger than most; empty if it is not.
std::string note_on_size(const FlowCode& code);

/// Returns this host's file of certificate authorities: SSL_CERT_FILE, or the distribution's path; empty: none.
std::string find_certificate_authorities();

struct Package {
  base::SharedBytes bytes;  // tar, gzipped; the same bytes for the same files
  std::string sha256;       // of them, hexadecimal: coreutils can check it where the package is fetched
};
Package make_package(const PackagePlan& plan);

/// Makes a small archive for Metaflow's Python client, which shows it as Task.code. Its script is the `flowspec`.
std::string make_code_archive(const FlowCode& code, const std::string& user);
/// Returns the value of the field `code-package`, by which a client finds it. `location`: the full path or URL of the
/// blob.
std::string code_package_field(std::string_view datastore, std::string_view key, std::string_view location);

/// Returns the words that start the program of a package in `directory` (an absolute path), without a shell. The flow's
/// arguments follow.
std::vector<std::string> start_command(const std::string& directory, bool is_static);

/// Returns the certificate authorities of the package that this process was started from; empty if there is none.
std::string packaged_certificate_authorities();

}  // namespace metaflow::compute
