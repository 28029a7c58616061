// Metaflow's configuration: METAFLOW_X from the environment, else from the nearest .metaflow/config.json upwards, which
// may set harmless variables only (project_settings.h), else from the configuration of the user. Files that other users
// can write are rejected.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace metaflow::base {

/// Reads the configuration files once. Throws Error{invalid_command} for a damaged file, a profile that does not exist,
/// or a configuration of the user that other users can write.
class Settings {
 public:
  Settings();

  struct Found {
    std::string value;
    std::string file{};  // the file of the value; empty: the environment
  };
  /// The value of a variable by its full name; nothing if it is unset or empty.
  std::optional<Found> find(const std::string& variable) const;
  /// The value of METAFLOW_<name>; nothing if it is unset or empty.
  std::optional<std::string> get(const std::string& name) const;
  std::string get(const std::string& name, const std::string& otherwise) const { return get(name).value_or(otherwise); }
  /// The value of METAFLOW_<name>, a whole number; nothing if it is unset or empty. Throws Error{invalid_command} for
  /// another text, and for a number outside of the range.
  std::optional<int> whole_number(const std::string& name, int least, int most) const;
  /// The value of a variable in the files, ignoring the environment.
  std::optional<Found> find_in_files(const std::string& variable) const;

  /// Notes to the user about the project's file, a sentence each: that it is used, and which variables are ignored.
  const std::vector<std::string>& notes() const { return notes_; }

 private:
  void read_project();
  void read_of_user(const std::string& path);
  /// Adds the variables that `wanted` accepts; returns the names of the others.
  std::vector<std::string> take(const std::string& path, std::string_view text, bool (*wanted)(std::string_view));
  std::map<std::string, Found> values_;  // from files; the first file that has a value wins
  std::vector<std::string> notes_;
};

/// The user's name: METAFLOW_USER, SUDO_USER, USERNAME, USER, the password database.
std::string user_name(const Settings& settings);

/// The directory .metaflow of the local datastore: below METAFLOW_DATASTORE_SYSROOT_LOCAL, else the nearest one
/// upwards, else in the current directory. `is_new`: it does not exist yet.
std::string local_root(const Settings& settings, bool& is_new);

}  // namespace metaflow::base
