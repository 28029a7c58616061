// Reading the log of a container.
#include <exception>
#include <utility>

#include "base/text.h"
#include "compute/kubernetes/client/api.h"

namespace metaflow::kube {

KubernetesApi::Id KubernetesApi::read_log(const LogQuery& query, std::function<void(std::string_view)> on_piece,
                                          Done done) {
  const Id id = next_id_++;
  net::Query words;
  if (!query.container.empty()) words.emplace_back("container", query.container);
  if (query.follow) words.emplace_back("follow", "true");
  if (query.previous) words.emplace_back("previous", "true");
  if (query.tail_lines) words.emplace_back("tailLines", std::to_string(*query.tail_lines));
  if (query.limit_bytes) words.emplace_back("limitBytes", std::to_string(*query.limit_bytes));
  if (query.timestamps) words.emplace_back("timestamps", "true");
  if (!query.since_time.empty()) words.emplace_back("sinceTime", query.since_time);
  Call call = call_of("get", "GET", Resource::pods, query.pod);
  call.resource = "pods/log";
  call.object = "the log of " + call.object;
  call.path = path_of(Resource::pods, query.pod + "/log", {}, std::move(words));
  if (query.follow) {
    // A follower receives nothing while the container prints nothing, and stops when the job has ended.
    call.idle_timeout = std::chrono::milliseconds(0);
    call.answer_timeout = std::chrono::milliseconds(0);
    call.max_body = net::kUnlimited;
  } else if (query.limit_bytes) {
    call.max_body = *query.limit_bytes;
  }
  // An exception must not pass through libcurl: it is kept until the call has ended.
  auto thrown = std::make_shared<std::exception_ptr>();
  call.sink = [on_piece = std::move(on_piece), thrown](std::span<const std::byte> bytes) {
    try {
      on_piece(base::as_text(bytes));
    } catch (...) {
      *thrown = std::current_exception();
      throw;
    }
  };
  go_on(id, std::move(call), [this, id, thrown, done = std::move(done)](CallAnswer&& answer) {
    operations_.erase(id);
    if (*thrown) std::rethrow_exception(*thrown);
    if (done) done({.failure = std::move(answer.failure)});
  });
  return id;
}

}  // namespace metaflow::kube
