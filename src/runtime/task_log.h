// The output of one attempt: split into lines, shown at once, and stored.
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

/// Text that grows: in memory while it is small, then in a temporary file. If the file cannot be written, the text
/// stays in memory, up to a limit. File errors are not thrown.
class GrowingText {
 public:
  // Bytes in memory: the size from which a file is used, and the maximum.
  static constexpr std::size_t kSpoolFrom = 256 * 1024;
  static constexpr std::size_t kMostInMemory = 64 * 1024 * 1024;

  /// Returns false if there is no room; then nothing is appended.
  [[nodiscard]] bool append(std::string_view text);
  std::uint64_t size() const { return spooled_ + memory_.size(); }
  /// The whole text.
  base::SharedBytes bytes();

 private:
  bool spool();

  std::string memory_;
  std::size_t spool_at_ = kSpoolFrom;  // bytes in memory
  std::optional<base::SpoolFile> file_;
  std::uint64_t spooled_ = 0;
};

/// Never fails for lack of space: output without room is shown but not stored, and a line in the log states that. Not
/// thread-safe.
class TaskLog {
 public:
  /// `limit`: bytes stored per stream; output beyond it is shown but not stored. `stamps`: unique times for the lines.
  /// `source`: whether the scheduler or a supervisor stores it.
  TaskLog(base::Stamps& stamps, std::uint64_t limit, store::LogSource source = store::LogSource::runtime)
      : stamps_(&stamps), limit_(limit), source_(source) {}

  /// An empty one with the same stamps, limit and source.
  TaskLog another() const { return TaskLog(*stamps_, limit_, source_); }

  /// Shows a line: without newline, valid UTF-8. `time`: when it was written.
  using Show = std::function<void(store::Stream stream, std::string_view text, std::int64_t time)>;

  void add(store::Stream stream, std::string_view bytes, const Show& show);
  /// Ends the last line of each stream, which may lack a newline.
  void finish(const Show& show);
  /// Adds a line of the scheduler, which is only stored; also beyond the limit, if there is room.
  void note(store::Stream stream, std::string_view text);
  /// The stored text, to be written; no object for a stream without a line.
  std::vector<store::OwnedObject> objects(const store::FlowStore& store, const store::TaskRef& task, int attempt);
  /// The text stored for a stream so far: its size, and its content, which stays valid when more is added.
  std::uint64_t size(store::Stream stream) const { return streams_[static_cast<std::size_t>(stream)].kept.size(); }
  base::SharedBytes content(store::Stream stream) { return streams_[static_cast<std::size_t>(stream)].kept.bytes(); }

 private:
  struct Lines {
    std::string partial;
    GrowingText kept;
    bool cut = false;
  };
  void line(store::Stream stream, std::string_view text, const Show& show);
  void keep(Lines& lines, std::string_view line);
  void note_in(Lines& lines, std::string_view text);

  base::Stamps* stamps_;
  std::uint64_t limit_;
  store::LogSource source_;
  std::array<Lines, 2> streams_;
};

}  // namespace metaflow::runtime
