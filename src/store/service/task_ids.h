// The ids of the tasks of a run, which the metadata service gives: fetched ahead, so that nobody waits for them.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/event_loop.h"
#include "store/service/service_client.h"

namespace metaflow::store {

/// Steps are registered when tasks of theirs are expected. Of a step, no more tasks are registered than are expected,
/// and as few ahead of time as its tasks' pace allows: one that is registered and does not begin looks dead to who
/// reads the service. Which id a task gets does not matter, so an id whose answer was lost is found and used later:
/// nobody else makes tasks in this run. Not thread-safe.
class TaskIds {
 public:
  struct Owner {
    std::string flow;
    std::string run;
    std::string user;
    std::vector<std::string> system_tags;
  };

  TaskIds(ServiceClient& client, base::EventLoop& loop, base::Clock& clock, Owner owner);
  ~TaskIds();
  TaskIds(const TaskIds&) = delete;
  TaskIds& operator=(const TaskIds&) = delete;

  /// That many more tasks of the step will be made.
  void expect(const std::string& step, std::size_t tasks);
  /// Whether there is an id at once. `soon`: how many would be taken now.
  bool ready(const std::string& step, std::size_t soon);
  /// Of a step that is ready.
  std::string take(const std::string& step);

 private:
  struct Step {
    std::string name;
    bool registered = false;
    std::size_t expected = 0;     // not asked for yet
    std::size_t in_flight = 0;    // requests
    bool uncertain = false;       // an answer was lost: what there is has to be found out
    std::deque<std::string> ids;  // not taken yet
    std::vector<std::string> all;
    std::size_t taken_now = 0;     // in this second
    std::size_t taken_before = 0;  // in the one before
    std::int64_t second = 0;
    std::optional<net::Retry> retry;  // of finding out
    std::optional<base::EventLoop::Timer> pause;
  };

  Step& step_of(const std::string& name);
  void register_step(Step& step);
  void fetch(Step& step, std::size_t wanted);
  void arrived(Step& step, ServiceAnswer&& answer);
  void find_out(Step& step);
  void list(Step& step);
  void add(Step& step, std::string id);
  std::size_t ahead(Step& step);
  std::string path(const Step& step, const char* what) const;
  std::string row(const Step& step) const;

  ServiceClient& client_;
  base::EventLoop& loop_;
  base::Clock& clock_;
  Owner owner_;
  std::map<std::string, Step> steps_;
};

}  // namespace metaflow::store
