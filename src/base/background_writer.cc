#include "base/background_writer.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <optional>
#include <string>
#include <system_error>
#include <thread>

#include <metaflow/error.h>

#include "base/files.h"
#include "base/mutex.h"
#include "base/signals_blocked.h"

namespace metaflow::base {

namespace {

constexpr std::size_t kPiece = 4096;  // PIPE_BUF: the reader's progress is visible in steps of this size

/// Whether a write waits for a reader: true for a pipe, a socket or a terminal.
bool may_block(int fd) {
  struct stat status {};
  return ::fstat(fd, &status) == 0 && (S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode) || ::isatty(fd) == 1);
}

}  // namespace

struct BackgroundWriter::Shared {
  Fd fd;
  Fd event;
  std::atomic<std::size_t> pending{0};
  std::atomic<std::uint64_t> written{0};
  std::atomic<bool> closed{false};
  Mutex mutex;
  Condition wake;
  std::string queue MF_GUARDED_BY(mutex);
  std::optional<std::size_t> notify_at MF_GUARDED_BY(mutex);
  bool writing MF_GUARDED_BY(mutex) = false;
  bool ending MF_GUARDED_BY(mutex) = false;
  std::thread thread;  // used by the writer only

  void advance(std::size_t bytes) MF_REQUIRES(mutex) {
    pending -= bytes;
    notify();
  }
  void notify() MF_REQUIRES(mutex) {
    if (!notify_at || pending > *notify_at) return;
    notify_at.reset();
    mutex.unlock();  // the woken loop would wait for the mutex until this thread gets a processor again
    ::eventfd_write(event.get(), 1);
    mutex.lock();
  }

  /// One write(2), without the mutex. False if it failed: the text must be dropped.
  bool write_piece(std::string_view& text) MF_REQUIRES(mutex) {
    writing = true;
    mutex.unlock();
    const ssize_t count = ::write(fd.get(), text.data(), std::min(text.size(), kPiece));
    const int error = errno;
    if (count < 0 && error == EAGAIN) {
      pollfd waiting{fd.get(), POLLOUT, 0};
      ::poll(&waiting, 1, -1);
    }
    mutex.lock();
    writing = false;
    if (count > 0) {
      text.remove_prefix(static_cast<std::size_t>(count));
      written += static_cast<std::uint64_t>(count);
      advance(static_cast<std::size_t>(count));
    }
    if (count >= 0 || error == EAGAIN || error == EINTR) return true;
    closed = closed || error == EPIPE;
    return false;
  }

  void work() {
    const MutexLock lock(mutex);
    while (true) {
      while (queue.empty() && !ending) wake.wait(mutex);
      const std::string text = std::move(queue);
      queue.clear();
      std::string_view left = text;
      while (!left.empty() && !ending && write_piece(left)) continue;
      if (ending) return;
      if (!left.empty()) advance(left.size());
    }
  }
};

BackgroundWriter::BackgroundWriter(int fd) : shared_(std::make_shared<Shared>()), has_reader_(may_block(fd)) {
  shared_->fd.reset(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  shared_->closed = !shared_->fd;
  shared_->event.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!shared_->event) throw_errno("create", "an eventfd", errno);
}

BackgroundWriter::~BackgroundWriter() {
  if (!has_thread_) return;
  Shared& shared = *shared_;
  bool stuck = false;
  {
    const MutexLock lock(shared.mutex);
    shared.ending = true;
    shared.wake.notify_one();
    stuck = shared.writing;
  }
  stuck ? shared.thread.detach() : shared.thread.join();
}

std::size_t BackgroundWriter::pending() const { return shared_->pending; }
std::uint64_t BackgroundWriter::written() const { return shared_->written; }
bool BackgroundWriter::closed() const { return shared_->closed; }
int BackgroundWriter::event() const { return shared_->event.get(); }

void BackgroundWriter::notify_at(std::size_t pending) {
  Shared& shared = *shared_;
  const MutexLock lock(shared.mutex);
  shared.notify_at = pending;
  shared.notify();
}

void BackgroundWriter::clear_event() {
  eventfd_t ignored = 0;
  ::eventfd_read(event(), &ignored);
}

/// Removes the text that was written or must be dropped.
void BackgroundWriter::write_at_once(std::string_view& text) {
  while (!text.empty() && can_try_) {
    iovec part{const_cast<char*>(text.data()), text.size()};
    const ssize_t count =
        has_reader_ ? ::pwritev2(shared_->fd.get(), &part, 1, -1, RWF_NOWAIT) : ::writev(shared_->fd.get(), &part, 1);
    if (count >= 0) {
      text.remove_prefix(static_cast<std::size_t>(count));
      shared_->written += static_cast<std::uint64_t>(count);
    } else if (errno == EAGAIN) {
      return;
    } else if (has_reader_ && (errno == EOPNOTSUPP || errno == ENOSYS || errno == EINVAL)) {
      can_try_ = false;  // a terminal, or an older kernel
    } else if (errno != EINTR) {
      shared_->closed = errno == EPIPE;
      text = {};
    }
  }
}

void BackgroundWriter::write(std::string_view text) {
  if (shared_->pending == 0 && !shared_->closed) write_at_once(text);
  if (text.empty() || shared_->closed) return;
  {
    Shared& shared = *shared_;
    const MutexLock lock(shared.mutex);
    shared.queue += text;
    shared.pending += text.size();
  }
  if (has_thread_) {
    shared_->wake.notify_one();
  } else {
    start_thread();
  }
}

void BackgroundWriter::start_thread() {
  const SignalsBlocked blocked;
  try {
    shared_->thread = std::thread([shared = shared_] { shared->work(); });
    has_thread_ = true;
  } catch (const std::system_error&) {  // no thread available: write here, and block
    Shared& shared = *shared_;
    const MutexLock lock(shared.mutex);
    std::string_view left = shared.queue;
    while (!left.empty() && shared.write_piece(left)) continue;
    shared.advance(left.size());
    shared.queue.clear();
  }
}

bool BackgroundWriter::finish(std::int64_t timeout, int stop) {
  std::uint64_t before = written();
  while (pending() > 0) {
    notify_at(0);
    std::array<pollfd, 2> waiting{pollfd{event(), POLLIN, 0}, pollfd{stop, POLLIN, 0}};
    const int ready = ::poll(waiting.data(), waiting.size(), static_cast<int>((timeout + 999) / 1000));
    clear_event();
    if (waiting[1].revents != 0) break;
    if (ready == 0 && written() == before) break;
    if (ready == 0) before = written();
  }
  return pending() == 0;
}

void write_with_timeout(int fd, std::string_view text, std::int64_t timeout) {
  try {
    BackgroundWriter writer(fd);
    writer.write(text);
    writer.finish(timeout);
  } catch (const Error&) {  // no file descriptors left: the text cannot be written
  }
}

}  // namespace metaflow::base
