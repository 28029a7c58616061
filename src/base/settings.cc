#include "base/settings.h"

#include <pwd.h>
#include <unistd.h>

#include <array>
#include <cstdlib>

#include <metaflow/error.h>

#include "base/files.h"
#include "base/format.h"
#include "base/json.h"
#include "base/text.h"

namespace metaflow::base {

namespace {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

/// The nearest directory upwards that has an entry of this name; empty if there is none.
std::string nearest_with(const std::string& name) {
  std::string directory = current_directory();
  while (true) {
    if (exists(directory + "/" + name)) return directory;
    if (directory.empty() || directory == "/") return {};
    directory.resize(directory.rfind('/'));
  }
}

}  // namespace

Settings::Settings() {
  if (const std::string directory = nearest_with(".metaflow/config.json"); !directory.empty())
    read(directory + "/.metaflow/config.json");
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
                "Unset METAFLOW_PROFILE, or make the file.");
  }
  read(path);
}

void Settings::read(const std::string& path) {
  std::optional<SharedBytes> text;
  try {
    text = read_file(path);
  } catch (const Error& error) {
    throw Error(
        ErrorCode::invalid_command, "The configuration cannot be read: " + error.message(),
        fmt::format("Make the file readable, or remove it{}.",
                    path.ends_with("/.metaflow/config.json") ? "" : ", or set METAFLOW_HOME to another directory"));
  }
  if (!text) return;
  Json json;
  try {
    json = Json::parse_or_throw(text->text());
    if (!json.is_object()) throw JsonMismatch("it is not an object");
  } catch (const JsonMismatch& error) {
    throw Error(ErrorCode::invalid_command,
                fmt::format("The configuration file '{}' is not valid JSON: {}", path, error.what()));
  }
  for (const auto& [name, value] : json.members()) {
    if (!value.is_null()) values_.try_emplace(name, Found{value.is_text() ? value.text() : value.dump(), path});
  }
}

std::optional<Settings::Found> Settings::find(const std::string& variable) const {
  if (std::string value = environment(variable.c_str()); !value.empty()) return Found{std::move(value)};
  const auto found = values_.find(variable);
  if (found == values_.end() || found->second.value.empty()) return std::nullopt;
  return found->second;
}

std::optional<std::string> Settings::get(const std::string& name) const {
  auto found = find("METAFLOW_" + name);
  if (!found) return std::nullopt;
  return std::move(found->value);
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
