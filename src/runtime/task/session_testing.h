// The environment of tests of a task's session: a store in memory, a flow as data, and artifacts that are texts.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/task/session.h"
#include "store/memory/memory_storage.h"
#include "store/stored_artifact.h"
#include "value/unpickler.h"

namespace metaflow::runtime {

/// Counts its operations.
class CountingStorage : public store::MemoryStorage {
 public:
  std::vector<std::optional<base::SharedBytes>> get(std::span<const std::string> paths) override {
    reads += paths.empty() ? 0 : 1;
    return MemoryStorage::get(paths);
  }
  void put(std::span<const store::Object> objects) override {
    if (broken) throw Error(ErrorCode::data_store, "no space left");
    MemoryStorage::put(objects);
  }
  std::string save_blob(const std::string& directory, store::Pieces content, int spool_file) override {
    if (broken) throw Error(ErrorCode::data_store, "no space left");
    ++blobs;
    return MemoryStorage::save_blob(directory, content, spool_file);
  }
  int reads = 0;
  int blobs = 0;
  bool broken = false;
};

/// The flow start -> work (foreach over items) -> join -> again (which may repeat itself) -> end; all steps have these
/// artifacts.
class SessionTest : public testing::Test {
 protected:
  enum Artifact : std::size_t { kItems, kResult, kWord };

  SessionTest() {
    flow_.name = "F";
    flow_.steps = {{.name = "start", .transition = detail::Transition::foreach, .targets = {1}, .variable = "items"},
                   {.name = "work", .transition = detail::Transition::linear, .targets = {2}, .takes_item = true},
                   {.name = "join", .transition = detail::Transition::linear, .targets = {3}, .join = true},
                   {.name = "again",
                    .transition = detail::Transition::choose,
                    .targets = {3, 4},
                    .cases = {"more", "enough"},
                    .variable = "word"},
                   {.name = "end"}};
    flow_.artifacts = {
        {.name = "items"}, {.name = "result", .kind = detail::ArtifactKind::parameter}, {.name = "word"}};
    arguments_.run = "17";
  }

  template <class T>
  store::ArtifactRecord stored(const std::string& name, const T& value) {
    return store::save_value(*store_, name, [&](detail::Pickler& out) { detail::encode(out, value); });
  }
  /// Writes the result of a finished task of another step.
  store::TaskRef leave(const std::string& step, const std::string& task, store::TaskData data) {
    const store::TaskRef ref{"17", step, task};
    std::sort(data.artifacts.begin(), data.artifacts.end(),
              [](const auto& a, const auto& b) { return a.name < b.name; });
    store_->begin_attempt(ref, data.attempt, 0);
    store_->write_data(ref, data);
    store_->mark_done(ref, data.attempt);
    return ref;
  }
  /// Writes a finished task of `start` whose foreach goes over these items.
  store::TaskRef leave_split(const std::vector<std::string>& items) {
    store::TaskData data;
    data.artifacts = {stored("items", items), stored("word", std::string("before"))};
    data.next = {"work"};
    data.splits = items.size();
    data.items = {{"items", data.artifacts[0].key, data.artifacts[0].size, ""}};
    return leave("start", "1", data);
  }

  std::unique_ptr<TaskSession> make(const std::string& step, std::vector<store::TaskRef> inputs) {
    arguments_.step = step;
    arguments_.task = "9";
    arguments_.inputs = std::move(inputs);
    return std::make_unique<TaskSession>(flow_, table_, store_, arguments_,
                                         std::vector<std::string>{"items", "result", "word"});
  }
  std::unique_ptr<TaskSession> open(const std::string& step, std::vector<store::TaskRef> inputs) {
    auto session = make(step, std::move(inputs));
    session->open();
    return session;
  }
  static std::string read(TaskSession& session, std::size_t artifact) {
    session.read(std::span(&artifact, 1));
    return value::read_pickle(session.payload(artifact)).as<std::string>();
  }
  template <class T>
  static bool save(TaskSession& session, std::size_t artifact, const T& value) {
    detail::Pickler pickler;
    detail::encode(pickler, value);
    pickler.finish();
    return session.save(artifact, {.parts = pickler.parts(), .type = pickler.type()});
  }
  /// The result of the task that was opened.
  store::TaskData left(int attempt = 0) { return *store_->read_attempt({"17", arguments_.step, "9"}, attempt); }
  template <class T = std::string>
  T value_of(const store::TaskData& data, std::string_view name) {
    return store::StoredArtifact(store_, *data.find(name)).read().as<T>();
  }

  detail::FlowDescription flow_;
  graph::DecoratorTable table_{graph::core_decorators()};
  std::shared_ptr<CountingStorage> storage_ = std::make_shared<CountingStorage>();
  std::shared_ptr<store::FlowStore> store_ = std::make_shared<store::FlowStore>(storage_, "F");
  compute::StepArguments arguments_;
};

/// The message of the Error of this code that `f` throws.
template <class F>
std::string error_message(ErrorCode code, F f) {
  try {
    f();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code);
    return error.what();
  }
  ADD_FAILURE() << "no Error was thrown";
  return {};
}

}  // namespace metaflow::runtime
