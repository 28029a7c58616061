#include "runtime/supervisor/container_streams.h"

#include <sys/ioctl.h>

#include <algorithm>
#include <utility>

namespace metaflow::runtime {

using store::Stream;

namespace {

constexpr std::int64_t kLookEvery = 1000;  // microseconds between two checks whether a pipe was read

bool has_long_line(std::string_view lines) {
  while (!lines.empty()) {
    const std::size_t end = std::min(lines.find('\n'), lines.size() - 1) + 1;
    if (end > ContainerStreams::kPiece) return true;
    lines.remove_prefix(end);
  }
  return false;
}

/// The number of unread bytes in a pipe; 0 if the descriptor is not a pipe.
std::size_t unread(int fd) {
  int bytes = 0;
  return ::ioctl(fd, FIONREAD, &bytes) == 0 && bytes > 0 ? static_cast<std::size_t>(bytes) : 0;
}

}  // namespace

ContainerStreams::ContainerStreams(base::EventLoop& loop, base::Clock& clock, int out, int err)
    : loop_(loop),
      clock_(clock),
      fds_{out, err},
      outputs_{ContainerOutput(loop, clock, out), ContainerOutput(loop, clock, err)} {}

ContainerStreams::~ContainerStreams() {
  if (timer_) loop_.cancel(*timer_);
}

void ContainerStreams::add(Stream stream, std::string_view bytes) {
  std::string& partial = partial_[index(stream)];
  const std::size_t end = bytes.rfind('\n');
  if (end != std::string_view::npos) {
    const std::string_view lines = bytes.substr(0, end + 1);
    if (partial.empty()) {
      push(stream, lines);
    } else {
      partial += lines;
      push(stream, partial);
      partial.clear();
    }
    bytes.remove_prefix(end + 1);
  }
  partial += bytes;
  if (partial.size() < kLongestLine) return;
  push(stream, partial);
  partial.clear();
}

void ContainerStreams::push(Stream stream, std::string_view lines) {
  pending_.push_back({stream, std::string(lines), has_long_line(lines)});
  pending_bytes_ += lines.size();
  if (!timer_) write();
}

bool ContainerStreams::is_quiet() {
  return std::all_of(outputs_.begin(), outputs_.end(), [](const ContainerOutput& o) { return o.waiting() == 0; }) &&
         unread(fds_[0]) + unread(fds_[1]) == 0;
}

/// Writes as many pending lines as may be on their way together.
void ContainerStreams::write() {
  while (!pending_.empty()) {
    Lines& next = pending_.front();
    if ((next.is_long || long_is_under_way_) && !is_quiet()) {
      const std::int64_t now = clock_.monotonic_microseconds();
      if (!waits_since_) waits_since_ = now;
      if (now - *waits_since_ < kAlone) {
        timer_ = loop_.after(kLookEvery, [this] {
          timer_.reset();
          write();
        });
        return;
      }
      // A reader that reads nothing is waited for only once.
    } else {
      waits_since_.reset();
    }
    outputs_[index(next.stream)].add(next.text);
    long_is_under_way_ = next.is_long;
    pending_bytes_ -= next.text.size();
    pending_.pop_front();
  }
}

bool ContainerStreams::congested(Stream stream) {
  return outputs_[index(stream)].congested() || pending_bytes_ > kMostPending;
}

void ContainerStreams::finish(std::int64_t timeout, int stop) {
  for (const Stream stream : {Stream::out, Stream::err}) {
    if (!partial_[index(stream)].empty()) push(stream, std::exchange(partial_[index(stream)], {}));
  }
  while (!pending_.empty()) loop_.run_once();
  for (ContainerOutput& output : outputs_) output.finish(timeout, stop);
}

}  // namespace metaflow::runtime
