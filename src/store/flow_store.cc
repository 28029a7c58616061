#include "store/flow_store.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <unordered_map>
#include <utility>

#include <metaflow/error.h>

#include "base/ascii.h"
#include "base/format.h"
#include "base/text.h"
#include "value/gzip.h"

namespace metaflow::store {

namespace {

// Limit in bytes for packed values whose size is not recorded.
constexpr std::uint64_t kMostUnpackedByDefault = 4ULL << 30U;
constexpr const char* kMostUnpacked = "METAFLOW_MAX_UNPACKED_SIZE";

std::uint64_t most_unpacked() {
  const char* text = std::getenv(kMostUnpacked);
  std::uint64_t most = 0;
  if (text == nullptr || *text == '\0') return kMostUnpackedByDefault;
  const std::string_view digits = text;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), most);
  if (error == std::errc() && end == digits.data() + digits.size()) return most;
  throw Error(ErrorCode::invalid_command,
              fmt::format("{} is '{}', which is not a number of bytes", kMostUnpacked, digits));
}

}  // namespace

std::string_view name_of(LogSource source) { return source == LogSource::runtime ? "runtime" : "task"; }
std::string_view name_of(Stream stream) { return stream == Stream::out ? "stdout" : "stderr"; }

std::string log_name(LogSource source, Stream stream) {
  return fmt::format("{}_{}.log", name_of(source), name_of(stream));
}

std::string FlowStore::attempt_path(const TaskRef& task, int attempt, std::string_view name) const {
  return fmt::format("{}/{}/{}/{}/{}.{}", flow_, task.run, task.step, task.task, attempt, name);
}

std::string FlowStore::log_path(const TaskRef& task, int attempt, LogSource source, Stream stream) const {
  return attempt_path(task, attempt, log_name(source, stream));
}

std::string FlowStore::save_value(Pieces payload, int spool_file) {
  return storage_->save_blob(blob_directory(), payload, spool_file);
}

base::SharedBytes FlowStore::load_value(const std::string& key, std::uint64_t size, std::string_view what) const {
  return payload_of(get(*storage_, blob_path(blob_directory(), key)), key, size, what);
}

std::vector<base::SharedBytes> FlowStore::load_values(std::span<const ArtifactRecord* const> artifacts) const {
  std::vector<std::string> paths;
  for (const ArtifactRecord* artifact : artifacts) paths.push_back(blob_path(blob_directory(), artifact->key));
  auto blobs = storage_->get(paths);
  std::vector<base::SharedBytes> payloads;
  for (std::size_t i = 0; i < artifacts.size(); ++i)
    payloads.push_back(payload_of(std::move(blobs[i]), artifacts[i]->key, artifacts[i]->size, artifacts[i]->name));
  return payloads;
}

base::SharedBytes FlowStore::payload_of(std::optional<base::SharedBytes>&& blob, const std::string& key,
                                        std::uint64_t size, std::string_view what) const {
  if (!blob) {
    throw Error(ErrorCode::data_missing,
                fmt::format("The value of '{}' is not in the store: blob {} is missing", what, key),
                "The store was damaged or moved. `resume` executes the step again.");
  }
  if (value::is_gzip(blob->bytes())) {
    try {
      return value::gunzip(*blob, size != 0 ? size : most_unpacked());
    } catch (const Error& error) {
      const Error prefixed = error.prefixed(fmt::format("The value of '{}' cannot be read from blob {}: ", what, key));
      if (size != 0) throw prefixed;
      throw Error(prefixed.code(), prefixed.message(),
                  fmt::format("To read more, set {} to a number of bytes.", kMostUnpacked));
    }
  }
  if (size != 0 && blob->size() != size) {
    throw Error(
        ErrorCode::data_store,
        fmt::format("The value of '{}' is damaged: blob {} has {} bytes, not {}", what, key, blob->size(), size),
        "A power loss or a full disk may have truncated it. `resume` executes the step again.");
  }
  return std::move(*blob);
}

std::optional<int> FlowStore::latest_attempt(const TaskRef& task) const {
  if (!exists(*storage_, attempt_path(task, 0, "attempt.json"))) return std::nullopt;
  return latest_attempt_from(task, 0);
}

int FlowStore::latest_attempt_from(const TaskRef& task, int attempt) const {
  while (attempt + 1 < kMaxAttempts && exists(*storage_, attempt_path(task, attempt + 1, "attempt.json"))) ++attempt;
  return attempt;
}

bool FlowStore::is_done(const TaskRef& task, int attempt) const {
  return exists(*storage_, attempt_path(task, attempt, "DONE.lock"));
}

std::optional<TaskData> FlowStore::read_attempt(const TaskRef& task, int attempt) const {
  const std::string path = data_path(task, attempt);
  const auto text = get(*storage_, path);
  if (!text) return std::nullopt;
  return task_data_from_json(text->text(), path);
}

std::optional<TaskData> FlowStore::read_done(const TaskRef& task) const {
  return std::move(read_done(std::span(&task, 1)).front());
}

/// Two rounds of reads if no task has more than one attempt: each round may take long.
std::vector<std::optional<TaskData>> FlowStore::read_done(std::span<const TaskRef> tasks) const {
  constexpr std::size_t kAsked = 3;  // per task
  std::vector<std::string> paths;
  for (const TaskRef& task : tasks) {
    for (const auto& [attempt, name] : {std::pair(0, "attempt.json"), {1, "attempt.json"}, {0, "DONE.lock"}})
      paths.push_back(attempt_path(task, attempt, name));
  }
  const auto sizes = storage_->sizes(paths);
  paths.clear();
  std::vector<std::size_t> done;
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    const auto* found = &sizes[kAsked * i];
    if (!found[0]) continue;
    int attempt = 0;
    bool is_done_then = found[2].has_value();
    if (found[1]) {
      attempt = latest_attempt_from(tasks[i], 1);
      is_done_then = is_done(tasks[i], attempt);
    }
    if (!is_done_then) continue;
    done.push_back(i);
    paths.push_back(data_path(tasks[i], attempt));
  }
  const auto texts = storage_->get(paths);
  std::vector<std::optional<TaskData>> data(tasks.size());
  for (std::size_t k = 0; k < done.size(); ++k) {
    if (texts[k]) data[done[k]] = task_data_from_json(texts[k]->text(), paths[k]);
  }
  return data;
}

OwnedObject FlowStore::begin_mark(const TaskRef& task, int attempt, std::int64_t microseconds) const {
  // To a tenth of a second, so that attempts that begin together share a file.
  std::string text = fmt::format("{{\"time\": {}.{}}}", microseconds / 1'000'000, microseconds / 100'000 % 10);
  return {attempt_path(task, attempt, "attempt.json"), base::SharedBytes(std::move(text)), true};
}

void FlowStore::write_data(const TaskRef& task, const TaskData& data) {
  put(*storage_, data_path(task, data.attempt), to_json(data, storage_->type()));
}

OwnedObject FlowStore::done_mark(const TaskRef& task, int attempt) const {
  return {attempt_path(task, attempt, "DONE.lock"), base::SharedBytes("\"\""), true};
}

void FlowStore::clone_attempts(std::span<const Clone> clones) {
  std::vector<Copy> copies;
  std::vector<Copy> done;
  for (const Clone& clone : clones) {
    const int attempt = clone.data->attempt;
    auto copy = [&](std::string_view name) {
      return Copy{attempt_path(clone.from, attempt, name), attempt_path(clone.to, 0, name)};
    };
    copies.push_back(copy("attempt.json"));
    if (attempt == 0 && clone.data->has_details) copies.push_back(copy("data.json"));
    done.push_back(copy("DONE.lock"));
  }
  for (const Clone& clone : clones) {
    if (clone.data->attempt == 0 && clone.data->has_details) continue;
    TaskData first = *clone.data;  // by now it has the details that Python does not write
    first.attempt = 0;
    write_data(clone.to, first);
  }
  for (const auto& some : {std::span<const Copy>(copies), std::span<const Copy>(done)}) {
    const std::vector<bool> copied = storage_->copy(some);
    const auto missing = std::find(copied.begin(), copied.end(), false);
    if (missing != copied.end())
      throw Error(ErrorCode::data_missing, fmt::format("'{}' vanished while its task was cloned",
                                                       some[static_cast<std::size_t>(missing - copied.begin())].from));
  }
}

std::vector<std::optional<std::string>> FlowStore::find_damage(std::span<const TaskData> tasks,
                                                               std::unordered_set<std::string>& good) const {
  struct Unknown {
    std::size_t task;
    const ArtifactRecord* artifact;
    std::size_t path;
  };
  std::vector<Unknown> unknown;
  std::vector<std::string> paths;
  std::unordered_map<std::string_view, std::size_t> asked;
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    for (const ArtifactRecord& artifact : tasks[i].artifacts) {
      if (good.contains(artifact.key)) continue;
      const auto [at, is_new] = asked.emplace(artifact.key, paths.size());
      if (is_new) paths.push_back(blob_path(blob_directory(), artifact.key));
      unknown.push_back({i, &artifact, at->second});
    }
  }
  const auto sizes = storage_->sizes(paths);
  std::vector<std::optional<std::string>> damage(tasks.size());
  for (const auto& [task, artifact, path] : unknown) {
    if (damage[task] || good.contains(artifact->key)) continue;
    if (sizes[path] != artifact->size || artifact->size == 0) {  // packed, written by Python, or damaged
      try {
        load_value(artifact->key, artifact->size, artifact->name);
      } catch (const Error& error) {
        damage[task] = error.message();
        continue;
      }
    }
    good.insert(artifact->key);
  }
  return damage;
}

void FlowStore::write_log(const TaskRef& task, int attempt, LogSource source, Stream stream, Pieces content) {
  const Object object{log_path(task, attempt, source, stream), content};
  storage_->put(std::span(&object, 1));
}

OwnedObject FlowStore::log(const TaskRef& task, int attempt, LogSource source, Stream stream,
                           base::SharedBytes content) const {
  return {log_path(task, attempt, source, stream), std::move(content)};
}

std::optional<base::SharedBytes> FlowStore::read_log(const TaskRef& task, int attempt, LogSource source,
                                                     Stream stream) const {
  return get(*storage_, log_path(task, attempt, source, stream));
}

OwnedObject FlowStore::inputs(const TaskRef& task, std::string packed) const {
  return {task_path(task) + "/inputs.txt", base::SharedBytes(std::move(packed))};
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

std::vector<std::optional<base::SharedBytes>> FlowStore::read_objects(std::span<const AttemptObject> which) const {
  std::vector<std::string> paths;
  for (const AttemptObject& object : which) paths.push_back(attempt_path(object.task, object.attempt, object.name));
  return storage_->get(paths);
}

namespace {

/// Compares names: numbers first, by value.
bool comes_before(const std::string& a, const std::string& b) {
  const bool is_number = base::is_all_digits(a);
  if (is_number != base::is_all_digits(b)) return is_number;
  if (is_number && a.size() != b.size()) return a.size() < b.size();
  return a < b;
}

}  // namespace

std::vector<std::string> FlowStore::directories(const std::string& path, NameKind kind) const {
  std::vector<std::string> names;
  for (Entry& entry : storage_->list(path)) {
    if (entry.is_directory && is_name(kind, entry.name)) names.push_back(std::move(entry.name));
  }
  std::sort(names.begin(), names.end(), comes_before);
  return names;
}

bool FlowStore::has_run(const std::string& run) const {
  // Reads this run alone: the flow may have many.
  if (!is_name(NameKind::run, run)) return false;
  const std::vector<Entry> entries = storage_->list(run_path(run));
  return !entries.empty() &&
         std::none_of(entries.begin(), entries.end(), [](const Entry& entry) { return entry.name == kRemovedMark; });
}

std::vector<std::string> FlowStore::steps(const std::string& run) const {
  return directories(flow_ + "/" + run, NameKind::step);
}
std::vector<std::string> FlowStore::tasks(const std::string& run, const std::string& step) const {
  return directories(flow_ + "/" + run + "/" + step, NameKind::task);
}

}  // namespace metaflow::store
