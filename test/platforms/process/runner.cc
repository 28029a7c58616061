#include "platforms/process/runner.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include <metaflow/error.h>

#include "base/format.h"
#include "platforms/process/place.h"

namespace metaflow::process_platform {

namespace {

using Phase = SpooledState::Phase;
using EndedBy = SpooledState::EndedBy;

constexpr int kNotStarted = 127;  // a shell's

}  // namespace

Runner::Runner(base::EventLoop& loop, base::Clock& clock, const std::string& directory)
    : loop_(loop), clock_(clock), spool_(directory), timers_(loop) {
  base::make_directories(directory);
  lock_.reset(::open(spool_.path("runner").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
  if (!lock_ || ::flock(lock_.get(), LOCK_EX | LOCK_NB) != 0) base::throw_errno("lock", directory, errno);
  watch_.emplace(loop, directory, [this](const std::string& file) { on_file(file); });
  for (const SpooledJob& job : spool_.jobs()) accept(job.name);
}

Runner::~Runner() {
  for (const auto& [id, running] : running_) {
    ::kill(-running->child.pid, SIGKILL);
    loop_.unwatch(running->child.pidfd.get());
    for (const base::Fd* pipe : {&running->child.out, &running->child.err}) {
      if (*pipe) loop_.unwatch(pipe->get());
    }
  }
}

std::string Runner::now() { return base::utc_time(clock_.wall_microseconds()).substr(0, 19) + "Z"; }

void Runner::on_file(const std::string& file) {
  if (const auto name = without_ending(file, ".order")) accept(*name);
  if (const auto id = without_ending(file, ".remove")) remove(*id);
}

void Runner::accept(const std::string& name) {
  auto job = spool_.job(name);
  if (!job) return;  // it was removed already
  const auto shared = std::make_shared<const SpooledJob>(std::move(*job));
  for (std::size_t place = 0; place < shared->size; ++place) {
    const Queued queued{shared, place};
    const std::string id = queued.id();
    const bool is_queued = std::any_of(queue_.begin(), queue_.end(), [&](const Queued& one) { return one.id() == id; });
    if (running_.contains(id) || is_queued) continue;
    const auto state = spool_.state(id);
    if (state && state->phase == Phase::ended) continue;
    if (state && state->phase == Phase::running) {
      write_end(id, {.ran = true, .by = EndedBy::loss});
      continue;
    }
    const std::string reason = shared->slots > 0 ? fmt::format("waits for one of {} slots", shared->slots) : "";
    spool_.write(id, {.since = now(), .reason = reason});
    queue_.push_back(queued);
  }
  start_ready();
}

std::size_t Runner::running_of(const SpooledJob& job) const {
  return static_cast<std::size_t>(std::count_if(running_.begin(), running_.end(), [&](const auto& running) {
    const SpooledJob& other = *running.second->what.job;
    return other.run_key == job.run_key && other.step == job.step;
  }));
}

void Runner::start_ready() {
  std::deque<Queued> waiting;
  for (const Queued& next : std::exchange(queue_, {})) {
    const bool has_slot = next.job->slots == 0 || running_of(*next.job) < static_cast<std::size_t>(next.job->slots);
    if (has_slot) {
      start(next);
    } else {
      waiting.push_back(next);
    }
  }
  queue_ = std::move(waiting);
}

void Runner::start(const Queued& what) {
  const SpooledJob& job = *what.job;
  const std::string id = what.id();
  std::vector<std::string> environment = job.environment;
  base::set_variable(environment, fmt::format("{}={}", kJobVariable, id));
  if (job.is_array()) base::set_variable(environment, fmt::format("{}={}", kPlaceVariable, what.place));
  auto running = std::make_unique<Running>(Running{.what = what, .child = {}, .log = {}});
  running->log = base::open_to_append(spool_.path(id + ".log"));
  running->state = {.phase = Phase::running, .since = now(), .ran = true};
  // Before it starts: the runner may be killed in between, and the next one does not start it twice.
  spool_.write(id, running->state);
  try {
    running->child = base::start_process(job.command, {}, environment);
  } catch (const Error&) {
    return write_end(id, {.status = kNotStarted});
  }
  Running& started = *running_.emplace(id, std::move(running)).first->second;
  for (base::Fd* pipe : {&started.child.out, &started.child.err})
    loop_.watch(pipe->get(), [this, &started, pipe] { copy_output(started, *pipe); });
  loop_.watch(started.child.pidfd.get(), [this, id] { on_ended(id); });
  if (job.limit > 0)
    started.deadline = timers_.after(job.limit, [this, &started] { stop(started, EndedBy::deadline); });
}

/// What can be read now; a pipe at its end is closed.
void Runner::copy_output(Running& running, base::Fd& from) {
  std::array<char, 4096> buffer;
  ssize_t count = 0;
  while ((count = ::read(from.get(), buffer.data(), buffer.size())) > 0)
    base::append(running.log, running.what.id() + ".log", {buffer.data(), static_cast<std::size_t>(count)});
  if (count < 0 && errno == EAGAIN) return;
  loop_.unwatch(from.get());
  from.reset();
}

void Runner::on_ended(const std::string& id) {
  const auto found = running_.find(id);
  Running& running = *found->second;
  const auto end = base::reap(running.child.pid);
  if (!end) return;
  ::kill(-running.child.pid, SIGKILL);
  for (base::Fd* pipe : {&running.child.out, &running.child.err}) {
    if (*pipe) copy_output(running, *pipe);
    if (*pipe) loop_.unwatch(pipe->get());
  }
  loop_.unwatch(running.child.pidfd.get());
  for (const auto& timer : {running.deadline, running.patience}) {
    if (timer) timers_.cancel(*timer);
  }
  SpooledState state = running.state;
  state.status = end->signal != 0 ? 128 + end->signal : end->exit_code;
  running_.erase(found);
  write_end(id, state);
  start_ready();
}

void Runner::write_end(const std::string& id, SpooledState state) {
  state.phase = Phase::ended;
  state.since = now();
  state.reason.clear();
  spool_.write(id, state);
}

void Runner::remove(const std::string& id) {
  ::unlink(spool_.path(id + ".remove").c_str());
  if (const auto found = running_.find(id); found != running_.end()) return stop(*found->second, EndedBy::removal);
  if (std::erase_if(queue_, [&](const Queued& one) { return one.id() == id; }) > 0)
    write_end(id, {.by = EndedBy::removal});
}

void Runner::stop(Running& running, EndedBy by) {
  if (running.patience) return;
  running.state.by = by;
  ::kill(-running.child.pid, SIGTERM);
  running.patience = timers_.after(kGrace, [pid = running.child.pid] { ::kill(-pid, SIGKILL); });
}

}  // namespace metaflow::process_platform
