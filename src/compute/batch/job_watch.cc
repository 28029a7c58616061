#include "compute/batch/job_watch.h"

#include <algorithm>
#include <utility>

namespace metaflow::awsbatch {

namespace {

constexpr std::int64_t kSecond = 1'000'000;
constexpr std::int64_t kSlowestPoll = 15 * kSecond;
constexpr std::int64_t kPollShare = 20;                // of the time since the last change
constexpr std::int64_t kPerHundredJobs = 200'000;      // microseconds: at most five DescribeJobs in a second
constexpr std::int64_t kChildrenEvery = 60 * kSecond;  // its array's summary does not say what a child waits for
constexpr int kMaxUnknownPolls = 5;                    // polls in a row that do not report a job

}  // namespace

JobWatch::JobWatch(base::EventLoop& loop, base::Clock& clock, BatchApi& api, Events events, std::int64_t poll_every)
    : loop_(loop), clock_(clock), api_(api), events_(std::move(events)), poll_every_(poll_every) {}

JobWatch::~JobWatch() {
  if (poll_timer_) loop_.cancel(*poll_timer_);
  if (termination_timer_) loop_.cancel(*termination_timer_);
}

void JobWatch::add(const std::string& job) {
  jobs_.emplace(job, 0);
  if (const std::string array(array_of(job)); !array.empty())
    arrays_[array].children.emplace(job, JobStatus::submitted);
  changed_at_ = clock_.monotonic_microseconds();
  schedule(false);
}

void JobWatch::remove(const std::string& job) {
  if (jobs_.erase(job) == 0) return;
  const auto array = arrays_.find(std::string(array_of(job)));
  if (array == arrays_.end()) return;
  const auto child = array->second.children.extract(job);
  ++array->second.ended[child.mapped()];
  if (array->second.children.empty()) arrays_.erase(array);
}

void JobWatch::poll_often() {
  changed_at_ = clock_.monotonic_microseconds();
  schedule(true);
}

void JobWatch::schedule(bool soon) {
  if (polling_ || jobs_.empty()) return;
  if (poll_timer_) {
    if (!soon) return;
    loop_.cancel(*poll_timer_);
  }
  const std::int64_t quiet = clock_.monotonic_microseconds() - changed_at_;
  const std::int64_t wait =
      std::max(std::clamp(quiet / kPollShare, poll_every_, kSlowestPoll), calls_ * kPerHundredJobs);
  poll_timer_ = loop_.after(soon ? poll_every_ : wait, [this] {
    poll_timer_.reset();
    poll();
  });
}

void JobWatch::poll() {
  std::vector<std::string> asked;
  for (const auto& [job, unknown] : jobs_) {
    if (array_of(job).empty()) asked.push_back(job);
  }
  const std::int64_t now = clock_.monotonic_microseconds();
  for (auto& [array, state] : arrays_) {
    asked.push_back(array);
    if (now - state.polled_at >= kChildrenEvery) state.due = true;
  }
  polling_ = true;
  calls_ = 0;
  ask(asked, [this] { ask_for_children(); });
}

void JobWatch::ask_for_children() {
  std::vector<std::string> asked;
  for (auto& [array, state] : arrays_) {
    if (!std::exchange(state.due, false)) continue;
    state.polled_at = clock_.monotonic_microseconds();
    for (const auto& [child, status] : state.children) asked.push_back(child);
  }
  const auto over = [this] {
    polling_ = false;
    schedule(false);
  };
  if (asked.empty()) return over();
  ask(asked, over);
}

void JobWatch::ask(const std::vector<std::string>& jobs, const std::function<void()>& then) {
  calls_ += static_cast<std::int64_t>((jobs.size() + 99) / 100);
  for (const std::string& job : jobs) {
    if (const auto found = jobs_.find(job); found != jobs_.end()) ++found->second;
  }
  api_.describe_jobs(
      jobs, [this](Job&& job) { on_described(std::move(job)); },
      [this, jobs, then](const BatchApi::Failure& failure) {
        std::vector<std::string> failed;
        for (const std::string& job : jobs) {
          if (const auto array = arrays_.find(job); array != arrays_.end()) {
            // An array needs no further check: its children are polled themselves.
            for (const auto& [child, status] : array->second.children) {
              if (failure) failed.push_back(child);
            }
          }
          const auto found = jobs_.find(job);
          if (found == jobs_.end() || found->second == 0) continue;
          if (failure) {
            found->second = 0;
            failed.push_back(job);
          } else if (found->second >= kMaxUnknownPolls) {
            events_.on_lost(job);
          }
        }
        if (failure) events_.on_failure(*failure, failed);
        then();
      });
}

void JobWatch::on_described(Job&& job) {
  if (arrays_.contains(job.id)) return on_array(job);
  const auto found = jobs_.find(job.id);
  if (found == jobs_.end()) return;
  found->second = 0;
  if (const auto array = arrays_.find(std::string(array_of(job.id))); array != arrays_.end())
    array->second.children[job.id] = job.status;
  events_.on_job(std::move(job));
}

/// Compares the summary with the known states of the children, not with the last summary: either may be outdated.
void JobWatch::on_array(const Job& job) {
  Array& array = arrays_.at(job.id);
  std::map<JobStatus, std::size_t> known = array.ended;
  for (const auto& [child, status] : array.children) ++known[status];
  if (job.children != known) array.due = true;
}

// --- termination

void JobWatch::terminate(const std::string& job, const std::string& reason, std::function<void()> done) {
  to_terminate_.insert_or_assign(job, Termination{reason, std::move(done)});
  if (termination_timer_) return;
  termination_timer_ = loop_.after(0, [this] {
    termination_timer_.reset();
    terminate_pending();
  });
}

void JobWatch::terminate_pending() {
  auto pending = std::exchange(to_terminate_, {});
  std::map<std::string, std::size_t> in_array;
  for (const auto& [job, end] : pending) ++in_array[std::string(array_of(job))];
  std::map<std::string, std::vector<std::function<void()>>> whole;  // arrays that end as a whole
  for (auto& [job, end] : pending) {
    const std::string array(array_of(job));
    const auto watched = arrays_.find(array);
    if (watched == arrays_.end() || watched->second.children.size() > in_array.at(array)) {
      terminate_job(job, end.reason, {std::move(end.done)});
    } else {
      whole[array].push_back(std::move(end.done));
      if (whole.at(array).size() == in_array.at(array)) terminate_job(array, end.reason, std::move(whole.at(array)));
    }
  }
}

void JobWatch::terminate_job(const std::string& job, const std::string& reason,
                             std::vector<std::function<void()>> done) {
  ++terminations_;
  api_.terminate(job, reason, [this, done = std::move(done)](const BatchApi::Failure&) {
    --terminations_;
    for (const auto& each : done) each();
  });
}

}  // namespace metaflow::awsbatch
