#include "store/journal.h"

#include <iterator>
#include <unordered_map>

#include <metaflow/error.h>

#include "base/file_mode.h"
#include "base/format.h"
#include "base/json.h"
#include "base/plain_file.h"
#include "base/text.h"

namespace metaflow::store {

namespace {

using base::Json;
using base::json_quoted;

constexpr std::int64_t kLastTime = 253'402'300'799 * 1'000'000;  // the year 9999, in microseconds

constexpr std::string_view kAttemptEnds[] = {"running", "done", "failed", "stopped"};
constexpr std::string_view kRunEnds[] = {"none", "done", "failed", "interrupted"};

std::string step_and_task(const TaskRef& task) { return task.step + "/" + task.task; }

template <class E, std::size_t N>
E named(const std::string_view (&names)[N], const std::string& name) {
  for (std::size_t i = 0; i < N; ++i) {
    if (names[i] == name) return static_cast<E>(i);
  }
  return E{};
}

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
  text_ += "}\n";
}

void Journal::attempt_ends(std::int64_t time, const TaskRef& task, int attempt, AttemptEnd how,
                           const base::Usage& usage, std::string_view cause) {
  auto out = std::back_inserter(text_);
  fmt::format_to(out, "{{\"e\":\"end\",\"t\":{},\"task\":{},\"n\":{},\"how\":{},\"mem\":{},\"cpu\":{:.6f}", time,
                 json_quoted(step_and_task(task)), attempt, json_quoted(name_of(how)), usage.peak_memory,
                 usage.cpu_seconds);
  if (usage.read > 0) fmt::format_to(out, ",\"rd\":{}", usage.read);
  if (usage.written > 0) fmt::format_to(out, ",\"wr\":{}", usage.written);
  if (!cause.empty()) fmt::format_to(out, ",\"cause\":{}", json_quoted(cause));
  text_ += "}\n";
}

void Journal::flush() {
  if (text_.empty()) return;
  if (!file_) file_ = base::open_to_append(path_);
  base::append(file_, path_, text_);
  text_.clear();
}

std::optional<RunHistory> read_journal(const std::string& path, const std::string& run) {
  const auto bytes = base::read_plain_file(path, base::kMaxLogSize);
  if (!bytes) return std::nullopt;
  return parse_journal(bytes->text(), run);
}

RunHistory parse_journal(std::string_view text, const std::string& run) {
  RunHistory history;
  std::unordered_map<std::string, std::size_t> open;  // "work/5/0": the index of the attempt
  auto ref = [&](const std::string& step_and_task) { return parse_task_ref(run + "/" + step_and_task); };
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) break;  // a line that is still being written
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 1);
    try {
      const Json json = Json::parse_or_throw(line);
      const auto event = json.get<std::string>("e");
      const auto time = json.get<std::int64_t>("t");
      if (time < 0 || time > kLastTime) continue;  // differences of such times would overflow
      if (event == "run") {
        const std::string origin = json.get("origin", "");
        if (!origin.empty() && !is_name(NameKind::run, origin)) continue;
        history.began = history.began == 0 ? time : history.began;
        history.begin = {json.get("command", ""),
                         origin,
                         json.get("host", ""),
                         json.get("pid", std::int64_t{0}),
                         json.get("max_workers", std::uint64_t{0}),
                         json.get("namespace", ""),
                         json.get("with", std::vector<std::string>{}),
                         json.get("tags", std::vector<std::string>{}),
                         json.get("branch", "")};
      } else if (event == "over") {
        history.ended = time;
        history.how = named<RunEnd>(kRunEnds, json.get<std::string>("how"));
        history.why = json.get("why", "");
      } else if (event == "expect") {
        const auto step = json.get<std::string>("step");
        if (is_name(NameKind::step, step)) history.expected[step] += json.get<std::uint64_t>("n");
      } else if (event == "clone") {
        const auto from = parse_task_ref(json.get<std::string>("from"));
        const auto task = ref(json.get<std::string>("task"));
        if (task && from) history.clones.push_back({*task, *from});
      } else if (event == "start") {
        const auto task = ref(json.get<std::string>("task"));
        const std::string split = json.get("split", "");
        if (!task || (!split.empty() && !parse_task_ref(split))) continue;
        AttemptHistory attempt;
        attempt.task = *task;
        attempt.attempt = json.get<int>("n");
        attempt.fallback = json.get("fallback", false);
        attempt.where = json.get("where", "");
        attempt.inputs = json.get("in", "");
        if (json.contains("i")) attempt.index = json.get<std::size_t>("i");
        attempt.split = split;
        attempt.began = time;
        open[fmt::format("{}/{}", step_and_task(attempt.task), attempt.attempt)] = history.attempts.size();
        history.attempts.push_back(std::move(attempt));
      } else if (event == "end") {
        const auto found = open.find(fmt::format("{}/{}", json.get<std::string>("task"), json.get<int>("n")));
        if (found == open.end()) continue;
        AttemptHistory& attempt = history.attempts[found->second];
        open.erase(found);
        attempt.ended = time;
        attempt.how = named<AttemptEnd>(kAttemptEnds, json.get<std::string>("how"));
        attempt.cause = json.get("cause", "");
        attempt.usage = {json.get("mem", std::uint64_t{0}), json.get("cpu", 0.0), json.get("rd", std::uint64_t{0}),
                         json.get("wr", std::uint64_t{0})};
      }
    } catch (const base::JsonMismatch&) {
      // A power loss may have damaged a line; the other lines are still valid. A line with an invalid name is skipped,
      // too.
    }
  }
  return history;
}

}  // namespace metaflow::store
