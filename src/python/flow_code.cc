#include "python/flow_code.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <set>
#include <utility>

#include <metaflow/error.h>

#include "base/ascii.h"
#include "base/files.h"
#include "base/format.h"
#include "base/process.h"
#include "base/text.h"

namespace metaflow::python {

using compute::PackageFile;

namespace {

constexpr const char* kDescription = "flow.json";
constexpr const char* kConfigs = "configs";
constexpr const char* kCode = "code";
constexpr const char* kPython = "python";

/// Follows links, unlike base::FileTree: the user's own files may be anywhere.
class Walk {
 public:
  explicit Walk(std::vector<std::string> suffixes) : suffixes_(std::move(suffixes)) {
    for (std::string& suffix : suffixes_) suffix = base::lower(suffix);
  }

  void visit(const std::string& directory, const std::string& prefix) {
    struct stat status {};
    if (::stat(directory.c_str(), &status) != 0) base::throw_errno("read", directory, errno);
    if (!around_.emplace(status.st_dev, status.st_ino).second) return;  // a link to a directory around it
    std::vector<std::string> names = base::list_directory(directory);
    std::sort(names.begin(), names.end());
    for (const std::string& name : names) visit_entry(directory + "/" + name, prefix, name);
    around_.erase({status.st_dev, status.st_ino});
  }

  std::vector<PackageFile> take() { return std::move(files_); }

 private:
  void visit_entry(const std::string& path, const std::string& prefix, const std::string& name) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) return;  // a link to nothing
    if (S_ISDIR(status.st_mode)) {
      if (!name.starts_with('.') && !base::exists(path + "/pyvenv.cfg")) visit(path, prefix + name + "/");
    } else if (S_ISREG(status.st_mode) && is_wanted(base::lower(name))) {
      files_.push_back({.name = prefix + name,
                        .source = path,
                        .size = static_cast<std::uint64_t>(status.st_size),
                        .executable = (status.st_mode & S_IXUSR) != 0});
    }
  }

  bool is_wanted(const std::string& name) const {
    return std::any_of(suffixes_.begin(), suffixes_.end(), [&](const std::string& suffix) {
      return name.starts_with('.') ? name == suffix : name.ends_with(suffix);
    });
  }

  std::vector<std::string> suffixes_;
  std::set<std::pair<dev_t, ino_t>> around_;
  std::vector<PackageFile> files_;
};

void add(std::vector<PackageFile>& into, const std::vector<PackageFile>& files, const std::string& directory) {
  for (PackageFile file : files) {
    file.name = directory + "/" + file.name;
    into.push_back(std::move(file));
  }
}

/// Where the package of this process was unpacked.
std::string root_of_package() { return base::directory_of(base::directory_of(base::own_executable())); }

}  // namespace

std::vector<PackageFile> files_of_flow(const std::string& directory, const std::vector<std::string>& suffixes) {
  Walk walk(suffixes);
  walk.visit(directory, "");
  return walk.take();
}

compute::FlowCode code_of_flow(const DescribedFlow& flow, const std::vector<std::string>& suffixes) {
  const Elsewhere& elsewhere = flow.elsewhere;
  compute::FlowCode code{.libraries = {elsewhere.library},
                         .sources = files_of_flow(elsewhere.directory, suffixes),
                         .script = elsewhere.script,
                         .language = "python",
                         .directory = elsewhere.directory};
  const auto is_script = [&](const PackageFile& file) { return file.name == code.script; };
  if (std::none_of(code.sources.begin(), code.sources.end(), is_script)) {
    const std::string path = elsewhere.directory + "/" + code.script;
    code.sources.push_back({.name = code.script, .source = path, .size = base::file_size(path).value_or(0)});
  }
  std::string description = description_for_package(flow);
  code.files.push_back(
      {.name = kDescription, .source = flow.flow.file, .size = description.size(), .content = std::move(description)});
  if (elsewhere.configs) {
    code.files.push_back({.name = kConfigs,
                          .source = flow.flow.file,
                          .size = elsewhere.configs->payload.size(),
                          .content = std::string(elsewhere.configs->payload)});
  }
  add(code.files, code.sources, kCode);
  add(code.files, files_of_flow(elsewhere.package, {".py"}), std::string(kPython) + "/metaflow_cpp");
  return code;
}

base::SharedBytes enter_package() {
  const std::string root = root_of_package();
  auto description = base::read_file(root + "/" + kDescription);
  if (!description)
    throw Error(ErrorCode::usage, "metaflow-engine executes flows in Python, which start it: python flow.py run");
  const std::string code = root + "/" + kCode;
  if (::chdir(code.c_str()) != 0) base::throw_errno("enter", code, errno);
  const char* const path = std::getenv("PYTHONPATH");
  const std::string own = root + "/" + kPython;
  ::setenv("PYTHONPATH", (path != nullptr && *path != '\0' ? own + ":" + path : own).c_str(), 1);
  ::setenv("METAFLOW_ENGINE_DIRECTORY", (root + "/lib").c_str(), 1);
  if (const std::string configs = root + "/" + kConfigs; base::exists(configs))
    ::setenv("METAFLOW_CONFIG_VALUES", configs.c_str(), 1);  // _configs.py
  return std::move(*description);
}

}  // namespace metaflow::python
