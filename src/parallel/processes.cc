// parallel_map in child processes.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <new>

#include <metaflow/error.h>

#include "base/failure_points.h"
#include "base/files.h"
#include "base/format.h"
#include "base/process.h"
#include "base/text.h"
#include "parallel/parallel.h"
#include "value/unpickler.h"

namespace metaflow::detail {

namespace {

using parallel::Workers;

constexpr std::size_t kIdle = SIZE_MAX;

/// A worker's message about an item. Small enough for one atomic write to its pipe.
struct Message {
  std::uint64_t item;
  std::uint64_t failed;
  std::uint64_t offset;  // of the payload or of the error text, in the worker's memory file
  std::uint64_t size;
};

/// The memory shared by all processes of a call.
struct Shared {
  std::atomic<std::size_t> next;
  std::atomic<bool> stop;
};
/// After it, per worker: the item it works on.
using CurrentItem = std::atomic<std::size_t>;

struct Worker {
  pid_t pid = -1;
  base::Fd pipe;     // reading end
  base::Fd results;  // memory file
};

class ProcessRun : public ParallelRun {
 public:
  ProcessRun(std::size_t count, const parallel_options& options, void* context, SendResult send, ReceiveResult receive)
      : count_(count), context_(context), send_(send), receive_(receive), slots_(count, options) {
    if (count == 0) return;
    shared_size_ = sizeof(Shared) + slots_.count() * sizeof(CurrentItem);
    void* memory = ::mmap(nullptr, shared_size_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) base::throw_errno("share", "memory with child processes", errno);
    shared_ = new (memory) Shared{0, false};
    current_ = reinterpret_cast<CurrentItem*>(shared_ + 1);
    workers_.resize(slots_.count());
    for (unsigned w = 0; w < workers_.size(); ++w) {
      try {
        start(w);
      } catch (const Error&) {  // a resource of the machine is exhausted
        workers_.resize(w);
        if (w == 0) throw;
      }
    }
  }
  ~ProcessRun() override {
    stop();
    if (shared_ != nullptr) ::munmap(shared_, shared_size_);
  }

  std::optional<std::size_t> next() override {
    if (returned_ == count_) {
      stop();
      return std::nullopt;
    }
    while (true) {
      std::vector<pollfd> waiting;
      std::vector<unsigned> workers;
      for (unsigned w = 0; w < workers_.size(); ++w) {
        if (!workers_[w].pipe) continue;
        waiting.push_back({workers_[w].pipe.get(), POLLIN, 0});
        workers.push_back(w);
      }
      if (waiting.empty()) throw Error(ErrorCode::internal, "parallel_map: the workers ended before the items");
      if (::poll(waiting.data(), waiting.size(), -1) < 0 && errno != EINTR)
        base::throw_errno("wait for", "child processes", errno);
      for (std::size_t i = 0; i < waiting.size(); ++i) {
        if ((waiting[i].revents & (POLLIN | POLLHUP | POLLERR)) == 0) continue;
        if (const auto item = receive_message(workers[i])) return item;
      }
    }
  }

 private:
  void start(unsigned w) {
    Worker& worker = workers_[w];
    current_[w].store(kIdle);
    std::array<int, 2> ends{};
    if (base::fails_at("start") || ::pipe2(ends.data(), O_CLOEXEC) != 0) base::throw_errno("create", "a pipe", errno);
    worker.pipe.reset(ends[0]);
    base::Fd writer(ends[1]);
    worker.results.reset(::memfd_create("parallel_map", MFD_CLOEXEC));
    if (!worker.results) base::throw_errno("create", "a memory file", errno);
    std::fflush(nullptr);  // else both processes would write the buffered text
    const pid_t parent = ::getpid();
    worker.pid = ::fork();
    if (worker.pid < 0) base::throw_errno("fork", "a child process", errno);
    if (worker.pid > 0) return;

    // The child: dies with its parent, and exits without running destructors.
    base::die_with_parent(parent);
    for (Worker& other : workers_) other.pipe.reset();
    work(w, writer.get());
    std::fflush(nullptr);
    ::_exit(0);
  }

  /// The child's side.
  void work(unsigned w, int pipe) {
    std::uint64_t offset = 0;
    while (!shared_->stop.load()) {
      const std::size_t item = shared_->next.fetch_add(1);
      if (item >= count_) return;
      current_[w].store(item);
      Message message{item, 0, offset, 0};
      auto write = [&](std::span<const std::byte> bytes) {
        while (!bytes.empty()) {
          const ssize_t n = ::pwrite(workers_[w].results.get(), bytes.data(), bytes.size(),
                                     static_cast<off_t>(offset + message.size));
          if (n < 0 && errno == EINTR) continue;
          if (n < 0) base::throw_errno("send", "a result of parallel_map", errno);
          message.size += static_cast<std::uint64_t>(n);
          bytes = bytes.subspan(static_cast<std::size_t>(n));
        }
      };
      try {
        Pickler pickler{ValuesOutlive{}};
        send_(context_, item, pickler);
        pickler.finish();
        for (const auto& part : pickler.parts()) write(part);
      } catch (...) {
        const std::string why = parallel::describe_exception();
        message.failed = 1;
        message.size = 0;
        try {
          write(base::as_bytes(why));
        } catch (...) {
          message.size = 0;
        }
      }
      std::fflush(nullptr);
      current_[w].store(kIdle);
      const auto written = ::write(pipe, &message, sizeof message);
      if (written != static_cast<ssize_t>(sizeof message) || message.failed != 0) return;
      // The next result begins on a page boundary, so that it can be mapped.
      offset = (offset + message.size + 4095) / 4096 * 4096;
    }
  }

  /// Receives a worker's message: an item that is done, or the end.
  std::optional<std::size_t> receive_message(unsigned w) {
    Worker& worker = workers_[w];
    Message message{};
    std::size_t got = 0;
    while (got < sizeof message) {
      const ssize_t n = ::read(worker.pipe.get(), reinterpret_cast<char*>(&message) + got, sizeof message - got);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) break;
      got += static_cast<std::size_t>(n);
    }
    if (got < sizeof message) {
      ended(w);
      return std::nullopt;
    }
    if (message.failed != 0) {
      const std::string why(map(worker, message).text());
      stop();
      throw ItemError(message.item, why.empty() ? "it failed" : why);
    }
    try {
      receive_(context_, message.item, value::read_pickle(map(worker, message)));
    } catch (...) {
      stop();
      throw;
    }
    ++returned_;
    return message.item;
  }

  static base::SharedBytes map(const Worker& worker, const Message& message) {
    if (message.size == 0) return {};
    void* memory =
        ::mmap(nullptr, message.size, PROT_READ, MAP_SHARED, worker.results.get(), static_cast<off_t>(message.offset));
    if (memory == MAP_FAILED) base::throw_errno("map", "a result of parallel_map", errno);
    const std::size_t size = message.size;
    std::shared_ptr<const void> owner(memory, [size](const void* p) { ::munmap(const_cast<void*>(p), size); });
    return base::SharedBytes({static_cast<const std::byte*>(memory), size}, std::move(owner));
  }

  /// Called when a worker has closed its pipe: it has finished or died.
  void ended(unsigned w) {
    Worker& worker = workers_[w];
    worker.pipe.reset();
    int status = 0;
    while (::waitpid(worker.pid, &status, 0) < 0 && errno == EINTR) {
    }
    worker.pid = -1;
    const std::size_t item = current_[w].load();
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && item == kIdle) return;
    stop();
    const std::string how = WIFSIGNALED(status)
                                ? "its process was killed by " + base::signal_name(WTERMSIG(status))
                                : fmt::format("its process ended with exit code {}", WEXITSTATUS(status));
    if (item == kIdle) throw Error(ErrorCode::item_failure, "parallel_map: between two items, " + how);
    throw ItemError(item, how);
  }

  void stop() {
    if (shared_ != nullptr) shared_->stop.store(true);
    for (Worker& worker : workers_) {
      if (worker.pid > 0) ::kill(worker.pid, SIGKILL);
    }
    for (Worker& worker : workers_) {
      while (worker.pid > 0 && ::waitpid(worker.pid, nullptr, 0) < 0 && errno == EINTR) {
      }
      worker.pid = -1;
      worker.pipe.reset();
    }
  }

  const std::size_t count_;
  void* context_;
  SendResult send_;
  ReceiveResult receive_;
  Workers slots_;
  Shared* shared_ = nullptr;
  CurrentItem* current_ = nullptr;
  std::size_t shared_size_ = 0;
  std::vector<Worker> workers_;
  std::size_t returned_ = 0;
};

}  // namespace

std::unique_ptr<ParallelRun> run_in_processes(std::size_t count, const parallel_options& options, void* context,
                                              SendResult send, ReceiveResult receive) {
  return std::make_unique<ProcessRun>(count, options, context, send, receive);
}

}  // namespace metaflow::detail
