// parallel_map from a user's point of view, in both modes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <barrier>
#include <cstdlib>
#include <forward_list>
#include <istream>
#include <map>
#include <memory>
#include <numeric>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>

#include <metaflow/parallel.h>

#include "base/cpus.h"
#include "base/failure_points.h"
#include "base/files.h"
#include "base/text.h"

namespace metaflow {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::IsSubsetOf;

constexpr parallel_options kProcesses{.max_parallel = 2, .mode = parallel_mode::processes};

class ParallelMap : public testing::TestWithParam<parallel_mode> {
 protected:
  parallel_options options(unsigned max_parallel = 2) const {
    return {.max_parallel = max_parallel, .mode = GetParam()};
  }
};

INSTANTIATE_TEST_SUITE_P(Modes, ParallelMap, testing::Values(parallel_mode::threads, parallel_mode::processes),
                         [](const auto& mode) {
                           return std::string(mode.param == parallel_mode::threads ? "threads" : "processes");
                         });

ItemError failure_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const ItemError& error) {
    return error;
  }
  ADD_FAILURE() << "no item failed";
  return {0, ""};
}

/// A machine that cannot start more threads or processes from the N-th one on.
class ShortOfWorkers : public ParallelMap {
 protected:
  ~ShortOfWorkers() override { base::set_failure_point(""); }
  void from(int number) {
    const bool threads = GetParam() == parallel_mode::threads;
    base::set_failure_point((threads ? "thread:EAGAIN:" : "start:EMFILE:") + std::to_string(number) + ":sticky");
  }
};

INSTANTIATE_TEST_SUITE_P(Modes, ShortOfWorkers, testing::Values(parallel_mode::threads, parallel_mode::processes));

TEST_P(ShortOfWorkers, FewerWorkersAreEnough) {
  std::vector<int> items(50);
  std::iota(items.begin(), items.end(), 0);
  for (const int number : {3, 2}) {
    from(number);
    EXPECT_EQ(parallel_map(
                  items, [](int i) { return 2 * i; }, options(4))
                  .back(),
              98)
        << number;
  }
}

TEST_P(ShortOfWorkers, NoWorkers) {
  const std::vector<int> items{1, 2, 3};
  from(1);
  if (GetParam() == parallel_mode::processes) {
    EXPECT_THROW(parallel_map(
                     items, [](int i) { return i; }, options(4)),
                 Error);
    return;
  }
  EXPECT_THAT(parallel_map(
                  items, [](int i) { return 2 * i; }, options(4)),
              ElementsAre(2, 4, 6));
  from(1);
  EXPECT_EQ(failure_of([&] {
              parallel_map(
                  items,
                  [](int i) {
                    if (i == 2) throw std::runtime_error("two");
                    return i;
                  },
                  options(4));
            }).item(),
            1U);
}

TEST_P(ParallelMap, ResultsAreInTheOrderOfTheItems) {
  const auto squares = parallel_map(
      range(1000), [](std::size_t i) { return i * i; }, options(4));
  ASSERT_EQ(squares.size(), 1000U);
  for (std::size_t i = 0; i < squares.size(); ++i) EXPECT_EQ(squares[i], i * i);
}

TEST_P(ParallelMap, AnyRange) {
  const auto twice = [](int i) { return 2 * i; };
  const std::vector<int> vector{1, 2, 3};
  EXPECT_THAT(parallel_map(vector, twice, options()), ElementsAre(2, 4, 6));
  EXPECT_THAT(parallel_map(std::vector{4, 5}, twice, options()), ElementsAre(8, 10));
  EXPECT_THAT(parallel_map(std::set{3, 1}, twice, options()), ElementsAre(2, 6));
  EXPECT_THAT(parallel_map(std::forward_list{7}, twice, options()), ElementsAre(14));
  const std::array<int, 0> none{};
  EXPECT_THAT(parallel_map(none, twice, options()), IsEmpty());
  const std::map<std::string, int> map{{"a", 1}, {"b", 2}};
  const auto texts = parallel_map(
      map, [](const auto& pair) { return pair.first + std::to_string(pair.second); }, options());
  EXPECT_THAT(texts, ElementsAre("a1", "b2"));
  EXPECT_THAT(parallel_map(
                  range(5, 20, 5), [](std::size_t i) { return i; }, options()),
              ElementsAre(5, 10, 15));
}

TEST_P(ParallelMap, InputRanges) {
  struct Numbers {
    std::istringstream text{"3 4 5"};
    std::istream_iterator<int> begin() { return std::istream_iterator<int>(text); }
    std::istream_iterator<int> end() { return {}; }
  } numbers;
  EXPECT_THAT(parallel_map(
                  numbers, [](int i) { return i + 1; }, options()),
              ElementsAre(4, 5, 6));
}

TEST_P(ParallelMap, AFunctionThatReturnsNothing) {
  static_assert(std::is_void_v<decltype(parallel_map(range(3), [](std::size_t) {}))>);
  parallel_map(
      range(100), [](std::size_t) {}, options());
}

TEST_P(ParallelMap, TheFailedItemIsReported) {
  const auto error = failure_of([&] {
    parallel_map(
        range(50), [](std::size_t i) { return i == 7 ? throw std::out_of_range("no such row") : i; }, options(1));
  });
  EXPECT_EQ(error.item(), 7U);
  EXPECT_EQ(error.code(), ErrorCode::item_failure);
  EXPECT_STREQ(error.what(), "parallel_map: item 7: std::out_of_range: no such row");
}

TEST_P(ParallelMap, MayBeNested) {
  const auto sums = parallel_map(
      range(4),
      [&](std::size_t i) {
        const auto inner = parallel_map(
            range(10), [&](std::size_t j) { return i * j; }, options());
        return std::accumulate(inner.begin(), inner.end(), std::size_t{0});
      },
      options());
  EXPECT_THAT(sums, ElementsAre(0, 45, 90, 135));
}

TEST_P(ParallelMap, UnorderedReturnsEveryItemOnce) {
  std::map<std::size_t, std::string> all;
  for (auto& [index, text] : parallel_map_unordered(
           range(100, 200), [](std::size_t i) { return std::to_string(i); }, options()))
    EXPECT_TRUE(all.emplace(index, text).second);
  ASSERT_EQ(all.size(), 100U);
  EXPECT_EQ(all[42], "142");
}

TEST_P(ParallelMap, UnorderedMayBeStoppedEarly) {
  std::size_t seen = 0;
  for (auto& result : parallel_map_unordered(
           range(1'000'000), [](std::size_t i) { return i; }, options())) {
    EXPECT_EQ(result.value, result.index);
    if (++seen == 3) break;
  }
  EXPECT_EQ(seen, 3U);
}

TEST_P(ParallelMap, UnorderedThrowsTheSameErrors) {
  const auto error = failure_of([&] {
    for (auto& result : parallel_map_unordered(
             range(10), [](std::size_t i) { return i == 3 ? throw std::runtime_error("three") : i; }, options()))
      EXPECT_NE(result.index, 3U);
  });
  EXPECT_EQ(error.item(), 3U);
}

TEST(ParallelMapOnThreads, ResultsMayBeMoveOnly) {
  const auto owners = parallel_map(range(5), [](std::size_t i) { return std::make_unique<std::size_t>(i); });
  for (std::size_t i = 0; i < owners.size(); ++i) EXPECT_EQ(*owners[i], i);
}

TEST(ParallelMapOnThreads, ItemsMayBeChanged) {
  std::vector<int> values{1, 2, 3};
  parallel_map(values, [](int& value) { value *= 10; });
  EXPECT_THAT(values, ElementsAre(10, 20, 30));
}

TEST(ParallelMapOnThreads, TheCauseIsKept) {
  struct Own {
    int code;
  };
  const auto error = failure_of([] { parallel_map(range(3), [](std::size_t i) { i == 1 ? throw Own{42} : void(); }); });
  try {
    std::rethrow_exception(error.cause());
  } catch (const Own& own) {
    EXPECT_EQ(own.code, 42);
  }
}

TEST(ParallelMapOnThreads, TheFirstOfSeveralFailuresIsThrown) {
  std::barrier both(2);
  const auto error = failure_of([&] {
    parallel_map(range(2),
                 [&](std::size_t i) {
                   both.arrive_and_wait();
                   throw std::runtime_error(std::to_string(i));
                 },
                 {.max_parallel = 2});
  });
  EXPECT_EQ(error.item(), 0U);
}

TEST(ParallelMapOnThreads, NoNewItemAfterAFailure) {
  std::atomic<int> begun = 0;
  failure_of([&] {
    parallel_map(range(1'000'000),
                 [&](std::size_t) {
                   ++begun;
                   throw std::runtime_error("at once");
                 },
                 {.max_parallel = 2});
  });
  EXPECT_LE(begun, 2);
}

TEST(ParallelMapOnThreads, AtMostMaxParallelAtATime) {
  std::atomic<int> now = 0;
  std::atomic<int> most = 0;
  parallel_map(range(200),
               [&](std::size_t) {
                 const int running = ++now;
                 for (int seen = most; running > seen && !most.compare_exchange_weak(seen, running);) {
                 }
                 ::sched_yield();
                 --now;
               },
               {.max_parallel = 3});
  EXPECT_LE(most, 3);
}

TEST(ParallelMapOnThreads, NoMoreThreadsThanCpusByDefault) {
  std::atomic<unsigned> now = 0;
  std::atomic<unsigned> most = 0;
  parallel_map(range(1000), [&](std::size_t) {
    const unsigned running = ++now;
    for (unsigned seen = most; running > seen && !most.compare_exchange_weak(seen, running);) {
    }
    --now;
  });
  EXPECT_LE(most, base::available_cpus());
}

TEST(ParallelMapInProcesses, ItemsHavePrivateMemory) {
  std::vector<int> values{1, 2};
  parallel_map(
      values, [](int& value) { value = 0; }, kProcesses);
  EXPECT_THAT(values, ElementsAre(1, 2));
}

TEST(ParallelMapInProcesses, LargeResults) {
  const auto blocks = parallel_map(
      range(3), [](std::size_t i) { return std::vector<double>(1'000'000, static_cast<double>(i)); }, kProcesses);
  ASSERT_EQ(blocks.size(), 3U);
  EXPECT_EQ(blocks[2], std::vector<double>(1'000'000, 2.0));
}

TEST(ParallelMapInProcesses, ResultsThatCannotBeSent) {
  try {
    parallel_map(
        range(2), [](std::size_t i) { return std::make_unique<std::size_t>(i); }, kProcesses);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("cannot be sent from process to process"));
  }
}

/// The child processes of this process; those of other tests may still be ending.
std::set<std::string> children() {
  const auto pids = base::split(base::read_file("/proc/thread-self/children").value().text(), ' ');
  return {pids.begin(), pids.end()};
}

TEST(ParallelMapInProcesses, NoChildIsLeft) {
  const auto children_before = children();
  const auto descriptors = [] { return base::list_directory("/proc/self/fd").size(); };
  const std::size_t before = descriptors();
  failure_of([] {
    parallel_map(
        range(10), [](std::size_t i) { return i == 5 ? throw std::runtime_error("five") : i; }, kProcesses);
  });
  for (auto& result : parallel_map_unordered(
           range(10), [](std::size_t i) { return i; }, kProcesses)) {
    if (result.index > 1) break;
  }
  EXPECT_EQ(descriptors(), before);
  EXPECT_THAT(children(), IsSubsetOf(children_before));
}

struct Crash {
  const char* name;
  void (*crash)();
  const char* words;
};

class CrashingItem : public testing::TestWithParam<Crash> {};

TEST_P(CrashingItem, FailsTheCallAndIsReported) {
  const auto children_before = children();
  const auto error = failure_of([] {
    parallel_map(
        range(20),
        [](std::size_t i) {
          if (i == 4) GetParam().crash();
          return i;
        },
        kProcesses);
  });
  EXPECT_EQ(error.item(), 4U);
  EXPECT_THAT(error.what(), HasSubstr(GetParam().words));
  EXPECT_THAT(children(), IsSubsetOf(children_before));
}

INSTANTIATE_TEST_SUITE_P(Kinds, CrashingItem,
                         testing::Values(Crash{"killed", [] { ::raise(SIGKILL); }, "SIGKILL"},
                                         Crash{"terminated", [] { ::raise(SIGTERM); }, "SIGTERM"},
                                         Crash{"exits", [] { ::_exit(3); }, "exit code 3"}),
                         [](const auto& crash) { return std::string(crash.param.name); });

TEST(Range, MatchesPython) {
  const auto numbers = [](range r) { return std::vector<std::size_t>(r.begin(), r.end()); };
  EXPECT_THAT(numbers(range(3)), ElementsAre(0, 1, 2));
  EXPECT_THAT(numbers(range(2, 10, 3)), ElementsAre(2, 5, 8));
  EXPECT_THAT(numbers(range(5, 5)), IsEmpty());
  EXPECT_THAT(numbers(range(6, 5)), IsEmpty());
  EXPECT_EQ(range(0, 10, 4).size(), 3U);
}

}  // namespace
}  // namespace metaflow
