#include "base/iso_time.h"

#include <algorithm>
#include <cstdio>
#include <ctime>

#include "base/format.h"

namespace metaflow::base {

std::optional<std::int64_t> parse_iso_time(std::string_view text) {
  const std::string zero_ended(text);
  std::tm time{};
  int length = 0;
  if (std::sscanf(zero_ended.c_str(), "%4d-%2d-%2d%*1[T ]%2d:%2d:%2d%n", &time.tm_year, &time.tm_mon, &time.tm_mday,
                  &time.tm_hour, &time.tm_min, &time.tm_sec, &length) != 6 ||
      length == 0)
    return std::nullopt;
  std::string_view rest = text.substr(static_cast<std::size_t>(length));
  if (rest.starts_with('.')) rest.remove_prefix(std::min(rest.find_first_not_of("0123456789", 1), rest.size()));
  if (!rest.empty() && rest != "Z" && rest != "UTC" && rest != "+00:00" && rest != "+0000") return std::nullopt;
  time.tm_year -= 1900;
  time.tm_mon -= 1;
  return ::timegm(&time);
}

std::string basic_iso_time(std::int64_t seconds) {
  const std::time_t time = seconds;
  std::tm utc{};
  ::gmtime_r(&time, &utc);
  return fmt::format("{:04}{:02}{:02}T{:02}{:02}{:02}Z", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour,
                     utc.tm_min, utc.tm_sec);
}

std::optional<std::int64_t> parse_http_date(std::string_view text) {
  std::tm time{};
  const std::string zero_ended(text);
  // The names are English in every locale, but strptime depends on the locale.
  char month[4] = {};
  if (std::sscanf(zero_ended.c_str(), "%*3s, %2d %3s %4d %2d:%2d:%2d GMT", &time.tm_mday, month, &time.tm_year,
                  &time.tm_hour, &time.tm_min, &time.tm_sec) != 6)
    return std::nullopt;
  constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
  const std::size_t found = kMonths.find(month);
  if (found == std::string_view::npos || found % 3 != 0) return std::nullopt;
  time.tm_mon = static_cast<int>(found / 3);
  time.tm_year -= 1900;
  return ::timegm(&time);
}

}  // namespace metaflow::base
