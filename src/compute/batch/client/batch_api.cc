#include "compute/batch/client/batch_api.h"

#include <algorithm>
#include <utility>

#include "base/format.h"
#include "base/json.h"
#include "base/text.h"

namespace metaflow::awsbatch {

using base::text_at;
using net::CallFailure;

namespace {

constexpr std::size_t kMaxDescribed = 100;  // jobs in a DescribeJobs

/// A failure for an answer that violates the API.
CallFailure invalid_answer(const std::string& words, const std::string& what) {
  return {.message = what, .text = fmt::format("Cannot {}: {}", words, what)};
}

/// "arn:aws:batch:eu-west-1:123456789012:job-queue/x" as "x".
std::string short_name(const std::string& arn) { return arn.substr(arn.rfind('/') + 1); }

std::optional<Machines> machines_named(std::string_view type) {
  if (type == "EC2") return Machines::ec2;
  if (type == "SPOT") return Machines::spot;
  if (type == "FARGATE") return Machines::fargate;
  if (type == "FARGATE_SPOT") return Machines::fargate_spot;
  return std::nullopt;
}

}  // namespace

struct BatchApi::Submission {
  Json job;
  std::string name;
  std::string words;
  std::function<void(Submitted&&)> done;
  net::Retry retry;
};

struct BatchApi::Listing {
  JobSelection which;
  std::function<void(Job&&)> on_job;
  std::function<void(const Failure&)> done;
  std::string token{};
  net::PageTokens tokens{};
};

struct BatchApi::Description {
  std::size_t calls = 0;  // not answered yet
  Failure failure{};
  std::function<void(Job&&)> on_job;
  std::function<void(const Failure&)> done;
};

BatchApi::BatchApi(base::EventLoop& loop, base::Clock& clock, net::AwsSession& session, BatchApiOptions options,
                   std::function<double()> random)
    : loop_(loop),
      options_(std::move(options)),
      random_(std::move(random)),
      budget_(options_.limits.retry.budget),
      service_(loop, clock, session, {.name = "batch", .limits = options_.limits, .on_retry = options_.on_retry},
               random_) {}

BatchApi::~BatchApi() {
  for (const auto& [submission, timer] : pauses_) loop_.cancel(timer);
}

void BatchApi::call(const char* operation, const std::string& words, const Json& body, Object done, bool may_repeat) {
  service_.start({.operation = operation,
                  .words = words,
                  .path = "/v1/" + base::lower(operation),
                  .body = body.dump(),
                  .may_repeat = may_repeat},
                 [words, done = std::move(done)](net::AwsAnswer&& answer) {
                   if (answer.failure) return done(answer.failure, Json());
                   // An answer without members may have no body at all.
                   auto object = Json::parse_object(answer.body.empty() ? "{}" : answer.body);
                   if (!object) return done(invalid_answer(words, "the answer is not a JSON object"), Json());
                   done(std::nullopt, std::move(*object));
                 });
}

// --- submitting

void BatchApi::submit(Json job, std::function<void(Submitted&&)> done) {
  const std::string name = job["jobName"].text();
  submit_again(std::make_shared<Submission>(
      Submission{.job = std::move(job),
                 .name = name,
                 .words = fmt::format("submit job {}", name),
                 .done = std::move(done),
                 .retry = net::Retry(options_.limits.retry, budget_, [this] { return random_(); })}));
}

void BatchApi::submit_again(const std::shared_ptr<Submission>& submission) {
  service_.start({.operation = "SubmitJob",
                  .words = submission->words,
                  .path = "/v1/submitjob",
                  .body = submission->job.dump(),
                  .may_repeat = false},
                 [this, submission](net::AwsAnswer&& answer) {
                   if (answer.failure) {
                     // A request that was certainly not carried out has been retried already.
                     if (answer.failure->transient && answer.may_have_executed)
                       return pause(submission, *answer.failure, &BatchApi::look_for);
                     return submission->done({.failure = std::move(answer.failure)});
                   }
                   const auto object = Json::parse_object(answer.body).value_or(Json::object());
                   std::string id = object["jobId"].text();
                   if (id.empty())
                     return submission->done({.failure = invalid_answer(submission->words, "the answer has no jobId")});
                   submission->done({.id = std::move(id)});
                 });
}

void BatchApi::pause(const std::shared_ptr<Submission>& submission, const CallFailure& failure,
                     void (BatchApi::*then)(const std::shared_ptr<Submission>&)) {
  const auto pause = submission->retry.next_delay();
  if (!pause) return submission->done({.failure = failure});
  const std::int64_t wait = std::max(*pause, options_.settling);
  pauses_[submission.get()] = loop_.after(wait, [this, submission, then] {
    pauses_.erase(submission.get());
    (this->*then)(submission);
  });
  if (options_.on_retry) options_.on_retry(failure, wait);
}

void BatchApi::look_for(const std::shared_ptr<Submission>& submission) {
  auto found = std::make_shared<std::string>();
  list_jobs(
      {.queue = text_at(submission->job, {"jobQueue"}), .name = submission->name},
      [submission, found](Job&& job) {
        if (job.name == submission->name) *found = job.id;
      },
      [this, submission, found](const Failure& failure) {
        if (!found->empty()) return submission->done({.id = *found});
        if (failure && failure->transient) return pause(submission, *failure, &BatchApi::look_for);
        if (failure) return submission->done({.failure = failure});
        submit_again(submission);
      });
}

// --- definitions

void BatchApi::find_definition(const std::string& name,
                               std::function<void(const Failure&, const std::string& arn)> done) {
  call("DescribeJobDefinitions", fmt::format("look for the job definition {}", name),
       {{"jobDefinitionName", name}, {"status", "ACTIVE"}},
       [done = std::move(done)](const Failure& failure, Json&& answer) {
         if (failure) return done(failure, {});
         std::string arn;
         std::int64_t latest = -1;
         for (const Json& definition : answer["jobDefinitions"].items()) {
           if (definition["status"].text() != "ACTIVE") continue;
           const std::int64_t number = definition["revision"].integer().value_or(0);
           if (number <= latest) continue;
           latest = number;
           arn = definition["jobDefinitionArn"].text();
         }
         done(std::nullopt, arn);
       });
}

void BatchApi::register_definition(const Json& definition,
                                   std::function<void(const Failure&, const std::string& arn)> done) {
  const std::string words = fmt::format("register the job definition {}", definition["jobDefinitionName"].text());
  // If it is repeated, there are two equal definitions.
  call("RegisterJobDefinition", words, definition,
       [words, done = std::move(done)](const Failure& failure, Json&& answer) {
         if (failure) return done(failure, {});
         const std::string arn = answer["jobDefinitionArn"].text();
         if (arn.empty()) return done(invalid_answer(words, "the answer has no jobDefinitionArn"), {});
         done(std::nullopt, arn);
       });
}

// --- jobs

void BatchApi::describe_jobs(const std::vector<std::string>& ids, std::function<void(Job&&)> on_job,
                             std::function<void(const Failure&)> done) {
  auto description = std::make_shared<Description>();
  description->on_job = std::move(on_job);
  description->done = std::move(done);
  description->calls = (ids.size() + kMaxDescribed - 1) / kMaxDescribed;
  if (ids.empty()) {
    loop_.after(0, [description] { description->done(std::nullopt); });
    return;
  }
  for (std::size_t begin = 0; begin < ids.size(); begin += kMaxDescribed) {
    const std::size_t end = std::min(ids.size(), begin + kMaxDescribed);
    call("DescribeJobs", fmt::format("ask for the state of {} job{}", end - begin, end - begin == 1 ? "" : "s"),
         {{"jobs", std::vector<std::string>(ids.begin() + static_cast<std::ptrdiff_t>(begin),
                                            ids.begin() + static_cast<std::ptrdiff_t>(end))}},
         [description](const Failure& failure, Json&& answer) {
           if (failure) {
             description->failure = failure;
           } else {
             for (const Json& job : answer["jobs"].items()) {
               if (auto told = job_of(job)) description->on_job(std::move(*told));
             }
           }
           if (--description->calls == 0) description->done(description->failure);
         });
  }
}

void BatchApi::list_jobs(const JobSelection& which, std::function<void(Job&&)> on_job,
                         std::function<void(const Failure&)> done) {
  next_page(std::make_shared<Listing>(Listing{which, std::move(on_job), std::move(done)}));
}

void BatchApi::next_page(const std::shared_ptr<Listing>& listing) {
  const JobSelection& which = listing->which;
  Json body = which.array.empty() ? Json{{"jobQueue", which.queue}} : Json{{"arrayJobId", which.array}};
  const std::string words = which.array.empty() ? fmt::format("list the jobs of queue {}", short_name(which.queue))
                                                : fmt::format("list the children of job {}", which.array);
  if (!which.name.empty()) {
    body.set("filters", Json::list({{{"name", "JOB_NAME"}, {"values", Json::list({which.name})}}}));
  } else if (which.status) {
    body.set("jobStatus", name_of(*which.status));
  }
  if (!listing->token.empty()) body.set("nextToken", listing->token);
  call("ListJobs", words, body, [this, listing](const Failure& failure, Json&& answer) {
    if (failure) return listing->done(failure);
    for (const Json& job : answer["jobSummaryList"].items()) {
      if (auto told = job_of(job)) listing->on_job(std::move(*told));
    }
    const std::string token = answer["nextToken"].text();
    if (token.empty() || !listing->tokens.add(token, answer["jobSummaryList"].items().empty()))
      return listing->done(std::nullopt);
    listing->token = token;
    next_page(listing);
  });
}

void BatchApi::terminate(const std::string& id, const std::string& reason, std::function<void(const Failure&)> done) {
  call("TerminateJob", fmt::format("terminate job {}", id), {{"jobId", id}, {"reason", reason}},
       [done = std::move(done)](const Failure& failure, Json&&) { done(failure); });
}

void BatchApi::cancel(const std::string& id, const std::string& reason, std::function<void(const Failure&)> done) {
  call("CancelJob", fmt::format("cancel job {}", id), {{"jobId", id}, {"reason", reason}},
       [done = std::move(done)](const Failure& failure, Json&&) { done(failure); });
}

// --- queues

void BatchApi::find_queue(const std::string& name, const std::function<void(const Failure&, Queue&&)>& done) {
  next_queues(name, {}, std::make_shared<net::PageTokens>(), done);
}

void BatchApi::next_queues(const std::string& name, const std::string& token,
                           const std::shared_ptr<net::PageTokens>& tokens,
                           const std::function<void(const Failure&, Queue&&)>& done) {
  Json body = Json::object();
  if (!name.empty()) body.set("jobQueues", Json::list({name}));
  if (!token.empty()) body.set("nextToken", token);
  const std::string words = name.empty() ? "look for a job queue" : fmt::format("look for the job queue {}", name);
  call("DescribeJobQueues", words, body, [this, name, words, tokens, done](const Failure& failure, Json&& answer) {
    if (failure) return done(failure, {});
    for (const Json& queue : answer["jobQueues"].items()) {
      const std::string state = queue["state"].text();
      const std::string status = queue["status"].text();
      const bool takes_jobs = state == "ENABLED" && status == "VALID";
      if (name.empty() && !takes_jobs) continue;
      Queue found{.name = queue["jobQueueName"].text(), .arn = queue["jobQueueArn"].text()};
      if (!takes_jobs) {
        CallFailure refusal = invalid_answer(words, fmt::format("it accepts no jobs: it is {} and {}", state, status));
        refusal.hint = queue["statusReason"].text();
        return done(refusal, std::move(found));
      }
      std::pair<std::int64_t, std::string> first{INT64_MAX, {}};
      for (const Json& environment : queue["computeEnvironmentOrder"].items()) {
        first = std::min(
            first, {environment["order"].integer().value_or(INT64_MAX - 1), environment["computeEnvironment"].text()});
      }
      if (first.second.empty()) {
        if (name.empty()) continue;
        return done(invalid_answer(words, "it has no compute environment"), std::move(found));
      }
      return find_machines(std::move(found), first.second, done);
    }
    const std::string next = answer["nextToken"].text();
    if (!next.empty() && tokens->add(next)) return next_queues(name, next, tokens, done);
    CallFailure missing =
        invalid_answer(words, name.empty() ? "none accepts jobs" : "no queue of this name exists in this region");
    missing.hint = "Set METAFLOW_BATCH_JOB_QUEUE to the name or the ARN of a queue, and AWS_REGION to its region.";
    done(missing, {});
  });
}

void BatchApi::find_machines(Queue queue, const std::string& environment,
                             const std::function<void(const Failure&, Queue&&)>& done) {
  const std::string words = fmt::format("look for the compute environment {}", short_name(environment));
  call("DescribeComputeEnvironments", words, {{"computeEnvironments", Json::list({environment})}},
       [words, queue = std::move(queue), done](const Failure& failure, Json&& answer) mutable {
         if (failure) return done(failure, std::move(queue));
         const auto found = answer["computeEnvironments"].items();
         if (found.empty()) return done(invalid_answer(words, "it does not exist"), std::move(queue));
         if (found[0]["containerOrchestrationType"].text() == "EKS")
           return done(invalid_answer(words, fmt::format("the queue {} is for EKS; use --with kubernetes", queue.name)),
                       std::move(queue));
         // An environment that is not managed has the user's own instances: EC2.
         const std::string type = text_at(found[0], {"computeResources", "type"});
         const auto machines = type.empty() ? Machines::ec2 : machines_named(type);
         if (!machines)
           return done(invalid_answer(words, fmt::format("its type {} is unknown", type)), std::move(queue));
         queue.machines = *machines;
         done(std::nullopt, std::move(queue));
       });
}

}  // namespace metaflow::awsbatch
