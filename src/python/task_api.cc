#include "python/task_api.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <metaflow/error.h>

#include "base/format.h"
#include "base/json.h"
#include "base/text.h"
#include "compute/platform.h"
#include "python/c_errors.h"
#include "python/described_flow.h"
#include "python/secret.h"
#include "runtime/task/session.h"
#include "runtime/task/task_process.h"
#include "store/foreach.h"
#include "store/task_data.h"

using metaflow::Error;
using metaflow::ErrorCode;
using metaflow::base::Json;
using metaflow::base::SharedBytes;
using metaflow::python::guarded;

/// A flow that has been read: forked processes share it.
struct metaflow_flow {
  metaflow::python::DescribedFlow described;
  const metaflow::graph::DecoratorTable& decorators;
};

/// One task. A process has one.
struct metaflow_task {
  metaflow_task(const metaflow_flow& flow, const metaflow::compute::StepArguments& step_arguments)
      : arguments(step_arguments),
        session(flow.described.flow, flow.decorators,
                metaflow::runtime::open_task_store(flow.described.flow.name, arguments), arguments, {}) {}

  metaflow::compute::StepArguments arguments;
  metaflow::runtime::TaskSession session;
  std::string facts;
  std::vector<SharedBytes> kept;  // payloads that Python may refer to
};

namespace {

metaflow_bytes view_of(metaflow_task& task, SharedBytes payload) {
  task.kept.push_back(std::move(payload));
  const auto bytes = task.kept.back().bytes();
  return {bytes.data(), bytes.size()};
}

metaflow_bytes load_range(metaflow_task& task, const metaflow::store::ItemSource& range) {
  return view_of(task, task.session.store()->load_value(range.key, range.size, range.variable));
}

/// The item alone, and true; or the payload of the range.
std::pair<metaflow_bytes, bool> read_item_or_range(metaflow_task& task, const metaflow::store::ItemSource& range,
                                                   std::size_t index) {
  if (auto item = metaflow::store::read_separate_item(*task.session.store(), range, index))
    return {view_of(task, std::move(*item)), true};
  return {load_range(task, range), false};
}

std::optional<metaflow::store::ArtifactRecord> record_of(metaflow::runtime::TaskSession& session, std::int64_t input,
                                                         std::size_t artifact) {
  if (const auto* inputs = session.inputs()) {
    if (input < 0 || !inputs->has(static_cast<std::size_t>(input), artifact)) return std::nullopt;
    return inputs->record(static_cast<std::size_t>(input), artifact);
  }
  const auto* record = session.record(artifact);
  if (input >= 0 || record == nullptr) return std::nullopt;
  return *record;
}

/// A payload to which nothing else refers: neither the session nor another artifact with the same value.
SharedBytes own_payload(metaflow::runtime::TaskSession& session, std::int64_t input, std::size_t artifact,
                        const metaflow::store::ArtifactRecord& record) {
  constexpr std::uint64_t kMappedFrom = 64 << 20;  // of objects in S3
  auto* const inputs = session.inputs();
  const bool is_mapped = session.store()->storage().type() == "local" || record.size > kMappedFrom;
  if (inputs == nullptr || is_mapped) return session.store()->load_value(record.key, record.size, record.name);
  // A join over many inputs reads ahead.
  const auto which = static_cast<std::size_t>(input);
  inputs->prepare(which, std::span(&artifact, 1));
  return SharedBytes(std::string(inputs->read(which, artifact).text()));
}

Json facts_of(metaflow_task& task) {
  const metaflow::Current& current = metaflow::runtime::current_task()->current;
  Json frames = Json::list();
  for (const auto& frame : current.foreach_stack) {
    frames.push_back({{"step", frame.step},
                      {"variable", frame.variable},
                      {"count", frame.num_splits},
                      {"index", frame.index},
                      {"label", frame.value}});
  }
  std::vector<std::string> inputs;
  if (const auto* join = task.session.inputs()) {
    for (const auto& input : join->tasks()) inputs.push_back(input.path());
  }
  return {{"flow", current.flow_name},
          {"run", current.run_id},
          {"step", current.step_name},
          {"task", current.task_id},
          {"attempt", current.retry_count},
          {"origin_run", current.origin_run_id},
          {"namespace", current.namespace_},
          {"user", current.username},
          {"tags", current.tags},
          {"frames", frames},
          {"inputs", inputs},
          {"artifacts", task.session.artifacts()},
          {"time_limit", task.session.time_limit()},
          {"catches", task.session.catches()},
          {"project", current.project_name},
          {"project_flow", current.project_flow_name},
          {"branch", current.branch_name},
          {"is_user_branch", current.is_user_branch},
          {"is_production", current.is_production}};
}

}  // namespace

std::string& metaflow::python::last_error() {
  thread_local std::string text;
  return text;
}

int metaflow_api_version(void) { return METAFLOW_TASK_API_VERSION; }

const char* metaflow_error(void) { return metaflow::python::last_error().c_str(); }

const char* metaflow_aws_secret(const char* id, const char* region, const char* role) {
  static std::string answer;
  return guarded(static_cast<const char*>(nullptr), [&] {
    answer = metaflow::python::get_aws_secret(id, region, role);
    return answer.c_str();
  });
}

metaflow_flow* metaflow_flow_read(const char* description, size_t size) {
  return guarded(static_cast<metaflow_flow*>(nullptr), [&] {
    const auto& decorators = metaflow::compute::platforms().decorators();
    SharedBytes text{std::string(description, size)};
    return new metaflow_flow{metaflow::python::read_description(std::move(text), decorators), decorators};
  });
}

metaflow_task* metaflow_task_open(const metaflow_flow* flow, int argc, const char* const* argv) {
  return guarded(static_cast<metaflow_task*>(nullptr), [&] {
    std::vector<std::string> words{"python"};
    words.insert(words.end(), argv, argv + argc);
    std::vector<char*> pointers;
    for (std::string& word : words) pointers.push_back(word.data());
    const auto arguments = metaflow::compute::parse_step_arguments(static_cast<int>(pointers.size()), pointers.data());
    metaflow::runtime::prepare_task_process(arguments.step);
    auto task = std::make_unique<metaflow_task>(*flow, arguments);
    task->session.take_all_artifacts();
    task->session.leave_timeout_to_step();
    task->session.open();
    return task.release();
  });
}

void metaflow_task_close(metaflow_task* task) { delete task; }

int metaflow_task_begin(metaflow_task* task, metaflow_read_item read_item) {
  return guarded(-1, [&] {
    task->session.frames().set_item_reader(
        [&](const metaflow::store::ItemSource& range, std::size_t index) -> std::string {
          std::array<char, 4096> label{};
          const auto [payload, is_alone] = read_item_or_range(*task, range, index);
          if (read_item(payload.data, payload.size, is_alone ? -1 : static_cast<std::int64_t>(index), label.data(),
                        label.size()) != 0)
            throw Error(ErrorCode::data_missing,
                        fmt::format("Item {} of artifact '{}' could not be read", index, range.variable));
          return label.data();
        });
    return task->session.begin() ? 1 : 0;
  });
}

const char* metaflow_task_facts(metaflow_task* task) {
  return guarded(static_cast<const char*>(nullptr), [&] {
    task->facts = facts_of(*task).dump();
    return task->facts.c_str();
  });
}

int metaflow_task_cpus(void) {
  return guarded(-1, [] { return static_cast<int>(metaflow::Current().cpus()); });
}

int metaflow_task_item(metaflow_task* task, size_t level, metaflow_bytes* into) {
  return guarded(-1, [&] {
    const auto& current = *metaflow::runtime::current_task();
    const auto [payload, is_alone] =
        read_item_or_range(*task, current.items.at(level), current.current.foreach_stack.at(level).index);
    *into = payload;
    return is_alone ? 1 : 0;
  });
}

int metaflow_task_load(metaflow_task* task, const char* name, metaflow_bytes* into) {
  return guarded(-1, [&] {
    const std::size_t artifact = task->session.artifact(name);
    if (task->session.inputs() != nullptr || task->session.record(artifact) == nullptr) return 0;
    task->session.read(std::span(&artifact, 1));
    const auto bytes = task->session.payload(artifact).bytes();
    *into = {bytes.data(), bytes.size()};
    return 1;
  });
}

int metaflow_task_graph(metaflow_task* task, metaflow_bytes* into) {
  return guarded(-1, [&] {
    const auto* record = task->session.input_record("_graph_info");
    if (record == nullptr) return 0;
    *into = view_of(*task, task->session.store()->load_value(record->key, record->size, record->name));
    return 1;
  });
}

int metaflow_task_load_input(metaflow_task* task, size_t input, const char* name, metaflow_bytes* into) {
  return guarded(-1, [&] {
    metaflow::runtime::JoinInputs& inputs = *task->session.inputs();
    const std::size_t artifact = task->session.artifact(name);
    if (!inputs.has(input, artifact)) return 0;
    inputs.prepare(input, std::span(&artifact, 1));
    *into = view_of(*task, inputs.read(input, artifact));
    return 1;
  });
}

int metaflow_task_own(metaflow_task* task, int64_t input, const char* name, metaflow_bytes* into) {
  return guarded(-1, [&] {
    auto& session = task->session;
    const std::size_t artifact = session.artifact(name);
    const auto record = record_of(session, input, artifact);
    if (!record || record->size < METAFLOW_LARGE_VALUE) return 0;
    *into = view_of(*task, own_payload(session, input, artifact, *record));
    const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
    const auto begin = reinterpret_cast<std::uintptr_t>(into->data) / page * page;
    const std::size_t size = reinterpret_cast<std::uintptr_t>(into->data) + into->size - begin;
    if (::mprotect(reinterpret_cast<void*>(begin), size, PROT_READ | PROT_WRITE) != 0)
      throw Error(ErrorCode::out_of_memory,
                  fmt::format("Artifact '{}' cannot be made writable: {}", name, std::strerror(errno)));
    return 1;
  });
}

void metaflow_task_release(metaflow_task* task, const void* data) {
  auto& kept = task->kept;
  const auto found = std::find_if(kept.rbegin(), kept.rend(),
                                  [&](const SharedBytes& payload) { return payload.bytes().data() == data; });
  if (found != kept.rend()) kept.erase(std::next(found).base());
}

int metaflow_task_input_has(metaflow_task* task, size_t input, const char* name) {
  return guarded(-1, [&] { return task->session.inputs()->has(input, task->session.artifact(name)) ? 1 : 0; });
}

int64_t metaflow_task_merge(metaflow_task* task, const char* name) {
  return guarded(std::int64_t{-3}, [&] {
    const metaflow::runtime::JoinInputs& inputs = *task->session.inputs();
    const std::size_t artifact = task->session.artifact(name);
    std::int64_t found = -1;
    std::string key;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (!inputs.has(i, artifact)) continue;
      const std::string other = inputs.record(i, artifact).key;
      if (found >= 0 && other != key) return std::int64_t{-2};
      if (found < 0) found = static_cast<std::int64_t>(i);
      key = other;
    }
    return found;
  });
}

int metaflow_task_save(metaflow_task* task, const char* name, const metaflow_bytes* parts, size_t count,
                       const char* type) {
  return guarded(-1, [&] {
    std::vector<std::span<const std::byte>> pieces;
    for (size_t i = 0; i < count; ++i) pieces.emplace_back(static_cast<const std::byte*>(parts[i].data), parts[i].size);
    return task->session.save(task->session.artifact(name), {.parts = pieces, .type = type}) ? 1 : 0;
  });
}

int metaflow_task_keep(metaflow_task* task, const char* name) {
  return guarded(-1, [&] {
    task->session.keep(task->session.artifact(name));
    return 0;
  });
}

int metaflow_task_keep_input(metaflow_task* task, size_t input, const char* name) {
  return guarded(-1, [&] {
    const std::size_t artifact = task->session.artifact(name);
    task->session.refer(artifact, task->session.inputs()->carried_from(input, artifact));
    return 0;
  });
}

int metaflow_task_caught(metaflow_task* task, const char* type, const char* message, const char* report) {
  return guarded(-1, [&] {
    task->session.end();
    task->session.catch_failure({type, message, report});
    return 0;
  });
}

int metaflow_task_fail(metaflow_task* task, const char* type, const char* message, const char* report) {
  return guarded(-1, [&] {
    task->session.fail({.type = type, .message = message, .stack = {}, .report = report});
    return 0;
  });
}

int metaflow_task_split(metaflow_task* task, size_t count, const char* const* labels, const char* items,
                        const size_t* sizes) {
  return guarded(-1, [&] {
    metaflow::runtime::FanOut fan_out{count, {labels, labels + count}};
    if (items != nullptr) {
      fan_out.sizes.assign(sizes, sizes + count);
      fan_out.items.assign(items, std::accumulate(sizes, sizes + count, std::size_t{0}));
    }
    task->session.fan_out(std::move(fan_out));
    return 0;
  });
}

int metaflow_task_finish(metaflow_task* task, int chosen) {
  return guarded(-1, [&] {
    task->session.finish(chosen);
    return 0;
  });
}
