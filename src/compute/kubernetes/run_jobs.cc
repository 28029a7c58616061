#include "compute/kubernetes/run_jobs.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "base/format.h"
#include "base/json.h"
#include "compute/kubernetes/manifest.h"
#include "compute/kubernetes/pod_state.h"

namespace metaflow::kube {

namespace {

constexpr const char* kOurs = "app.kubernetes.io/name=metaflow-task";

/// Lists objects, without those of a list that expired.
std::optional<CallFailure> list(KubernetesApi& api, base::EventLoop& loop, Resource resource,
                                const Selection& selection, std::vector<Json>& objects) {
  std::optional<ListEnd> end;
  api.list(resource, selection,
           {.on_object = [&](Json&& object) { objects.push_back(std::move(object)); },
            .on_restart = [&] { objects.clear(); },
            .done = [&](ListEnd&& ended) { end = std::move(ended); }});
  while (!end) loop.run_once();
  return std::move(end->failure);
}

std::vector<Json> list(KubernetesApi& api, base::EventLoop& loop, Resource resource, const Selection& selection) {
  std::vector<Json> objects;
  if (const auto failure = list(api, loop, resource, selection, objects)) throw failure->error(kTitle);
  return objects;
}

void remove(KubernetesApi& api, base::EventLoop& loop, Resource resource, std::span<const std::string> names) {
  std::size_t left = names.size();
  std::optional<CallFailure> failure;
  for (const std::string& name : names) {
    api.remove(resource, name, [&](Answer&& answer) {
      --left;
      if (answer.failure && !failure) failure = std::move(answer.failure);
    });
  }
  while (left > 0) loop.run_once();
  if (failure) throw failure->error(kTitle);
}

/// Returns how a job ended: "Complete", "Failed"; empty: it has not.
std::string end_of(const Json& job) {
  for (const Json& condition : job["status"]["conditions"].items()) {
    const std::string& type = condition["type"].text();
    if ((type == "Complete" || type == "Failed") && condition["status"].text() == "True") return type;
  }
  return {};
}

Selection of_run(const std::string& run_key) { return {.labels = fmt::format("{}={}", kRunLabel, run_key)}; }

/// Deletes the jobs of a run together. Returns false if that is not possible, or the role lacks the verb.
bool remove_together(KubernetesApi& api, base::EventLoop& loop, const std::string& run_key,
                     const std::set<std::string>& names) {
  std::vector<std::string> kept;
  std::vector<std::string> failed;
  for (const Json& job : list(api, loop, Resource::jobs, of_run(run_key))) {
    std::string name = text_at(job, {"metadata", "name"});
    const std::string end = end_of(job);
    if (end != "Complete" && !names.contains(name)) (end.empty() ? kept : failed).push_back(std::move(name));
  }
  const auto selection = all_jobs_but(run_key, kept, failed);
  if (!selection) return false;
  std::optional<Answer> answer;
  api.remove_all(Resource::jobs, *selection, [&](Answer&& given) { answer = std::move(given); });
  while (!answer) loop.run_once();
  if (answer->failure && answer->failure->transient) throw answer->failure->error(kTitle);
  return !answer->failure;
}

std::string annotation(const Json& object, const char* name) {
  return text_at(object, {"metadata", "annotations", name});
}

}  // namespace

void check_access(KubernetesApi& api, base::EventLoop& loop) {
  std::vector<Json> pods;
  const auto failure = list(api, loop, Resource::pods, {.labels = fmt::format("{}=0", kRunLabel)}, pods);
  if (failure && !failure->transient) throw failure->error(kTitle);
}

std::vector<RunJob> unfinished_jobs(KubernetesApi& api, base::EventLoop& loop, const ChosenRuns& which) {
  std::map<std::string, RunJob> jobs;
  for (const Json& object : list(api, loop, Resource::jobs, {.labels = kOurs})) {
    RunJob job;
    job.job = text_at(object, {"metadata", "name"});
    job.run_key = text_at(object, {"metadata", "labels", kRunLabel});
    const std::string flow = annotation(object, "metaflow/flow_name");
    job.run = annotation(object, "metaflow/run_id");
    job.step = annotation(object, "metaflow/step_name");
    job.task = annotation(object, "metaflow/task_id");
    job.attempt = annotation(object, "metaflow/attempt");
    job.user = annotation(object, "metaflow/user");
    job.since = text_at(object, {"metadata", "creationTimestamp"});
    const bool wanted = (which.flow.empty() || flow == which.flow) && (which.run.empty() || job.run == which.run) &&
                        (which.user.empty() || job.user == which.user);
    if (wanted && end_of(object).empty()) jobs.emplace(job.job, std::move(job));
  }
  if (jobs.empty()) return {};
  const Selection active{.labels = kOurs, .fields = "status.phase!=Succeeded,status.phase!=Failed"};
  for (const Json& pod : list(api, loop, Resource::pods, active)) {
    std::string name = text_at(pod, {"metadata", "labels", "batch.kubernetes.io/job-name"});
    if (name.empty()) name = text_at(pod, {"metadata", "labels", "job-name"});
    const auto found = jobs.find(name);
    if (found == jobs.end()) continue;
    RunJob& job = found->second;
    job.instance = text_at(pod, {"metadata", "name"});
    job.status = text_at(pod, {"status", "phase"});
    job.running = state_of_pod(pod).phase == PodPhase::running;  // other containers may outlive the task
    if (const std::string start = text_at(pod, {"status", "startTime"}); !start.empty()) job.since = start;
  }
  std::vector<RunJob> sorted;
  for (auto& [name, job] : jobs) sorted.push_back(std::move(job));
  std::sort(sorted.begin(), sorted.end(), [](const RunJob& a, const RunJob& b) {
    return std::tuple(a.run, a.step, a.task.size(), a.task) < std::tuple(b.run, b.step, b.task.size(), b.task);
  });
  return sorted;
}

Selection unfinished_or_failed(const std::string& run_key) {
  Selection selection = of_run(run_key);
  selection.fields = "status.successful=0";
  return selection;
}

std::optional<Selection> all_jobs_but(const std::string& run_key, std::span<const std::string> kept,
                                      std::span<const std::string> failed) {
  if (kept.size() > kMaxNamed) return std::nullopt;
  Selection selection = unfinished_or_failed(run_key);
  for (const std::string& name : kept) selection.fields += ",metadata.name!=" + name;
  for (const std::string& name : failed.last(std::min(failed.size(), kMaxNamed - kept.size())))
    selection.fields += ",metadata.name!=" + name;
  return selection;
}

void remove_jobs(KubernetesApi& api, base::EventLoop& loop, std::span<const RunJob> jobs) {
  std::map<std::string, std::set<std::string>> runs;  // names, by the run's key
  for (const RunJob& job : jobs) runs[job.run_key].insert(job.job);
  std::vector<std::string> singles;
  for (const auto& [run_key, names] : runs) {
    if (names.size() < kManyJobs || !remove_together(api, loop, run_key, names))
      singles.insert(singles.end(), names.begin(), names.end());
  }
  remove(api, loop, Resource::jobs, singles);
}

void remove_secret(KubernetesApi& api, base::EventLoop& loop, const std::string& run_key) {
  const std::string name = secret_name(run_key);
  remove(api, loop, Resource::secrets, std::span(&name, 1));
}

}  // namespace metaflow::kube
