// The Kubernetes client at work for test_kubernetes_client.py: reads a command in JSON from each line of the standard
// input, and prints what comes of it, a line of JSON each. Ends with its input.
// usage: KUBECONFIG=FILE kubernetes_client '{"namespace": "default", "context": "", "page": 250, "tries": 16, ...}'
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <map>
#include <memory>
#include <string>

#include <metaflow/error.h>

#include "base/json.h"
#include "base/text.h"
#include "compute/kubernetes/client/api.h"
#include "compute/kubernetes/client/watch.h"

namespace {

using namespace metaflow;
using base::Json;

void print(const Json& line) {
  std::printf("%s\n", line.dump().c_str());
  std::fflush(stdout);
}

Json shown(const net::CallFailure& failure) {
  return {{"status", failure.status},
          {"reason", failure.code},
          {"text", failure.text},
          {"hint", failure.hint},
          {"transient", failure.transient}};
}

kube::Resource resource_named(const std::string& name) {
  for (const auto resource :
       {kube::Resource::jobs, kube::Resource::pods, kube::Resource::events, kube::Resource::secrets}) {
    if (kube::name_of(resource) == name) return resource;
  }
  throw Error(ErrorCode::usage, "There is no resource " + name);
}

class Program {
 public:
  explicit Program(const Json& options)
      : loop_(clock_),
        api_(loop_, clock_, kube::find_access(net::own_variables(), options.get("context", "")), api_options(options)) {
    watch_options_.idle_timeout = std::chrono::milliseconds(options.get("idle", 150'000));
    watch_options_.timeout_seconds = options.get("watchSeconds", 300);
    loop_.watch(0, [this] { read(); });
    while (!ended_) loop_.run_once();
  }

 private:
  static kube::ApiOptions api_options(const Json& options) {
    kube::ApiOptions made{.name_space = options.get("namespace", "default"),
                          .owner_label = "test/owner",
                          .page = options.get("page", 250)};
    made.transport.limits.calls_per_second = options.get("rate", 50.0);
    made.transport.limits.burst = options.get("burst", 100.0);
    made.transport.limits.retry.tries = options.get("tries", 16);
    made.transport.limits.retry.first_delay = options.get("pause", 20'000);
    made.transport.on_retry = [](const net::CallFailure& failure, std::int64_t) { print({{"retry", failure.text}}); };
    return made;
  }

  void read() {
    std::array<char, 65536> buffer;
    const ssize_t count = ::read(0, buffer.data(), buffer.size());
    if (count <= 0) {
      ended_ = true;
      return;
    }
    lines_.add({buffer.data(), static_cast<std::size_t>(count)});
    while (const auto line = lines_.next()) carry_out(Json::parse_or_throw(*line));
  }

  /// Prints the answer of the command `id`.
  kube::KubernetesApi::Done answer(const Json& id) {
    return [id](kube::Answer&& given) {
      Json line{{"id", id}, {"object", std::move(given.object)}, {"uncertain", given.uncertain}};
      if (given.failure) line.set("failure", shown(*given.failure));
      print(line);
    };
  }

  void carry_out(const Json& command) {
    const Json id = command.at("id");
    const auto verb = command.get<std::string>("do");
    const kube::Resource resource = resource_named(command.get("resource", "jobs"));
    const std::string name = command.get("name", "");
    const kube::Selection selection{command.get("labels", ""), command.get("fields", "")};
    if (verb == "create") {
      api_.create(resource, command.at("object"), answer(id));
    } else if (verb == "get") {
      api_.get(resource, name, answer(id));
    } else if (verb == "delete") {
      api_.remove(resource, name, answer(id),
                  command.get("foreground", false) ? kube::Propagation::foreground : kube::Propagation::background);
    } else if (verb == "deleteAll") {
      api_.remove_all(resource, selection, answer(id));
    } else if (verb == "patch") {
      api_.patch(resource, name, command.at("object"), answer(id));
    } else if (verb == "log") {
      api_.read_log(
          {.pod = name,
           .follow = command.get("follow", false),
           .timestamps = command.get("timestamps", false),
           .since_time = command.get("sinceTime", "")},
          [id](std::string_view piece) {
            print({{"id", id}, {"piece", piece}});
          },
          answer(id));
    } else if (verb == "list") {
      auto names = std::make_shared<Json>(Json::list());
      api_.list(resource, selection,
                {.on_object =
                     [names](Json&& object) {
                       names->push_back(kube::text_at(object, {"metadata", "name"}));
                     },
                 .on_restart =
                     [names, id] {
                       *names = Json::list();
                       print({{"id", id}, {"restart", true}});
                     },
                 .done =
                     [names, id](kube::ListEnd&& end) {
                       Json line{{"id", id}, {"names", *names}};
                       if (end.failure) line.set("failure", shown(*end.failure));
                       print(line);
                     }});
    } else if (verb == "watch") {
      watches_[id.dump()] = std::make_unique<kube::Watch>(api_, resource, selection, handler(id), watch_options_);
    } else if (verb == "unwatch") {
      watches_.erase(command.at("watch").dump());
    } else if (verb == "counters") {
      const net::CallCounters& counters = api_.counters();
      Json kinds = Json::object();
      for (const auto& [kind, count] : counters.by_kind) kinds.set(kind, count);
      print({{"id", id},
             {"calls", counters.calls},
             {"retries", counters.retries},
             {"refused", counters.refused},
             {"delayed", counters.delayed},
             {"kinds", kinds}});
    }
  }

  static kube::WatchHandler handler(const Json& id) {
    return {
        .on_change =
            [id](kube::Change change, Json&& object) {
              static constexpr std::array kNames{"ADDED", "MODIFIED", "DELETED"};
              print(
                  {{"id", id}, {"change", kNames.at(static_cast<std::size_t>(change))}, {"object", std::move(object)}});
            },
        .on_synced =
            [id] {
              print({{"id", id}, {"synced", true}});
            },
        .on_trouble =
            [id](const net::CallFailure& failure, std::int64_t) {
              print({{"id", id}, {"trouble", failure.text}});
            },
        .on_failure =
            [id](const net::CallFailure& failure) {
              print({{"id", id}, {"failure", shown(failure)}});
            }};
  }

  base::SystemClock clock_;
  base::EventLoop loop_;
  kube::KubernetesApi api_;
  kube::WatchOptions watch_options_;
  std::map<std::string, std::unique_ptr<kube::Watch>> watches_;
  kube::Lines lines_{64U << 20U};
  bool ended_ = false;
};

}  // namespace

int main(int argc, char** argv) {
  try {
    Program(argc > 1 ? Json::parse_or_throw(argv[1]) : Json::object());
  } catch (const Error& error) {
    print({{"error", error.message()}, {"hint", error.hint()}});
    return 1;
  }
}
