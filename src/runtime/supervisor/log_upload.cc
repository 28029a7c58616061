#include "runtime/supervisor/log_upload.h"

#include <chrono>
#include <cmath>
#include <exception>

#include "base/helpers.h"

namespace metaflow::runtime {

namespace {

constexpr int kAttempts = 3;  // attempts at the end; within each, the store retries several times
constexpr std::chrono::milliseconds kPause{500};

}  // namespace

std::int64_t upload_pause(std::int64_t running) {
  const double seconds = static_cast<double>(running) * 1e-6;
  return static_cast<std::int64_t>((0.25 + 30 / (1 + std::exp(9 - 0.01 * seconds))) * 1e6);
}

LogUpload::LogUpload(Open open, store::TaskRef task, int attempt)
    : open_(std::move(open)),
      task_(std::move(task)),
      attempt_(attempt),
      threads_(base::start_helpers(1, [this] { work(); })) {}

LogUpload::~LogUpload() {
  if (!finished_) finish();
}

void LogUpload::offer(store::Stream stream, base::SharedBytes content) {
  const base::MutexLock lock(mutex_);
  waiting_[static_cast<std::size_t>(stream)] = std::move(content);
  changed_.notify_all();
}

bool LogUpload::busy() const {
  const base::MutexLock lock(mutex_);
  return writing_ || waiting_[0] || waiting_[1];
}

std::optional<std::string> LogUpload::finish() {
  {
    const base::MutexLock lock(mutex_);
    ending_ = true;
    changed_.notify_all();
  }
  if (threads_.empty()) work();  // no thread could be started
  threads_.clear();
  finished_ = true;
  const base::MutexLock lock(mutex_);
  return failure_;
}

void LogUpload::work() {
  std::unique_ptr<store::FlowStore> store;
  base::MutexLock lock(mutex_);
  int tries = 0;
  while (true) {
    while (!ending_ && !waiting_[0] && !waiting_[1]) changed_.wait(mutex_);
    if (!waiting_[0] && !waiting_[1]) return;
    auto taken = std::move(waiting_);
    waiting_ = {};
    writing_ = true;
    lock.unlock();
    std::optional<std::string> failure;
    try {
      if (store == nullptr) store = open_();
      for (const store::Stream stream : {store::Stream::out, store::Stream::err}) {
        auto& content = taken[static_cast<std::size_t>(stream)];
        if (!content) continue;
        const auto bytes = content->bytes();
        store->write_log(task_, attempt_, store::LogSource::task, stream, store::Pieces(&bytes, 1));
        content.reset();
      }
    } catch (const std::exception& error) {
      failure = error.what();
    }
    lock.lock();
    writing_ = false;
    failure_ = std::move(failure);
    if (!failure_) continue;
    if (ending_ && ++tries >= kAttempts) return;
    // A log that could not be written waits again, unless a newer one does.
    for (std::size_t i = 0; i < taken.size(); ++i) {
      if (!waiting_[i]) waiting_[i] = std::move(taken[i]);
    }
    const auto end = std::chrono::steady_clock::now() + kPause;
    while (!(ending_ && tries == 0) && changed_.wait_until(mutex_, end)) continue;
  }
}

}  // namespace metaflow::runtime
