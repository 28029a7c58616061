#include "base/settings.h"

#include <pwd.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstdlib>
#include <system_error>

#include <metaflow/error.h>

#include "base/files.h"
#include "base/format.h"
#include "base/json.h"
#include "base/project_settings.h"
#include "base/text.h"
#include "base/trusted_file.h"

namespace metaflow::base {

namespace {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

/// The nearest directory upwards that has an entry of this name; empty if none has.
std::string nearest_with(const std::string& name) {
  std::string directory = current_directory();
  while (true) {
    if (exists(directory + "/" + name)) return directory;
    if (directory.empty() || directory == "/") return {};
    directory.resize(directory.rfind('/'));
  }
}

std::optional<CheckedFile> read_configuration(const std::string& path, const char* more_advice) {
  try {
    return read_checked_file(path);
  } catch (const Error& error) {
    throw Error(ErrorCode::invalid_command, "The configuration cannot be read: " + error.message(),
                fmt::format("Make the file readable, or remove it{}.", more_advice));
  }
}

}  // namespace

Settings::Settings() {
  read_project();
  std::string home = environment("METAFLOW_HOME");
  if (home.empty()) {
    const std::string user_home = environment("HOME");
    if (user_home.empty()) return;
    home = user_home + "/.metaflowconfig";
  }
  const std::string profile = environment("METAFLOW_PROFILE");
  const std::string path = profile.empty() ? home + "/config.json" : fmt::format("{}/config_{}.json", home, profile);
  if (!profile.empty() && !exists(path)) {
    throw Error(ErrorCode::invalid_command,
                fmt::format("Unable to locate METAFLOW_PROFILE '{}': there is no {}", profile, path),
                "Unset METAFLOW_PROFILE, or create the file.");
  }
  read_of_user(path);
}

/// Reads the nearest file that no other user can write: all users can create one in a directory above, such as /tmp.
void Settings::read_project() {
  for (std::string directory = current_directory();; directory.resize(directory.rfind('/'))) {
    const std::string path = directory + "/.metaflow/config.json";
    const auto file = exists(path) ? read_configuration(path, "") : std::nullopt;
    if (file && file->distrust) {
      notes_.push_back(fmt::format("The configuration file '{}' is not used: {}.", path, *file->distrust));
    } else if (file) {
      const std::vector<std::string> refused = take(path, file->content->text(), &is_allowed_in_project);
      notes_.push_back(fmt::format("The configuration file '{}' is used.", path));
      if (!refused.empty())
        notes_.push_back(fmt::format("It cannot set {}: set them in the environment or in your own configuration file.",
                                     join(refused, ", ")));
      return;
    }
    if (directory.empty() || directory == "/") return;
  }
}

void Settings::read_of_user(const std::string& path) {
  const auto file = read_configuration(path, ", or set METAFLOW_HOME to another directory");
  if (!file) return;
  if (file->distrust) {
    throw Error(ErrorCode::invalid_command,
                fmt::format("The configuration file '{}' cannot be trusted: {}", path, *file->distrust),
                "Make yourself the owner and the only writer of the file and its directory (chown, chmod go-w), or set "
                "METAFLOW_HOME to another directory.");
  }
  take(path, file->content->text(), [](std::string_view) { return true; });
}

std::vector<std::string> Settings::take(const std::string& path, std::string_view text,
                                        bool (*wanted)(std::string_view)) {
  Json json;
  try {
    json = Json::parse_or_throw(text);
    if (!json.is_object()) throw JsonMismatch("it is not an object");
  } catch (const JsonMismatch& error) {
    throw Error(ErrorCode::invalid_command,
                fmt::format("The configuration file '{}' is not valid JSON: {}", path, error.what()));
  }
  std::vector<std::string> others;
  for (const auto& [name, value] : json.members()) {
    if (value.is_null()) continue;
    if (wanted(name)) {
      values_.try_emplace(name, Found{value.is_text() ? value.text() : value.dump(), path});
    } else if (name.starts_with("METAFLOW_")) {
      others.push_back(visible(name));
    }
  }
  return others;
}

std::optional<Settings::Found> Settings::find(const std::string& variable) const {
  if (std::string value = environment(variable.c_str()); !value.empty()) return Found{std::move(value)};
  return find_in_files(variable);
}

std::optional<Settings::Found> Settings::find_in_files(const std::string& variable) const {
  const auto found = values_.find(variable);
  if (found == values_.end() || found->second.value.empty()) return std::nullopt;
  return found->second;
}

std::optional<std::string> Settings::get(const std::string& name) const {
  auto found = find("METAFLOW_" + name);
  if (!found) return std::nullopt;
  return std::move(found->value);
}

std::optional<int> Settings::whole_number(const std::string& name, int least, int most) const {
  const auto value = get(name);
  if (!value) return std::nullopt;
  int number = 0;
  const auto [end, error] = std::from_chars(value->data(), value->data() + value->size(), number);
  if (error != std::errc() || end != value->data() + value->size() || number < least || number > most) {
    throw Error(ErrorCode::invalid_command,
                fmt::format("METAFLOW_{} is '{}', which is not a whole number from {} to {}", name, visible(*value),
                            least, most));
  }
  return number;
}

std::string user_name(const Settings& settings) {
  if (auto user = settings.get("USER")) return *user;
  for (const char* variable : {"SUDO_USER", "USERNAME", "USER"}) {
    std::string user = environment(variable);
    if (!user.empty() && user != "root") return user;
  }
  std::array<char, 4096> buffer;
  passwd entry{};
  passwd* found = nullptr;
  if (::getpwuid_r(::getuid(), &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr)
    return found->pw_name;
  return fmt::format("uid{}", ::getuid());
}

std::string local_root(const Settings& settings, bool& is_new) {
  std::string directory;
  if (const auto set = settings.get("DATASTORE_SYSROOT_LOCAL")) {
    directory = absolute_path(*set);
  } else {
    directory = nearest_with(".metaflow");
    if (directory.empty()) directory = current_directory();
  }
  std::string root = directory + "/.metaflow";
  is_new = !exists(root);
  return root;
}

}  // namespace metaflow::base
