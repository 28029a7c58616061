// Metaflow's configuration: METAFLOW_X from the environment, else from the nearest .metaflow/config.json upwards, else
// from the configuration of the user.
#pragma once

#include <map>
#include <optional>
#include <string>

namespace metaflow::base {

/// Reads the configuration files once. Throws Error{invalid_command} for one that is damaged, or a profile that does
/// not exist.
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

 private:
  void read(const std::string& path);
  std::map<std::string, Found> values_;  // from files; the first file that has a value wins
};

/// Who runs this: METAFLOW_USER, SUDO_USER, USERNAME, USER, the password database.
std::string user_name(const Settings& settings);

/// The directory .metaflow of the local datastore: below METAFLOW_DATASTORE_SYSROOT_LOCAL, else the nearest one
/// upwards, else in the current directory. `is_new`: it does not exist yet.
std::string local_root(const Settings& settings, bool& is_new);

}  // namespace metaflow::base
