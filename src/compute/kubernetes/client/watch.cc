#include "compute/kubernetes/client/watch.h"

#include <algorithm>
#include <exception>
#include <limits>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/format.h"
#include "base/json.h"
#include "base/text.h"

namespace metaflow::kube {

namespace {

// An object has at most 1.5 MB in a cluster's store.
constexpr std::size_t kMaxLine = 16U << 20U;
constexpr std::size_t kMaxObjects = 500'000;  // more than a cluster can hold
constexpr std::size_t kMaxNameLength = 253;   // Kubernetes' limit
constexpr std::int64_t kMinDuration = 1'000'000;
constexpr int kEndGrace = 60;  // seconds for a server to end a watch after its timeout
constexpr int kTriesBeforeList = 3;

std::string name_in(const Json& object) { return text_at(object, {"metadata", "name"}); }
std::string version_of(const Json& object) { return text_at(object, {"metadata", "resourceVersion"}); }
std::string uid_of(const Json& object) { return text_at(object, {"metadata", "uid"}); }

}  // namespace

// Shared with callbacks: a handler may destroy its Watch.
struct Watch::State : std::enable_shared_from_this<Watch::State> {
  struct Known {
    std::string uid;
    std::string version;
    std::uint64_t list = 0;  // the last one that contained it
  };

  State(KubernetesApi& of, Resource what, Selection which, WatchHandler to, WatchOptions how)
      : api(of),
        resource(what),
        selection(std::move(which)),
        handler(std::move(to)),
        options(how),
        budget(std::numeric_limits<double>::max()) {
    options.retry.tries = std::numeric_limits<int>::max();
  }

  void start_list();
  void listed(Json&& object);
  void list_ended(ListEnd&& end);
  void start_watch();
  void take(std::span<const std::byte> bytes);
  bool take_line(std::string_view line);
  bool has_room(const std::string& name, const Json& object) const;
  void take_event(const std::string& type, Json&& object);
  void watch_ended(CallAnswer&& answer);
  void restart(const CallFailure& failure, bool from_list);
  void report(Change change, Json&& object);
  void report_deleted(const std::string& name, const Known& known);
  void fail(const CallFailure& failure);
  void stop();

  KubernetesApi& api;
  const Resource resource;
  const Selection selection;
  WatchHandler handler;
  WatchOptions options;
  net::RetryBudget budget;
  std::optional<net::Retry> retry{};  // since the last success

  std::unordered_map<std::string, Known> known{};
  std::uint64_t lists = 0;
  std::string version{};     // everything up to it was reported
  bool established = false;  // a watch has succeeded once
  bool stopped = false;

  KubernetesApi::Id list = 0;
  Transport::Id call = 0;
  std::int64_t began = 0;  // the watch; monotonic
  std::optional<base::EventLoop::Timer> timer{};
  Lines lines{kMaxLine};
  std::optional<CallFailure> event_failure{};  // that the stream reported
  std::exception_ptr thrown{};
};

Watch::Watch(KubernetesApi& api, Resource resource, Selection selection, WatchHandler handler, WatchOptions options)
    : state_(std::make_shared<State>(api, resource, std::move(selection), std::move(handler), options)) {
  state_->start_list();
}

Watch::~Watch() { state_->stop(); }

std::size_t Watch::objects() const { return state_->known.size(); }

void Watch::State::stop() {
  stopped = true;
  if (list != 0) api.cancel(list);
  if (call != 0) api.transport().cancel(call);
  if (timer) api.transport().loop().cancel(*timer);
  timer.reset();
}

void Watch::State::report(Change change, Json&& object) {
  if (!stopped && handler.on_change) handler.on_change(change, std::move(object));
}

/// Reports an object that was there before, and is no longer.
void Watch::State::report_deleted(const std::string& name, const Known& gone) {
  report(Change::deleted, {{"metadata", {{"name", name}, {"uid", gone.uid}, {"resourceVersion", gone.version}}}});
}

void Watch::State::start_list() {
  ++lists;
  const auto self = shared_from_this();
  list = api.list(resource, selection,
                  {.on_object = [self](Json&& object) { self->listed(std::move(object)); },
                   .on_restart = [self] { ++self->lists; },
                   .done = [self](ListEnd&& end) { self->list_ended(std::move(end)); }});
}

/// Bounds what is kept, whatever a server sends. Objects beyond the limit are not reported.
bool Watch::State::has_room(const std::string& name, const Json& object) const {
  if (std::max({name.size(), uid_of(object).size(), version_of(object).size()}) > kMaxNameLength) return false;
  return known.size() < kMaxObjects || known.contains(name);
}

void Watch::State::listed(Json&& object) {
  const std::string name = name_in(object);
  if (!has_room(name, object)) return;
  const auto [found, is_new] = known.try_emplace(name);
  Known& entry = found->second;
  Known old = std::exchange(entry, {uid_of(object), version_of(object), lists});
  if (is_new) {
    report(Change::added, std::move(object));
  } else if (old.uid != entry.uid) {
    report_deleted(name, old);
    report(Change::added, std::move(object));
  } else if (old.version != entry.version) {
    report(Change::modified, std::move(object));
  }
}

void Watch::State::list_ended(ListEnd&& end) {
  list = 0;
  if (end.failure) {
    if (!established && !end.failure->transient) {
      fail(*end.failure);
    } else {
      restart(*end.failure, /*from_list=*/true);
    }
    return;
  }
  version = std::move(end.resource_version);
  std::vector<std::pair<std::string, Known>> gone;
  for (auto at = known.begin(); at != known.end();) {
    if (at->second.list == lists) {
      ++at;
      continue;
    }
    gone.emplace_back(at->first, std::move(at->second));
    at = known.erase(at);
  }
  start_watch();
  for (const auto& [name, entry] : gone) report_deleted(name, entry);
  if (!stopped && handler.on_synced) handler.on_synced();
}

void Watch::State::start_watch() {
  const double spread = api.transport().random()() * 0.5;
  const int seconds = static_cast<int>(options.timeout_seconds * (1 + spread));
  lines = Lines(kMaxLine);
  event_failure.reset();
  Call request{.verb = "watch",
               .resource = std::string(name_of(resource)),
               .object = api.words_for(resource),
               .name_space = api.name_space(),
               .path = api.path_of(resource, {}, selection,
                                   {{"watch", "true"},
                                    {"allowWatchBookmarks", "true"},
                                    {"resourceVersion", version},
                                    {"timeoutSeconds", std::to_string(seconds)}}),
               .tries = 1,
               .idle_timeout = options.idle_timeout,
               .answer_timeout = std::chrono::seconds(seconds + kEndGrace),
               .max_body = net::kUnlimited};
  began = api.transport().clock().monotonic_microseconds();
  const auto self = shared_from_this();
  request.sink = [self](std::span<const std::byte> bytes) { self->take(bytes); };
  call =
      api.transport().start(std::move(request), [self](CallAnswer&& answer) { self->watch_ended(std::move(answer)); });
}

void Watch::State::fail(const CallFailure& failure) {
  stopped = true;
  if (handler.on_failure) handler.on_failure(failure);
}

/// Called within libcurl: exceptions of a handler are kept until it returns.
void Watch::State::take(std::span<const std::byte> bytes) {
  try {
    const bool fits = lines.add(base::as_text(bytes));
    while (!stopped && !event_failure) {
      const auto line = lines.next();
      if (!line) break;
      if (!take_line(*line)) {
        event_failure = CallFailure{.message = "an event is not valid", .transient = true};
      }
    }
    if (!fits && !event_failure) event_failure = CallFailure{.message = "an event is too long", .transient = true};
  } catch (...) {
    thrown = std::current_exception();
    throw;
  }
  // Nothing that follows is reliable.
  if (event_failure) throw Error(ErrorCode::invalid_command, event_failure->message);
}

bool Watch::State::take_line(std::string_view line) {
  if (base::trim(line).empty()) return true;
  auto event = parse_event(line);
  if (!event) return false;
  if (event->type == "ERROR") {
    event_failure = CallFailure{.status = static_cast<int>(event->object["code"].integer().value_or(500)),
                                .code = event->object["reason"].text(),
                                .message = event->object["message"].text(),
                                .transient = true};
    return true;
  }
  retry.reset();
  established = true;
  version = std::move(event->version);
  if (event->type != "BOOKMARK") take_event(event->type, std::move(event->object));
  return true;
}

void Watch::State::take_event(const std::string& type, Json&& object) {
  const std::string name = name_in(object);
  if (type == "DELETED") {
    if (known.erase(name) > 0) report(Change::deleted, std::move(object));
    return;
  }
  if (!has_room(name, object)) return;
  const auto [found, is_new] = known.try_emplace(name);
  Known old = std::exchange(found->second, {uid_of(object), version_of(object), lists});
  if (!is_new && old.uid != found->second.uid) {
    report_deleted(name, old);
    report(Change::added, std::move(object));
  } else {
    report(is_new ? Change::added : Change::modified, std::move(object));
  }
}

void Watch::State::watch_ended(CallAnswer&& answer) {
  call = 0;
  if (thrown) {
    stopped = true;
    std::rethrow_exception(std::exchange(thrown, {}));
  }
  if (!answer.failure && !event_failure) {
    if (api.transport().clock().monotonic_microseconds() - began >= kMinDuration) {  // it ended regularly
      established = true;
      start_watch();
      return;
    }
    event_failure = CallFailure{.message = "the answer ended as soon as it began", .transient = true};
  }
  CallFailure failure = event_failure ? std::move(*event_failure) : std::move(*answer.failure);
  if (failure.text.empty())
    failure.text = fmt::format("Cannot watch {}: {}{}", api.words_for(resource), failure.message,
                               failure.status == 0 ? "" : fmt::format(" ({} {})", failure.status, failure.code));
  // The version is too old, or unknown to the server: one that was restored from a backup counts from an older version.
  const bool from_list = failure.status == 410 || failure.status == 400 || failure.status == 404 ||
                         (retry && retry->tries() >= kTriesBeforeList);
  if (!established && !failure.transient && !from_list) {
    fail(failure);
  } else {
    restart(failure, from_list);
  }
}

void Watch::State::restart(const CallFailure& failure, bool from_list) {
  if (!retry) retry.emplace(options.retry, budget, api.transport().random());
  const std::int64_t pause = retry->next_delay().value_or(options.retry.max_delay);
  timer = api.transport().loop().after(pause, [self = shared_from_this(), from_list] {
    self->timer.reset();
    from_list ? self->start_list() : self->start_watch();
  });
  if (handler.on_trouble) handler.on_trouble(failure, pause);
}

}  // namespace metaflow::kube
