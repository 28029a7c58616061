#include "compute/package/libraries.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <optional>
#include <set>

#include <metaflow/error.h>

#include "base/files.h"
#include "base/format.h"
#include "base/text.h"

namespace metaflow::compute {

namespace {

/// Libraries that the C library opens itself, to look up names or to cancel a thread. Optional: newer C libraries have
/// them built in.
constexpr const char* kPartsOfLibc[] = {"libnss_files.so.2", "libnss_dns.so.2", "libresolv.so.2", "libgcc_s.so.1"};

std::string file_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

/// A loaded file, and the file that needs it, whose RPATHs count as well.
struct Object {
  std::string path;
  base::Elf elf;
  const Object* parent = nullptr;
};

class Search {
 public:
  Search(const LibraryPlaces& places, Closure& closure) : places_(places), closure_(closure) {}

  void run(const std::string& path, const std::vector<std::string>& opened) {
    const auto file = base::read_file(path);
    if (!file) throw Error(ErrorCode::invalid_command, fmt::format("The program '{}' does not exist", path));
    const Object& program = objects_.emplace_back(Object{path, base::read_elf(file->bytes(), path), nullptr});
    closure_.program = program.elf;
    if (program.elf.interpreter.empty()) {
      if (program.elf.needed.empty()) return;  // static
      throw Error(ErrorCode::invalid_command, fmt::format("'{}' is a shared library, not a program", path));
    }
    closure_.loader = program.elf.interpreter;
    const auto loader = base::read_file(closure_.loader);
    if (!loader) missing_.push_back(fmt::format("the loader {}", closure_.loader));
    loader_names_ = {file_name(closure_.loader)};
    if (loader) loader_names_.insert(base::read_elf(loader->bytes(), closure_.loader).soname);
    // musl is its own loader, and names the C library differently.
    is_musl_ = file_name(closure_.loader).starts_with("ld-musl");

    for (const std::string& name : program.elf.needed) ask(name, program);
    for (const std::string& name : opened)
      name.find('/') == std::string::npos ? ask(name, program, true) : add_file(name);
    follow();
    add_parts_of_libc();
    follow();
    report();
  }

 private:
  struct Question {
    std::string name;
    const Object* by;
    bool opened;
  };

  void ask(const std::string& name, const Object& by, bool opened = false) {
    questions_.push_back({name, &by, opened});
  }

  void follow() {
    while (!questions_.empty()) {
      const Question question = std::move(questions_.front());
      questions_.pop_front();
      if (!asked_.insert(question.name).second || loader_names_.contains(question.name)) continue;
      if (is_musl_ && (question.name == "libc.so" || question.name.starts_with("libc.musl-"))) continue;
      if (is_driver_library(question.name)) {
        closure_.of_host.push_back(question.name);
        continue;
      }
      answer(question);
    }
  }

  void answer(const Question& question) {
    const std::string by = question.opened ? "opened by the program" : "needed by " + question.by->path;
    if (question.name.find('/') != std::string::npos) {
      missing_.push_back(
          fmt::format("{} ({}), which is linked by its path and not by a name (it has no SONAME)", question.name, by));
      return;
    }
    std::string foreign;
    for (const std::string& path : candidates(question)) {
      const auto file = base::try_read_file(path);
      if (!file) continue;
      try {
        base::Elf elf = base::read_elf(file->bytes(), path);
        if (elf.machine == closure_.program.machine) return add(question, path, std::move(elf));
        foreign = fmt::format("'{}' is for {}", path, base::machine_name(elf.machine));
      } catch (const Error& error) {
        foreign = error.message();
      }
    }
    missing_.push_back(foreign.empty() ? fmt::format("{} ({})", question.name, by)
                                       : fmt::format("{} ({}): {}, the program for {}", question.name, by, foreign,
                                                     base::machine_name(closure_.program.machine)));
  }

  void add(const Question& question, const std::string& path, base::Elf elf) {
    const Object& object = objects_.emplace_back(Object{path, std::move(elf), question.by});
    closure_.libraries.push_back({question.name, path, question.opened ? "" : question.by->path});
    for (const std::string& name : object.elf.needed) ask(name, object);
  }

  /// Adds a library that was given by its path.
  void add_file(const std::string& path) {
    const auto file = base::read_file(path);
    if (!file) return missing_.push_back(fmt::format("{} (opened by the program)", path));
    base::Elf elf = base::read_elf(file->bytes(), path);
    if (elf.machine != closure_.program.machine) {
      return missing_.push_back(fmt::format("'{}' is for {}, the program for {}", path, base::machine_name(elf.machine),
                                            base::machine_name(closure_.program.machine)));
    }
    const std::string name = elf.soname.empty() ? file_name(path) : elf.soname;
    if (asked_.insert(name).second) add({name, &objects_.front(), true}, path, std::move(elf));
  }

  std::vector<std::string> candidates(const Question& question) const {
    std::vector<std::string> paths;
    auto add = [&](const std::string& directory) {
      if (!directory.empty()) paths.push_back(directory + "/" + question.name);
    };
    if (question.by->elf.runpath.empty()) {
      for (const Object* object = question.by; object != nullptr; object = object->parent) {
        for (const std::string& directory : object->elf.rpath) add(expanded(directory, *object));
      }
    }
    for (const std::string& directory : places_.first) add(directory);
    for (const std::string& directory : question.by->elf.runpath) add(expanded(directory, *question.by));
    if (const auto known = places_.by_name.find(question.name); known != places_.by_name.end())
      paths.insert(paths.end(), known->second.begin(), known->second.end());
    for (const std::string& directory : places_.last) add(directory);
    return paths;
  }

  /// Replaces $ORIGIN. Returns empty for other variables, which only the loader knows.
  static std::string expanded(std::string directory, const Object& object) {
    const std::string origin = base::directory_of(base::absolute_path(object.path));
    for (const std::string_view variable : {"${ORIGIN}", "$ORIGIN"}) {
      for (std::size_t at = directory.find(variable); at != std::string::npos;
           at = directory.find(variable, at + origin.size()))
        directory.replace(at, variable.size(), origin);
    }
    return directory.find('$') == std::string::npos ? directory : std::string();
  }

  void add_parts_of_libc() {
    const auto libc = std::find_if(closure_.libraries.begin(), closure_.libraries.end(),
                                   [](const Library& library) { return library.name == "libc.so.6"; });
    if (libc == closure_.libraries.end()) return;
    const std::string directory = base::directory_of(libc->path);
    for (const char* name : kPartsOfLibc) {
      const std::string path = directory + "/" + name;
      if (!asked_.contains(name) && base::exists(path)) add_file(path);
    }
  }

  void report() {
    std::sort(closure_.libraries.begin(), closure_.libraries.end(),
              [](const Library& a, const Library& b) { return a.name < b.name; });
    std::sort(closure_.of_host.begin(), closure_.of_host.end());
    if (missing_.empty()) return;
    throw Error(ErrorCode::invalid_command,
                fmt::format("The program cannot be packaged. Missing on this machine: {}", base::join(missing_, "; ")),
                "Install what is missing, or name its directory in LD_LIBRARY_PATH.");
  }

  const LibraryPlaces& places_;
  Closure& closure_;
  std::deque<Object> objects_;  // their addresses stay valid
  std::deque<Question> questions_;
  std::set<std::string> asked_;
  std::set<std::string> loader_names_;
  bool is_musl_ = false;
  std::vector<std::string> missing_;
};

template <class T>
std::optional<T> load(std::span<const std::byte> bytes, std::uint64_t offset) {
  T value;
  if (offset > bytes.size() || bytes.size() - offset < sizeof value) return std::nullopt;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

}  // namespace

std::map<std::string, std::vector<std::string>> read_loader_cache(std::span<const std::byte> cache) {
  // The format since glibc 2.2: see <dl-cache.h> there. An older one may precede it.
  constexpr std::string_view kOldMagic = "ld.so-1.7.0";
  constexpr std::string_view kMagic = "glibc-ld.so.cache1.1";
  constexpr std::uint64_t kOldHeader = 16;
  constexpr std::uint64_t kOldEntry = 12;
  constexpr std::uint64_t kHeader = 48;
  struct Entry {
    std::int32_t flags;
    std::uint32_t name;
    std::uint32_t path;
    std::uint32_t os;
    std::uint64_t hardware;  // 0: for every processor
  };
  std::map<std::string, std::vector<std::string>> found;
  if (base::as_text(cache).starts_with(kOldMagic)) {
    const auto count = load<std::uint32_t>(cache, kOldMagic.size() + 1);
    if (!count) return found;
    const std::uint64_t skip = (kOldHeader + kOldEntry * *count + 7) / 8 * 8;
    if (skip > cache.size()) return found;
    cache = cache.subspan(skip);
  }
  if (!base::as_text(cache).starts_with(kMagic)) return found;
  const auto text = [&](std::uint32_t offset) {
    if (offset >= cache.size()) return std::string();
    const std::string_view rest = base::as_text(cache.subspan(offset));
    return std::string(rest.substr(0, rest.find('\0')));
  };
  const std::uint32_t count = load<std::uint32_t>(cache, kMagic.size()).value_or(0);
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto entry = load<Entry>(cache, kHeader + std::uint64_t{i} * sizeof(Entry));
    if (!entry) break;
    if (entry->hardware != 0) continue;
    const std::string name = text(entry->name);
    const std::string path = text(entry->path);
    if (!name.empty() && path.starts_with('/')) found[name].push_back(path);
  }
  return found;
}

LibraryPlaces library_places() {
  LibraryPlaces places;
  if (const char* path = std::getenv("LD_LIBRARY_PATH"); path != nullptr) {
    std::string text = path;
    std::replace(text.begin(), text.end(), ';', ':');
    if (!text.empty()) places.first = base::split(text, ':');
  }
  if (const auto cache = base::try_read_file("/etc/ld.so.cache")) places.by_name = read_loader_cache(cache->bytes());
  for (const char* root : {"", "/usr"}) {
    for (const char* directory : {"/lib/x86_64-linux-gnu", "/lib/aarch64-linux-gnu", "/lib64", "/lib"})
      places.last.push_back(std::string(root) + directory);
  }
  places.last.emplace_back("/usr/local/lib");  // of musl
  return places;
}

Closure find_closure(const std::string& program, const std::vector<std::string>& opened, const LibraryPlaces& places) {
  Closure closure;
  Search(places, closure).run(program, opened);
  return closure;
}

bool is_driver_library(std::string_view name) {
  // The user's side of drivers for NVIDIA and for graphics. The CUDA toolkit (libcudart, libcublas) is not a part of
  // them.
  constexpr std::string_view kDrivers[] = {
      "libcuda.so",      "libcudadebugger.so", "libnvidia-",       "libnvcuvid.so",
      "libnvoptix.so",   "libGL.so",           "libGLX",           "libEGL",
      "libGLESv",        "libOpenGL.so",       "libGLdispatch.so", "libglxserver_nvidia",
      "libvdpau_nvidia", "libnvcudla"};
  return std::any_of(std::begin(kDrivers), std::end(kDrivers),
                     [&](std::string_view driver) { return name.starts_with(driver); });
}

}  // namespace metaflow::compute
