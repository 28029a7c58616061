// The part of the backend that ends jobs: of attempts that are stopped, of failed runs, and whatever is left at the
// end.
#include <map>
#include <utility>

#include <metaflow/error.h>

#include "compute/kubernetes/kubernetes_backend.h"
#include "compute/kubernetes/run_jobs.h"

namespace metaflow::kube {

using compute::AttemptId;

namespace {

constexpr std::int64_t kFarewell = 15'000'000;  // microseconds for deletions, at the end of a run

}  // namespace

/// A run has thousands of jobs, of which a server takes some dozens of deletions in a second: many go together, by what
/// they have in common.
void KubernetesBackend::remove_jobs(std::span<Entry* const> entries) {
  std::map<Place*, std::vector<Entry*>> by_place;
  for (Entry* entry : entries) {
    if (!entry->removing) by_place[entry->place].push_back(entry);
  }
  for (auto& [where, due] : by_place) {
    std::optional<Selection> selection;
    if (due.size() >= kManyJobs) {
      for (Entry* entry : due) entry->removing = true;
      std::vector<std::string> kept;
      for (const auto& [id, entry] : entries_) {
        if (entry->place == where && entry->requested && !entry->removing && !entry->stopping)
          kept.push_back(entry->job);
      }
      const std::vector<std::string> failed(where->failed.begin(), where->failed.end());
      selection = all_jobs_but(run_key_, kept, failed);
    }
    if (!selection) {
      for (Entry* entry : due) {
        entry->removing = true;
        remove_job(*where, entry->attempt.id, entry->job);
      }
      continue;
    }
    std::vector<std::pair<Id, std::string>> jobs;
    for (const Entry* entry : due) jobs.emplace_back(entry->attempt.id, entry->job);
    ++deletions_;
    where->own->api().remove_all(Resource::jobs, *selection,
                                 [this, place = where, jobs = std::move(jobs)](Answer&& answer) {
                                   --deletions_;
                                   // Roles that were made for earlier versions allow one at a time.
                                   const bool refused = answer.failure && !answer.failure->transient;
                                   for (const auto& [id, job] : jobs) {
                                     if (refused) {
                                       remove_job(*place, id, job);
                                     } else {
                                       on_removed(id);
                                     }
                                   }
                                 });
  }
}

void KubernetesBackend::remove_job(Entry& entry) {
  if (!std::exchange(entry.removing, true)) remove_job(*entry.place, entry.attempt.id, entry.job);
}

void KubernetesBackend::remove_job(Place& place, Id id, const std::string& job) {
  ++deletions_;
  place.own->api().remove(Resource::jobs, job, [this, id](Answer&&) {
    --deletions_;
    on_removed(id);
  });
}

void KubernetesBackend::on_removed(Id id) {
  Entry* removed = find(id);
  if (removed == nullptr || !removed->stopping) return;
  removed->removed = true;
  // Without a pod there is nothing to wait for.
  if (removed->forced || (removed->pod.empty() && !removed->ended)) conclude(id);
}

/// A job that failed is not among those that are deleted when a run is stopped.
void KubernetesBackend::note_end(Entry& entry) {
  if (!entry.ended || entry.ended->succeeded || entry.removing) return;
  std::deque<std::string>& failed = entry.place->failed;
  failed.push_back(entry.job);
  if (failed.size() > kMostNamed) failed.pop_front();
}

void KubernetesBackend::stop(std::span<const AttemptId> attempts, compute::Stop how) {
  std::vector<Entry*> due;
  for (const Id id : attempts) {
    Entry* entry = find(id);
    if (entry == nullptr) continue;
    const bool first = !entry->stopping;
    entry->stopping = true;
    if (how == compute::Stop::force) entry->forced = true;
    if (!entry->requested) {  // there is no job, and will be none
      drop_timer(*entry);
      loop_.after(0, [this, id] {
        if (find(id) != nullptr) conclude(id);
      });
      continue;
    }
    if (first && !entry->uid.empty()) due.push_back(entry);
    if (entry->removed && entry->forced)
      loop_.after(0, [this, id] {
        if (find(id) != nullptr) conclude(id);
      });
  }
  remove_jobs(due);
}

void KubernetesBackend::end() {
  over_ = true;
  const std::int64_t until = clock_.monotonic_microseconds() + kFarewell;
  // A timer, since a quiet loop would wait for ever.
  const base::EventLoop::Timer farewell = loop_.after(kFarewell, [] {});
  try {
    std::vector<Entry*> due;
    for (auto& [id, entry] : entries_) {
      if (!entry->uid.empty() && !entry->stopping) due.push_back(entry.get());
      entry->stopping = true;
    }
    remove_jobs(due);
    for (auto& [name, place] : places_) {
      ++deletions_;
      place.own->end([this] { --deletions_; });
    }
    while (deletions_ + creating_ > 0 && clock_.monotonic_microseconds() < until) loop_.run_once();
  } catch (const Error&) {  // what is left is found by `kubernetes list`
  }
  loop_.cancel(farewell);
}

}  // namespace metaflow::kube
