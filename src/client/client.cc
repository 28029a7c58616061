
#include <algorithm>
#include <array>

#include "base/files.h"
#include "base/format.h"
#include "base/settings.h"
#include "base/text.h"
#include "client/connection.h"
#include "store/open.h"
#include "value/unpickler.h"

namespace metaflow::client {

Connection::Connection(std::string provider, std::string root, std::string name_space)
    : provider_(std::move(provider)),
      root_(std::move(root)),
      name_space_(std::move(name_space)),
      metadata_(provider_ == "service" && root_.starts_with("http")
                    ? store::open_metadata_service(base::Settings(), root_, clock_)
                    : store::open_metadata(base::Settings(), provider_, root_, clock_)) {}

const store::FlowStore& Connection::flow(const std::string& name, const std::string& place) {
  auto& flow = flows_[{name, place}];
  if (!flow) {
    const bool in_s3 = place.starts_with("s3://");
    flow = std::make_unique<store::FlowStore>(
        store::open_storage(in_s3 ? "s3" : "local", place.empty() ? root_ : place), name);
  }
  return *flow;
}

std::string Connection::place(const std::string& datastore, const std::string& root) const {
  if (datastore == "s3") return root.starts_with("s3://") ? root : std::string();
  return provider_ == "local" ? std::string() : root;
}

std::string Connection::place(const store::ArtifactInfo& artifact) const {
  constexpr std::string_view kRoot = ":root:";
  if (!artifact.location.starts_with(kRoot)) return {};
  return place(artifact.datastore, artifact.location.substr(kRoot.size()));
}

bool Connection::is_visible(const store::RunInfo& run) const {
  auto has = [&](const std::vector<std::string>& tags) {
    return std::find(tags.begin(), tags.end(), name_space_) != tags.end();
  };
  return name_space_.empty() || has(run.tags) || has(run.system_tags);
}

void throw_not_found(const std::string& what, const Connection& connection) {
  throw Error(ErrorCode::not_found,
              fmt::format("There is no {} in {}", what,
                          connection.provider() == "local" ? connection.root() : "the metadata service"),
              connection.name_space().empty()
                  ? ""
                  : fmt::format("Only runs in the namespace '{}' are visible; in_namespace(\"\") shows all runs.",
                                connection.name_space()));
}

namespace {

std::vector<std::string> parts_of(const std::string& pathspec, std::size_t count, const char* form) {
  using store::NameKind;
  constexpr std::array kKinds{NameKind::flow, NameKind::run, NameKind::step, NameKind::task};
  auto parts = base::split(pathspec, '/');
  if (parts.size() != count || !std::equal(parts.begin(), parts.end(), kKinds.begin(),
                                           [](const auto& p, NameKind k) { return is_name(k, p); })) {
    throw Error(ErrorCode::invalid_command, fmt::format("'{}' is not of the form {}", pathspec, form));
  }
  return parts;
}

}  // namespace

// --- Client

Client::Client(const ClientOptions& options) {
  const base::Settings settings;
  bool is_new = false;
  std::string root = options.root.empty() ? base::local_root(settings, is_new) : base::absolute_path(options.root);
  std::string name_space = options.name_space ? *options.name_space : "user:" + base::user_name(settings);
  // A directory given by name contains its metadata.
  std::string provider = options.root.empty() ? settings.get("DEFAULT_METADATA", "local") : "local";
  connection_ = std::make_shared<Connection>(std::move(provider), std::move(root), std::move(name_space));
}

std::vector<Flow> Client::flows() const {
  std::vector<Flow> flows;
  for (std::string& name : connection_->metadata().flows()) {
    Flow flow;
    flow.connection_ = connection_;
    flow.id_ = std::move(name);
    if (connection_->name_space().empty() || flow.latest_run()) flows.push_back(std::move(flow));
  }
  return flows;
}

Flow Client::flow(const std::string& name) const {
  if (!connection_->metadata().flow(name)) throw_not_found("flow " + name, *connection_);
  Flow flow;
  flow.connection_ = connection_;
  flow.id_ = name;
  return flow;
}

Run Client::run(const std::string& pathspec) const {
  const auto parts = parts_of(pathspec, 2, "Flow/run");
  return flow(parts[0]).run(parts[1]);
}

Step Client::step(const std::string& pathspec) const {
  const auto parts = parts_of(pathspec, 3, "Flow/run/step");
  return flow(parts[0]).run(parts[1]).step(parts[2]);
}

Task Client::task(const std::string& pathspec) const {
  const auto parts = parts_of(pathspec, 4, "Flow/run/step/task");
  return flow(parts[0]).run(parts[1]).step(parts[2]).task(parts[3]);
}

Client Client::in_namespace(const std::string& name_space) const {
  Client other = *this;
  other.connection_ = std::make_shared<Connection>(connection_->provider(), connection_->root(), name_space);
  return other;
}

// --- Flow

std::vector<Run> Flow::runs(const std::vector<std::string>& tags) const {
  std::vector<Run> runs;
  for (store::RunInfo& info : connection_->metadata().runs(id_)) {
    if (!connection_->is_visible(info)) continue;
    Run run;
    run.connection_ = connection_;
    run.flow_ = id_;
    run.id_ = std::move(info.id);
    run.user_ = std::move(info.user);
    run.created_at_ = time_of(info.created);
    run.user_tags_ = std::move(info.tags);
    run.system_tags_ = std::move(info.system_tags);
    const auto all = run.tags();
    if (std::all_of(tags.begin(), tags.end(),
                    [&](const std::string& tag) { return std::binary_search(all.begin(), all.end(), tag); })) {
      runs.push_back(std::move(run));
    }
  }
  return runs;
}

Run Flow::run(const std::string& id) const {
  const auto info = is_name(store::NameKind::run, id) ? connection_->metadata().run(id_, id) : std::nullopt;
  if (!info || !connection_->is_visible(*info)) throw_not_found(fmt::format("run {}/{}", id_, id), *connection_);
  Run run;
  run.connection_ = connection_;
  run.flow_ = id_;
  run.id_ = info->id;
  run.user_ = info->user;
  run.created_at_ = time_of(info->created);
  run.user_tags_ = info->tags;
  run.system_tags_ = info->system_tags;
  return run;
}

std::optional<Run> Flow::latest_run() const {
  auto all = runs();
  if (all.empty()) return std::nullopt;
  return std::move(all.front());
}

std::optional<Run> Flow::latest_successful_run() const {
  for (Run& run : runs()) {
    if (run.successful()) return std::move(run);
  }
  return std::nullopt;
}

// --- Run

std::vector<std::string> Run::tags() const {
  std::vector<std::string> all = user_tags_;
  all.insert(all.end(), system_tags_.begin(), system_tags_.end());
  std::sort(all.begin(), all.end());
  return all;
}

std::vector<Step> Run::steps() const {
  std::vector<Step> steps;
  for (store::ObjectInfo& info : connection_->metadata().steps(flow_, id_)) {
    if (info.id.starts_with('_')) continue;
    Step step;
    step.connection_ = connection_;
    step.flow_ = flow_;
    step.run_ = id_;
    step.id_ = std::move(info.id);
    step.created_at_ = time_of(info.created);
    steps.push_back(std::move(step));
  }
  return steps;
}

Step Run::step(const std::string& name) const {
  const auto info = connection_->metadata().step(flow_, id_, name);
  if (!info) throw_not_found(fmt::format("step {} in run {}", name, pathspec()), *connection_);
  Step step;
  step.connection_ = connection_;
  step.flow_ = flow_;
  step.run_ = id_;
  step.id_ = name;
  step.created_at_ = time_of(info->created);
  return step;
}

std::optional<Task> Run::end_task() const {
  std::string last = "end";
  for (const auto& task : connection_->metadata().tasks(flow_, id_, "_parameters")) {
    for (const auto& field : connection_->metadata().fields(flow_, {id_, "_parameters", task.id})) {
      if (field.name == "end_step") last = field.value;
    }
  }
  for (const Step& step : steps()) {
    if (step.id() != last) continue;
    auto tasks = step.tasks();
    if (!tasks.empty()) return std::move(tasks.back());
  }
  return std::nullopt;
}

bool Run::finished() const {
  const auto task = end_task();
  return task && task->finished();
}

bool Run::successful() const {
  const auto task = end_task();
  return task && task->successful();
}

std::optional<Time> Run::finished_at() const {
  const auto task = end_task();
  return task ? task->finished_at() : std::nullopt;
}

Artifact Run::artifact(const std::string& name) const {
  const auto task = end_task();
  if (!task) throw_not_found(fmt::format("task of the last step in run {} yet", pathspec()), *connection_);
  return task->artifact(name);
}

std::map<std::string, Artifact> Run::parameters() const {
  std::map<std::string, Artifact> parameters;
  const Task task = step("_parameters").task();
  std::vector<std::string> names;
  if (task.has("_graph_info")) {
    const Document info = task.artifact("_graph_info").value();
    const auto list = info.root().find("parameters");
    for (std::size_t i = 0; list && i < list->size(); ++i) {
      if (const auto name = (*list)[i].find("name")) names.emplace_back(name->text());
    }
  }
  for (const Artifact& artifact : task.artifacts()) {
    if (std::find(names.begin(), names.end(), artifact.name()) != names.end())
      parameters.emplace(artifact.name(), artifact);
  }
  return parameters;
}

// --- Step

std::vector<Task> Step::tasks() const {
  std::vector<Task> tasks;
  for (store::ObjectInfo& info : connection_->metadata().tasks(flow_, run_, id_)) {
    Task task;
    task.connection_ = connection_;
    task.flow_ = flow_;
    task.run_ = run_;
    task.step_ = id_;
    task.id_ = std::move(info.id);
    task.created_at_ = time_of(info.created);
    tasks.push_back(std::move(task));
  }
  return tasks;
}

Task Step::task(const std::string& id) const {
  const auto info = connection_->metadata().task(flow_, {run_, id_, id});
  if (!info) throw_not_found(fmt::format("task {}/{}", pathspec(), id), *connection_);
  Task task;
  task.connection_ = connection_;
  task.flow_ = flow_;
  task.run_ = run_;
  task.step_ = id_;
  task.id_ = info->id;
  task.created_at_ = time_of(info->created);
  return task;
}

Task Step::task() const {
  auto all = tasks();
  if (all.empty()) throw_not_found(fmt::format("task of step {}", pathspec()), *connection_);
  return std::move(all.back());
}

std::vector<std::string> neighbours_in_graph(Connection& connection, const std::string& flow, const std::string& run,
                                             const std::string& step, bool before) {
  std::vector<store::ArtifactInfo> artifacts;
  for (const auto& task : connection.metadata().tasks(flow, run, "_parameters"))
    artifacts = connection.metadata().artifacts(flow, {run, "_parameters", task.id}, 0);
  const auto info =
      std::find_if(artifacts.begin(), artifacts.end(), [](const auto& a) { return a.name == "_graph_info"; });
  std::vector<std::string> names;
  if (info == artifacts.end()) return names;
  const Document document =
      value::read_pickle(connection.flow(flow, connection.place(*info)).load_value(info->key, 0, "_graph_info"));
  const auto steps = document.root().find("steps");
  if (!steps) return names;
  for (std::size_t i = 0; i < steps->size(); ++i) {
    const std::string name((*steps)[i].text());
    const auto next = steps->mapped(i).find("next");
    for (std::size_t n = 0; next && n < next->size(); ++n) {
      const std::string target((*next)[n].text());
      if (before && target == step) names.push_back(name);
      if (!before && name == step) names.push_back(target);
    }
  }
  return names;
}

}  // namespace metaflow::client
