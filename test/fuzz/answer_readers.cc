// What is made of the JSON that services send: a cluster's objects, jobs of AWS Batch, rows of the metadata service.
#include "base/json.h"
#include "base/text.h"
#include "base/utf8.h"
#include "compute/batch/client/job.h"
#include "compute/batch/job_state.h"
#include "compute/kubernetes/client/objects.h"
#include "compute/kubernetes/client/transport.h"
#include "compute/kubernetes/pod_state.h"
#include "readers.h"
#include "store/service/service_rows.h"

namespace metaflow::fuzz {

namespace {

/// A line for people, as long as they read.
void require_words(const std::string& words) {
  require(words.find('\n') == std::string::npos, "words are one line");
  require(words.size() < 4000, "words are not a book");
  require(base::find_invalid_utf8(words) == std::string::npos, "words are UTF-8");
}

void take_pod(const base::Json& pod) {
  const kube::PodState state = kube::state_of_pod(pod);
  const bool has_ended = state.phase == kube::PodPhase::ended;
  require(!state.succeeded || has_ended, "only what has ended has succeeded");
  require(!has_ended || state.succeeded || !state.cause.empty(), "what failed says why");
  require(state.starting.empty() || state.waiting.empty(), "what has a reason is not as usual");
  require(!state.hopeless || !state.waiting.empty(), "what is hopeless says why");
  require_words(state.cause);
  require_words(state.waiting);
  require_words(state.starting);
}

void take_event(const base::Json& event) {
  require_words(kube::warning_of(event).cause);
  require(!kube::why_no_pod(event).cause.empty(), "there is always something to say");
}

void take_refusal(std::string_view body) {
  const kube::Call call{.verb = "create", .resource = "jobs", .object = "job x in namespace n"};
  for (const int status : {400, 403, 409, 429, 500}) {
    const net::Response response{.status = status, .body = std::string(body)};
    const net::CallFailure failure = kube::failure_of(call, response, "context 'c'");
    require(failure.text.starts_with("Cannot create job x"), "a refusal says what was refused");
    require(status != 500 || failure.transient, "a server that breaks down may recover");
    const auto pause = kube::asked_pause(response);
    require(!pause || *pause > 0, "a delay is not negative");
  }
}

}  // namespace

void take_kubernetes_object(std::string_view input) {
  if (const auto event = kube::parse_event(input)) {
    require(event->object.is_object(), "an event has an object");
    require(event->type == "ERROR" || !event->version.empty(), "an event has a version");
    take_pod(event->object);
  }
  if (const auto object = base::Json::parse_object(input)) {
    take_pod(*object);
    take_event(*object);
  }
  take_refusal(input);
}

void take_batch_answer(std::string_view input) {
  const auto answer = base::Json::parse_object(input);
  if (!answer) return;
  const auto job = awsbatch::job_of(*answer);
  if (!job) return;
  require(!job->id.empty(), "a job has an id");
  const std::string waiting = awsbatch::waiting_of(*job);
  require(!awsbatch::is_hopeless(*job) || !waiting.empty(), "what is hopeless says why");
  if (!awsbatch::has_ended(job->status)) return;
  const compute::JobEnd ending = awsbatch::end_of(*job);
  require(ending.succeeded == (job->status == awsbatch::JobStatus::succeeded), "what has ended has done so in one way");
}

void take_service_answer(std::string_view input) {
  const base::Json answer = store::parse_answer(input);
  (void)store::words_of_answer(answer);
  (void)store::id_in(answer, "task_id");
  const std::int64_t period = store::heartbeat_period(answer);
  require(period >= 1'000'000 && period <= 40'000'000, "a heart beats");
  if (!answer.is_list()) return;
  for (const base::Json& row : answer.items()) {
    if (!row.is_object()) continue;
    const store::RunInfo run = store::run_of(row);
    require(run.created >= 0 && store::field_of(row).created == run.created, "a time is one");
    (void)store::artifact_of(row);
  }
}

}  // namespace metaflow::fuzz
