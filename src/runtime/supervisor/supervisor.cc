#include "runtime/supervisor/supervisor.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include <metaflow/error.h>

#include "base/event_loop.h"
#include "base/format.h"
#include "base/process.h"
#include "base/text.h"
#include "compute/package/bootstrap.h"
#include "compute/verdict.h"
#include "runtime/outcome.h"
#include "runtime/supervisor/container_streams.h"
#include "runtime/supervisor/log_upload.h"
#include "runtime/task/exit_status.h"
#include "runtime/task_log.h"
#include "store/exit_report.h"

namespace metaflow::runtime {

using store::ExitReport;
using store::Stage;
using store::Stream;

namespace {

constexpr std::size_t kBufferSize = 64 * 1024;
// After the process has ended, processes that it left behind may keep its pipes open.
constexpr std::int64_t kIdle = 200'000;              // no output for this long: everything is read
constexpr std::int64_t kLongest = 2'000'000;         // the longest wait, however much output comes
constexpr std::int64_t kOutputTimeout = 10'000'000;  // for a reader of the container's output that reads nothing

constexpr bool is_end(int signal) {
  return signal == SIGTERM || signal == SIGINT || signal == SIGHUP || signal == SIGQUIT;
}

/// The log of the attempt: complete in memory, and uploaded while the step runs.
class AttemptLog {
 public:
  AttemptLog(base::Clock& clock, std::uint64_t max_size)
      : stamps_(clock), log_(stamps_, max_size, store::LogSource::task) {}

  void start_upload(const LogUpload::Open& open, const store::TaskRef& task, int attempt) {
    upload_.emplace(open, task, attempt);
  }
  void add(Stream stream, std::string_view bytes) {
    log_.add(stream, bytes, [](store::Stream, std::string_view, std::int64_t) {});
  }
  /// The uploader takes what is new, when it has stored what it has.
  void offer() {
    for (const Stream stream : {Stream::out, Stream::err}) {
      std::uint64_t& offered = offered_[static_cast<std::size_t>(stream)];
      if (log_.size(stream) == offered) continue;
      offered = log_.size(stream);
      upload_->offer(stream, log_.content(stream));
    }
  }
  bool uploading() const { return upload_->busy(); }
  /// Ends the log: the step has written all its output.
  void finish() {
    log_.finish([](store::Stream, std::string_view, std::int64_t) {});
  }
  /// Waits until all is stored. Returns why it could not be.
  std::optional<std::string> finish_upload() {
    offer();
    return upload_->finish();
  }

 private:
  base::Stamps stamps_;
  TaskLog log_;
  std::optional<LogUpload> upload_;
  std::array<std::uint64_t, 2> offered_{};
};

class Supervisor {
 public:
  Supervisor(const Supervision& what, base::Clock& clock)
      : what_(what),
        clock_(clock),
        task_{what.arguments.run, what.arguments.step, what.arguments.task},
        attempt_(what.arguments.retry_count),
        signals_({SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2}),
        loop_(clock),
        shown_(loop_, clock, STDOUT_FILENO, STDERR_FILENO),
        log_(clock, what.max_log_size),
        buffer_(kBufferSize, '\0') {
    base::become_subreaper();
    loop_.watch(signals_.fd(), [this] { on_signals(); });
  }

  int run() {
    report_.began = clock_.wall_microseconds();
    const std::uint64_t killed_before = what_.memory ? base::oom_kills(*what_.memory) : 0;
    try {
      store_ = what_.open();
      if (const auto status = status_of_earlier_attempt()) return *status;
      store_->begin_attempt(task_, attempt_, report_.began);
      child_ = base::start_process(what_.command, what_.step, what_.environment);
    } catch (const Error& error) {
      return fail(fmt::format("Cannot start the attempt: {}", error.what()));
    }
    report_.stage = Stage::step;
    begun_ = clock_.monotonic_microseconds();
    log_.start_upload(what_.open, task_, attempt_);
    watch_child();
    schedule_upload();
    while (!(end_ && drained_)) {
      loop_.run_once();
      regulate_output();
    }
    base::kill_descendants();
    log_.finish();

    judge(killed_before);
    if (const auto failure = log_.finish_upload())
      print_error(fmt::format("The task's log could not be stored: {}", *failure));
    return commit();
  }

  /// The log is stored, so the wait for a slow reader of the container's output is short.
  void finish_output() {
    on_signals();
    shown_.finish(report_.stopped_by != 0 ? base::kInterruptedTimeout : kOutputTimeout, signals_.fd());
  }

 private:
  /// A container that is restarted after its node was lost may find that the attempt has finished.
  std::optional<int> status_of_earlier_attempt() {
    if (!store_->is_done(task_, attempt_)) return std::nullopt;
    const auto data = store_->read_attempt(task_, attempt_);
    if (!data) return std::nullopt;
    print_error(
        fmt::format("Attempt {} of {} has already finished and is not executed again.", attempt_, task_.path()));
    return data->ok ? kTaskSucceeded : kTaskThrew;
  }

  // --- while the step runs

  void watch_child() {
    loop_.watch(child_.pidfd.get(), [this] { on_ended(); });
    loop_.watch(child_.out.get(), [this] { on_readable(Stream::out); });
    loop_.watch(child_.err.get(), [this] { on_readable(Stream::err); });
    if (what_.time_limit > 0) {
      loop_.after(what_.time_limit, [this] {
        if (end_) return;
        report_.timed_out = true;
        stop(SIGTERM);
      });
    }
  }

  base::Fd& pipe(Stream stream) { return stream == Stream::out ? child_.out : child_.err; }

  void on_readable(Stream stream) {
    const ssize_t count = ::read(pipe(stream).get(), buffer_.data(), buffer_.size());
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) return;
    if (count <= 0) return close(stream);
    const std::string_view bytes(buffer_.data(), static_cast<std::size_t>(count));
    shown_.add(stream, bytes);
    log_.add(stream, bytes);
    if (end_) await_silence();
  }

  void close(Stream stream) {
    loop_.unwatch(pipe(stream).get());
    pipe(stream).reset();
    drained_ = !child_.out && !child_.err;
  }

  /// While the reader of the container's output is behind, the step blocks on its output.
  void regulate_output() {
    for (const Stream stream : {Stream::out, Stream::err}) {
      const bool held = !end_ && shown_.congested(stream);
      if (held == held_[static_cast<std::size_t>(stream)]) continue;
      held_[static_cast<std::size_t>(stream)] = held;
      if (held) loop_.unwatch(pipe(stream).get());
      if (!held && pipe(stream)) loop_.watch(pipe(stream).get(), [this, stream] { on_readable(stream); });
    }
  }

  void print_error(const std::string& text) { shown_.add(Stream::err, text + "\n"); }

  void schedule_upload() {
    loop_.after(upload_pause(clock_.monotonic_microseconds() - begun_), [this] {
      if (!log_.uploading()) log_.offer();
      schedule_upload();
    });
  }

  void on_signals() {
    while (const int signal = signals_.next()) {
      if (signal == SIGCHLD) {
        reap_orphans();
      } else if (is_end(signal)) {
        if (report_.stopped_by == 0) report_.stopped_by = signal;
        if (child_.pid > 0 && !end_) stop(signal);
      } else if (child_.pid > 0 && !end_) {
        ::kill(-child_.pid, signal);
      }
    }
  }

  /// Passes the signal on; a step that ignores it is killed later.
  void stop(int signal) {
    ::kill(-child_.pid, signal);
    if (kill_timer_) return;
    kill_timer_ = loop_.after(what_.grace, [this] {
      if (!end_) ::kill(-child_.pid, SIGKILL);
    });
  }

  /// Reaps all children but the step itself, whose end is reported with its resource usage.
  void reap_orphans() {
    while (true) {
      siginfo_t info{};
      if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0) return;
      if (info.si_pid == child_.pid) return;  // on_ended() is called for it, and calls this again
      ::waitpid(info.si_pid, nullptr, WNOHANG);
    }
  }

  void on_ended() {
    end_ = base::reap(child_.pid);
    if (!end_) return;
    loop_.unwatch(child_.pidfd.get());
    reap_orphans();
    loop_.after(kLongest, [this] { drained_ = true; });
    await_silence();
  }

  void await_silence() {
    if (silence_) loop_.cancel(*silence_);
    silence_ = loop_.after(kIdle, [this] { drained_ = true; });
  }

  // --- after the step has ended

  void judge(std::uint64_t killed_before) {
    compute::MemoryFacts memory;
    if (what_.memory) {
      const std::uint64_t killed = base::oom_kills(*what_.memory);
      report_.oom_kills = killed > killed_before ? killed - killed_before : 0;
      // The peak of the group includes cached files, so it is reported only after an OOM kill.
      if (report_.oom_kills > 0)
        memory = {base::memory_limit(*what_.memory), "resources", base::peak_memory(*what_.memory), true};
    }
    verdict_ = compute::verdict_of(*end_, child_.pid, memory);
    report_.exited = verdict_.exited;
    report_.exit_code = end_->exit_code;
    report_.signal = end_->signal;
    report_.usage = verdict_.usage;
    report_.timed_out = report_.timed_out || verdict_.timed_out;
    report_.cause = verdict_.cause;
    if (report_.timed_out && !verdict_.timed_out) {
      report_.cause = fmt::format("Task was stopped: it timed out after {}.",
                                  base::human_seconds(static_cast<double>(what_.time_limit) * 1e-6));
    } else if (report_.stopped_by != 0 && end_->signal != 0 && report_.oom_kills == 0) {
      report_.cause = fmt::format("Task was stopped: its container got a {}.", base::signal_name(report_.stopped_by));
    }
  }

  int commit() {
    report_.stage = Stage::commit;
    try {
      const auto data = store_->read_attempt(task_, attempt_);
      const Outcome outcome = outcome_of(verdict_, data ? &*data : nullptr);
      if (outcome != Outcome::died) {
        store_->mark_done(task_, attempt_);
        report_.committed = true;
      }
      if (outcome == Outcome::done) report_.cause.clear();
      if (outcome == Outcome::threw) report_.cause = data->failure;
      if (outcome != Outcome::done) report_.stage = Stage::step;
      if (outcome == Outcome::died) print_error(report_.cause);
      write_report();
      if (report_.signal != 0) return 128 + report_.signal;
      return outcome != Outcome::done && report_.exit_code == 0 ? kTaskThrew : report_.exit_code;
    } catch (const Error& error) {
      return fail(fmt::format("The task ended, but its result could not be committed: {}", error.what()));
    }
  }

  int fail(const std::string& why) {
    report_.cause = why;
    print_error(why);
    if (store_ != nullptr) write_report();
    return compute::kStoreFailed;
  }

  /// A scheduler can do without the report: the container's exit code and DONE.lock are sufficient.
  void write_report() {
    report_.ended = clock_.wall_microseconds();
    try {
      store_->write_exit_report(task_, attempt_, report_);
    } catch (const Error& error) {
      print_error(fmt::format("The exit report could not be stored: {}", error.what()));
    }
  }

  const Supervision& what_;
  base::Clock& clock_;
  const store::TaskRef task_;
  const int attempt_;
  base::SignalReader signals_;
  base::EventLoop loop_;
  ContainerStreams shown_;
  std::array<bool, 2> held_{};  // the pipe is not read until the reader has caught up
  AttemptLog log_;
  std::string buffer_;
  std::unique_ptr<store::FlowStore> store_;
  base::Child child_;
  std::int64_t begun_ = 0;
  std::optional<base::ProcessEnd> end_;
  compute::Verdict verdict_;  // of the step
  bool drained_ = false;      // the step's output was read, or is given up
  std::optional<base::EventLoop::Timer> silence_;
  std::optional<base::EventLoop::Timer> kill_timer_;
  ExitReport report_;
};

}  // namespace

int supervise(const Supervision& what, base::Clock& clock) {
  Supervisor supervisor(what, clock);
  const int status = supervisor.run();
  supervisor.finish_output();
  return status;
}

}  // namespace metaflow::runtime
