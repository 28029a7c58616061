#include "store/flow_store.h"

#include <fmt/format.h>

#include <algorithm>

#include <metaflow/error.h>

#include "base/text.h"
#include "value/gzip.h"

namespace metaflow::store {

std::string_view name_of(LogSource source) { return source == LogSource::runtime ? "runtime" : "task"; }
std::string_view name_of(Stream stream) { return stream == Stream::out ? "stdout" : "stderr"; }

std::string FlowStore::attempt_path(const TaskRef& task, int attempt, std::string_view name) const {
  return fmt::format("{}/{}/{}/{}/{}.{}", flow_, task.run, task.step, task.task, attempt, name);
}

std::string FlowStore::save_value(Pieces payload, int spool_file) {
  return storage_->save_blob(blob_directory(), payload, spool_file);
}

base::SharedBytes FlowStore::load_value(const std::string& key, std::uint64_t size, std::string_view what) const {
  auto blob = get(*storage_, blob_path(blob_directory(), key));
  if (!blob) {
    throw Error(ErrorCode::data_missing,
                fmt::format("The value of '{}' is not in the store: blob {} is missing", what, key),
                "The store was damaged or moved. Execute the step again: use resume.");
  }
  if (value::is_gzip(blob->bytes())) {
    try {
      return value::gunzip(*blob);
    } catch (const Error& error) {
      throw error.prefixed(fmt::format("The value of '{}' cannot be read from blob {}: ", what, key));
    }
  }
  if (size != 0 && blob->size() != size) {
    throw Error(
        ErrorCode::data_store,
        fmt::format("The value of '{}' is damaged: blob {} has {} bytes, not {}", what, key, blob->size(), size),
        "A power loss or a full disk may have cut it off. Execute the step that made it again.");
  }
  return std::move(*blob);
}

std::optional<int> FlowStore::latest_attempt(const TaskRef& task) const {
  if (!exists(*storage_, attempt_path(task, 0, "attempt.json"))) return std::nullopt;
  int attempt = 0;
  while (attempt + 1 < kMaxAttempts && exists(*storage_, attempt_path(task, attempt + 1, "attempt.json"))) ++attempt;
  return attempt;
}

bool FlowStore::is_done(const TaskRef& task, int attempt) const {
  return exists(*storage_, attempt_path(task, attempt, "DONE.lock"));
}

std::optional<TaskData> FlowStore::read_attempt(const TaskRef& task, int attempt) const {
  const std::string path = attempt_path(task, attempt, "data.json");
  const auto text = get(*storage_, path);
  if (!text) return std::nullopt;
  return task_data_from_json(text->text(), path);
}

std::optional<TaskData> FlowStore::read_done(const TaskRef& task) const {
  const auto attempt = latest_attempt(task);
  if (!attempt || !is_done(task, *attempt)) return std::nullopt;
  return read_attempt(task, *attempt);
}

void FlowStore::begin_attempt(const TaskRef& task, int attempt, std::int64_t microseconds) {
  // To a tenth of a second, so that attempts that begin together share a file.
  const std::string text = fmt::format("{{\"time\": {}.{}}}", microseconds / 1'000'000, microseconds / 100'000 % 10);
  const auto bytes = base::as_bytes(text);
  const Object object{attempt_path(task, attempt, "attempt.json"), Pieces(&bytes, 1), true};
  storage_->put(std::span(&object, 1));
}

void FlowStore::write_data(const TaskRef& task, const TaskData& data) {
  put(*storage_, attempt_path(task, data.attempt, "data.json"), to_json(data, storage_->type()));
}

void FlowStore::mark_done(const TaskRef& task, int attempt) {
  const auto bytes = base::as_bytes("\"\"");
  const Object object{attempt_path(task, attempt, "DONE.lock"), Pieces(&bytes, 1), true};
  storage_->put(std::span(&object, 1));
}

void FlowStore::clone_attempt(const TaskRef& from, const TaskData& data, const TaskRef& to) {
  auto copy = [&](std::string_view name) {
    return storage_->copy(attempt_path(from, data.attempt, name), attempt_path(to, 0, name));
  };
  bool copied = copy("attempt.json");
  if (data.attempt == 0 && data.has_details) {
    copied = copy("data.json") && copied;
  } else {
    TaskData first = data;  // what Python does not note is in `data` by now
    first.attempt = 0;
    write_data(to, first);
  }
  copied = copy("DONE.lock") && copied;
  if (!copied)
    throw Error(ErrorCode::data_missing, fmt::format("Task {}/{} vanished while it was cloned", flow_, from.path()));
}

std::optional<std::string> FlowStore::find_damage(const TaskData& data, std::unordered_set<std::string>& good) const {
  std::vector<const ArtifactRecord*> unknown;
  std::vector<std::string> paths;
  for (const ArtifactRecord& artifact : data.artifacts) {
    if (good.contains(artifact.key)) continue;
    unknown.push_back(&artifact);
    paths.push_back(blob_path(blob_directory(), artifact.key));
  }
  const auto sizes = storage_->sizes(paths);
  for (std::size_t i = 0; i < unknown.size(); ++i) {
    if (sizes[i] != unknown[i]->size || unknown[i]->size == 0) {  // packed, by Python, or damaged
      try {
        load_value(unknown[i]->key, unknown[i]->size, unknown[i]->name);
      } catch (const Error& error) {
        return error.message();
      }
    }
    good.insert(unknown[i]->key);
  }
  return std::nullopt;
}

void FlowStore::write_log(const TaskRef& task, int attempt, LogSource source, Stream stream, Pieces content) {
  const Object object{attempt_path(task, attempt, fmt::format("{}_{}.log", name_of(source), name_of(stream))), content};
  storage_->put(std::span(&object, 1));
}

std::optional<base::SharedBytes> FlowStore::read_log(const TaskRef& task, int attempt, LogSource source,
                                                     Stream stream) const {
  return get(*storage_, attempt_path(task, attempt, fmt::format("{}_{}.log", name_of(source), name_of(stream))));
}

void FlowStore::write_inputs(const TaskRef& task, std::string_view packed) {
  put(*storage_, task_path(task) + "/inputs.txt", packed);
}

std::string FlowStore::read_inputs(const TaskRef& task) const {
  const std::string path = task_path(task) + "/inputs.txt";
  const auto text = get(*storage_, path);
  if (!text)
    throw Error(ErrorCode::data_missing,
                fmt::format("The list of the inputs of {} is missing: {}/{}", task.path(), storage_->root(), path));
  return std::string(text->text());
}

void FlowStore::write_exit_report(const TaskRef& task, int attempt, const ExitReport& report) {
  put(*storage_, attempt_path(task, attempt, "exit.json"), to_json(report));
}

std::optional<ExitReport> FlowStore::read_exit_report(const TaskRef& task, int attempt) const {
  const std::string path = attempt_path(task, attempt, "exit.json");
  const auto text = get(*storage_, path);
  if (!text) return std::nullopt;
  return exit_report_from_json(text->text(), path);
}

std::vector<std::string> FlowStore::directories(const std::string& path) const {
  std::vector<std::string> names;
  for (Entry& entry : storage_->list(path)) {
    if (entry.is_directory && entry.name != "_meta" && !entry.name.starts_with('.'))
      names.push_back(std::move(entry.name));
  }
  // Numbers by value, then the rest.
  std::sort(names.begin(), names.end(), [](const std::string& a, const std::string& b) {
    auto digits = [](const std::string& s) {
      return std::all_of(s.begin(), s.end(), [](char c) { return c >= '0' && c <= '9'; });
    };
    if (digits(a) && digits(b) && a.size() != b.size()) return a.size() < b.size();
    return a < b;
  });
  return names;
}

bool FlowStore::has_run(const std::string& run) const {
  // Asked of this run alone: there may be many.
  return valid_path_name(run) && run != "data" && run != "_meta" && !storage_->list(flow_ + "/" + run).empty();
}

std::vector<std::string> FlowStore::steps(const std::string& run) const { return directories(flow_ + "/" + run); }
std::vector<std::string> FlowStore::tasks(const std::string& run, const std::string& step) const {
  return directories(flow_ + "/" + run + "/" + step);
}

}  // namespace metaflow::store
