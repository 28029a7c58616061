#include "compute/kubernetes/pod_log.h"

#include <utility>

namespace metaflow::kube {

namespace {

constexpr int kMaxFailures = 5;
constexpr std::int64_t kPause = 1'000'000;

}  // namespace

PodLog::PodLog(KubernetesApi& api, std::string pod, std::string container, Sink sink, Done done)
    : api_(api), sink_(std::move(sink)), done_(std::move(done)) {
  query_.pod = std::move(pod);
  query_.container = std::move(container);
  query_.follow = true;
  query_.timestamps = true;
  open();
}

PodLog::~PodLog() {
  if (id_ != 0) api_.cancel(id_);
  if (pause_) api_.transport().loop().cancel(*pause_);
}

void PodLog::open() {
  query_.since_time = until_;
  partial_.clear();
  is_continued_ = false;
  id_ = api_.read_log(
      query_, [this](std::string_view piece) { take(piece); }, [this](Answer&& answer) { ended(std::move(answer)); });
}

void PodLog::take(std::string_view piece) {
  failures_ = 0;
  lines_.clear();
  while (true) {
    const std::size_t end = piece.find('\n');
    if (end == std::string_view::npos) break;
    if (partial_.empty()) {
      line(piece.substr(0, end));
    } else {
      partial_ += piece.substr(0, end);
      line(partial_);
      partial_.clear();
    }
    is_continued_ = false;
    piece.remove_prefix(end + 1);
  }
  partial_ += piece;
  if (partial_.size() >= kMaxLine) {
    line(partial_);
    partial_.clear();
    is_continued_ = true;
  }
  if (!lines_.empty()) sink_(lines_);
}

/// Reads "2026-11-23T04:16:21.123456789Z text". The server cuts zeros at the end of the fraction, so times are compared
/// without the Z: "21.1" < "21.12".
void PodLog::line(std::string_view text) {
  constexpr std::size_t kLongestTime = 40;
  const std::size_t space = text.find(' ');
  const std::string_view time = text.substr(0, space);
  if (!is_continued_ && time.ends_with('Z') && time.size() < kLongestTime) {
    if (!query_.since_time.empty()) {  // the last line is repeated
      const std::string_view known(query_.since_time.data(), query_.since_time.size() - 1);
      if (time.substr(0, time.size() - 1) <= known) return;
    }
    until_ = time;
    text = space == std::string_view::npos ? std::string_view() : text.substr(space + 1);
  }
  lines_ += text;
  lines_ += '\n';
}

void PodLog::ended(Answer&& answer) {
  id_ = 0;
  if (!partial_.empty() && !answer.failure) {
    lines_.clear();
    line(partial_);
    if (!lines_.empty()) sink_(lines_);
  }
  if (!answer.failure || !answer.failure->transient || ++failures_ > kMaxFailures) {
    const Done done = std::move(done_);
    return done(!answer.failure);
  }
  pause_ = api_.transport().loop().after(kPause, [this] {
    pause_.reset();
    open();
  });
}

}  // namespace metaflow::kube
