#include "runtime/task_log.h"

#include <sys/mman.h>
#include <unistd.h>

#include <metaflow/error.h>

#include "base/temporary.h"
#include "base/text.h"
#include "base/utf8.h"
#include "store/mflog.h"

namespace metaflow::runtime {

using store::Stream;

namespace {

/// A line longer than this is shown and stored in pieces.
constexpr std::size_t kLongestLine = 1024 * 1024;

std::string_view without_trailing_space(std::string_view text) {
  const std::size_t last = text.find_last_not_of(" \t\r\n\v\f");
  return last == std::string_view::npos ? std::string_view() : text.substr(0, last + 1);
}

}  // namespace

bool GrowingText::append(std::string_view text) {
  if (memory_.size() + text.size() > kMostInMemory) return false;
  memory_ += text;
  // If the file cannot be written, the next attempt follows after as many bytes again: others may have freed space by
  // then.
  if (memory_.size() >= spool_at_) spool_at_ = spool() ? kSpoolFrom : memory_.size() + kSpoolFrom;
  return true;
}

/// Moves the text in memory to the file, if that succeeds.
bool GrowingText::spool() {
  try {
    if (!file_) file_.emplace(base::make_temporary_file());
    file_->write(base::as_bytes(memory_), spooled_);
  } catch (const Error&) {
    return false;
  }
  spooled_ += memory_.size();
  memory_.clear();
  return true;
}

base::SharedBytes GrowingText::bytes() {
  if (spooled_ == 0) return base::SharedBytes(memory_);
  const bool all = memory_.empty() || spool();
  void* mapped = all ? ::mmap(nullptr, spooled_, PROT_READ, MAP_PRIVATE, file_->fd(), 0) : MAP_FAILED;
  if (mapped == MAP_FAILED) {
    std::string copy(spooled_, '\0');
    std::size_t got = 0;
    while (got < copy.size()) {
      const ssize_t n = ::pread(file_->fd(), copy.data() + got, copy.size() - got, static_cast<off_t>(got));
      if (n <= 0) break;
      got += static_cast<std::size_t>(n);
    }
    copy.resize(got);
    return base::SharedBytes(copy + memory_);
  }
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
        line(stream, lines.partial, show);
        lines.partial.clear();
      }
      return;
    }
    if (lines.partial.empty()) {
      line(stream, bytes.substr(0, end), show);
    } else {
      lines.partial += bytes.substr(0, end);
      line(stream, lines.partial, show);
      lines.partial.clear();
    }
    bytes.remove_prefix(end + 1);
  }
}

void TaskLog::finish(const Show& show) {
  for (const Stream stream : {Stream::out, Stream::err}) {
    Lines& lines = streams_[static_cast<std::size_t>(stream)];
    if (lines.partial.empty()) continue;
    line(stream, lines.partial, show);
    lines.partial = {};
  }
}

void TaskLog::line(Stream stream, std::string_view raw, const Show& show) {
  Lines& lines = streams_[static_cast<std::size_t>(stream)];
  std::string repaired;
  std::string_view text = raw;
  if (base::find_invalid_utf8(raw) != std::string_view::npos) {  // the Python client reads logs as strict UTF-8
    repaired = base::replace_invalid_utf8(raw);
    text = repaired;
  }
  const std::int64_t stamp = stamps_->next();
  if (text.starts_with("[MFLOG|0|") ||
      text.starts_with("[!MFLOG|0|")) {  // written by a program that adds the prefix itself
    const store::LogLine parsed = store::parse_log_line(text);
    if (!parsed.time.empty()) {
      show(stream, without_trailing_space(parsed.text), store::microseconds_of_log_time(parsed.time));
      if (parsed.to_be_kept) keep(lines, "[" + std::string(text.substr(2)) + "\n");
      return;
    }
  }
  show(stream, without_trailing_space(text), stamp);
  if (!lines.cut) keep(lines, store::format_log_line(stamp, name_of(source_), text));
}

/// Stores a line; if there is no room for it, a truncation notice instead.
void TaskLog::keep(Lines& lines, std::string_view line) {
  if (lines.cut) return;
  const bool allowed = lines.kept.size() + line.size() <= limit_;
  if (allowed && lines.kept.append(line)) return;
  lines.cut = true;
  const std::string_view why = allowed ? "[TRUNCATED - NO ROOM FOR THE LOG IN TMPDIR, /tmp AND MEMORY]"
                                       : "[TRUNCATED - MAXIMUM LOG FILE SIZE REACHED]";
  note_in(lines, why);
}

void TaskLog::note(Stream stream, std::string_view text) { note_in(streams_[static_cast<std::size_t>(stream)], text); }

void TaskLog::note_in(Lines& lines, std::string_view text) {
  const std::string line = store::format_log_line(stamps_->next(), name_of(source_), text);
  [[maybe_unused]] const bool kept = lines.kept.append(line);
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
