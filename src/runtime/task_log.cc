#include "runtime/task_log.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstdlib>

#include "base/text.h"
#include "store/mflog.h"

namespace metaflow::runtime {

using store::Stream;

namespace {

constexpr std::size_t kSpoolFrom = 256 * 1024;

/// A line longer than this is shown and kept in pieces.
constexpr std::size_t kLongestLine = 1024 * 1024;

std::string_view without_trailing_space(std::string_view text) {
  const std::size_t last = text.find_last_not_of(" \t\r\n\v\f");
  return last == std::string_view::npos ? std::string_view() : text.substr(0, last + 1);
}

}  // namespace

void GrowingText::append(std::string_view text) {
  memory_ += text;
  if (memory_.size() < kSpoolFrom) return;
  if (!file_) {
    const char* directory = std::getenv("TMPDIR");
    file_.emplace(directory != nullptr && *directory != '\0' ? directory : "/tmp");
  }
  file_->write(base::as_bytes(memory_), spooled_);
  spooled_ += memory_.size();
  memory_.clear();
}

base::SharedBytes GrowingText::bytes() {
  if (!file_) return base::SharedBytes(memory_);
  if (!memory_.empty()) {
    file_->write(base::as_bytes(memory_), spooled_);
    spooled_ += memory_.size();
    memory_.clear();
  }
  void* mapped = ::mmap(nullptr, spooled_, PROT_READ, MAP_PRIVATE, file_->fd(), 0);
  if (mapped == MAP_FAILED) base::throw_errno("map", "a task's log", errno);
  const std::size_t size = spooled_;
  std::shared_ptr<const void> owner(mapped, [size](const void* p) { ::munmap(const_cast<void*>(p), size); });
  return base::SharedBytes({static_cast<const std::byte*>(mapped), size}, std::move(owner));
}

void TaskLog::add(Stream stream, std::string_view bytes, const Show& show) {
  Lines& lines = streams_[static_cast<std::size_t>(stream)];
  while (!bytes.empty()) {
    const std::size_t end = bytes.find('\n');
    if (end == std::string_view::npos) {
      lines.partial += bytes;
      if (lines.partial.size() >= kLongestLine) {
        line(lines, lines.partial, show);
        lines.partial.clear();
      }
      return;
    }
    if (lines.partial.empty()) {
      line(lines, bytes.substr(0, end), show);
    } else {
      lines.partial += bytes.substr(0, end);
      line(lines, lines.partial, show);
      lines.partial.clear();
    }
    bytes.remove_prefix(end + 1);
  }
}

void TaskLog::finish(const Show& show) {
  for (Lines& lines : streams_) {
    if (lines.partial.empty()) continue;
    line(lines, lines.partial, show);
    lines.partial = {};
  }
}

void TaskLog::line(Lines& lines, std::string_view raw, const Show& show) {
  std::string repaired;
  std::string_view text = raw;
  if (base::find_invalid_utf8(raw) != std::string_view::npos) {  // the Python client reads logs as strict UTF-8
    repaired = base::replace_invalid_utf8(raw);
    text = repaired;
  }
  const std::int64_t stamp = stamps_->next();
  if (text.starts_with("[MFLOG|0|") ||
      text.starts_with("[!MFLOG|0|")) {  // written by something that stamps its lines itself
    const store::LogLine parsed = store::parse_log_line(text);
    if (!parsed.time.empty()) {
      show(without_trailing_space(parsed.text), store::microseconds_of_log_time(parsed.time));
      if (parsed.to_be_kept && !lines.cut) lines.kept.append("[" + std::string(text.substr(2)) + "\n");
      return;
    }
  }
  show(without_trailing_space(text), stamp);
  if (lines.cut) return;
  std::string kept = store::format_log_line(stamp, name_of(source_), text);
  if (lines.kept.size() + kept.size() > limit_) {
    lines.cut = true;
    kept = store::format_log_line(stamp, name_of(source_), "[TRUNCATED - MAXIMUM LOG FILE SIZE REACHED]");
  }
  lines.kept.append(kept);
}

void TaskLog::note(Stream stream, std::string_view text) {
  streams_[static_cast<std::size_t>(stream)].kept.append(
      store::format_log_line(stamps_->next(), name_of(source_), text));
}

std::vector<store::OwnedObject> TaskLog::objects(const store::FlowStore& store, const store::TaskRef& task,
                                                 int attempt) {
  std::vector<store::OwnedObject> objects;
  for (Stream stream : {Stream::out, Stream::err}) {
    GrowingText& kept = streams_[static_cast<std::size_t>(stream)].kept;
    if (kept.size() > 0) objects.push_back(store.log(task, attempt, source_, stream, kept.bytes()));
  }
  return objects;
}

}  // namespace metaflow::runtime
