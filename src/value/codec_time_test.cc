// Round trips of durations and points in time.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>

#include <metaflow/codec.h>

#include "value/testing.h"

namespace metaflow::value {
namespace {

template <class T>
void expect_times_round_trip(std::initializer_list<T> values) {
  for (const T& value : values) EXPECT_EQ(round_trip<T>(value), value);
}

TEST(CodecOfTimes, Durations) {
  using namespace std::chrono;
  expect_times_round_trip<nanoseconds>(
      {0ns, 1ns, -1ns, 999ns, 1000ns, -1001ns, 86'400'000'000'001ns, nanoseconds::max(), nanoseconds::min()});
  expect_times_round_trip<seconds>({0s, -1s, 100'000'000'000s});
  expect_times_round_trip<hours>({1h, -25h});
  expect_times_round_trip<duration<std::int32_t, std::ratio<1, 30>>>({duration<std::int32_t, std::ratio<1, 30>>(60)});
  for (double s : {0.0, 1.5, -2.25, 1e-9, 12345678.123456789}) {
    EXPECT_DOUBLE_EQ(round_trip(duration<double>(s)).count(), s);
  }
  EXPECT_EQ((round_trip(duration<double, std::milli>(2.5))), (duration<double, std::milli>(2.5)));
}

TEST(CodecOfTimes, DurationsBeyondPython) {
  using namespace std::chrono;
  EXPECT_EQ(error_of([] { pickled(seconds::max()); }).code(), ErrorCode::invalid_value);
  EXPECT_EQ(error_of([] { pickled(duration<std::int64_t, std::peta>::max()); }).code(), ErrorCode::invalid_value);
  EXPECT_EQ(error_of([] { pickled(duration<double>(std::nan(""))); }).code(), ErrorCode::invalid_value);
  EXPECT_EQ(error_of([] { pickled(duration<double>(1e300)); }).code(), ErrorCode::invalid_value);
  using Thirds = duration<std::int64_t, std::ratio<1, 3>>;
  EXPECT_THAT(error_of([] { pickled(Thirds(1)); }).message(), testing::HasSubstr("nanoseconds"));
  EXPECT_EQ(round_trip(Thirds(3)), Thirds(3));
  using Attoseconds = duration<std::int64_t, std::atto>;
  EXPECT_EQ(round_trip(Attoseconds(2'000'000'000)), Attoseconds(2'000'000'000));
  EXPECT_THAT(mismatch<Attoseconds>(read(pickled(hours(1'000'000))).root()), testing::HasSubstr("beyond the range"));
}

TEST(CodecOfTimes, PointsInTime) {
  using namespace std::chrono;
  using Micro = time_point<system_clock, microseconds>;
  const auto year = [](int y) { return Micro(sys_days(std::chrono::year(y) / 1 / 1)); };
  expect_times_round_trip<Micro>(
      {Micro(), Micro(microseconds(-1)), year(1), year(9999), Micro(microseconds(1'700'000'000'123'456))});
  // A datetime has whole microseconds; the rest is dropped.
  EXPECT_EQ(round_trip(system_clock::time_point(1'999ns)), system_clock::time_point(1us));
  EXPECT_EQ(round_trip(system_clock::time_point(-1ns)), system_clock::time_point(-1us));
  expect_times_round_trip<sys_days>({sys_days(2024y / February / 29)});
  EXPECT_EQ(error_of([&] { pickled(year(10000)); }).code(), ErrorCode::invalid_value);
  EXPECT_EQ(error_of([&] { pickled(year(0)); }).code(), ErrorCode::invalid_value);
  EXPECT_THAT(mismatch<system_clock::time_point>(read(pickled(year(9999))).root()), testing::HasSubstr("range"));
  EXPECT_THAT(mismatch<sys_days>(read(pickled(Micro(microseconds(1)))).root()), testing::HasSubstr("ticks"));
}

TEST(CodecOfTimes, DurationsArePrintedRoundedAsInPython) {
  auto text = [](std::int64_t nanoseconds) {
    return text_of(read(pickled(std::chrono::nanoseconds(nanoseconds))).root());
  };
  EXPECT_EQ(text(1'500), "datetime.timedelta(microseconds=2)");
  EXPECT_EQ(text(2'500), "datetime.timedelta(microseconds=2)");
  EXPECT_EQ(text(2'501), "datetime.timedelta(microseconds=3)");
  EXPECT_EQ(text(499), "datetime.timedelta(0)");
  EXPECT_EQ(text(999'999'999), "datetime.timedelta(seconds=1)");
  EXPECT_EQ(text(-1'500), "datetime.timedelta(days=-1, seconds=86399, microseconds=999998)");
  EXPECT_EQ(text(-500), "datetime.timedelta(0)");
}

}  // namespace
}  // namespace metaflow::value
