#include "store/service/task_ids.h"

#include <algorithm>
#include <unordered_set>

#include "base/format.h"
#include "base/json.h"
#include "store/service/service_rows.h"

namespace metaflow::store {

using base::Json;

namespace {

constexpr std::size_t kMostAhead = 64;
constexpr std::int64_t kSecond = 1'000'000;
constexpr std::size_t kPerSecond = 8;  // ids are fetched ahead for an eighth of a second

}  // namespace

TaskIds::TaskIds(ServiceClient& client, base::EventLoop& loop, base::Clock& clock, Owner owner)
    : client_(client), loop_(loop), clock_(clock), owner_(std::move(owner)) {}

TaskIds::~TaskIds() {
  for (auto& [name, step] : steps_) {
    if (step.pause) loop_.cancel(*step.pause);
  }
}

TaskIds::Step& TaskIds::step_of(const std::string& name) {
  const auto [at, is_new] = steps_.try_emplace(name);
  if (is_new) {
    at->second.name = name;
    register_step(at->second);
  }
  return at->second;
}

std::string TaskIds::path(const Step& step, const char* what) const {
  return fmt::format("/flows/{}/runs/{}/steps/{}/{}", owner_.flow, owner_.run, step.name, what);
}

std::string TaskIds::row(const Step& step) const {
  return Json{{"flow_id", owner_.flow},
              {"run_number", owner_.run},
              {"step_name", step.name},
              {"user_name", owner_.user},
              {"tags", Json::list()},
              {"system_tags", owner_.system_tags},
              {"ts_epoch", clock_.wall_microseconds() / 1000}}
      .dump();
}

void TaskIds::register_step(Step& step) {
  client_.start(
      {.method = "POST", .path = path(step, "step"), .body = row(step)}, [this, &step](ServiceAnswer&& answer) {
        if (!answer.ok() && answer.status != 409)  // 409: an earlier attempt, whose answer was lost, has registered it
          throw client_.error(fmt::format("register step {}/{}/{}", owner_.flow, owner_.run, step.name), answer);
        step.registered = true;
        fetch(step, step.expected > 0 ? 1 : 0);
      });
}

void TaskIds::expect(const std::string& name, std::size_t tasks) {
  Step& step = step_of(name);
  step.expected += tasks;
}

bool TaskIds::ready(const std::string& name, std::size_t soon) {
  Step& step = step_of(name);
  const bool announced = step.expected + step.in_flight + step.ids.size() > 0 || step.uncertain;
  if (!announced) step.expected = 1;
  fetch(step, soon + ahead(step));
  return !step.ids.empty();
}

std::string TaskIds::take(const std::string& name) {
  Step& step = step_of(name);
  std::string id = std::move(step.ids.front());
  step.ids.pop_front();
  ahead(step);
  ++step.taken_now;
  fetch(step, ahead(step));
  return id;
}

/// How many ids a step should have in reserve at its current rate.
std::size_t TaskIds::ahead(Step& step) {
  const std::int64_t second = clock_.monotonic_microseconds() / kSecond;
  if (second != step.second) {
    step.taken_before = second == step.second + 1 ? step.taken_now : 0;
    step.taken_now = 0;
    step.second = second;
  }
  return std::min(kMostAhead, (step.taken_before + step.taken_now) / kPerSecond);
}

/// Requests ids until `wanted` of them are there or on their way.
void TaskIds::fetch(Step& step, std::size_t wanted) {
  if (!step.registered || step.uncertain) return;
  while (step.expected > 0 && step.ids.size() + step.in_flight < wanted) {
    --step.expected;
    ++step.in_flight;
    client_.start({.method = "POST", .path = path(step, "task"), .body = row(step), .repeatable = false},
                  [this, &step](ServiceAnswer&& answer) { arrived(step, std::move(answer)); });
  }
}

void TaskIds::arrived(Step& step, ServiceAnswer&& answer) {
  --step.in_flight;
  std::string id = answer.ok() ? id_in(answer.json, "task_id") : std::string();
  if (!id.empty()) {
    client_.check_name(NameKind::task, id);
    step.retry.reset();
    add(step, std::move(id));
  } else if (!answer.ok() && answer.may_have_arrived) {
    ++step.expected;
    step.uncertain = true;
  } else {
    throw client_.error(fmt::format("register a task of {}/{}/{}", owner_.flow, owner_.run, step.name), answer);
  }
  if (step.uncertain && step.in_flight == 0) list_after_delay(step);
}

void TaskIds::add(Step& step, std::string id) {
  step.all.push_back(id);
  step.ids.push_back(std::move(id));
}

/// Lists the tasks after a delay, since the service may still be processing the lost request.
void TaskIds::list_after_delay(Step& step) {
  if (!step.retry) step.retry.emplace(client_.retry(), client_.budget(), client_.random());
  const auto pause = step.retry->next_delay();
  if (!pause) {
    throw Error(ErrorCode::metadata_service,
                fmt::format("Cannot register a task of {}/{}/{} with the metadata service {}: its answers were lost "
                            "({} attempts)",
                            owner_.flow, owner_.run, step.name, client_.url(), step.retry->tries()),
                "See the service's log.");
  }
  step.pause = loop_.after(*pause, [this, &step] {
    step.pause.reset();
    list(step);
  });
}

void TaskIds::list(Step& step) {
  client_.start({.path = path(step, "tasks")}, [this, &step](ServiceAnswer&& answer) {
    if (!answer.ok() || !answer.json.is_list())
      throw client_.error(fmt::format("list the tasks of {}/{}/{}", owner_.flow, owner_.run, step.name), answer);
    std::unordered_set<std::string> known(step.all.begin(), step.all.end());
    for (const Json& task : answer.json.items()) {
      std::string id = id_in(task, "task_id");
      if (id.empty() || !known.insert(id).second) continue;
      client_.check_name(NameKind::task, id);
      if (step.expected > 0) --step.expected;
      add(step, std::move(id));
    }
    step.uncertain = false;
    fetch(step, step.expected > 0 ? 1 : 0);
  });
}

}  // namespace metaflow::store
