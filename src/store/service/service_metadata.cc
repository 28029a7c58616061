#include "store/service/service_metadata.h"

#include <algorithm>
#include <iterator>

#include "base/ascii.h"
#include "base/format.h"
#include "base/json.h"
#include "base/text.h"
#include "store/service/service_rows.h"

namespace metaflow::store {

using base::Json;

namespace {

constexpr std::size_t kMostOutboxes = 256;           // if more tasks have metadata to send, no new tasks begin
constexpr std::size_t kLongestLocation = 255;        // of an artifact, in the service's database
constexpr std::int64_t kFirstHeartbeat = 1'000'000;  // after the begin of a task: most tasks have ended by then
/// The service stores milliseconds, and readers take the latest row: attempts must not share a millisecond.
constexpr std::int64_t kBetweenAttempts = 2'000;
constexpr const char* kOldest = "2.0.4";  // the first version with heartbeats

bool is_number(const std::string& id) { return !id.empty() && base::is_all_digits(id); }

/// The pathspec "Sweep/17/start/3" of "/flows/Sweep/runs/17/steps/start/tasks/3".
std::string pathspec(const std::string& path) {
  const auto parts = base::split(path, '/');
  return fmt::format("{}/{}/{}/{}", parts[2], parts[4], parts[6], parts[8]);
}

/// Whether the service lists the row.
bool is_listed(const Json& row, bool artifact, const Json& listed) {
  return std::any_of(listed.items().begin(), listed.items().end(), [&](const Json& other) {
    if (!other.is_object()) return false;
    auto same = [&](const char* name) { return other.contains(name) && other.at(name) == row.at(name); };
    if (artifact) return same("name") && same("attempt_id") && same("sha");
    return same("field_name") && same("value") && same("tags");
  });
}

}  // namespace

ServiceMetadataWriter::ServiceMetadataWriter(ServiceClient& client, base::EventLoop& loop, base::Clock& clock,
                                             Options options)
    : client_(client), loop_(loop), clock_(clock), options_(std::move(options)), heartbeats_(client, loop, clock) {
  const std::string location = ":root:" + options_.datastore_root;
  if (location.size() > kLongestLocation) {
    throw Error(ErrorCode::invalid_command,
                fmt::format("The datastore root '{}' is longer than the {} characters that the metadata service stores",
                            options_.datastore_root, kLongestLocation - 6),
                "Use a shorter path.");
  }
  client_.check(kOldest);
}

/// Creates an object and waits for it, at the start of a run.
ServiceAnswer ServiceMetadataWriter::create(const std::string& what, const std::string& path, const Json& row) {
  ServiceAnswer answer = client_.fetch({.method = "POST", .path = path, .body = row.dump()});
  if (!answer.ok() && answer.status != 409) throw client_.error("register " + what, answer);  // 409: it exists
  return answer;
}

void ServiceMetadataWriter::ensure_flow() {
  const std::string path = "/flows/" + options_.flow;
  const ServiceAnswer answer = client_.fetch({.path = path});
  if (answer.ok() && answer.json.is_object()) return;
  if (answer.status != 404) throw client_.error("look for flow " + options_.flow, answer);
  create("flow " + options_.flow, path,
         {{"flow_id", options_.flow},
          {"user_name", options_.user},
          {"tags", Json::list()},
          {"system_tags", Json::list()},
          {"ts_epoch", clock_.wall_microseconds() / 1000}});
}

std::string ServiceMetadataWriter::new_run(const std::vector<std::string>& tags,
                                           const std::vector<std::string>& system_tags) {
  system_tags_ = system_tags;
  ensure_flow();
  const std::string what = "a run of " + options_.flow;
  const ServiceAnswer answer = create(what, fmt::format("/flows/{}/run", options_.flow),
                                      {{"flow_id", options_.flow},
                                       {"user_name", options_.user},
                                       {"tags", tags},
                                       {"system_tags", system_tags},
                                       {"ts_epoch", clock_.wall_microseconds() / 1000}});
  std::string run = id_in(answer.json, "run_number");
  if (!is_name(NameKind::run, run)) throw client_.error("register " + what, answer);
  heartbeats_.start(fmt::format("/flows/{}/runs/{}", options_.flow, run), kFirstHeartbeat);
  client_.use_run_retries();
  return run;
}

void ServiceMetadataWriter::register_run(const std::string& run, const std::vector<std::string>& tags,
                                         const std::vector<std::string>& system_tags) {
  system_tags_ = system_tags;
  if (is_number(run)) return;
  ensure_flow();
  create(fmt::format("run {}/{}", options_.flow, run), fmt::format("/flows/{}/run", options_.flow),
         {{"flow_id", options_.flow},
          {"run_number", run},
          {"user_name", options_.user},
          {"tags", tags},
          {"system_tags", system_tags},
          {"ts_epoch", clock_.wall_microseconds() / 1000}});
}

void ServiceMetadataWriter::register_task(const TaskRef& task) {
  if (is_number(task.task)) return;
  const std::string step = fmt::format("/flows/{}/runs/{}/steps/{}", options_.flow, task.run, task.step);
  Json row{{"flow_id", options_.flow},
           {"run_number", task.run},
           {"step_name", task.step},
           {"user_name", options_.user},
           {"tags", Json::list()},
           {"system_tags", system_tags_},
           {"ts_epoch", clock_.wall_microseconds() / 1000}};
  create(fmt::format("step {}/{}/{}", options_.flow, task.run, task.step), step + "/step", row);
  row.set("task_id", task.task);
  create(fmt::format("task {}/{}", options_.flow, task.path()), step + "/task", row);
}

TaskIds& ServiceMetadataWriter::ids(const std::string& run) {
  if (!ids_)
    ids_ = std::make_unique<TaskIds>(client_, loop_, clock_,
                                     TaskIds::Owner{options_.flow, run, options_.user, system_tags_});
  return *ids_;
}

void ServiceMetadataWriter::new_step(const std::string& run, const std::string& step) { ids(run).expect(step, 0); }

void ServiceMetadataWriter::expect_tasks(const std::string& run, const std::string& step, std::size_t tasks) {
  ids(run).expect(step, tasks);
}

bool ServiceMetadataWriter::ready(const std::string& run, const std::string& step, std::size_t soon) {
  return ids(run).ready(step, soon) && outboxes_.size() < kMostOutboxes;
}

std::string ServiceMetadataWriter::new_task(const std::string& run, const std::string& step) {
  return ids(run).take(step);
}

std::string ServiceMetadataWriter::path(const TaskRef& task) const {
  return fmt::format("/flows/{}/runs/{}/steps/{}/tasks/{}", options_.flow, task.run, task.step, task.task);
}

void ServiceMetadataWriter::attempt_begins(const TaskRef& task, int attempt) {
  add_fields(task, attempt, {{"attempt", std::to_string(attempt), ""}});
  heartbeats_.start(path(task), attempt == 0 ? kFirstHeartbeat : 0);
}

void ServiceMetadataWriter::attempt_ends(const TaskRef& task, int attempt, bool ok) {
  heartbeats_.stop(path(task));
  add_fields(task, attempt, {{"attempt_ok", ok ? "True" : "False", "internal_attempt_status"}});
}

void ServiceMetadataWriter::add_fields(const TaskRef& task, int attempt, const std::vector<Field>& fields) {
  Json rows = Json::list();
  for (const Field& field : fields) {
    rows.push_back({{"flow_id", options_.flow},
                    {"run_number", task.run},
                    {"step_name", task.step},
                    {"task_id", task.task},
                    {"field_name", field.name},
                    {"type", field.type.empty() ? field.name : field.type},
                    {"value", field.value},
                    {"user_name", options_.user},
                    {"tags", Json::list({fmt::format("attempt_id:{}", attempt)})},
                    {"system_tags", Json::list()}});
  }
  post(task, false, attempt, std::move(rows));
}

void ServiceMetadataWriter::add_artifacts(const TaskRef& task, const TaskData& data, std::int64_t) {
  Json rows = Json::list();
  for (const ArtifactRecord& artifact : data.artifacts) {
    rows.push_back({{"flow_id", options_.flow},
                    {"run_number", task.run},
                    {"step_name", task.step},
                    {"task_id", task.task},
                    {"attempt_id", data.attempt},
                    {"name", artifact.name},
                    {"content_type", artifact.encoding},
                    {"type", "metaflow.artifact"},
                    {"sha", artifact.key},
                    {"ds_type", options_.datastore_type},
                    {"location", ":root:" + options_.datastore_root},
                    {"user_name", options_.user},
                    {"tags", Json::list()},
                    {"system_tags", Json::list()}});
  }
  post(task, true, data.attempt, std::move(rows));
}

void ServiceMetadataWriter::clone_artifacts(const TaskRef& task, const TaskRef&, const TaskData& data,
                                            std::int64_t finished) {
  TaskData first = data;  // a clone has one attempt
  first.attempt = 0;
  add_artifacts(task, first, finished);
  add_fields(task, 0, {{"attempt", "0", ""}, {"attempt_ok", "True", "internal_attempt_status"}});
}

// --- the queues

void ServiceMetadataWriter::post(const TaskRef& task, bool artifacts, int attempt, Json rows) {
  const std::string where = path(task);
  Outbox& outbox = outboxes_[where];
  const bool begin = outbox.empty();
  auto open = [&](bool kind) {  // the last unsent post of the same kind
    return !outbox.empty() && !outbox.back().sent && outbox.back().artifacts == kind;
  };
  if (open(artifacts) && outbox.back().attempt == attempt) {
    for (Json& row : rows.items()) outbox.back().rows.push_back(std::move(row));
  } else if (artifacts && open(false)) {
    // The fields of the begin and the end of a task may be sent together: one request less for short tasks.
    outbox.insert(std::prev(outbox.end()), Post{.artifacts = true, .attempt = attempt, .rows = std::move(rows)});
  } else {
    outbox.push_back({.artifacts = artifacts, .attempt = attempt, .rows = std::move(rows)});
  }
  if (begin) send_next(where);
}

/// Sends from the loop, so that rows which are added until then are sent in the same request.
void ServiceMetadataWriter::send_next(const std::string& where) {
  const Post& next = outboxes_.at(where).front();
  const std::int64_t pause = next.attempt > 0 && !next.artifacts ? kBetweenAttempts : 0;
  loop_.after(pause, [this, where, alive = std::weak_ptr<bool>(alive_)] {
    if (!alive.expired()) send(where);
  });
}

void ServiceMetadataWriter::send(const std::string& where) {
  const auto found = outboxes_.find(where);
  if (found == outboxes_.end()) return;
  Post& first = found->second.front();
  first.sent = true;
  client_.start({.method = "POST",
                 .path = where + (first.artifacts ? "/artifact" : "/metadata"),
                 .body = first.rows.dump(),
                 .is_registered = true},
                [this, where](ServiceAnswer&& answer) { answered(where, answer); });
}

void ServiceMetadataWriter::answered(const std::string& where, const ServiceAnswer& answer) {
  Post& post = outboxes_.at(where).front();
  const char* created = post.artifacts ? "artifacts_created" : "metadata_created";
  const auto count = answer.json[created].natural();
  if (!answer.ok() || !count) throw client_.error("register metadata of task " + pathspec(where), answer);
  // The service leaves out rows that its database rejects, and only the number in its answer shows that.
  if (*count >= post.rows.size()) return sent(where);
  find_missing_rows(where);
}

void ServiceMetadataWriter::find_missing_rows(const std::string& where) {
  const Post& asked = outboxes_.at(where).front();
  const std::string list =
      asked.artifacts ? fmt::format("{}/attempt/{}/artifacts", where, asked.attempt) : where + "/metadata";
  client_.start({.path = list}, [this, where](ServiceAnswer&& answer) {
    if (!answer.ok() || !answer.json.is_list()) throw client_.error("look up task " + pathspec(where), answer);
    Post& post = outboxes_.at(where).front();
    Json missing = Json::list();
    for (Json& row : post.rows.items()) {
      if (!is_listed(row, post.artifacts, answer.json)) missing.push_back(std::move(row));
    }
    if (missing.empty()) return sent(where);  // an earlier attempt, whose answer was lost, has stored them
    post.rows = std::move(missing);
    if (!post.retry) post.retry.emplace(client_.retry(), client_.budget(), client_.random());
    const auto pause = post.retry->next_delay();
    if (!pause) {
      const std::string name = post.rows.at(0)[post.artifacts ? "name" : "field_name"].text();
      throw Error(ErrorCode::metadata_service,
                  fmt::format("The metadata service {} rejects {} {} of task {}", client_.url(),
                              post.artifacts ? "artifact" : "metadatum", name, pathspec(where)),
                  "See the service's log for the reason. Finished tasks are stored. To continue: resume");
    }
    loop_.after(*pause, [this, where, alive = std::weak_ptr<bool>(alive_)] {
      if (!alive.expired()) send(where);
    });
  });
}

void ServiceMetadataWriter::sent(const std::string& where) {
  const auto found = outboxes_.find(where);
  found->second.pop_front();
  if (found->second.empty()) {
    outboxes_.erase(found);
  } else {
    send_next(where);
  }
}

}  // namespace metaflow::store
