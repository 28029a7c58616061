// The part of KubernetesJobs that removes jobs: of stopped attempts, of failed runs, and what remains at the end of a
// run.
#include <map>
#include <utility>

#include "compute/kubernetes/kubernetes_jobs.h"
#include "compute/kubernetes/run_jobs.h"

namespace metaflow::kube {

void KubernetesJobs::remove(std::span<const compute::AttemptId> attempts) {
  std::vector<Record*> due;
  for (const Id id : attempts) {
    Record* record = find(id);
    if (record == nullptr) continue;
    record->unwanted = true;
    if (!record->uid.empty()) {
      due.push_back(record);
    } else if (!record->creating) {  // there is no job, and none will be created
      timers_.after(0, [this, id] {
        if (find(id) != nullptr) events_.on_removed(id, true);
      });
    }
  }
  remove_jobs(due);
}

/// A run may have thousands of jobs, and a server handles a few dozen deletions per second. Many jobs are deleted
/// together, selected by their labels.
void KubernetesJobs::remove_jobs(std::span<Record* const> records) {
  std::map<Place*, std::vector<Record*>> by_place;
  for (Record* record : records) {
    if (!record->removing) by_place[record->place].push_back(record);
  }
  for (auto& [where, due] : by_place) {
    std::optional<Selection> selection;
    if (due.size() >= kManyJobs) {
      std::vector<std::string> kept;
      for (const auto& [id, record] : records_) {
        if (record->place == where && !record->name.empty() && !record->unwanted && !record->removing)
          kept.push_back(record->name);
      }
      const std::vector<std::string> failed(where->failed.begin(), where->failed.end());
      selection = all_jobs_but(run_key_, kept, failed);
    }
    if (!selection) {
      for (Record* record : due) remove_job(*record);
      continue;
    }
    // A job whose creation was not answered yet may exist, and is deleted with them.
    for (const auto& [id, record] : records_) {
      if (record->place == where && record->unwanted && record->creating) record->removing = true;
    }
    std::vector<std::pair<Id, std::string>> jobs;
    for (Record* record : due) {
      record->removing = true;
      jobs.emplace_back(record->order.id(), record->name);
    }
    ++deletions_;
    where->own->api().remove_all(Resource::jobs, *selection,
                                 [this, place = where, jobs = std::move(jobs)](Answer&& answer) {
                                   // Roles for earlier versions allow only single deletions.
                                   const bool refused = answer.failure && !answer.failure->transient;
                                   for (const auto& [id, job] : jobs) {
                                     if (refused) {
                                       remove_job(*place, id, job);
                                     } else {
                                       on_removed(id);
                                     }
                                   }
                                   --deletions_;
                                   end_if_idle();
                                 });
  }
}

void KubernetesJobs::remove_job(Record& record) {
  if (!std::exchange(record.removing, true)) remove_job(*record.place, record.order.id(), record.name);
}

void KubernetesJobs::remove_job(Place& place, Id id, const std::string& job) {
  ++deletions_;
  place.own->api().remove(Resource::jobs, job, [this, id](Answer&&) {
    on_removed(id);
    --deletions_;
    end_if_idle();
  });
}

/// Without a pod, there is no end to wait for.
void KubernetesJobs::on_removed(Id id) {
  if (const Record* removed = find(id)) events_.on_removed(id, removed->pod.empty() && !removed->ended);
}

/// After an outage of the API server, the job controller may act on an old state, and create a second pod for a job
/// whose pod has ended. No attempt waits for that pod, and the run's secret may be deleted before it starts.
void KubernetesJobs::remove_surplus(const std::string& job, const Json& pod) {
  const auto place = places_.find(text_at(pod, {"metadata", "namespace"}));
  if (done_ || place == places_.end() || job.empty() || state_of_pod(pod).phase == PodPhase::ended) return;
  ++deletions_;
  place->second.own->api().remove(Resource::jobs, job, [this](Answer&&) {
    --deletions_;
    end_if_idle();
  });
}

void KubernetesJobs::forget(Id id) {
  const auto found = records_.extract(id);
  if (found.empty()) return;
  Record& record = *found.mapped();
  // Its sidecars would keep the pod running, without a use, and it would count against quotas.
  if (record.ended && record.outlived) remove_job(record);
  // A failed job is not among those that are deleted when a run is stopped.
  if (record.ended && !record.succeeded && !record.removing) {
    std::deque<std::string>& failed = record.place->failed;
    failed.push_back(record.name);
    if (failed.size() > kMaxNamed) failed.pop_front();
  }
  if (record.creating && record.unwanted) abandoned_.insert(record.name);
  by_job_.erase(record.name);
  std::erase(record.place->waiting, id);
}

void KubernetesJobs::end(std::function<void()> done) {
  done_ = std::move(done);
  ++deletions_;
  for (auto& [name, place] : places_) {
    ++deletions_;
    place.own->end([this] {
      --deletions_;
      end_if_idle();
    });
  }
  --deletions_;
  end_if_idle();
}

void KubernetesJobs::end_if_idle() {
  if (done_ && deletions_ + creating_ == 0) done_();
}

}  // namespace metaflow::kube
