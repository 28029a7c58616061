// The output of one attempt: cut into lines, shown at once, kept for the store.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/files.h"
#include "store/flow_store.h"

namespace metaflow::runtime {

/// Text that grows: in memory while it is small, then in a temporary file. Where that cannot be written, for whatever
/// reason, it stays in memory, up to a limit. Throws nothing of files.
class GrowingText {
 public:
  // Bytes in memory: from which on a file is tried, and which are never exceeded.
  static constexpr std::size_t kSpoolFrom = 256 * 1024;
  static constexpr std::size_t kMostInMemory = 64 * 1024 * 1024;

  /// False: there is no room for it anywhere, and nothing is appended.
  [[nodiscard]] bool append(std::string_view text);
  std::uint64_t size() const { return spooled_ + memory_.size(); }
  /// All of it.
  base::SharedBytes bytes();

 private:
  bool spool();

  std::string memory_;
  std::size_t spool_at_ = kSpoolFrom;  // bytes in memory
  std::optional<base::SpoolFile> file_;
  std::uint64_t spooled_ = 0;
};

/// Never fails for want of a place: what has none is shown and not kept, and the log says so. Not thread-safe.
class TaskLog {
 public:
  /// `limit`: bytes that are kept per stream; what follows is shown and not kept. `stamps`: unique times for the lines.
  /// `source`: who keeps it, the scheduler or a supervisor elsewhere.
  TaskLog(base::Stamps& stamps, std::uint64_t limit, store::LogSource source = store::LogSource::runtime)
      : stamps_(&stamps), limit_(limit), source_(source) {}

  /// An empty one with the same stamps, limit and source.
  TaskLog another() const { return TaskLog(*stamps_, limit_, source_); }

  /// A line to be shown: without newline, valid UTF-8. `time`: when it was written.
  using Show = std::function<void(std::string_view text, std::int64_t time)>;

  void add(store::Stream stream, std::string_view bytes, const Show& show);
  /// What came after the last newline is a line, too.
  void finish(const Show& show);
  /// A line of the scheduler, for the store only; kept even if the limit is reached, where there is room.
  void note(store::Stream stream, std::string_view text);
  /// What is kept, to be written; nothing for a stream without a line.
  std::vector<store::OwnedObject> objects(const store::FlowStore& store, const store::TaskRef& task, int attempt);
  /// What is kept of a stream so far: its size, and all of it. It may be used after more was added.
  std::uint64_t size(store::Stream stream) const { return streams_[static_cast<std::size_t>(stream)].kept.size(); }
  base::SharedBytes content(store::Stream stream) { return streams_[static_cast<std::size_t>(stream)].kept.bytes(); }

 private:
  struct Lines {
    std::string partial;
    GrowingText kept;
    bool cut = false;
  };
  void line(Lines& lines, std::string_view text, const Show& show);
  void keep(Lines& lines, std::string_view line);
  void note_in(Lines& lines, std::string_view text);

  base::Stamps* stamps_;
  std::uint64_t limit_;
  store::LogSource source_;
  std::array<Lines, 2> streams_;
};

}  // namespace metaflow::runtime
