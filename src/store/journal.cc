#include "store/journal.h"

#include <iterator>

#include <metaflow/error.h>

#include "base/file_mode.h"
#include "base/format.h"
#include "base/json.h"
#include "base/text.h"

namespace metaflow::store {

namespace {

using base::Json;
using base::json_quoted;

constexpr std::string_view kAttemptEnds[] = {"running", "done", "failed", "stopped"};
constexpr std::string_view kRunEnds[] = {"none", "done", "failed", "interrupted"};

std::string step_and_task(const TaskRef& task) { return task.step + "/" + task.task; }

}  // namespace

std::string_view name_of(AttemptEnd how) { return kAttemptEnds[static_cast<std::size_t>(how)]; }
std::string_view name_of(RunEnd how) { return kRunEnds[static_cast<std::size_t>(how)]; }

std::string journal_path(const std::string& local_root, const std::string& flow, const std::string& run) {
  return path_below(local_root, fmt::format("{}/{}/_meta/journal.jsonl", flow, run));
}

std::string private_with_path(const std::string& local_root, const std::string& flow, const std::string& run) {
  return path_below(local_root, fmt::format("{}/{}/_meta/with.json", flow, run));
}

void write_private_with(const std::string& path, const std::vector<std::string>& with) {
  base::replace_file(path, Json{{"with", with}}.dump() + "\n", base::kPrivate);
}

std::optional<std::vector<std::string>> parse_private_with(std::string_view text) {
  try {
    return Json::parse_or_throw(text).get<std::vector<std::string>>("with");
  } catch (const base::JsonMismatch&) {
    return std::nullopt;
  }
}

void Journal::run_begins(std::int64_t time, const RunBegin& run) {
  const Json json{{"branch", run.branch},
                  {"command", run.command},
                  {"e", "run"},
                  {"host", run.host},
                  {"max_workers", run.max_workers},
                  {"namespace", run.name_space},
                  {"origin", run.origin},
                  {"pid", run.pid},
                  {"t", time},
                  {"tags", run.tags},
                  {"version", 1},
                  {"with", run.with}};
  text_ += json.dump() + "\n";
}

void Journal::run_ends(std::int64_t time, RunEnd how, std::string_view why) {
  text_ += fmt::format("{{\"e\":\"over\",\"t\":{},\"how\":{},\"why\":{}}}\n", time, json_quoted(name_of(how)),
                       json_quoted(why));
}

void Journal::expect(std::int64_t time, std::string_view step, std::uint64_t tasks) {
  text_ += fmt::format("{{\"e\":\"expect\",\"t\":{},\"step\":{},\"n\":{}}}\n", time, json_quoted(step), tasks);
}

void Journal::cloned(std::int64_t time, const TaskRef& task, const TaskRef& from) {
  text_ += fmt::format("{{\"e\":\"clone\",\"t\":{},\"task\":{},\"from\":{}}}\n", time, json_quoted(step_and_task(task)),
                       json_quoted(from.path()));
}

void Journal::attempt_begins(std::int64_t time, const AttemptBegin& attempt) {
  auto out = std::back_inserter(text_);
  fmt::format_to(out, "{{\"e\":\"start\",\"t\":{},\"task\":{},\"n\":{},\"where\":{}", time,
                 json_quoted(step_and_task(attempt.task)), attempt.attempt, json_quoted(attempt.where));
  if (attempt.fallback) text_ += ",\"fallback\":true";
  if (!attempt.inputs.empty()) fmt::format_to(out, ",\"in\":{}", json_quoted(attempt.inputs));
  if (attempt.index) fmt::format_to(out, ",\"i\":{}", *attempt.index);
  if (!attempt.split.empty()) fmt::format_to(out, ",\"split\":{}", json_quoted(attempt.split));
  if (!attempt.label.empty()) fmt::format_to(out, ",\"label\":{}", json_quoted(attempt.label));
  text_ += "}\n";
}

void Journal::attempt_ends(std::int64_t time, const TaskRef& task, int attempt, AttemptEnd how,
                           const base::Usage& usage, std::string_view cause, bool caught) {
  auto out = std::back_inserter(text_);
  fmt::format_to(out, "{{\"e\":\"end\",\"t\":{},\"task\":{},\"n\":{},\"how\":{},\"mem\":{},\"cpu\":{:.6f}", time,
                 json_quoted(step_and_task(task)), attempt, json_quoted(name_of(how)), usage.peak_memory,
                 usage.cpu_seconds);
  if (usage.read > 0) fmt::format_to(out, ",\"rd\":{}", usage.read);
  if (usage.written > 0) fmt::format_to(out, ",\"wr\":{}", usage.written);
  if (caught) text_ += ",\"caught\":true";
  if (!cause.empty()) fmt::format_to(out, ",\"cause\":{}", json_quoted(cause));
  text_ += "}\n";
}

void Journal::flush() {
  if (text_.empty()) return;
  if (!file_) file_ = base::open_to_append(path_);
  base::append(file_, path_, text_);
  text_.clear();
}

}  // namespace metaflow::store
