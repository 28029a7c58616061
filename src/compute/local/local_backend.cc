#include "compute/local/local_backend.h"

#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <variant>

#include <metaflow/error.h>

#include "base/files.h"
#include "base/format.h"
#include "compute/verdict.h"

namespace metaflow::compute {

using store::Stream;

namespace {

constexpr std::size_t kBufferSize = 64 * 1024;
constexpr std::int64_t kTimeoutGrace = 5'000'000;  // for an attempt to end itself after its timeout
constexpr std::int64_t kRetryEvery = 1'000'000;    // to start waiting attempts
constexpr std::size_t kForkServerFrom = 4;         // attempts: a fork server costs what it saves two of them
constexpr std::int64_t kLoadTimeout = 20'000'000;  // for a server of another program; then attempts start without it
constexpr std::size_t kSpareArguments = 8;         // for later command lines
constexpr const char* kFiller = "--quiet";         // for unused arguments: a step is quiet anyway
constexpr std::int64_t kSuspendTimeout = 500'000;  // for all processes: the guard waits for this one, too

}  // namespace

LocalBackend::LocalBackend(base::EventLoop& loop, BackendEvents& events, std::vector<std::string> command,
                           std::vector<std::string> environment, std::map<std::string, Request> requests, bool forks)
    : loop_(loop),
      events_(events),
      command_(std::move(command)),
      forks_(forks),
      environment_(std::move(environment)),
      requests_(std::move(requests)),
      buffer_(kBufferSize, '\0') {
  base::become_subreaper();
}

LocalBackend::~LocalBackend() {
  if (retry_timer_) loop_.cancel(*retry_timer_);
  if (loading_timer_) {
    loop_.cancel(*loading_timer_);
    loop_.unwatch(fork_server_->socket());
  }
  for (auto& [id, process] : processes_) {
    if (process->deadline) loop_.cancel(*process->deadline);
    ::kill(-process->child.pid, SIGKILL);
    loop_.unwatch(process->child.pidfd.get());
    close(*process, Stream::out);
    close(*process, Stream::err);
  }
}

bool LocalBackend::has_room(const std::string& step) const {
  if (!waiting_.empty()) return false;
  const auto request = requests_.find(step);
  return request == requests_.end() || machine_.fits(request->second);
}

void LocalBackend::submit(const Attempt& attempt) {
  if (!waiting_.empty() || is_loading()) return waiting_.push_back(attempt);
  const auto lacking = try_to_start(attempt);
  if (!lacking) return;
  if (processes_.empty()) return report_not_started(attempt.id, lacking->what());
  waiting_.push_back(attempt);
  retry_later();
}

/// A server of another program, such as an interpreter that imports a module, is worth its cost from the first attempt
/// on: without it, each attempt would load as much.
bool LocalBackend::is_loading() {
  if (!forks_ || fork_server_) return loading_timer_.has_value();
  fork_server_.emplace(command_, environment_);
  if (fork_server_->socket() < 0) return false;
  loop_.watch(fork_server_->socket(), [this] { end_loading(); });
  loading_timer_ = loop_.after(kLoadTimeout, [this] { end_loading(); });
  return true;
}

void LocalBackend::end_loading() {
  loop_.unwatch(fork_server_->socket());
  loop_.cancel(*loading_timer_);
  loading_timer_.reset();
  start_waiting();
}

/// Other processes may release resources, too.
void LocalBackend::retry_later() {
  if (retry_timer_) return;
  retry_timer_ = loop_.after(kRetryEvery, [this] {
    retry_timer_.reset();
    start_waiting();
    if (!waiting_.empty()) retry_later();
  });
}

/// Starts attempts in their order, as long as there is room.
void LocalBackend::start_waiting() {
  while (!waiting_.empty()) {
    const auto lacking = try_to_start(waiting_.front());
    if (lacking && !processes_.empty()) return;
    // No attempt is left that could release resources.
    if (lacking) report_not_started(waiting_.front().id, lacking->what());
    waiting_.pop_front();
  }
}

void LocalBackend::report_not_started(AttemptId id, const std::string& cause) {
  loop_.after(0, [this, id, cause] {
    Verdict verdict;
    verdict.cause = cause;
    events_.on_finished(id, verdict);
  });
}

std::variant<base::Child, base::NoRoom> LocalBackend::start(const std::vector<std::string>& arguments,
                                                            const std::vector<std::string>& environment) {
  if (++started_ == kForkServerFrom && command_ == std::vector{base::own_executable()}) {
    fork_server_.emplace(arguments.size() + kSpareArguments, kFiller, environment_);
  }
  if (fork_server_) {
    if (auto started = fork_server_->try_start(arguments, environment)) return std::move(*started);
  }
  return base::try_start_process(command_, arguments, environment);
}

std::optional<Error> LocalBackend::try_to_start(const Attempt& attempt) {
  auto process = std::make_unique<Process>();
  process->id = attempt.id;
  process->time_limit = attempt.time_limit;
  if (const auto request = requests_.find(attempt.step.step); request != requests_.end())
    process->grant = machine_.take(request->second);
  std::vector<std::string> environment = environment_;
  if (process->grant.granted) {
    for (const std::string& variable : machine_.environment(process->grant)) base::set_variable(environment, variable);
  }
  for (const std::string& variable : attempt.environment) base::set_variable(environment, variable);
  if (const std::uint64_t limit = process->grant.memory_limit(); limit > 0) {
    auto group = base::MemoryGroup::make(fmt::format("metaflow-{}-{}", ::getpid(), attempt.id), limit);
    if (group) process->group.emplace(std::move(*group));
    if (process->group) environment.push_back("METAFLOW_MEMORY_GROUP=" + process->group->processes_file());
    environment.push_back(fmt::format("METAFLOW_MEMORY_LIMIT={}", limit));
  }
  try {
    auto started = start(to_command_line(attempt.step), environment);
    if (const auto* lacking = std::get_if<base::NoRoom>(&started)) {
      machine_.give_back(process->grant);
      return lacking->error;
    }
    process->child = std::get<base::Child>(std::move(started));
  } catch (const Error& error) {
    machine_.give_back(process->grant);
    report_not_started(attempt.id, error.what());
    return std::nullopt;
  }
  Process& started = *process;
  processes_[attempt.id] = std::move(process);
  loop_.watch(started.child.pidfd.get(), [this, &started] { on_ended(started); });
  if (!held_) watch_output(started);
  arm_deadline(started);
  events_.on_started(attempt.id, fmt::format("pid {}", started.child.pid));
  return std::nullopt;
}

/// This process inherits what the processes of attempts leave behind: once ended, it would stay as a zombie until the
/// end of the run. Only by group: other children are waited for elsewhere.
void LocalBackend::reap_orphans() {
  std::erase_if(groups_, [](pid_t group) {
    pid_t found = 0;
    do {
      found = ::waitpid(-group, nullptr, WNOHANG);
    } while (found > 0 || (found < 0 && errno == EINTR));
    return found < 0;
  });
}

/// An attempt ends itself at its timeout. This kills one that does not.
void LocalBackend::arm_deadline(Process& process) {
  if (process.deadline) loop_.cancel(*process.deadline);
  process.deadline.reset();
  if (process.time_limit == 0) return;
  process.deadline = loop_.after(process.time_limit + kTimeoutGrace, [&process] {
    process.deadline.reset();
    process.killed_late = true;
    ::kill(-process.child.pid, SIGKILL);
  });
}

void LocalBackend::watch_output(Process& process) {
  if (process.out_open) loop_.watch(process.child.out.get(), [this, &process] { on_readable(process, Stream::out); });
  if (process.err_open) loop_.watch(process.child.err.get(), [this, &process] { on_readable(process, Stream::err); });
}

void LocalBackend::hold_output(bool held) {
  if (held == held_) return;
  held_ = held;
  for (auto& [id, process] : processes_) {
    if (!held) {
      watch_output(*process);
      continue;
    }
    loop_.unwatch(process->child.out.get());
    loop_.unwatch(process->child.err.get());
  }
}

bool LocalBackend::read(Process& process, Stream stream) {
  const int fd = (stream == Stream::out ? process.child.out : process.child.err).get();
  const ssize_t count = ::read(fd, buffer_.data(), buffer_.size());
  if (count > 0)
    events_.on_output(process.id, stream, std::string_view(buffer_.data(), static_cast<std::size_t>(count)));
  return count > 0 || (count < 0 && errno == EINTR);
}

void LocalBackend::on_readable(Process& process, Stream stream) {
  errno = 0;
  if (!read(process, stream) && errno != EAGAIN) close(process, stream);
}

void LocalBackend::close(Process& process, Stream stream) {
  bool& open = stream == Stream::out ? process.out_open : process.err_open;
  if (!open) return;
  open = false;
  base::Fd& fd = stream == Stream::out ? process.child.out : process.child.err;
  loop_.unwatch(fd.get());
  fd.reset();
}

void LocalBackend::drain(Process& process, Stream stream) {
  const int fd = (stream == Stream::out ? process.child.out : process.child.err).get();
  int left = 0;
  if (::ioctl(fd, FIONREAD, &left) != 0) return;
  while (left > 0) {
    const ssize_t count = ::read(fd, buffer_.data(), std::min(buffer_.size(), static_cast<std::size_t>(left)));
    if (count <= 0) return;
    left -= static_cast<int>(count);
    events_.on_output(process.id, stream, std::string_view(buffer_.data(), static_cast<std::size_t>(count)));
  }
}

void LocalBackend::on_ended(Process& process) {
  const auto ending = base::reap(process.child.pid);
  if (!ending) return;
  // The output of the process is in the pipes. A grandchild that holds them open is not waited for.
  for (Stream stream : {Stream::out, Stream::err}) {
    if (stream == Stream::out ? process.out_open : process.err_open) drain(process, stream);
    close(process, stream);
  }
  loop_.unwatch(process.child.pidfd.get());
  groups_.push_back(process.child.pid);
  reap_orphans();
  const auto done = processes_.extract(process.id);
  Process& ended = *done.mapped();
  if (ended.deadline) loop_.cancel(*ended.deadline);
  // Orphans of a failed attempt must not disturb the next one.
  if (ending->signal != 0 || ending->exit_code != 0) ::kill(-ended.child.pid, SIGKILL);
  machine_.give_back(ended.grant);
  MemoryFacts memory{.limit = ended.grant.memory_limit()};
  if (ended.group) {
    memory.peak = ended.group->peak();
    memory.killed = ended.group->killed();
  }
  Verdict verdict = verdict_of(*ending, ended.child.pid, memory);
  verdict.killed_late = ended.killed_late;
  verdict.timed_out = verdict.timed_out || ended.killed_late;
  ended.group.reset();
  events_.on_finished(done.key(), verdict);
  start_waiting();
}

void LocalBackend::stop(std::span<const AttemptId> attempts, Stop how) {
  for (AttemptId id : attempts) {
    const auto found = processes_.find(id);
    if (found != processes_.end()) ::kill(-found->second->child.pid, how == Stop::ask ? SIGTERM : SIGKILL);
    if (std::erase_if(waiting_, [id](const Attempt& attempt) { return attempt.id == id; }) > 0)
      report_not_started(id, "Task was stopped before it could be started.");
  }
}

void LocalBackend::suspend() {
  // SIGTSTP stops the clock of a step with a time limit (arm_timeout). No process can ignore SIGSTOP.
  for (const auto& [id, process] : processes_) ::kill(-process->child.pid, SIGTSTP);
  std::int64_t left = kSuspendTimeout;
  for (const auto& [id, process] : processes_) {
    if (process->time_limit > 0) left -= base::await_stop(process->child.pid, left);
  }
  for (const auto& [id, process] : processes_) ::kill(-process->child.pid, SIGSTOP);
}

void LocalBackend::proceed() {
  for (const auto& [id, process] : processes_) {
    ::kill(-process->child.pid, SIGCONT);
    arm_deadline(*process);
  }
}

void LocalBackend::end(Stop /*how*/) { base::kill_descendants(); }

}  // namespace metaflow::compute
