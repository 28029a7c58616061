// Every question that the client answers. Compiled, not run.
#include <metaflow/metaflow.h>

#include <cstdio>
#include <string>
#include <vector>

#include <metaflow/client.h>

namespace mf = metaflow;
namespace client = metaflow::client;

static void print(const std::string& text) { std::puts(text.c_str()); }

static void look_at(const client::Artifact& artifact) {
  print(artifact.name() + artifact.key() + artifact.text() + artifact.text(30) + artifact.python_type());
  const mf::Document document = artifact.value();
  const mf::Value& value = document.root();
  if (value.kind() == mf::Kind::list && value.size() > 0) print(mf::repr(value[0]) + mf::to_json(value));
  if (const auto found = value.find("key")) print(mf::text_of(*found));
  const auto sum = artifact.as<double>() + document.as<double>() + value.as<double>();
  std::printf("%f %zu %d\n", sum + static_cast<double>(artifact.size()), artifact.as<std::vector<int>>().size(),
              artifact.created_at() < client::Time{} ? 1 : 0);
}

static void look_at(const client::Task& task) {
  print(task.id() + task.step() + task.pathspec() + task.out() + task.err());
  for (const auto& line : task.out_lines()) print(line.text);
  for (const auto& line : task.err_lines()) print(line.text);
  for (const auto& artifact : task.artifacts(true)) look_at(artifact);
  for (const auto& datum : task.metadata()) print(datum.name + datum.value + datum.type);
  if (const auto thrown = task.exception()) print(thrown->type + thrown->message + thrown->stack);
  if (task.has("sum")) look_at(task.artifact("sum"));
  if (task.finished() && task.successful() && task.finished_at() && task.index()) look_at(task.attempt(0));
  std::printf("%d %zu\n", task.current_attempt(), task.parents().size() + task.children().size());
}

int main() {
  try {
    const client::Client all(client::ClientOptions{.root = "/data/.metaflow", .name_space = ""});
    const client::Client mine = all.in_namespace("user:me");
    for (const auto& flow : client::Client().flows()) print(flow.id());
    const client::Flow flow = mine.flow("BigSum");
    for (const auto& run : flow.runs({"tag"})) print(run.id());
    if (const auto run = flow.latest_successful_run()) look_at(run->artifact("sum"));
    const client::Run run = flow.latest_run().value_or(flow.run("17"));
    print(run.pathspec() + run.user());
    for (const auto& tag : run.tags()) print(tag);
    for (const auto& [name, parameter] : run.parameters()) look_at(parameter);
    std::printf("%zu\n", run.user_tags().size() + run.system_tags().size());
    for (const auto& step : run.steps()) look_at(step.task());
    if (run.finished() && run.successful() && run.finished_at() && run.created_at() < *run.finished_at())
      look_at(run.end_task().value());
    look_at(run.step("start").task("1"));
    for (const auto& task : mine.step("BigSum/17/start").tasks()) look_at(task);
    look_at(mine.task("BigSum/17/start/1"));
    return mine.run("BigSum/17").successful() ? 0 : 1;
  } catch (const mf::Error& error) {
    print(error.headline() + error.what() + error.prefixed("because: ").hint());
    return error.code() == mf::ErrorCode::not_found ? 2 : 1;
  }
}
