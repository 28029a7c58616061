// Which shared libraries a program is loaded with on this machine, and where they are: what the loader would do,
// without executing anything.
//
// Of libraries that the system has for several kinds of processor, the one for every processor is taken: the program
// may start on an older one.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/elf.h"

namespace metaflow::compute {

/// Where the loader looks besides what a file says itself.
struct LibraryPlaces {
  std::vector<std::string> first;                           // LD_LIBRARY_PATH
  std::map<std::string, std::vector<std::string>> by_name;  // the loader's cache
  std::vector<std::string> last;                            // the system's directories
};

/// Of this machine and this process.
LibraryPlaces library_places();

/// Paths by name, from the content of /etc/ld.so.cache; what is damaged or of another form is left out.
std::map<std::string, std::vector<std::string>> read_loader_cache(std::span<const std::byte> cache);

struct Library {
  std::string name;       // what the loader is asked for
  std::string path;       // the file here
  std::string needed_by;  // a path; empty: opened by the program while it runs
};

struct Closure {
  base::Elf program;
  std::string loader;                // the file; empty: the program is static and needs nothing
  std::vector<Library> libraries;    // by name
  std::vector<std::string> of_host;  // names of driver libraries that are needed: the machine that executes has its own
};

/// Everything that the program is loaded with. `opened`: names (or paths) of libraries that it opens by dlopen; a
/// static program opens none. Throws Error{invalid_command} that names what is missing, or is for another machine.
Closure find_closure(const std::string& program, const std::vector<std::string>& opened, const LibraryPlaces& places);

/// Part of a driver, which must fit the kernel of the machine: libcuda.so.1, libGL.so.1.
bool is_driver_library(std::string_view name);

}  // namespace metaflow::compute
