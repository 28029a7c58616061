#include "store/mflog.h"

#include <algorithm>
#include <cstdio>

#include "base/clock.h"
#include "base/format.h"
#include "value/calendar.h"

namespace metaflow::store {

namespace {

/// YYYY-MM-DDTHH:MM:SS.f{1,6}
bool is_time(std::string_view text) {
  constexpr std::string_view kForm = "dddd-dd-ddTdd:dd:dd.dddddd";
  if (text.size() < 21 || text.size() > kForm.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (kForm[i] == 'd' ? text[i] < '0' || text[i] > '9' : text[i] != kForm[i]) return false;
  }
  return true;
}

}  // namespace

std::string format_log_line(std::int64_t stamp, std::string_view source, std::string_view text) {
  // Lines with the same time are sorted by id, so the id repeats the stamp.
  return fmt::format("[MFLOG|0|{}Z|{}|{}]{}\n", base::utc_time(stamp), source, stamp, text);
}

LogLine parse_log_line(std::string_view line) {
  LogLine parsed;
  parsed.text = line;
  std::string_view rest = line;
  bool keep = false;
  if (rest.starts_with("[!MFLOG|0|")) {
    keep = true;
    rest.remove_prefix(10);
  } else if (rest.starts_with("[MFLOG|0|")) {
    rest.remove_prefix(9);
  } else {
    return parsed;
  }
  const std::size_t end = rest.find(']');
  if (end == std::string_view::npos) return parsed;
  const std::string_view head = rest.substr(0, end);
  const std::size_t first = head.find('|');
  const std::size_t second = first == std::string_view::npos ? first : head.find('|', first + 1);
  if (second == std::string_view::npos) return parsed;
  const std::string_view time = head.substr(0, first);
  if (!time.ends_with('Z') || !is_time(time.substr(0, time.size() - 1))) return parsed;
  parsed.time = time.substr(0, time.size() - 1);
  parsed.source = head.substr(first + 1, second - first - 1);
  parsed.id = head.substr(second + 1);
  parsed.text = rest.substr(end + 1);
  parsed.to_be_kept = keep;
  return parsed;
}

std::vector<LogLine> merge_logs(const std::vector<std::string_view>& logs) {
  std::vector<LogLine> lines;
  for (std::string_view log : logs) {
    while (!log.empty()) {
      const std::size_t end = log.find('\n');
      lines.push_back(parse_log_line(log.substr(0, end)));
      log.remove_prefix(end == std::string_view::npos ? log.size() : end + 1);
    }
  }
  std::stable_sort(lines.begin(), lines.end(), [](const LogLine& a, const LogLine& b) {
    if (a.time.empty() != b.time.empty()) return b.time.empty();
    return a.time < b.time;
  });
  return lines;
}

std::int64_t microseconds_of_log_time(std::string_view time) {
  if (!is_time(time)) return 0;
  int year = 0;
  int month = 0;
  int day = 0;
  int hour = 0;
  int minute = 0;
  int second = 0;
  const std::string text(time);
  if (std::sscanf(text.c_str(), "%d-%d-%dT%d:%d:%d", &year, &month, &day, &hour, &minute, &second) != 6) return 0;
  std::int64_t fraction = 0;
  std::int64_t scale = 100'000;
  for (std::size_t i = 20; i < text.size() && scale > 0; ++i, scale /= 10) fraction += (text[i] - '0') * scale;
  return value::microseconds_of({year, month, day, hour, minute, second, fraction});
}

}  // namespace metaflow::store
