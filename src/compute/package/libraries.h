// Finds the shared libraries that a program is loaded with on this host, and their paths: as the loader does, without
// executing anything.
//
// If the system has a library for several kinds of processor, the one for every processor is taken: the program may
// start on an older one.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/elf.h"

namespace metaflow::compute {

/// Where the loader searches, besides the paths in a file itself.
struct LibraryPlaces {
  std::vector<std::string> first;                           // LD_LIBRARY_PATH
  std::map<std::string, std::vector<std::string>> by_name;  // the loader's cache
  std::vector<std::string> last;                            // the system's directories
};

/// Returns the paths of this host and this process.
LibraryPlaces library_places();

/// Reads paths by name from /etc/ld.so.cache. Skips what is damaged or of another format.
std::map<std::string, std::vector<std::string>> read_loader_cache(std::span<const std::byte> cache);

struct Library {
  std::string name;       // as the loader requests it
  std::string path;       // the file here
  std::string needed_by;  // a path; empty: opened by the program while it runs
};

struct Closure {
  base::Elf program;
  std::string loader;                // the file; empty: the program is static and needs nothing
  std::vector<Library> libraries;    // by name
  std::vector<std::string> of_host;  // names of required driver libraries, which the executing host must have
};

/// Finds everything that the program is loaded with. `opened`: names (or paths) of libraries that it opens by dlopen; a
/// static program opens none. Throws Error{invalid_command} that names what is missing, or is for another architecture.
Closure find_closure(const std::string& program, const std::vector<std::string>& opened, const LibraryPlaces& places);

/// Whether a library is part of a driver, which must fit the kernel of the host: libcuda.so.1, libGL.so.1.
bool is_driver_library(std::string_view name);

}  // namespace metaflow::compute
