// Log lines as Metaflow stores them: "[MFLOG|0|2026-11-22T12:26:36.522123Z|runtime|000001]text".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace metaflow::store {

struct LogLine {
  std::string time;    // UTC, as written; empty: the line does not have this form
  std::string source;  // "runtime", "task"
  std::string id;
  std::string_view text;
  bool to_be_kept = false;  // "[!MFLOG": the receiver must store it (without the mark)
};

/// One line, with its newline. `stamp` (microseconds since 1970) must be unique in the stream.
std::string format_log_line(std::int64_t stamp, std::string_view source, std::string_view text);

/// Parses one line without its newline. A line of another form is all text.
LogLine parse_log_line(std::string_view line);

/// The lines of several logs of one stream, sorted by time. Lines of another form come last.
std::vector<LogLine> merge_logs(const std::vector<std::string_view>& logs);

/// Microseconds since 1970 of LogLine::time; 0 if it is not a time.
std::int64_t microseconds_of_log_time(std::string_view time);

}  // namespace metaflow::store
