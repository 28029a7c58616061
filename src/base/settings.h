// Metaflow's configuration: METAFLOW_X from the environment, else from the nearest .metaflow/config.json upwards, which
// may set harmless variables only (project_settings.h), else from the configuration of the user. Neither is obeyed
// where somebody else may have written it.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace metaflow::base {

/// Reads the configuration files once. Throws Error{invalid_command} for one that is damaged, a profile that does not
/// exist, or a configuration of the user that somebody else may have written.
class Settings {
 public:
  Settings();

  struct Found {
    std::string value;
    std::string file{};  // that it comes from; empty: the environment
  };
  /// The value of a variable by its whole name; nothing if it is not set (or set to nothing).
  std::optional<Found> find(const std::string& variable) const;
  /// The value of METAFLOW_<name>; nothing if it is not set (or set to nothing).
  std::optional<std::string> get(const std::string& name) const;
  std::string get(const std::string& name, const std::string& otherwise) const { return get(name).value_or(otherwise); }
  /// The value of a variable in the files, whatever the environment says.
  std::optional<Found> find_in_files(const std::string& variable) const;

  /// What the user should know of the project's file, a sentence each: that it is used, and what is not.
  const std::vector<std::string>& notes() const { return notes_; }

 private:
  void read_project();
  void read_of_user(const std::string& path);
  /// Takes the variables that `wanted` says; gives back the names of the others.
  std::vector<std::string> take(const std::string& path, std::string_view text, bool (*wanted)(std::string_view));
  std::map<std::string, Found> values_;  // from files; the first file that has a value wins
  std::vector<std::string> notes_;
};

/// Who runs this: METAFLOW_USER, SUDO_USER, USERNAME, USER, the password database.
std::string user_name(const Settings& settings);

/// The directory .metaflow of the local datastore: below METAFLOW_DATASTORE_SYSROOT_LOCAL, else the nearest one
/// upwards, else in the current directory. `is_new`: it does not exist yet.
std::string local_root(const Settings& settings, bool& is_new);

}  // namespace metaflow::base
