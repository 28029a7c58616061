#include "runtime/run_testing.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <filesystem>

#include "base/format.h"
#include "base/text.h"
#include "runtime/testing.h"
#include "store/mflog.h"

namespace metaflow::runtime {

using compute::Attempt;
using compute::AttemptId;
using detail::Transition;
using store::TaskData;
using store::TaskRef;

namespace {

constexpr int kMostTurns = 50'000;  // limit for a run that never ends

/// A shared_ptr that does not own the storage.
std::shared_ptr<store::Storage> unowned(store::Storage& storage) { return {std::shared_ptr<void>(), &storage}; }

TaskRef ref_of(const Attempt& attempt) { return {attempt.step.run, attempt.step.step, attempt.step.task}; }

std::string name_of(const Attempt& attempt) {
  return fmt::format("{}/{}/{}", attempt.step.step, attempt.step.task, attempt.step.retry_count);
}

}  // namespace

const graph::TestGraph& linear_graph() {
  static const graph::TestGraph graph{{"start", Transition::linear, {1}}, {"work", Transition::linear, {2}}, {"end"}};
  return graph;
}

const graph::TestGraph& branches_graph() {
  static const graph::TestGraph graph{{"start", Transition::split, {1, 2}},
                                      {"a", Transition::linear, {3}},
                                      {"b", Transition::linear, {3}},
                                      {"join", Transition::linear, {4}, true},
                                      {"end"}};
  return graph;
}

const graph::TestGraph& fan_out_graph() {
  static const graph::TestGraph graph{{"start", Transition::foreach, {1}},
                                      {"work", Transition::linear, {2}},
                                      {"join", Transition::linear, {3}, true},
                                      {"end"}};
  return graph;
}

const graph::TestGraph& nested_graph() {
  static const graph::TestGraph graph{{"start", Transition::foreach, {1}},
                                      {"outer", Transition::foreach, {2}},
                                      {"inner", Transition::linear, {3}},
                                      {"join_inner", Transition::linear, {4}, true},
                                      {"join_outer", Transition::linear, {5}, true},
                                      {"end"}};
  return graph;
}

AttemptPlan succeeds() {
  AttemptPlan plan;
  plan.verdict.exited = plan.verdict.exited_with_zero = true;
  plan.left.emplace();
  return plan;
}

AttemptPlan throws(const std::string& what) {
  AttemptPlan plan;
  plan.verdict.exited = true;
  plan.verdict.cause = "Task ended with exit status 1 before its step was finished.";
  plan.left.emplace();
  plan.left->ok = false;
  plan.left->failure = what;
  return plan;
}

AttemptPlan dies(const std::string& cause) {
  AttemptPlan plan;
  plan.verdict.cause = cause;
  return plan;
}

AttemptPlan is_lost(int uncounted) {
  AttemptPlan plan = dies("The machine was lost.");
  plan.verdict.uncounted = uncounted;
  return plan;
}

// --- recorders

void RecordingMetadata::new_step(const std::string& run, const std::string& step) {
  lines.push_back(fmt::format("{}/{}", run, step));
}

void RecordingMetadata::attempt_begins(const TaskRef& task, int attempt) {
  lines.push_back(fmt::format("{} attempt {} begins", task.path(), attempt));
}

void RecordingMetadata::attempt_ends(const TaskRef& task, int attempt, bool ok) {
  lines.push_back(fmt::format("{} attempt {} {}", task.path(), attempt, ok ? "succeeded" : "failed"));
}

void RecordingMetadata::add_fields(const TaskRef& task, int attempt, const std::vector<store::Field>& fields) {
  for (const store::Field& field : fields)
    lines.push_back(fmt::format("{} attempt {} {}={}", task.path(), attempt, field.name, field.value));
}

void RecordingMetadata::add_artifacts(const TaskRef& task, const TaskData& data, std::int64_t /*finished*/) {
  lines.push_back(fmt::format("{} attempt {} artifacts", task.path(), data.attempt));
}

void RecordingMetadata::clone_artifacts(const TaskRef& task, const TaskRef& origin, const TaskData& /*data*/,
                                        std::int64_t /*finished*/) {
  lines.push_back(fmt::format("{} artifacts of {}", task.path(), origin.path()));
}

void RecordingReporter::print(const ReportLine& line) {
  lines.push_back(line.task.empty() ? std::string(line.text) : fmt::format("[{}] {}", line.task, line.text));
}

void RecordingReporter::emit(const Event& event) {
  events.push_back(fmt::format("{}{}", event.name(), event.fields()));
}

std::size_t RecordingReporter::count(std::string_view end) const {
  return static_cast<std::size_t>(
      std::count_if(lines.begin(), lines.end(), [&](const std::string& line) { return line.ends_with(end); }));
}

// --- the backend

ScriptedBackend::ScriptedBackend(RunWorld& world) : world_(world) {}

void ScriptedBackend::submit(const Attempt& attempt) {
  const std::string name = name_of(attempt);
  asked.push_back("submit " + name);
  EXPECT_TRUE(submitted.emplace(name, attempt).second) << name << " is executed twice";
  EXPECT_FALSE(world_.run->stopping()) << name << " starts after the run was stopped";
  EXPECT_LT(running_.size(), world_.options.max_workers);
  const std::vector<TaskRef> inputs = attempt.step.inputs_stored
                                          ? compute::unpack_inputs(world_.direct.read_inputs(ref_of(attempt)))
                                          : attempt.step.inputs;
  EXPECT_FALSE(inputs.empty());
  for (const TaskRef& input : inputs)
    EXPECT_TRUE(world_.direct.read_done(input)) << name << " starts before " << input.path() << " is committed";

  AttemptPlan plan = this->plan ? this->plan(attempt) : succeeds();
  if (!timers_) timers_.emplace(world_.loop);
  const AttemptId id = attempt.id;
  running_.emplace(id, Running{attempt, plan});
  timers_->after(plan.takes, [this, id] {
    if (const auto found = running_.find(id); found != running_.end()) finish(id, AttemptPlan(found->second.plan));
  });
  if (plan.starts) world_.run->on_started(id, fmt::format("pid {}", id));
}

void ScriptedBackend::finish(AttemptId id, const AttemptPlan& plan) {
  const Attempt attempt = running_.at(id).attempt;
  const std::string name = name_of(attempt);
  if (!plan.output.empty()) world_.run->on_output(id, store::Stream::out, plan.output);
  compute::Verdict verdict = plan.verdict;
  if (plan.left) {
    const TaskData data = data_of(attempt, *plan.left);
    world_.direct.write_data(ref_of(attempt), data);
    if (verdict.committed) {
      world_.direct.begin_attempt(ref_of(attempt), attempt.step.retry_count, world_.clock.now);
      world_.direct.mark_done(ref_of(attempt), attempt.step.retry_count);
    }
    if (verdict.data_read) verdict.data = std::make_shared<const TaskData>(data);
    if (verdict.exited_with_zero && data.ok) succeeded.insert(name);
  }
  running_.erase(id);
  ended.insert(name);
  world_.run->on_finished(id, verdict);
}

/// The data.json of a task: the next steps, and its place.
TaskData ScriptedBackend::data_of(const Attempt& attempt, TaskData data) const {
  const graph::Step& step = world_.graph.step(world_.graph.find(attempt.step.step));
  data.attempt = attempt.step.retry_count;
  data.has_details = true;
  if (data.next.empty()) {
    for (const int next : step.next) data.next.push_back(world_.graph.step(next).name);
  }
  if (step.transition == Transition::foreach && data.ok && !data.splits) {
    const auto found = world_.items.find(step.name);
    data.splits = found == world_.items.end() ? 3 : found->second;
  }
  const std::vector<TaskRef> inputs = attempt.step.inputs_stored
                                          ? compute::unpack_inputs(world_.direct.read_inputs(ref_of(attempt)))
                                          : attempt.step.inputs;
  data.place = world_.direct.read_done(inputs.front())->place;
  if (attempt.step.split_index) data.place.push_back(*attempt.step.split_index);
  const int split = attempt.step.split.empty() ? -1 : world_.graph.find(base::split(attempt.step.split, '/')[1]);
  if (split >= 0 && world_.graph.step(split).transition == Transition::foreach) data.place.pop_back();
  return data;
}

void ScriptedBackend::stop(std::span<const AttemptId> attempts, compute::Stop how) {
  const bool force = how == compute::Stop::force;
  for (const AttemptId id : attempts) {
    asked.push_back(fmt::format("{} {}", force ? "force" : "ask", id));
    const auto found = running_.find(id);
    if (found == running_.end() || (force ? found->second.plan.ignores_force : found->second.plan.ignores_asking))
      continue;
    timers_->after(force ? 0 : found->second.plan.stops_after, [this, id, force] {
      if (!running_.contains(id)) return;
      finish(id, dies(fmt::format("Task was killed by {}.", force ? "SIGKILL" : "SIGTERM")));
    });
  }
}

void ScriptedBackend::end(compute::Stop how) {
  asked.push_back(how == compute::Stop::ask ? "end" : "end at once");
  timers_.reset();
  running_.clear();
}

// --- the run

RunWorld::RunWorld(const graph::Graph& graph)
    : graph(graph),
      loop(clock),
      direct(unowned(disk), "F"),
      storage(disk),
      store(unowned(storage), "F"),
      backend(*this),
      began_(clock.now),
      wakes_(::eventfd(1, EFD_CLOEXEC)) {
  std::string name = testing::TempDir() + "run_XXXXXX";
  directory_ = ::mkdtemp(name.data());
  options.command = "./f";
  storage.on_put = [this](const std::string& path) {
    const std::vector<std::string> parts = base::split(path, '/');  // F/17/work/3/0.DONE.lock
    if (parts.size() != 5 || !parts[4].ends_with(".DONE.lock")) return;
    const std::string attempt = fmt::format("{}/{}/{}", parts[2], parts[3], parts[4].substr(0, 1));
    EXPECT_TRUE(backend.ended.contains(attempt)) << attempt << " is committed while it is running";
    EXPECT_EQ(storage.puts[path], 0) << attempt << " is committed twice";
  };
}

RunWorld::~RunWorld() { std::filesystem::remove_all(directory_); }

/// The loop never sleeps: a descriptor is always readable, and the clock jumps to the next timer.
void RunWorld::turn() {
  if (++turns_ > kMostTurns) throw std::logic_error("the run does not end");
  if (on_turn) on_turn(turns_);
  if (const auto deadline = loop.next_deadline()) clock.now = std::max(clock.now, *deadline);
}

RunResult RunWorld::execute(const std::string& id, const std::string& origin) {
  RunResult result;
  turns_ = 0;
  backend.asked.clear();
  backend.ended.clear();
  backend.succeeded.clear();
  backend.submitted.clear();
  reporter.lines.clear();
  loop.watch(wakes_.get(), [this] { turn(); });
  try {
    execute_run(id, origin);
  } catch (const Error& error) {
    result = {error.code(), error.what()};
  }
  loop.unwatch(wakes_.get());
  run.reset();
  background.reset();
  audit(result, id);
  return result;
}

void RunWorld::execute_run(const std::string& id, const std::string& origin) {
  const TaskRef parameters{id, "_parameters", "0"};
  direct.begin_attempt(parameters, 0, clock.now);
  direct.write_data(parameters, {});
  direct.mark_done(parameters, 0);
  background.emplace(loop, storage);
  if (on_background) on_background(*background);
  store::Journal journal(directory_ + "/" + id, clock);
  journal.run_begins(clock.now, {});
  options.origin_run = origin;
  run.emplace(RunServices{graph, store, *background, metadata, journal, loop, clock, reporter, sync_disk,
                          [this] { return holds; }},
              options, parameters);
  if (!remote.empty()) run->mark_remote(remote, "code");
  if (!origin.empty()) {
    const TestLanguage language;
    Origin from(graph, language, store, origin, "");
    run->clone(from);
    if (on_cloned) on_cloned();
  }
  run->execute(backend);
}

void RunWorld::expect_done(const std::string& id, const std::string& origin) {
  const RunResult result = execute(id, origin);
  EXPECT_FALSE(result.error) << result.what;
  if (!result.error) {
    EXPECT_EQ(reporter.lines.back(), "Done!");
  }
}

void RunWorld::audit(const RunResult& result, const std::string& run) const {
  // An error of the store is thrown as such. The run must report everything else that is not committed.
  const bool store_failed = result.error == ErrorCode::data_store;
  bool is_reported = store_failed;
  for (const std::string& line : reporter.lines)
    is_reported = is_reported || line.find("`resume` will ") != std::string::npos ||
                  line.find("could not be committed") != line.npos;
  for (const std::string& attempt : backend.succeeded) {
    const auto parts = base::split(attempt, '/');
    const TaskRef task{run, parts[0], parts[1]};
    const bool done = direct.is_done(task, std::stoi(parts[2]));
    EXPECT_TRUE(done || is_reported) << attempt << " succeeded, is not committed, and that was not reported";
    const std::string line = fmt::format("[{}] Task finished successfully.", task.path());
    EXPECT_LE(reporter.count(line), 1U) << line;
    EXPECT_TRUE(done || reporter.count(line) == 0) << line;
  }
  if (!backend.asked.empty()) {
    EXPECT_TRUE(backend.asked.back().starts_with("end")) << backend.asked.back();
    EXPECT_EQ(std::count_if(backend.asked.begin(), backend.asked.end(),
                            [](const std::string& line) { return line.starts_with("end"); }),
              1);
  }
  EXPECT_EQ(loop.next_deadline(), std::nullopt) << "a timer of the run is left";

  const store::RunHistory history = this->history(run);
  for (const store::AttemptHistory& attempt : history.attempts) {
    EXPECT_TRUE(attempt.how != store::AttemptEnd::done || direct.is_done(attempt.task, attempt.attempt))
        << attempt.task.path();
    EXPECT_TRUE(store_failed || is_reported || attempt.ended != 0)
        << attempt.task.path() << " has no end in the journal";
  }
  // The run was interrupted while it waited for metadata, and not before.
  const bool had_ended = reporter.count("All tasks had finished.") > 0 && reporter.count("Stop.") == 0;
  const auto how = !result.error || had_ended                ? store::RunEnd::done
                   : result.error == ErrorCode::step_failure ? store::RunEnd::failed
                   : result.error == ErrorCode::interrupted  ? store::RunEnd::interrupted
                                                             : store::RunEnd::none;
  EXPECT_EQ(history.how, how) << result.what;
}

std::vector<std::string> RunWorld::committed(const std::string& step, const std::string& run) const {
  std::vector<std::string> done;
  for (const std::string& task : direct.tasks(run, step)) {
    const auto data = direct.read_done({run, step, task});
    if (data && data->ok) done.push_back(task);
  }
  return done;
}

store::RunHistory RunWorld::history(const std::string& run) const {
  const auto history = store::read_journal(directory_ + "/" + run, run);
  return history.value_or(store::RunHistory{});
}

std::string RunWorld::log(const std::string& attempt, const std::string& run) const {
  const auto parts = base::split(attempt, '/');
  std::string text;
  for (const store::Stream stream : {store::Stream::out, store::Stream::err}) {
    const auto bytes =
        direct.read_log({run, parts[0], parts[1]}, std::stoi(parts[2]), store::LogSource::runtime, stream);
    if (!bytes) continue;
    for (const std::string& line : base::split(bytes->text(), '\n'))
      if (!line.empty()) text += fmt::format("{}\n", store::parse_log_line(line).text);
  }
  return text;
}

}  // namespace metaflow::runtime
