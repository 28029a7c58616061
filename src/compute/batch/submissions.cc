#include "compute/batch/submissions.h"

#include <utility>

#include <metaflow/error.h>

#include "base/format.h"
#include "base/json.h"
#include "compute/batch/job_request.h"
#include "compute/package/bootstrap.h"
#include "compute/remote/step_array.h"

namespace metaflow::awsbatch {

using compute::AttemptId;
using compute::StepArray;

namespace {

constexpr std::int64_t kSecond = 1'000'000;
constexpr std::int64_t kLinkRetry = kSecond;  // microseconds until the next try to make one
constexpr std::int64_t kMinLinkLife =
    3600;  // seconds that a link must remain valid, for a job that waits for an instance
constexpr std::size_t kMaxUnanswered = 8;      // unanswered calls
constexpr std::size_t kMinArraySize = 4;       // a smaller array is not worth its parent, which is polled as well
constexpr std::size_t kMaxArraySize = 10'000;  // Batch's limit
constexpr std::size_t kMaxNumbersSize = 1500;  // bytes, of the 8192 that a job may bring of its own

std::string advised(const net::CallFailure& failure) {
  return fmt::format("Unable to launch AWS Batch job. {}", failure.advised());
}

}  // namespace

Submissions::Submissions(base::EventLoop& loop, base::Clock& clock, BatchApi& api, store::FlowStore& store,
                         SubmissionOptions options, Done done)
    : loop_(loop), clock_(clock), api_(api), store_(store), options_(std::move(options)), done_(std::move(done)) {}

Submissions::~Submissions() {
  if (timer_) loop_.cancel(*timer_);
}

void Submissions::add(Order order) {
  std::string& name = definition_of_[order.placed];
  if (name.empty()) {
    const Json wanted = job_definition(order.placed->request, order.placed->queue.machines, options_.machine);
    name = base::text_at(wanted, {"jobDefinitionName"});
  }
  const AttemptId id = order.attempt->id;
  Definition& definition = definitions_[name];
  if (!definition.asked) {
    definition.asked = true;
    define(name, job_definition(order.placed->request, order.placed->queue.machines, options_.machine));
  }
  waiting_.insert_or_assign(id, std::move(order));
  schedule();
}

bool Submissions::withdraw(AttemptId attempt) { return waiting_.erase(attempt) > 0; }

// --- definitions

void Submissions::define(const std::string& name, const Json& wanted) {
  api_.find_definition(name, [this, name, wanted](const BatchApi::Failure& failure, const std::string& arn) {
    if (failure || !arn.empty()) return defined(name, failure, arn);
    api_.register_definition(wanted, [this, name](const BatchApi::Failure& refused, const std::string& made) {
      defined(name, refused, made);
    });
  });
}

void Submissions::defined(const std::string& name, const BatchApi::Failure& failure, const std::string& arn) {
  definitions_[name] = {.arn = arn, .asked = !failure};
  if (!failure) return schedule();
  std::vector<Order> refused;
  std::erase_if(waiting_, [&](auto& waiting) {
    const bool needs_it = definition_of_.at(waiting.second.placed) == name;
    if (needs_it) refused.push_back(std::move(waiting.second));
    return needs_it;
  });
  for (const Order& order : refused) done_(order, {.cause = advised(*failure), .hopeless = !failure->transient});
}

// --- jobs

void Submissions::schedule(std::int64_t wait) {
  if (timer_ || waiting_.empty() || unanswered_ >= kMaxUnanswered) return;
  timer_ = loop_.after(wait, [this] {
    timer_.reset();
    send_ready();
  });
}

void Submissions::send_ready() {
  struct Group {
    std::vector<Order> orders;
    StepArray array;
  };
  std::vector<Group> groups;
  std::map<std::string, std::size_t> open;  // groups that can grow, by their key
  for (auto waiting = waiting_.begin(); waiting != waiting_.end();) {
    const Order& order = waiting->second;
    if (definitions_.at(definition_of_.at(order.placed)).arn.empty()) {
      ++waiting;
      continue;
    }
    std::optional<std::string> key = StepArray::key(order.attempt->step);
    std::size_t group = groups.size();
    if (key) {
      *key += std::to_string(order.tries);
      for (const std::string& variable : order.attempt->environment) *key += '\0' + variable;
      group = open.try_emplace(*key, group).first->second;
    }
    const bool fits = group < groups.size() && groups[group].orders.size() < kMaxArraySize &&
                      groups[group].array.add(order.attempt->step, kMaxNumbersSize);
    if (!fits) {
      if (key) open[*key] = groups.size();
      group = groups.size();
      groups.emplace_back().array.add(order.attempt->step, kMaxNumbersSize);
    }
    groups[group].orders.push_back(std::move(waiting->second));
    waiting = waiting_.erase(waiting);
  }
  for (Group& group : groups) {
    const std::string& definition = definitions_.at(definition_of_.at(group.orders[0].placed)).arn;
    if (group.orders.size() >= kMinArraySize) {
      send(std::move(group.orders), group.array, definition);
      continue;
    }
    for (Order& order : group.orders) {
      StepArray alone;
      alone.add(order.attempt->step, kMaxNumbersSize);
      send({std::move(order)}, alone, definition);
    }
  }
}

void Submissions::send(std::vector<Order> orders, const StepArray& array, const std::string& definition) {
  Json job;
  try {
    job = describe(orders[0], array, definition);
  } catch (const Error& error) {  // no link can be made,
    if (link_) {                  // or not now: the keys that sign it are being renewed
      for (Order& order : orders) waiting_.insert_or_assign(order.attempt->id, std::move(order));
      return schedule(kLinkRetry);
    }
    for (const Order& order : orders) done_(order, {.cause = error.what(), .hopeless = true});
    return;
  }
  ++unanswered_;
  api_.submit(std::move(job), [this, orders = std::move(orders)](Submitted&& submitted) {
    --unanswered_;
    schedule();
    for (std::size_t i = 0; i < orders.size(); ++i) {
      Placement placement;
      if (submitted.failure) {
        placement = {.cause = advised(*submitted.failure), .hopeless = !submitted.failure->transient};
      } else {
        placement.job = orders.size() == 1 ? submitted.id : child_of(submitted.id, i);
      }
      done_(orders[i], std::move(placement));
    }
  });
}

Json Submissions::describe(const Order& order, const StepArray& array, const std::string& definition) {
  std::vector<std::string> arguments{"supervise", "--max-log-size", std::to_string(options_.max_log_size)};
  for (std::string& word : array.words()) arguments.push_back(std::move(word));
  std::vector<std::string> step = compute::to_command_line(array.first());
  if (percent_encode_placeholders(step)) arguments.insert(arguments.end(), {"--percent-encoded", "yes"});
  arguments.emplace_back("--");
  for (std::string& word : step) arguments.push_back(std::move(word));
  compute::Variables environment = options_.environment;
  if (options_.flow_in_image.empty()) {
    for (auto& variable : compute::bootstrap_variables(options_.package)) environment.push_back(std::move(variable));
    environment.emplace_back("MF_URL", link());
  }
  for (const std::string& variable : order.attempt->environment) {
    const std::size_t equals = variable.find('=');
    environment.emplace_back(variable.substr(0, equals), variable.substr(equals + 1));
  }
  const compute::JobIdentity identity{
      store_.flow(), options_.run, array.first().step, array.tasks(), array.first().retry_count, options_.user};
  return job_submission(identity, job_name(identity, store_.storage().root(), order.tries), order.placed->request,
                        order.placed->queue.arn, definition, job_command(options_.flow_in_image, arguments),
                        std::move(environment), array.size());
}

/// Returns a link to the package that remains valid for a while.
const std::string& Submissions::link() {
  const std::int64_t now = clock_.wall_microseconds() / kSecond;
  // A job that starts after the link has expired fails before its task begins, and is submitted again.
  if (!link_ || link_->expires - now < kMinLinkLife) link_ = compute::link_to(store_, options_.package);
  return link_->url;
}

}  // namespace metaflow::awsbatch
