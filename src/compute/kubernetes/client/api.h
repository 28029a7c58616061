// The objects of a namespace of a Kubernetes cluster: jobs, pods with their logs, events, secrets. What a backend does:
//
//   KubernetesApi api(loop, clock, find_access(net::own_variables()), {.name_space = "n", .owner_label = "x/attempt"});
//   Watch pods(api, Resource::pods, {.labels = "x/run=17"},
//              {.on_change = [&](Change change, Json&& pod) { take(change, pod); },
//               .on_failure = [](const CallFailure& failure) { throw failure.error(kTitle); }});
//   api.create(Resource::jobs, manifest, [&](Answer&& answer) {  // a lost answer does not make two of it
//     if (answer.failure) give_up(answer.failure->text);         // after minutes of tries, or refused
//   });
//   api.list(Resource::events, {.fields = "reason=Failed"}, {.on_object = [&](Json&& event) { explain(event); }, .done
//   = ...}); api.read_log({.pod = name, .tail_lines = 100}, [&](std::string_view piece) { show(piece); }, ...);
//   api.remove(Resource::jobs, name, {});  // with its pods
//   while (!over) loop.run_once();
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "compute/kubernetes/client/objects.h"
#include "compute/kubernetes/client/transport.h"
#include "net/sigv4.h"

namespace metaflow::kube {

enum class Resource : std::uint8_t { jobs, pods, events, secrets };
std::string_view name_of(Resource resource);  // "jobs"
std::string_view kind_of(Resource resource);  // "job"

struct ApiOptions {
  std::string name_space = "default";
  /// The label by which create() tells whether an object of the same name is what it wanted to create: its value is the
  /// same in both. Names are to be deterministic, and the value to tell apart what differs. Empty: it never is.
  std::string owner_label{};
  int page = 250;  // objects of a list that are asked for at a time
  TransportOptions transport{};
};

/// What of a resource is meant, in Kubernetes' words; empty: everything.
struct Selection {
  std::string labels{};  // "a=b,c"
  std::string fields{};  // "status.phase!=Running"
};

struct Answer {
  std::optional<CallFailure> failure{};
  Json object{};  // of a secret: without what it holds
  /// With a failure: it may have been done all the same.
  bool uncertain = false;
};

struct ListEnd {
  std::optional<CallFailure> failure{};
  std::string resource_version{};  // of which the list tells
};

struct ListHandler {
  std::function<void(Json&&)> on_object{};
  /// What was told so far does not count: the list expired while it was read, and begins again.
  std::function<void()> on_restart{};
  std::function<void(ListEnd&&)> done{};
};

struct LogQuery {
  std::string pod{};
  std::string container{};          // empty: the only one
  bool follow = false;              // until the container ends; else what is there now
  bool previous = false;            // of the container's life before
  std::optional<int> tail_lines{};  // the last ones only
  std::optional<std::uint64_t> limit_bytes{};
  /// Each line begins with the time when it was written, and a space: "2026-11-23T04:16:21.123456789Z text".
  bool timestamps = false;
  /// What was written then or later. A log that broke off goes on from the last timestamp; lines of that very time come
  /// once more.
  std::string since_time{};
};

/// What becomes of the pods of a job that is deleted. Foreground: the job is there until they are gone.
enum class Propagation : std::uint8_t { background, foreground };

/// Calls of the API, driven by the loop. Not thread-safe. What a callback throws comes out of the loop. Callbacks come
/// from the loop, never from within the functions here; they may call these, and must not destroy this.
class KubernetesApi {
 public:
  /// `loop` and `clock` must outlive this. Loads libcurl; throws Error{invalid_command} if it is missing.
  KubernetesApi(base::EventLoop& loop, base::Clock& clock, Access access, ApiOptions options = {},
                std::function<double()> random = net::jitter());
  ~KubernetesApi();

  using Id = std::uint64_t;  // never 0
  using Done = std::function<void(Answer&&)>;

  /// Succeeds with the object that is there in the end, whether an answer was lost or another process of ours was
  /// quicker (ApiOptions::owner_label). Secrets, which may not be read, are told by a conditional patch.
  Id create(Resource resource, Json object, Done done);
  Id get(Resource resource, const std::string& name, Done done);
  /// What is not there is as good as deleted. Not more than begun when it calls back: pods have time to end.
  Id remove(Resource resource, const std::string& name, Done done, Propagation propagation = Propagation::background);
  /// Deletes what is selected, in pages. What is made while it lasts may be left. The verb of roles is
  /// deletecollection.
  Id remove_all(Resource resource, const Selection& selection, Done done,
                Propagation propagation = Propagation::background);
  /// `patch`: RFC 7386.
  Id patch(Resource resource, const std::string& name, const Json& patch, Done done);
  /// In pages, object by object.
  Id list(Resource resource, const Selection& selection, ListHandler handler);
  /// Piece by piece; `done` comes at the log's end. A stream that broke off is a failure that is transient.
  Id read_log(const LogQuery& query, std::function<void(std::string_view)> on_piece, Done done);

  /// Ends one of these, without its callback.
  void cancel(Id id);

  const net::CallCounters& counters() const { return transport_.counters(); }
  Transport& transport() { return transport_; }
  /// "/api/v1/namespaces/n/pods" with a selection and more of a query.
  std::string path_of(Resource resource, const std::string& name = {}, const Selection& selection = {},
                      net::Query query = {}) const;
  std::string words_for(Resource resource, const std::string& name = {}) const;  // "job x in namespace n"
  const std::string& name_space() const { return options_.name_space; }

 private:
  struct Creation;
  struct Listing;

  Call call_of(std::string verb, std::string method, Resource resource, const std::string& name) const;
  Id begin(Call call, Done done);
  void go_on(Id id, Call call, Transport::Done done);
  void create(Id id, const std::shared_ptr<Creation>& creation);
  void look_at_existing(Id id, const std::shared_ptr<Creation>& creation, CallFailure refusal);
  void claim_secret(Id id, const std::shared_ptr<Creation>& creation, CallFailure exists);
  void next_page(Id id, const std::shared_ptr<Listing>& listing);
  void take_page(Id id, const std::shared_ptr<Listing>& listing, CallAnswer&& answer);
  void end_list(Id id, const std::shared_ptr<Listing>& listing, ListEnd&& end);
  bool is_ours(const Creation& creation, const Json& existing) const;

  ApiOptions options_;
  std::map<Id, Transport::Id> operations_;  // with the call that each waits for
  Id next_id_ = 1;
  Transport transport_;
};

}  // namespace metaflow::kube
