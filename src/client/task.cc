// Task and Artifact of the client.

#include <algorithm>

#include "base/format.h"
#include "base/text.h"
#include "client/connection.h"
#include "store/foreach.h"
#include "store/mflog.h"
#include "value/unpickler.h"

namespace metaflow::client {

// --- Artifact

Document Artifact::value() const {
  try {
    return value::read_pickle(connection_->flow(flow_, place_).load_value(key_, 0, name_));
  } catch (const Error& error) {
    if (error.code() != ErrorCode::invalid_value) throw;
    throw error.prefixed(fmt::format("artifact '{}': ", name_));
  }
}

std::uint64_t Artifact::size() const { return connection_->flow(flow_, place_).load_value(key_, 0, name_).size(); }

// --- Task

int Task::current_attempt() const {
  if (attempt_ >= 0) return attempt_;
  int attempt = 0;
  for (const auto& field : connection_->metadata().fields(flow_, {run_, step_, id_})) {
    if (field.name == "attempt" || field.name == "attempt-done")
      attempt = std::max(attempt, std::atoi(field.value.c_str()));
  }
  return attempt;
}

Task Task::attempt(int attempt) const {
  Task other = *this;
  other.attempt_ = attempt;
  return other;
}

std::vector<Artifact> Task::artifacts(bool all) const {
  std::vector<Artifact> artifacts;
  for (store::ArtifactInfo& info : connection_->metadata().artifacts(flow_, {run_, step_, id_}, attempt_)) {
    if (!all && info.name.starts_with('_')) continue;
    artifacts.push_back(artifact_of(std::move(info)));
  }
  return artifacts;
}

std::optional<Artifact> Task::find(const std::string& name) const {
  auto info = connection_->metadata().artifact(flow_, {run_, step_, id_}, attempt_, name);
  if (!info) return std::nullopt;
  return artifact_of(std::move(*info));
}

Artifact Task::artifact_of(store::ArtifactInfo&& info) const {
  Artifact artifact;
  artifact.connection_ = connection_;
  artifact.flow_ = flow_;
  artifact.name_ = std::move(info.name);
  artifact.place_ = connection_->place(info);
  artifact.key_ = std::move(info.key);
  artifact.created_at_ = time_of(info.created);
  return artifact;
}

bool Task::has(const std::string& name) const { return find(name).has_value(); }

Artifact Task::artifact(const std::string& name) const {
  if (auto artifact = find(name)) return std::move(*artifact);
  std::vector<std::string> names;
  for (const Artifact& artifact : artifacts()) names.push_back(artifact.name());
  throw Error(ErrorCode::not_found, fmt::format("Task {} has no artifact '{}'", pathspec(), name),
              names.empty() ? "It has no artifacts: it has not finished." : "It has " + base::join(names, ", ") + ".");
}

bool Task::finished() const {
  const auto ok = find("_task_ok");
  return ok && ok->as<bool>();
}

bool Task::successful() const {
  const auto success = find("_success");
  return success && success->as<bool>();
}

std::optional<Time> Task::finished_at() const {
  const auto ok = find("_task_ok");
  return ok ? std::optional(ok->created_at()) : std::nullopt;
}

std::optional<Exception> Task::exception() const {
  const auto artifact = find("_exception");
  if (!artifact) return std::nullopt;
  const Document document = artifact->value();
  if (document.root().is_none()) return std::nullopt;
  auto text = [&](const char* name) {
    const auto value = document.root().find(name);
    return value ? text_of(*value) : std::string();
  };
  return Exception{text("type"), text("exception"), text("stacktrace")};
}

std::vector<LogLine> Task::lines(bool error) const {
  std::vector<base::SharedBytes> memory;
  std::vector<std::string_view> logs;
  const int attempt = current_attempt();
  const store::Stream stream = error ? store::Stream::err : store::Stream::out;
  std::string type;
  std::string root;
  for (const auto& field : connection_->metadata().fields(flow_, {run_, step_, id_})) {
    if (field.name == "ds-type") type = field.value;
    if (field.name == "ds-root") root = field.value;
  }
  const std::string place = connection_->place(type, root);
  for (store::LogSource source : {store::LogSource::runtime, store::LogSource::task}) {
    if (auto log = connection_->flow(flow_, place).read_log({run_, step_, id_}, attempt, source, stream))
      memory.push_back(std::move(*log));
  }
  for (const auto& log : memory) logs.push_back(log.text());
  std::vector<LogLine> lines;
  for (const store::LogLine& line : store::merge_logs(logs)) {
    lines.push_back({time_of(store::microseconds_of_log_time(line.time)), std::string(line.text)});
  }
  return lines;
}

std::string Task::log(bool error) const {
  std::string text;
  for (const LogLine& line : lines(error)) text += line.text + "\n";
  return text;
}

std::string Task::out() const { return log(false); }
std::string Task::err() const { return log(true); }
std::vector<LogLine> Task::out_lines() const { return lines(false); }
std::vector<LogLine> Task::err_lines() const { return lines(true); }

std::vector<Metadatum> Task::metadata() const {
  std::vector<Metadatum> metadata;
  for (store::FieldInfo& field : connection_->metadata().fields(flow_, {run_, step_, id_})) {
    if (attempt_ >= 0 && field.attempt >= 0 && field.attempt != attempt_) continue;
    metadata.push_back(
        {std::move(field.name), std::move(field.value), std::move(field.type), field.attempt, time_of(field.created)});
  }
  return metadata;
}

std::optional<std::size_t> Task::index() const {
  const auto stack = find("_foreach_stack");
  if (!stack) return std::nullopt;
  const auto frames = store::decode_frames(stack->value().root());
  if (frames.empty()) return std::nullopt;
  return frames.back().index;
}

std::string Task::execution_path() const {
  for (const Metadatum& metadatum : metadata()) {
    if (metadatum.name == "foreach-execution-path") return metadatum.value;
  }
  return {};
}

/// Tasks of the neighbouring steps within the same foreachs: one execution path is a prefix of the other.
std::vector<Task> Task::neighbours(bool before) const {
  const auto own = execution_path().empty() ? std::vector<std::string>() : base::split(execution_path(), ',');
  std::vector<Task> found;
  Run run;
  run.connection_ = connection_;
  run.flow_ = flow_;
  run.id_ = run_;
  const auto wanted = neighbours_in_graph(*connection_, flow_, run_, step_, before);
  for (const Step& step : run.steps()) {
    if (std::find(wanted.begin(), wanted.end(), step.id()) == wanted.end()) continue;
    for (Task& task : step.tasks()) {
      const std::string path = task.execution_path();
      const auto other = path.empty() ? std::vector<std::string>() : base::split(path, ',');
      const std::size_t common = std::min(own.size(), other.size());
      if (std::equal(own.begin(), own.begin() + static_cast<std::ptrdiff_t>(common), other.begin()))
        found.push_back(std::move(task));
    }
  }
  return found;
}

std::vector<Task> Task::parents() const { return neighbours(true); }
std::vector<Task> Task::children() const { return neighbours(false); }

}  // namespace metaflow::client
