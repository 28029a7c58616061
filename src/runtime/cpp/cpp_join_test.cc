#include "runtime/cpp/cpp_join.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include <metaflow/flow.h>

#include "store/memory/memory_storage.h"
#include "store/stored_artifact.h"

namespace metaflow::runtime {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

struct Walked : FlowSpec<Walked> {
  Parameter<int> seed{{.value = 7, .help = ""}};
  std::vector<int> items;
  int value = 0;
  int other = 0;
  std::string text;
  Lazy<std::vector<double>> lazy;

  void start() {}
  void work(int) {}
  void join(const Inputs<Walked>&) {}
  void end() {}
  static auto graph() {
    using W = Walked;
    return metaflow::graph(step<&W::start>(foreach<&W::items, &W::work>), step<&W::work>(next<&W::join>),
                           step<&W::join>(next<&W::end>), step<&W::end>());
  }
};

/// Records how many blobs are read together.
class RecordingStorage : public store::MemoryStorage {
 public:
  std::vector<std::optional<base::SharedBytes>> get(std::span<const std::string> paths) override {
    if (!paths.empty() && paths[0].find("/data/") != std::string::npos) together.push_back(paths.size());
    auto found = MemoryStorage::get(paths);
    for (std::size_t i = 0; i < found.size(); ++i) {
      if (paths[i] == lost) found[i].reset();
    }
    return found;
  }
  std::vector<std::size_t> together;
  std::string lost;
};

class JoinTest : public testing::Test {
 protected:
  JoinTest()
      : storage_(std::make_shared<RecordingStorage>()), store_(std::make_shared<store::FlowStore>(storage_, "Walked")) {
    for (const auto& member : own_.members()) names_.emplace_back(member.name);
  }

  template <class T>
  store::ArtifactRecord saved(const std::string& name, const T& value) {
    return store::save_value(*store_, name, [&](detail::Pickler& pickler) { detail::encode(pickler, value); });
  }
  /// Input i has the values i and -i, and a text of `bytes` bytes.
  detail::InputsCore& inputs(int count, std::size_t bytes = 1) {
    std::vector<store::TaskRef> tasks;
    for (int i = 0; i < count; ++i) {
      store::TaskData data;
      store::ArtifactRecord lazy = saved("lazy", std::vector<double>(3, i));
      lazy.size = 1ULL << 30;  // it is never read
      data.artifacts = {lazy, saved("other", -i), saved("seed", 7),
                        saved("text", std::string(bytes, static_cast<char>('a' + i % 26)) + std::to_string(i)),
                        saved("value", i)};
      tasks.push_back({"1", "work", std::to_string(2 + i)});
      store_->begin_attempt(tasks.back(), 0, 0);
      store_->write_data(tasks.back(), data);
      store_->mark_done(tasks.back(), 0);
    }
    inputs_ = std::make_unique<JoinInputs>(names_, store_, std::move(tasks), store::TaskData{});
    join_ = std::make_unique<CppJoin>(detail::kFlowTable<Walked>, *inputs_, store_, own_);
    storage_->together.clear();
    return *join_;
  }

  std::shared_ptr<RecordingStorage> storage_;
  std::shared_ptr<store::FlowStore> store_;
  std::vector<std::string> names_;  // of the members
  FlowObject own_{detail::kFlowTable<Walked>};
  std::unique_ptr<JoinInputs> inputs_;
  std::unique_ptr<CppJoin> join_;
};

TEST_F(JoinTest, IteratingReadsAhead) {
  detail::InputsCore& core = inputs(20);
  int sum = 0;
  for (const int value : Inputs<Walked>(core).each(&Walked::value)) sum += value;
  EXPECT_EQ(sum, 190);
  EXPECT_THAT(storage_->together, ElementsAre(1, 2, 4, 8, 5));
}

TEST_F(JoinTest, ReadsAheadAllMembersThatAreNotLazy) {
  detail::InputsCore& core = inputs(7);
  int seen = 0;
  for (const Walked& input : Inputs<Walked>(core)) {
    EXPECT_EQ(input.value, seen);
    EXPECT_EQ(input.other, -seen);
    EXPECT_EQ(input.text, std::string(1, static_cast<char>('a' + seen)) + std::to_string(seen));
    EXPECT_EQ(*input.seed, 7);
    ++seen;
  }
  EXPECT_EQ(seen, 7);
  // The first read fetches three values (0 and -0 are one) and the parameter, which all inputs share.
  EXPECT_THAT(storage_->together, ElementsAre(3, 6, 12));
}

TEST_F(JoinTest, IndexingReadsOneInput) {
  detail::InputsCore& core = inputs(20);
  const Inputs<Walked> inputs(core);
  EXPECT_EQ(inputs[0].value, 0);
  EXPECT_EQ(inputs[11].value, 11);
  EXPECT_EQ(inputs[4].value, 4);
  EXPECT_THAT(storage_->together, ElementsAre(3, 3, 3));
}

TEST_F(JoinTest, ReadsAheadNoMoreThanFitsInMemory) {
  detail::InputsCore& core = inputs(6, 15'000'000);
  for (int times = 0; times < 2; ++times) {
    std::size_t bytes = 0;
    for (const std::string& text : Inputs<Walked>(core).each(&Walked::text)) bytes += text.size();
    EXPECT_EQ(bytes, 6 * 15'000'001U);
    EXPECT_THAT(std::exchange(storage_->together, {}), ElementsAre(1, 2, 2, 1));
  }
}

TEST_F(JoinTest, MissingValueOfALaterInputDoesNotFailAnEarlierOne) {
  detail::InputsCore& core = inputs(4);
  const std::string key = saved("value", 2).key;
  storage_->lost = store::blob_path(store_->blob_directory(), key);
  std::vector<int> seen;
  std::string error;
  try {
    for (const int value : Inputs<Walked>(core).each(&Walked::value)) seen.push_back(value);
  } catch (const Error& missing) {
    error = missing.what();
  }
  EXPECT_THAT(seen, ElementsAre(0, 1));
  EXPECT_THAT(error, HasSubstr("The value of 'value' is not in the store: blob " + key));
}

}  // namespace
}  // namespace metaflow::runtime
