#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <initializer_list>
#include <utility>

#include <metaflow/error.h>

#include "base/format.h"
#include "base/json.h"
#include "base/plain_file.h"
#include "store/journal.h"

namespace metaflow::store {

using base::Json;

namespace {

constexpr std::int64_t kLastTime = 253'402'300'799 * 1'000'000;  // the year 9999, in microseconds
constexpr std::size_t kPiece = 1 << 20;                          // bytes, of one read
constexpr std::size_t kLongestLine = 64 << 20;                   // bytes; more are damage, such as a hole

template <class E>
E named(const std::string& name, std::initializer_list<E> values) {
  for (const E value : values) {
    if (name_of(value) == name) return value;
  }
  return E{};
}

std::string key_of(const TaskRef& task) { return task.step + "/" + task.task; }

}  // namespace

bool JournalReader::read() {
  if (!exists_ && !base::exists(path_)) return false;
  const base::Fd file = base::open_plain_file(path_, O_RDONLY);
  exists_ = true;
  const std::uint64_t before = at_;
  std::string piece(kPiece, '\0');
  while (at_ < base::kMaxLogSize) {
    const ssize_t count = ::pread(file.get(), piece.data(), piece.size(), static_cast<off_t>(at_));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw Error(ErrorCode::data_store, fmt::format("Cannot read {}: {}", path_, ::strerror(errno)));
    if (count == 0) break;
    at_ += static_cast<std::uint64_t>(count);
    add_piece(std::string_view(piece).substr(0, static_cast<std::size_t>(count)));
  }
  return at_ != before;
}

/// A line that is too long is damaged: its bytes are not kept.
void JournalReader::add_piece(std::string_view piece) {
  const std::size_t end = piece.find('\n');
  if (end == std::string_view::npos || !partial_.empty() || is_too_long_) {
    const std::string_view rest = piece.substr(0, end);
    is_too_long_ = is_too_long_ || partial_.size() + rest.size() > kLongestLine;
    if (is_too_long_) partial_.clear();
    if (!is_too_long_) partial_ += rest;
    if (end == std::string_view::npos) return;
    std::exchange(is_too_long_, false) ? void(++history_.damaged_lines) : add_line(std::exchange(partial_, {}));
    piece.remove_prefix(end + 1);
  }
  partial_ = piece.substr(add(piece));
}

std::size_t JournalReader::add(std::string_view text) {
  std::size_t used = 0;
  for (std::size_t end = text.find('\n'); end != std::string_view::npos; end = text.find('\n', used)) {
    add_line(text.substr(used, end - used));
    used = end + 1;
  }
  return used;
}

void JournalReader::add_line(std::string_view line) {
  try {
    const Json json = Json::parse_or_throw(line);
    const auto event = json.get<std::string>("e");
    const auto time = json.get<std::int64_t>("t");
    if (time < 0 || time > kLastTime) throw base::JsonMismatch("an impossible time");  // differences would overflow
    if (event == "run") {
      const std::string origin = json.get("origin", "");
      if (!origin.empty() && !is_name(NameKind::run, origin)) throw base::JsonMismatch("an invalid name");
      history_.began = history_.began == 0 ? time : history_.began;
      history_.begin = {json.get("command", ""),
                        origin,
                        json.get("host", ""),
                        json.get("pid", std::int64_t{0}),
                        json.get("max_workers", std::uint64_t{0}),
                        json.get("namespace", ""),
                        json.get("with", std::vector<std::string>{}),
                        json.get("tags", std::vector<std::string>{}),
                        json.get("branch", "")};
    } else if (event == "over") {
      history_.ended = time;
      history_.how = named(json.get<std::string>("how"), {RunEnd::done, RunEnd::failed, RunEnd::interrupted});
      history_.why = json.get("why", "");
    } else if (event == "expect") {
      const auto step = json.get<std::string>("step");
      if (is_name(NameKind::step, step)) history_.steps[step].expected += json.get<std::uint64_t>("n");
    } else if (event == "clone") {
      const auto from = parse_task_ref(json.get<std::string>("from"));
      const auto task = parse_task_ref(run_ + "/" + json.get<std::string>("task"));
      if (!task || !from) throw base::JsonMismatch("an invalid name");
      ++history_.steps[task->step].cloned;
      history_.clones.push_back({*task, *from});
    } else if (event == "start") {
      start(json, time);
    } else if (event == "end") {
      end(json, time);
    }
  } catch (const base::JsonMismatch&) {
    // A power loss may have damaged a line; the other lines are still valid.
    ++history_.damaged_lines;
  }
}

void JournalReader::start(const Json& json, std::int64_t time) {
  const auto task = parse_task_ref(run_ + "/" + json.get<std::string>("task"));
  const std::string split = json.get("split", "");
  if (!task || (!split.empty() && !parse_task_ref(split))) throw base::JsonMismatch("an invalid name");
  AttemptHistory attempt;
  attempt.task = *task;
  attempt.attempt = json.get<int>("n");
  attempt.fallback = json.get("fallback", false);
  attempt.where = json.get("where", "");
  attempt.inputs = json.get("in", "");
  if (json.contains("i")) attempt.index = json.get<std::size_t>("i");
  attempt.split = split;
  attempt.label = json.get("label", "");
  attempt.began = time;
  StepHistory& step = history_.steps[task->step];
  if (step.began == 0) step.began = time;
  if (attempt.attempt > 0 && !attempt.fallback) ++step.retried;
  const std::size_t index = history_.attempts.size();
  history_.attempts.push_back(std::move(attempt));
  const auto [found, is_new] = last_.try_emplace(key_of(*task), index);
  if (!is_new) count(std::exchange(found->second, index), -1);
  count(index, 1);
}

void JournalReader::end(const Json& json, std::int64_t time) {
  const auto found = last_.find(json.get<std::string>("task"));
  if (found == last_.end()) return;
  AttemptHistory& attempt = history_.attempts[found->second];
  if (attempt.attempt != json.get<int>("n") || attempt.ended != 0) return;
  const auto how = named(json.get<std::string>("how"), {AttemptEnd::done, AttemptEnd::failed, AttemptEnd::stopped});
  const base::Usage usage{json.get("mem", std::uint64_t{0}), json.get("cpu", 0.0), json.get("rd", std::uint64_t{0}),
                          json.get("wr", std::uint64_t{0})};
  const std::string cause = json.get("cause", "");
  const bool caught = json.get("caught", false);
  count(found->second, -1);
  attempt.ended = time;
  attempt.how = how;
  attempt.caught = caught;
  attempt.cause = cause;
  attempt.usage = usage;
  count(found->second, 1);
  StepHistory& step = history_.steps[attempt.task.step];
  step.peak_memory = std::max(step.peak_memory, usage.peak_memory);
  step.cpu_seconds += usage.cpu_seconds;
  if (how == AttemptEnd::failed) ++step.attempts_failed;
}

void JournalReader::count(std::size_t index, int sign) {
  const AttemptHistory& attempt = history_.attempts[index];
  StepHistory& step = history_.steps[attempt.task.step];
  const auto change = static_cast<std::uint64_t>(static_cast<std::int64_t>(sign));
  auto list = [&](std::set<std::size_t>& attempts) {
    sign > 0 ? void(attempts.insert(index)) : void(attempts.erase(index));
  };
  switch (attempt.how) {
    case AttemptEnd::done: step.done += change; break;
    case AttemptEnd::stopped: step.stopped += change; break;
    case AttemptEnd::failed:
      step.failed += change;
      list(history_.failed);
      break;
    case AttemptEnd::running:
      step.running += change;
      list(history_.running);
      break;
  }
  if (attempt.caught) step.caught += change;
}

std::optional<RunHistory> read_journal(const std::string& path, const std::string& run) {
  JournalReader reader(path, run);
  reader.read();
  if (!reader.exists()) return std::nullopt;
  const bool is_cut = reader.ends_within_line();
  RunHistory history = reader.take();
  if (is_cut) ++history.damaged_lines;
  return history;
}

RunHistory parse_journal(std::string_view text, const std::string& run) {
  JournalReader reader("", run);
  reader.add(text);
  return reader.take();
}

}  // namespace metaflow::store
