#include "compute/local/local_backend.h"

#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include <metaflow/error.h>

#include "base/files.h"
#include "base/format.h"
#include "compute/verdict.h"

namespace metaflow::compute {

using store::Stream;

namespace {

constexpr std::size_t kBufferSize = 64 * 1024;
constexpr std::int64_t kLate = 5'000'000;  // that an attempt may take longer than it may, to end itself

}  // namespace

LocalBackend::LocalBackend(base::EventLoop& loop, BackendEvents& events, std::vector<std::string> command,
                           std::vector<std::string> environment, std::map<std::string, Request> requests)
    : loop_(loop),
      events_(events),
      command_(std::move(command)),
      environment_(std::move(environment)),
      requests_(std::move(requests)),
      buffer_(kBufferSize, '\0') {
  base::become_subreaper();
}

LocalBackend::~LocalBackend() {
  for (auto& [id, process] : processes_) {
    if (process->deadline) loop_.cancel(*process->deadline);
    ::kill(-process->child.pid, SIGKILL);
    loop_.unwatch(process->child.pidfd.get());
    close(*process, Stream::out);
    close(*process, Stream::err);
  }
}

bool LocalBackend::has_room(const std::string& step) const {
  const auto request = requests_.find(step);
  return request == requests_.end() || machine_.fits(request->second);
}

void LocalBackend::submit(const Attempt& attempt) {
  auto process = std::make_unique<Process>();
  process->id = attempt.id;
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
    process->child = base::start_process(command_, to_command_line(attempt.step), environment);
  } catch (const Error& error) {
    machine_.give_back(process->grant);
    loop_.after(0, [this, id = attempt.id, cause = std::string(error.what())] {
      Verdict verdict;
      verdict.cause = cause;
      events_.on_finished(id, verdict);
    });
    return;
  }
  Process& started = *process;
  processes_[attempt.id] = std::move(process);
  loop_.watch(started.child.pidfd.get(), [this, &started] { on_ended(started); });
  if (!held_) watch_output(started);
  if (attempt.time_limit > 0) {
    // It ends itself when its time is up. This is for one that cannot.
    started.deadline = loop_.after(attempt.time_limit + kLate, [&started] {
      started.deadline.reset();
      started.killed_late = true;
      ::kill(-started.child.pid, SIGKILL);
    });
  }
  events_.on_started(attempt.id, fmt::format("pid {}", started.child.pid));
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
  // What the process wrote is in the pipes. They may stay open, held by a grandchild: that is not waited for.
  for (Stream stream : {Stream::out, Stream::err}) {
    if (stream == Stream::out ? process.out_open : process.err_open) drain(process, stream);
    close(process, stream);
  }
  loop_.unwatch(process.child.pidfd.get());
  const auto done = processes_.extract(process.id);
  Process& ended = *done.mapped();
  if (ended.deadline) loop_.cancel(*ended.deadline);
  // What a failed attempt has left behind must not disturb the next one.
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
}

void LocalBackend::stop(std::span<const AttemptId> attempts, Stop how) {
  for (AttemptId id : attempts) {
    const auto found = processes_.find(id);
    if (found != processes_.end()) ::kill(-found->second->child.pid, how == Stop::ask ? SIGTERM : SIGKILL);
  }
}

void LocalBackend::end(Stop /*how*/) { base::kill_descendants(); }

}  // namespace metaflow::compute
