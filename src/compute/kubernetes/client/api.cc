#include "compute/kubernetes/client/api.h"

#include <utility>

#include "base/format.h"
#include "base/json.h"
#include "base/percent.h"
#include "base/text.h"
#include "net/page_tokens.h"

namespace metaflow::kube {

namespace {

constexpr const char* kJson = "application/json";
constexpr const char* kMergePatch = "application/merge-patch+json";
constexpr const char* kJsonPatch = "application/json-patch+json";
// A list that expires more often cannot be read within the time that the server keeps it.
constexpr int kMaxRestarts = 5;
constexpr int kMaxCreations = 3;

std::string dump(const Json& json) { return json.dump(); }

/// Escapes the key of a label for a JSON pointer.
std::string pointer_part(const std::string& key) {
  std::string part;
  for (const char c : key) {
    if (c == '~') {
      part += "~0";
    } else if (c == '/') {
      part += "~1";
    } else {
      part += c;
    }
  }
  return part;
}

/// A failure for a successful answer that cannot be used.
CallFailure unusable_answer(const Call& call, const std::string& what) {
  return {.status = 200,
          .message = what,
          .text = fmt::format("Cannot {} {}: {}", call.verb, call.object, what),
          .hint = "Check that the server of the kubeconfig is a Kubernetes API server, and not a login page."};
}

/// Converts the answer of a call that returns an object. `words`: the call, for messages.
Answer answer_with_object(const Call& words, CallAnswer&& answer) {
  Answer given{.failure = std::move(answer.failure)};
  if (given.failure) {
    given.uncertain = answer.may_have_executed;
  } else if (auto object = base::Json::parse_object(answer.body)) {
    given.object = std::move(*object);
    if (words.resource == name_of(Resource::secrets)) given.object.erase("data");
  } else {
    given.failure = unusable_answer(words, "the answer is not a JSON object");
    given.uncertain = true;
  }
  return given;
}

std::string delete_options(Propagation propagation) {
  return dump({{"apiVersion", "v1"},
               {"kind", "DeleteOptions"},
               {"propagationPolicy", propagation == Propagation::foreground ? "Foreground" : "Background"}});
}

/// Copies the parts of a call that its messages need.
Call words_of(const Call& call) { return {.verb = call.verb, .resource = call.resource, .object = call.object}; }

}  // namespace

struct KubernetesApi::Creation {
  Resource resource;
  std::string name;
  std::string owner;  // value of the label
  std::string body;
  Json data;  // of a secret
  Done done;
  int tries = 0;
};

struct KubernetesApi::Listing {
  Resource resource;
  Selection selection;
  ListHandler handler;
  std::string deletion{};  // the body of calls that delete what they list; empty: they only list
  std::string continue_token{};
  net::PageTokens tokens{};
  int restarts = 0;
};

std::string_view name_of(Resource resource) {
  switch (resource) {
    case Resource::jobs: return "jobs";
    case Resource::pods: return "pods";
    case Resource::events: return "events";
    case Resource::secrets: return "secrets";
  }
  return "";
}

std::string_view kind_of(Resource resource) {
  std::string_view name = name_of(resource);
  name.remove_suffix(1);
  return name;
}

KubernetesApi::KubernetesApi(base::EventLoop& loop, base::Clock& clock, Access access, ApiOptions options,
                             std::function<double()> random)
    : options_(std::move(options)), transport_(loop, clock, std::move(access), options_.transport, std::move(random)) {}

KubernetesApi::~KubernetesApi() = default;

std::string KubernetesApi::path_of(Resource resource, const std::string& name, const Selection& selection,
                                   net::Query query) const {
  if (!selection.labels.empty()) query.emplace_back("labelSelector", selection.labels);
  if (!selection.fields.empty()) query.emplace_back("fieldSelector", selection.fields);
  std::string path = fmt::format("{}/namespaces/{}/{}", resource == Resource::jobs ? "/apis/batch/v1" : "/api/v1",
                                 base::percent_encode(options_.name_space), name_of(resource));
  if (!name.empty()) path += "/" + base::percent_encode(name, /*keep_slashes=*/true);
  if (!query.empty()) path += "?" + net::encode_query(query);
  return path;
}

std::string KubernetesApi::words_for(Resource resource, const std::string& name) const {
  if (name.empty()) return fmt::format("{} in namespace {}", name_of(resource), options_.name_space);
  return fmt::format("{} {} in namespace {}", kind_of(resource), name, options_.name_space);
}

Call KubernetesApi::call_of(std::string verb, std::string method, Resource resource, const std::string& name) const {
  return {.verb = std::move(verb),
          .resource = std::string(name_of(resource)),
          .object = words_for(resource, name),
          .name_space = options_.name_space,
          .method = std::move(method),
          .path = path_of(resource, name)};
}

void KubernetesApi::cancel(Id id) {
  const auto found = operations_.find(id);
  if (found == operations_.end()) return;
  transport_.cancel(found->second);
  operations_.erase(found);
}

/// Starts the next call of an operation. The operation ends before `done` is called, which may begin another call.
void KubernetesApi::go_on(Id id, Call call, Transport::Done done) {
  operations_[id] = transport_.start(std::move(call), std::move(done));
}

/// Starts an operation of one call that returns an object.
KubernetesApi::Id KubernetesApi::begin(Call call, Done done) {
  const Id id = next_id_++;
  const Call words = words_of(call);
  go_on(id, std::move(call), [this, id, words, done = std::move(done)](CallAnswer&& answer) {
    operations_.erase(id);
    Answer given = answer_with_object(words, std::move(answer));
    if (done) done(std::move(given));
  });
  return id;
}

KubernetesApi::Id KubernetesApi::get(Resource resource, const std::string& name, Done done) {
  return begin(call_of("get", "GET", resource, name), std::move(done));
}

KubernetesApi::Id KubernetesApi::remove(Resource resource, const std::string& name, Done done,
                                        Propagation propagation) {
  Call call = call_of("delete", "DELETE", resource, name);
  call.body = delete_options(propagation);
  call.content_type = kJson;
  call.repeat_conflict = true;
  return begin(std::move(call), [done = std::move(done)](Answer&& answer) {
    if (answer.failure && answer.failure->status == 404) answer = {};
    if (done) done(std::move(answer));
  });
}

KubernetesApi::Id KubernetesApi::remove_all(Resource resource, const Selection& selection, Done done,
                                            Propagation propagation) {
  const Id id = next_id_++;
  auto finished = [done = std::move(done)](ListEnd&& end) {
    if (done) done({.failure = std::move(end.failure)});
  };
  next_page(id, std::make_shared<Listing>(Listing{.resource = resource,
                                                  .selection = selection,
                                                  .handler = {.done = std::move(finished)},
                                                  .deletion = delete_options(propagation)}));
  return id;
}

KubernetesApi::Id KubernetesApi::patch(Resource resource, const std::string& name, const Json& patch, Done done) {
  Call call = call_of("patch", "PATCH", resource, name);
  call.body = dump(patch);
  call.content_type = kMergePatch;
  call.repeat_conflict = true;
  return begin(std::move(call), std::move(done));
}

KubernetesApi::Id KubernetesApi::create(Resource resource, Json object, Done done) {
  const Id id = next_id_++;
  auto creation =
      std::make_shared<Creation>(Creation{.resource = resource,
                                          .name = text_at(object, {"metadata", "name"}),
                                          .owner = text_at(object, {"metadata", "labels", options_.owner_label}),
                                          .body = dump(object),
                                          .data = {},
                                          .done = std::move(done)});
  if (resource == Resource::secrets) {
    for (const char* key : {"data", "stringData"}) {
      if (Json* found = object.find(key)) creation->data.set(key, std::move(*found));
    }
  }
  create(id, creation);
  return id;
}

void KubernetesApi::create(Id id, const std::shared_ptr<Creation>& creation) {
  ++creation->tries;
  Call call = call_of("create", "POST", creation->resource, {});
  call.object = words_for(creation->resource, creation->name);
  call.body = creation->body;
  call.content_type = kJson;
  call.repeat_conflict = true;
  const Call words = words_of(call);
  go_on(id, std::move(call), [this, id, words, creation](CallAnswer&& answer) {
    if (answer.failure && !creation->owner.empty()) {
      const bool exists = answer.failure->code == "AlreadyExists";
      // A quota or a name conflict may come from the very object whose creation was not answered.
      const bool perhaps = answer.may_have_executed && !answer.failure->transient;
      if (creation->resource == Resource::secrets && exists) {
        claim_secret(id, creation, std::move(*answer.failure));
        return;
      }
      if (creation->resource != Resource::secrets && (exists || perhaps)) {
        look_at_existing(id, creation, std::move(*answer.failure));
        return;
      }
    }
    operations_.erase(id);
    Answer given = answer_with_object(words, std::move(answer));
    if (creation->done) creation->done(std::move(given));
  });
}

bool KubernetesApi::is_ours(const Creation& creation, const Json& existing) const {
  return text_at(existing, {"metadata", "labels", options_.owner_label}) == creation.owner &&
         text_at(existing, {"metadata", "deletionTimestamp"}).empty();
}

/// Reads an existing object of that name. It may be ours, after a lost answer, of another process of ours, or foreign.
/// `refusal`: of the last creation.
void KubernetesApi::look_at_existing(Id id, const std::shared_ptr<Creation>& creation, CallFailure refusal) {
  go_on(id, call_of("get", "GET", creation->resource, creation->name),
        [this, id, creation, refusal = std::move(refusal)](CallAnswer&& answer) mutable {
          const bool absent = answer.failure && answer.failure->status == 404;
          if (absent && refusal.code == "AlreadyExists" && creation->tries < kMaxCreations) {
            create(id, creation);  // deleted meanwhile
            return;
          }
          operations_.erase(id);
          Answer given;
          if (answer.failure && !absent) {
            given = {.failure = std::move(answer.failure), .uncertain = true};
          } else if (auto object = base::Json::parse_object(answer.body);
                     !absent && object && is_ours(*creation, *object)) {
            given.object = std::move(*object);
          } else {
            given.failure = std::move(refusal);
          }
          if (creation->done) creation->done(std::move(given));
        });
}

void KubernetesApi::claim_secret(Id id, const std::shared_ptr<Creation>& creation, CallFailure exists) {
  Call call = call_of("patch", "PATCH", Resource::secrets, creation->name);
  Json operations = Json::list();
  operations.push_back(
      {{"op", "test"}, {"path", "/metadata/labels/" + pointer_part(options_.owner_label)}, {"value", creation->owner}});
  for (const auto& [key, value] : creation->data.members())
    operations.push_back({{"op", "add"}, {"path", "/" + key}, {"value", value}});
  call.body = dump(operations);
  call.content_type = kJsonPatch;
  call.repeat_conflict = true;
  const Call words = words_of(call);
  go_on(id, std::move(call), [this, id, words, creation, exists = std::move(exists)](CallAnswer&& answer) mutable {
    if (answer.failure && answer.failure->status == 404 && creation->tries < kMaxCreations) {
      create(id, creation);
      return;
    }
    operations_.erase(id);
    Answer given = answer_with_object(words, std::move(answer));
    given.uncertain = given.failure && given.failure->status != 422;
    if (given.failure && given.failure->status == 422) given.failure = std::move(exists);  // owned by others
    if (creation->done) creation->done(std::move(given));
  });
}

KubernetesApi::Id KubernetesApi::list(Resource resource, const Selection& selection, ListHandler handler) {
  const Id id = next_id_++;
  next_page(id, std::make_shared<Listing>(
                    Listing{.resource = resource, .selection = selection, .handler = std::move(handler)}));
  return id;
}

void KubernetesApi::next_page(Id id, const std::shared_ptr<Listing>& listing) {
  Call call = call_of("list", "GET", listing->resource, {});
  if (!listing->deletion.empty()) {
    call.verb = "deletecollection";
    call.method = "DELETE";
    call.body = listing->deletion;
    call.content_type = kJson;
    call.repeat_conflict = true;
  }
  net::Query query{{"limit", std::to_string(options_.page)}};
  if (!listing->continue_token.empty()) query.emplace_back("continue", listing->continue_token);
  call.path = path_of(listing->resource, {}, listing->selection, std::move(query));
  go_on(id, std::move(call), [this, id, listing](CallAnswer&& answer) { take_page(id, listing, std::move(answer)); });
}

void KubernetesApi::take_page(Id id, const std::shared_ptr<Listing>& listing, CallAnswer&& answer) {
  if (answer.failure) {
    const bool expired = answer.failure->status == 410 && !listing->continue_token.empty();
    if (!expired || ++listing->restarts > kMaxRestarts) {
      end_list(id, listing, {.failure = std::move(answer.failure)});
      return;
    }
    listing->continue_token.clear();
    listing->tokens = {};
    next_page(id, listing);
    if (listing->handler.on_restart) listing->handler.on_restart();
    return;
  }
  std::optional<PageEnd> end;
  bool is_empty = true;
  try {
    end = parse_page(answer.body, [&](Json&& object) {
      is_empty = false;
      if (operations_.contains(id) && listing->handler.on_object) listing->handler.on_object(std::move(object));
    });
  } catch (...) {
    operations_.erase(id);
    throw;
  }
  if (!operations_.contains(id)) return;  // cancelled by the handler of an object
  if (!end || (!end->continue_token.empty() && !listing->tokens.add(end->continue_token, is_empty))) {
    const char* why = end ? "its pages do not end" : "the answer is not a list of objects";
    end_list(id, listing, {.failure = unusable_answer(call_of("list", "GET", listing->resource, {}), why)});
    return;
  }
  listing->continue_token = std::move(end->continue_token);
  if (listing->continue_token.empty()) {
    end_list(id, listing, {.resource_version = std::move(end->resource_version)});
  } else {
    next_page(id, listing);
  }
}

void KubernetesApi::end_list(Id id, const std::shared_ptr<Listing>& listing, ListEnd&& end) {
  operations_.erase(id);
  if (listing->handler.done) listing->handler.done(std::move(end));
}

}  // namespace metaflow::kube
