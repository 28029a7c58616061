#include "compute/remote/run_jobs.h"

#include <algorithm>

#include "base/format.h"
#include "base/json.h"

namespace metaflow::compute {

namespace {

constexpr std::int64_t kPollEvery = 3'000'000;  // microseconds

std::string places_path(const store::FlowStore& store, const std::string& run, const std::string& platform) {
  return fmt::format("{}/{}/_meta/{}.json", store.flow(), run, platform);
}

void pause(base::Clock& clock, std::int64_t microseconds) {
  base::EventLoop loop(clock);
  bool over = false;
  loop.after(microseconds, [&] { over = true; });
  while (!over) loop.run_once();
}

}  // namespace

void settle(RunJobs& jobs, base::Clock& clock, const ChosenRuns& which, const std::string& run_key,
            const std::function<void(std::size_t)>& waiting) {
  std::size_t reported = 0;
  while (true) {
    std::vector<RunJob> not_begun = jobs.unfinished(which);
    std::erase_if(not_begun, [&](const RunJob& job) { return job.run_key != run_key; });  // of another store
    const std::size_t all = not_begun.size();
    std::erase_if(not_begun, [](const RunJob& job) { return job.running; });
    const std::size_t left = all - not_begun.size();
    const bool is_sure = not_begun.empty() || jobs.end(not_begun, fmt::format("Run {} is resumed", which.run));
    if (left == 0 && is_sure) return jobs.end_run(run_key);
    if (left > 0 && left != reported) waiting(left);
    reported = left;
    pause(clock, kPollEvery);
  }
}

void note_places(store::FlowStore& store, const std::string& run, const std::string& platform, const std::string& what,
                 const std::set<std::string>& places) {
  const base::Json json{{what, std::vector<std::string>(places.begin(), places.end())}};
  store::put(store.storage(), places_path(store, run, platform), json.dump());
}

std::set<std::string> places_of(store::FlowStore& store, const std::string& run, const std::string& platform,
                                const std::string& what) {
  std::set<std::string> places;
  if (run.empty()) return places;
  const auto text = store::get(store.storage(), places_path(store, run, platform));
  if (!text) return places;
  const base::Json json = base::Json::parse(text->text()).value_or(base::Json());
  for (std::string& place : json[what].texts()) places.insert(std::move(place));
  return places;
}

}  // namespace metaflow::compute
