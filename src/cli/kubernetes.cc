// kubernetes list, kubernetes kill: what runs have in the cluster. And what `resume` has to know of it.
#include <algorithm>
#include <map>
#include <set>

#include <metaflow/error.h>

#include "base/event_loop.h"
#include "base/files.h"
#include "base/format.h"
#include "base/json.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/job_commands.h"
#include "cli/remote.h"
#include "compute/kubernetes/client/api.h"
#include "compute/kubernetes/manifest.h"
#include "compute/kubernetes/run_jobs.h"
#include "net/plain_http.h"
#include "runtime/lease.h"

namespace metaflow::cli {

namespace {

using base::Json;
using kube::RunJob;

constexpr std::int64_t kLookEvery = 3'000'000;

/// Below a run: where it has jobs.
std::string marker_path(const Context& context, const std::string& run) {
  return fmt::format("{}/{}/_meta/kubernetes.json", context.flow.name, run);
}

std::set<std::string> namespaces_of(Context& context, const std::string& run) {
  std::set<std::string> names;
  const auto text = store::get(context.store().storage(), marker_path(context, run));
  if (!text) return names;
  const Json json = Json::parse(text->text()).value_or(Json());
  for (std::string& name : json["namespaces"].texts()) {
    if (!kube::is_namespace(name))
      throw Error(ErrorCode::data_store,
                  fmt::format("In '{}', '{}' is not a namespace", marker_path(context, run), base::visible(name)));
    names.insert(std::move(name));
  }
  return names;
}

kube::RunSelection selection(const ChosenRuns& which) {
  return {.flow = which.flow, .run = which.run, .user = which.user};
}

/// The client of each namespace that runs like these have jobs in.
class Clients {
 public:
  Clients(Context& context, const std::string& run)
      : loop_(context.clock),
        access_(
            kube::find_access(net::variables_of(context.settings), context.settings.get("KUBERNETES_CONTEXT", ""))) {
    std::set<std::string> names;
    if (!run.empty()) names = namespaces_of(context, run);
    if (names.empty()) {
      std::string name = context.settings.get("KUBERNETES_NAMESPACE", access_.name_space);
      names.insert(name.empty() ? "default" : name);
    }
    for (const std::string& name : names) {
      kube::ApiOptions options;
      options.name_space = name;
      apis_.push_back(std::make_unique<kube::KubernetesApi>(loop_, context.clock, access_, std::move(options)));
    }
  }

  template <class F>
  void each(F what) {
    for (const auto& api : apis_) what(*api, loop_);
  }
  base::EventLoop& loop() { return loop_; }

 private:
  base::EventLoop loop_;
  kube::Access access_;
  std::vector<std::unique_ptr<kube::KubernetesApi>> apis_;
};

std::vector<ListedJob> list(Context& context, const ChosenRuns& chosen) {
  const kube::RunSelection which = selection(chosen);
  Clients clients(context, which.run);
  std::vector<ListedJob> listed;
  clients.each([&](kube::KubernetesApi& api, base::EventLoop& loop) {
    for (RunJob& job : unfinished_jobs(api, loop, which)) {
      listed.push_back({.run = std::move(job.run),
                        .step = std::move(job.step),
                        .task = std::move(job.task),
                        .attempt = std::move(job.attempt),
                        .user = std::move(job.user),
                        .job = std::move(job.name),
                        .pod = std::move(job.pod),
                        .since = std::move(job.started),
                        .status = std::move(job.phase)});
    }
  });
  return listed;
}

std::size_t kill(Context& context, const ChosenRuns& chosen) {
  const kube::RunSelection which = selection(chosen);
  Clients clients(context, which.run);
  std::size_t killed = 0;
  clients.each([&](kube::KubernetesApi& api, base::EventLoop& loop) {
    const std::vector<RunJob> jobs = unfinished_jobs(api, loop, which);
    remove_jobs(api, loop, jobs);
    for (const RunJob& job : jobs)
      base::write_all(1, fmt::format("Killed {}/{}/{} (job {})\n", job.run, job.step, job.task, job.name));
    // A scheduler that lives may submit more, which needs the secret; it deletes that itself.
    std::map<std::string, std::string> runs;
    for (const RunJob& job : jobs) runs.emplace(job.run_key, job.run);
    for (const auto& [key, run] : runs) {
      if (is_name(store::NameKind::run, run) &&
          !runtime::Lease::holder(context.store().storage(), context.flow.name, run, "execute", context.clock))
        remove_secret(api, loop, key);
    }
    killed += jobs.size();
  });
  return killed;
}

}  // namespace

void note_namespaces(Context& context, const std::string& run, const std::vector<std::string>& namespaces) {
  store::put(context.store().storage(), marker_path(context, run), Json{{"namespaces", namespaces}}.dump());
}

void settle_jobs(Context& context, const std::string& run) {
  const std::set<std::string> names = namespaces_of(context, run);
  if (names.empty()) return;
  Clients clients(context, run);
  const kube::RunSelection which{.flow = context.flow.name, .run = run};
  const std::string key = kube::run_key(context.flow.name, run, context.store().storage().root());
  std::size_t said = 0;
  while (true) {
    std::size_t left = 0;
    clients.each([&](kube::KubernetesApi& api, base::EventLoop& loop) {
      std::vector<RunJob> not_begun = unfinished_jobs(api, loop, which);
      std::erase_if(not_begun, [&](const RunJob& job) { return job.run_key != key; });  // of another store
      const std::size_t all = not_begun.size();
      std::erase_if(not_begun, [](const RunJob& job) { return job.running; });
      remove_jobs(api, loop, not_begun);
      left += all - not_begun.size();
      if (all == not_begun.size()) remove_secret(api, loop, key);
    });
    if (left == 0) return;
    if (left != said)
      Context::echo_always(fmt::format(
          "{} task{} of run {} {} still executed in the cluster; waiting, since what they finish is not done "
          "again. To end them: {} kubernetes kill --run-id {}\n",
          left, left == 1 ? "" : "s", run, left == 1 ? "is" : "are", context.program, run));
    said = left;
    bool over = false;
    clients.loop().after(kLookEvery, [&] { over = true; });
    while (!over) clients.loop().run_once();
  }
}

Command kubernetes_command(Context& context) {
  return job_commands(context, {.name = "kubernetes",
                                .platform = "Kubernetes",
                                .things = "Kubernetes pods",
                                .beginning = "Started",
                                .list = [&context](const ChosenRuns& which) { return list(context, which); },
                                .kill = [&context](const ChosenRuns& which) { return kill(context, which); }});
}

}  // namespace metaflow::cli
