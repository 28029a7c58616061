// A client for the objects of a Kubernetes namespace: jobs, pods with their logs, events, secrets. For example:
//
//   KubernetesApi api(loop, clock, find_access(net::own_variables()), {.name_space = "n", .owner_label = "x/attempt"});
//   Watch pods(api, Resource::pods, {.labels = "x/run=17"},
//              {.on_change = [&](Change change, Json&& pod) { take(change, pod); },
//               .on_failure = [](const CallFailure& failure) { throw failure.error(kTitle); }});
//   api.create(Resource::jobs, manifest, [&](Answer&& answer) {  // a lost answer does not create two jobs
//     if (answer.failure) give_up(answer.failure->text);         // after minutes of retries, or refused
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
  /// The label by which create() recognises its own objects: an existing object of the same name is ours if it has the
  /// same value of this label. Names should be deterministic, and values should tell different objects apart. Empty: no
  /// existing object is ours.
  std::string owner_label{};
  int page = 250;  // objects per page of a list
  TransportOptions transport{};
};

/// Selects objects, in Kubernetes' syntax; empty: all.
struct Selection {
  std::string labels{};  // "a=b,c"
  std::string fields{};  // "status.phase!=Running"
};

struct Answer {
  std::optional<CallFailure> failure{};
  Json object{};  // of a secret: without its data
  /// With a failure: the request may have been carried out all the same.
  bool uncertain = false;
};

struct ListEnd {
  std::optional<CallFailure> failure{};
  std::string resource_version{};  // of the list
};

struct ListHandler {
  std::function<void(Json&&)> on_object{};
  /// The list expired while it was read, and begins again. Objects that were reported so far do not count.
  std::function<void()> on_restart{};
  std::function<void(ListEnd&&)> done{};
};

struct LogQuery {
  std::string pod{};
  std::string container{};          // empty: the only one
  bool follow = false;              // until the container ends; else only the present content
  bool previous = false;            // of the container before its last restart
  std::optional<int> tail_lines{};  // the last ones only
  std::optional<std::uint64_t> limit_bytes{};
  /// Each line begins with the time when it was written, and a space: "2026-11-23T04:16:21.123456789Z text".
  bool timestamps = false;
  /// Lines that were written at this time or later. To continue a log that broke off, pass its last timestamp; lines of
  /// that very time are repeated.
  std::string since_time{};
};

/// What happens to the pods of a deleted job. Foreground: the job exists until they are gone.
enum class Propagation : std::uint8_t { background, foreground };

/// Calls of the API, driven by the loop. Not thread-safe. Exceptions of callbacks leave the loop. Callbacks come from
/// the loop, never from within the functions here. They may call these functions, and must not destroy this.
class KubernetesApi {
 public:
  /// `loop` and `clock` must outlive this. Loads libcurl; throws Error{invalid_command} if it is missing.
  KubernetesApi(base::EventLoop& loop, base::Clock& clock, Access access, ApiOptions options = {},
                std::function<double()> random = net::jitter());
  ~KubernetesApi();

  using Id = std::uint64_t;  // never 0
  using Done = std::function<void(Answer&&)>;

  /// Creates an object. Succeeds with the existing object if an answer was lost, or another process of ours was faster
  /// (ApiOptions::owner_label). Secrets may not be read, so a conditional patch recognises them.
  Id create(Resource resource, Json object, Done done);
  Id get(Resource resource, const std::string& name, Done done);
  /// Deletes an object; succeeds if there is none. Calls back when the deletion has begun: pods have time to end.
  Id remove(Resource resource, const std::string& name, Done done, Propagation propagation = Propagation::background);
  /// Deletes selected objects, in pages. May leave objects that are created meanwhile. The verb of roles is
  /// deletecollection.
  Id remove_all(Resource resource, const Selection& selection, Done done,
                Propagation propagation = Propagation::background);
  /// `patch`: RFC 7386.
  Id patch(Resource resource, const std::string& name, const Json& patch, Done done);
  /// Lists objects. Reads pages, and reports one object at a time.
  Id list(Resource resource, const Selection& selection, ListHandler handler);
  /// Reads a log in pieces; `done` is called at its end. A stream that broke off is a transient failure.
  Id read_log(const LogQuery& query, std::function<void(std::string_view)> on_piece, Done done);

  /// Cancels an operation, without its callback.
  void cancel(Id id);

  const net::CallCounters& counters() const { return transport_.counters(); }
  Transport& transport() { return transport_; }
  /// Returns a path such as "/api/v1/namespaces/n/pods", with a selection and further parameters.
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
  std::map<Id, Transport::Id> operations_;  // with the current call of each
  Id next_id_ = 1;
  Transport transport_;
};

}  // namespace metaflow::kube
