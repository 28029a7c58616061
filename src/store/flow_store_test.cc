#include "store/flow_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <algorithm>
#include <cstdlib>

#include "store/memory/memory_storage.h"

namespace metaflow::store {
namespace {

using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;

/// Lists the same directories for every path, in the given order.
class ListedAsPut : public MemoryStorage {
 public:
  explicit ListedAsPut(std::vector<std::string> names) : names_(std::move(names)) {}
  std::vector<Entry> list(const std::string& /*path*/) override {
    std::vector<Entry> entries;
    for (const std::string& name : names_) entries.push_back({name, true});
    return entries;
  }

 private:
  std::vector<std::string> names_;
};

TEST(FlowStore, NamesThatAreNotStepsOrTasksAreLeftOut) {
  FlowStore store(std::make_shared<MemoryStorage>(), "F");
  for (const char* path :
       {"F/17/_meta/x", "F/17/_parameters/0/x", "F/17/start/1/x", "F/17/start/10/x", "F/17/start/2-node-1/x",
        "F/17/start/_meta/x", "F/17/start/.mf-1-1.tmp/x", "F/17/start/1;reboot/x", "F/17/start/--wrap/x",
        "F/17/a step/1/x", "F/17/step-1/1/x", "F/17/größe/1/x", "F/17/file"})
    put(store.storage(), path, "");
  EXPECT_THAT(store.steps("17"), ElementsAre("_parameters", "größe", "start"));
  EXPECT_THAT(store.tasks("17", "start"), ElementsAre("1", "10", "2-node-1"));
  EXPECT_TRUE(store.has_run("17"));
  EXPECT_FALSE(store.has_run("17/start"));
  EXPECT_FALSE(store.has_run("../17"));
}

TEST(FlowStore, NumericTaskIdsAreSortedByValueBeforeOthers) {
  // An inconsistent comparison would give a different result for each input order.
  std::vector<std::string> tasks{"10", "10-node-1", "9", "9-node-2", "100"};
  std::sort(tasks.begin(), tasks.end());
  do {
    FlowStore store(std::make_shared<ListedAsPut>(tasks), "F");
    EXPECT_THAT(store.tasks("17", "work"), ElementsAre("9", "10", "100", "10-node-1", "9-node-2"));
  } while (std::next_permutation(tasks.begin(), tasks.end()));
}

std::string gzip(std::string text) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY), Z_OK);
  std::string packed(text.size() + 100, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(text.data());
  stream.avail_in = static_cast<unsigned>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<unsigned>(packed.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

TEST(FlowStore, PackedValueMustNotExceedItsRecordedSize) {
  FlowStore store(std::make_shared<MemoryStorage>(), "F");
  const std::string key(40, 'a');
  put(store.storage(), "F/data/aa/" + key, gzip(std::string(1'000'000, 'x')));
  auto failure = [&](std::uint64_t recorded) -> std::string {
    try {
      return std::to_string(store.load_value(key, recorded, "v").size());
    } catch (const Error& error) {
      return error.what();
    }
  };
  EXPECT_EQ(failure(1'000'000), "1000000");
  EXPECT_THAT(failure(999'999), EndsWith("A gzip blob unpacks to more than 999999 bytes"));
  EXPECT_THAT(failure(24), EndsWith("more than 24 bytes"));
  EXPECT_EQ(failure(0), "1000000") << "without a recorded size";
  ::setenv("METAFLOW_MAX_UNPACKED_SIZE", "1000", 1);
  EXPECT_THAT(failure(0), HasSubstr("set METAFLOW_MAX_UNPACKED_SIZE to a number of bytes"));
  ::unsetenv("METAFLOW_MAX_UNPACKED_SIZE");
}

}  // namespace
}  // namespace metaflow::store
