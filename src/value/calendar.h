// Conversion between dates and microseconds since 1970, in the proleptic Gregorian calendar, UTC.
#pragma once

#include <cstdint>

namespace metaflow::value {

struct DateTime {
  std::int64_t year, month, day, hour, minute, second, microsecond;
};

/// Howard Hinnant's days_from_civil (http://howardhinnant.github.io/date_algorithms.html).
constexpr std::int64_t microseconds_of(const DateTime& t) {
  const std::int64_t y = t.month <= 2 ? t.year - 1 : t.year;
  const std::int64_t era = (y >= 0 ? y : y - 399) / 400;
  const std::int64_t year_of_era = y - era * 400;
  const std::int64_t day_of_year = (153 * (t.month > 2 ? t.month - 3 : t.month + 9) + 2) / 5 + t.day - 1;
  const std::int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  const std::int64_t days = era * 146097 + day_of_era - 719468;
  return (((days * 24 + t.hour) * 60 + t.minute) * 60 + t.second) * 1'000'000 + t.microsecond;
}

constexpr DateTime date_time_of(std::int64_t microseconds) {
  constexpr std::int64_t kDay = 86'400'000'000;
  std::int64_t days = microseconds / kDay;
  std::int64_t rest = microseconds % kDay;
  if (rest < 0) {
    rest += kDay;
    --days;
  }
  days += 719468;
  const std::int64_t era = (days >= 0 ? days : days - 146096) / 146097;
  const std::int64_t day_of_era = days - era * 146097;
  const std::int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  const std::int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const std::int64_t month_index = (5 * day_of_year + 2) / 153;
  const std::int64_t month = month_index < 10 ? month_index + 3 : month_index - 9;
  return {year_of_era + era * 400 + (month <= 2 ? 1 : 0),
          month,
          day_of_year - (153 * month_index + 2) / 5 + 1,
          rest / 3'600'000'000,
          rest / 60'000'000 % 60,
          rest / 1'000'000 % 60,
          rest % 1'000'000};
}

static_assert(microseconds_of({1970, 1, 1, 0, 0, 0, 0}) == 0);
static_assert(microseconds_of({2000, 3, 1, 12, 0, 0, 5}) == 951912000000005);
static_assert(date_time_of(951912000000005).day == 1 && date_time_of(-1).year == 1969);

}  // namespace metaflow::value
