#include "base/failure_points.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <iterator>
#include <string>
#include <vector>

#include <metaflow/error.h>

#include "base/format.h"
#include "base/mutex.h"
#include "base/text.h"

namespace metaflow::base {

namespace detail {
bool failure_points_armed = false;
}  // namespace detail

namespace {

constexpr std::string_view kPoints[] = {"open",    "read",   "map",     "examine", "list",   "create", "write",
                                        "publish", "rename", "replace", "link",    "append", "remove", "touch",
                                        "mkdir",   "sync",   "start",   "thread",  "output", "*"};

constexpr int kKill = -1;

struct Named {
  std::string_view name;
  int error;
};
constexpr Named kErrors[] = {
    {"ENOSPC", ENOSPC}, {"EIO", EIO},     {"EMFILE", EMFILE}, {"EROFS", EROFS},   {"EACCES", EACCES},
    {"ENOENT", ENOENT}, {"EINTR", EINTR}, {"EPERM", EPERM},   {"EINVAL", EINVAL}, {"EOPNOTSUPP", EOPNOTSUPP},
    {"EAGAIN", EAGAIN}, {"KILL", kKill},  {"none", 0}};

struct Setting {
  std::string where;  // empty: everywhere
  std::string point;
  int error = 0;
  std::uint64_t number = 1;
  bool sticky = false;
  std::uint64_t calls = 0;
};

struct State {
  std::vector<Setting> settings;
  std::string step;  // empty: the scheduler
  Mutex mutex;       // guards the counts of calls
};

State& state() {
  static State* const the_state = new State;  // never destroyed: used by destructors of static objects
  return *the_state;
}

Setting parse(std::string_view text) {
  const auto refuse = [&] {
    return Error(ErrorCode::usage, fmt::format("METAFLOW_FAIL_AT: '{}' is not a valid setting", text));
  };
  const auto parts = split(text, ':');
  if (parts.size() < 2 || parts.size() > 4) throw refuse();
  Setting setting;
  const std::size_t dot = parts[0].find('.');
  if (dot != std::string::npos) setting.where = parts[0].substr(0, dot);
  setting.point = dot == std::string::npos ? parts[0] : parts[0].substr(dot + 1);
  if (std::find(std::begin(kPoints), std::end(kPoints), setting.point) == std::end(kPoints)) throw refuse();
  const auto* error =
      std::find_if(std::begin(kErrors), std::end(kErrors), [&](const Named& known) { return known.name == parts[1]; });
  if (error == std::end(kErrors)) throw refuse();
  setting.error = error->error;
  if (parts.size() > 2) {
    const char* const end = parts[2].data() + parts[2].size();
    const auto parsed = std::from_chars(parts[2].data(), end, setting.number);
    if (parsed.ec != std::errc() || parsed.ptr != end || setting.number == 0) throw refuse();
  }
  setting.sticky = parts.size() > 3;
  if (setting.sticky && (parts[3] != "sticky" || setting.error == EINTR)) throw refuse();  // would be retried for ever
  return setting;
}

void note(std::string_view where, std::string_view point) {
  const char* const path = std::getenv("METAFLOW_FAIL_LOG");
  if (path == nullptr) return;
  const int fd = ::open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (fd < 0) return;
  const std::string line = fmt::format("{} {}\n", where, point);
  [[maybe_unused]] const ssize_t written = ::write(fd, line.data(), line.size());
  ::close(fd);
}

/// Before main, so that the setting is the same for the whole process.
const bool kFromEnvironment = [] {
  const char* const text = std::getenv("METAFLOW_FAIL_AT");
  if (text == nullptr || *text == '\0') return false;
  try {
    set_failure_point(text);
  } catch (const Error& error) {
    const std::string line = fmt::format("{}\n", error.what());
    [[maybe_unused]] const ssize_t written = ::write(2, line.data(), line.size());
    ::_exit(2);  // else a test without a failure point would pass
  }
  return true;
}();

}  // namespace

namespace {

/// Whether the setting applies to this call; then errno is set.
bool hits(State& at, Setting& setting, std::string_view point) {
  if (setting.point != point && (setting.point != "*" || point == "output")) return false;
  const std::string_view where = at.step.empty() ? std::string_view("scheduler") : at.step;
  const bool here = setting.where.empty() || setting.where == where || (setting.where == "task" && !at.step.empty());
  if (!here) return false;
  const std::uint64_t call = [&] {
    const MutexLock lock(at.mutex);
    return ++setting.calls;
  }();
  if (setting.sticky ? call < setting.number : call != setting.number) return false;
  note(where, point);
  if (setting.error == 0) return false;
  if (setting.error == kKill) ::raise(SIGKILL);
  errno = setting.error;
  return true;
}

void forget_calls() {
  for (Setting& setting : state().settings) setting.calls = 0;
}

}  // namespace

bool detail::hit_failure_point(std::string_view point) {
  State& at = state();
  bool hit = false;
  for (Setting& setting : at.settings) hit = hits(at, setting, point) || hit;
  return hit;
}

void failure_points_in_task(std::string_view step) {
  if (!detail::failure_points_armed) return;
  state().step = step;
  forget_calls();
}

void set_failure_point(std::string_view setting) {
  detail::failure_points_armed = false;
  if (setting.empty()) return;
  state().settings.clear();
  for (const std::string& one : split(setting, ',')) state().settings.push_back(parse(one));
  state().step.clear();
  detail::failure_points_armed = true;
}

}  // namespace metaflow::base
