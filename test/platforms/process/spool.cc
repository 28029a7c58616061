#include "platforms/process/spool.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include <metaflow/error.h>

#include "base/json.h"

namespace metaflow::process_platform {

namespace {

using base::Json;

template <class E>
E enumerator(const Json& number) {
  return static_cast<E>(number.integer().value_or(0));
}

std::optional<Json> read_object(const std::string& path) {
  const auto text = base::try_read_file(path);
  return text ? Json::parse_object(text->text()) : std::nullopt;
}

}  // namespace

void Spool::write(const SpooledJob& job) const {
  const Json json{{"flow", job.flow}, {"run", job.run},         {"run_key", job.run_key},
                  {"step", job.step}, {"task", job.task},       {"attempt", job.attempt},
                  {"user", job.user}, {"command", job.command}, {"environment", job.environment},
                  {"size", job.size}, {"slots", job.slots},     {"limit", job.limit}};
  base::create_file(path(job.name + ".order"), json.dump());  // one that is there already is the same
}

void Spool::write(const std::string& id, const SpooledState& state) const {
  const Json json{{"phase", static_cast<int>(state.phase)},
                  {"since", state.since},
                  {"reason", state.reason},
                  {"ran", state.ran},
                  {"status", state.status},
                  {"by", static_cast<int>(state.by)}};
  base::replace_file(path(id + ".state"), json.dump());
}

void Spool::ask_to_remove(const std::string& id) const { base::create_file(path(id + ".remove"), ""); }

std::optional<SpooledJob> Spool::job(const std::string& name) const {
  const auto json = read_object(path(name + ".order"));
  if (!json) return std::nullopt;
  SpooledJob job{.name = name};
  job.flow = (*json)["flow"].text();
  job.run = (*json)["run"].text();
  job.run_key = (*json)["run_key"].text();
  job.step = (*json)["step"].text();
  job.task = (*json)["task"].text();
  job.attempt = json->get("attempt", 0);
  job.user = (*json)["user"].text();
  job.command = (*json)["command"].texts();
  job.environment = (*json)["environment"].texts();
  job.size = json->get("size", std::size_t{1});
  job.slots = json->get("slots", 0);
  job.limit = json->get("limit", std::int64_t{0});
  return job;
}

std::optional<SpooledState> Spool::state(const std::string& id) const {
  const auto json = read_object(path(id + ".state"));
  if (!json) return std::nullopt;
  return SpooledState{.phase = enumerator<SpooledState::Phase>((*json)["phase"]),
                      .since = (*json)["since"].text(),
                      .reason = (*json)["reason"].text(),
                      .ran = json->get("ran", false),
                      .status = json->get("status", -1),
                      .by = enumerator<SpooledState::EndedBy>((*json)["by"])};
}

std::vector<SpooledJob> Spool::jobs() const {
  std::vector<SpooledJob> all;
  for (const std::string& file : base::list_directory(directory_)) {
    const auto name = without_ending(file, ".order");
    if (!name) continue;
    if (auto found = job(*name)) all.push_back(std::move(*found));
  }
  return all;
}

void Spool::erase(const SpooledJob& job) const {
  ::unlink(path(job.name + ".order").c_str());
  for (std::size_t place = 0; place < job.size; ++place) {
    for (const char* ending : {".state", ".remove", ".log"}) ::unlink(path(job.id(place) + ending).c_str());
  }
}

bool Spool::has_runner() const {
  const base::Fd file(::open(path("runner").c_str(), O_RDONLY | O_CLOEXEC));
  return file && ::flock(file.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

std::optional<std::string> without_ending(std::string_view file, std::string_view ending) {
  if (!file.ends_with(ending)) return std::nullopt;
  return std::string(file.substr(0, file.size() - ending.size()));
}

SpoolWatch::SpoolWatch(base::EventLoop& loop, const std::string& directory,
                       std::function<void(const std::string& file)> came)
    : loop_(loop), directory_(directory), came_(std::move(came)), inotify_(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)) {
  if (!inotify_ || ::inotify_add_watch(inotify_.get(), directory.c_str(), IN_CREATE | IN_MOVED_TO) < 0)
    base::throw_errno("watch", directory, errno);
  loop_.watch(inotify_.get(), [this] { on_readable(); });
}

SpoolWatch::~SpoolWatch() { loop_.unwatch(inotify_.get()); }

void SpoolWatch::on_readable() {
  alignas(inotify_event) std::array<char, 64 * 1024> buffer;
  const ssize_t count = ::read(inotify_.get(), buffer.data(), buffer.size());
  std::vector<std::string> files;
  for (ssize_t at = 0; at < count;) {
    const auto* event = reinterpret_cast<const inotify_event*>(buffer.data() + at);
    at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
    if ((event->mask & IN_Q_OVERFLOW) != 0) {
      files = base::list_directory(directory_);
      break;
    }
    if (event->len > 0) files.emplace_back(event->name);
  }
  for (const std::string& file : files) came_(file);
}

}  // namespace metaflow::process_platform
