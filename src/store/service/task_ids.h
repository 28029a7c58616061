// The ids of the tasks of a run, which the metadata service assigns: fetched ahead of time, so that the scheduler does
// not wait for them.
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

/// A step is registered when its first tasks are expected. No more tasks are registered than are expected, and no
/// earlier than the rate of the step requires: a registered task that does not begin looks dead to readers of the
/// service. Tasks may get ids in any order, so an id whose answer was lost is found and used later: no other process
/// makes tasks in this run. Not thread-safe.
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

  /// This many more tasks of the step will be made.
  void expect(const std::string& step, std::size_t tasks);
  /// Whether an id is available at once. `soon`: how many would be taken now.
  bool ready(const std::string& step, std::size_t soon);
  /// Takes an id of a step that is ready.
  std::string take(const std::string& step);

 private:
  struct Step {
    std::string name;
    bool registered = false;
    std::size_t expected = 0;     // not requested yet
    std::size_t in_flight = 0;    // requests
    bool uncertain = false;       // an answer was lost: the registered tasks have to be listed
    std::deque<std::string> ids;  // not taken yet
    std::vector<std::string> all;
    std::size_t taken_now = 0;     // in the current second
    std::size_t taken_before = 0;  // in the previous second
    std::int64_t second = 0;
    std::optional<net::Retry> retry;  // of listing the tasks
    std::optional<base::EventLoop::Timer> pause;
  };

  Step& step_of(const std::string& name);
  void register_step(Step& step);
  void fetch(Step& step, std::size_t wanted);
  void arrived(Step& step, ServiceAnswer&& answer);
  void list_after_delay(Step& step);
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
