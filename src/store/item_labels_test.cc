#include "store/item_labels.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "base/text.h"
#include "store/memory/memory_storage.h"
#include "value/testing.h"

namespace metaflow::store {
namespace {

template <class T>
std::string label(const T& item) {
  return item_label(value::read(value::pickled(item)).root());
}

TEST(ItemLabels, LabelOfAnItem) {
  EXPECT_EQ(label(17), "17");
  EXPECT_EQ(label(0.5), "0.5");
  EXPECT_EQ(label(std::string("south")), "south");
  EXPECT_EQ(label(std::map<std::string, double>{{"alpha", 0.3}, {"beta", 2}}), "alpha=0.3, beta=2.0");
  EXPECT_EQ(label(std::map<int, int>{{1, 2}}), "{1: 2}") << "not a struct";
  EXPECT_EQ(label(std::vector<int>{1, 2}), "[1, 2]");
}

TEST(ItemLabels, LongLabelsAreCutBetweenCharacters) {
  EXPECT_EQ(label(std::string("/data/projects/harvest/2026/north.csv")), "/data/project...2026/north.csv")
      << "names of files differ at their ends";
  std::string umlauts;
  for (int i = 0; i < 40; ++i) umlauts += "\u00e4";
  EXPECT_EQ(base::characters(label(umlauts)), kLabelCharacters);
  EXPECT_EQ(base::characters(label(std::vector<int>(100, 7))), kLabelCharacters);
  EXPECT_EQ(own_label("a\xff"), "a\uFFFD");
}

TEST(ItemLabels, LabelsOfAForeach) {
  const ItemLabels labels(value::read(value::pickled(std::vector<std::string>{"a", "", "ccc"})).root());
  EXPECT_EQ(labels.of(0), "a");
  EXPECT_EQ(labels.of(1), "");
  EXPECT_EQ(labels.of(2), "ccc");
  EXPECT_EQ(labels.of(3), "");
}

TEST(ItemLabels, UnreadableLabelsAreNone) {
  const FlowStore store(std::make_shared<MemoryStorage>(), "F");
  const std::string payload = value::pickled(std::vector<std::string>{"a"});
  const ArtifactRecord record{"_foreach_values", "k", payload.size(), ""};
  EXPECT_EQ(read_labels(store, record, base::SharedBytes(payload))->of(0), "a");
  EXPECT_EQ(read_labels(store, record, base::SharedBytes(std::string(payload.size(), 'x'))), nullptr);
  EXPECT_EQ(read_labels(store, record, std::nullopt), nullptr);
  TaskData data;
  data.artifacts = {record};
  data.splits = 1;
  EXPECT_NE(labels_record(data), nullptr);
  data.artifacts[0].size = ItemLabels::kMostBytes + 1;
  EXPECT_EQ(labels_record(data), nullptr) << "a scheduler does not load a list of any length";
}

}  // namespace
}  // namespace metaflow::store
