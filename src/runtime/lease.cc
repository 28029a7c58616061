#include "runtime/lease.h"

#include <limits.h>
#include <unistd.h>

#include <array>

#include <metaflow/error.h>

#include "base/files.h"
#include "base/format.h"
#include "base/json.h"
#include "base/process.h"
#include "base/text.h"
#include "store/names.h"

namespace metaflow::runtime {

namespace {

using base::Json;

std::string path_of(const std::string& flow, const std::string& run, const std::string& what, int number) {
  return fmt::format("{}/{}/_meta/lease_{}.{}.json", flow, run, what, number);
}

std::string link_target(const char* path) {
  std::array<char, PATH_MAX> target;
  const ssize_t length = ::readlink(path, target.data(), target.size());
  return length > 0 ? std::string(target.data(), static_cast<std::size_t>(length)) : std::string();
}

std::string first_line(const char* path) {
  const auto text = base::read_file(path);
  return text ? std::string(base::trim(text->text())) : std::string();
}

LeaseHolder this_process() {
  LeaseHolder self;
  std::array<char, HOST_NAME_MAX + 1> host{};
  ::gethostname(host.data(), host.size() - 1);
  self.host = host.data();
  self.boot = first_line("/proc/sys/kernel/random/boot_id");
  self.pid_space = link_target("/proc/self/ns/pid");
  self.pid = ::getpid();
  self.pid_began = base::start_of_process(self.pid);
  return self;
}

std::string to_json(const LeaseHolder& holder) {
  return Json{{"boot", holder.boot},
              {"host", holder.host},
              {"pid", holder.pid},
              {"pid_began", holder.pid_began},
              {"pid_space", holder.pid_space},
              {"released", holder.released},
              {"renewed", holder.renewed},
              {"run", holder.run},
              {"since", holder.since},
              {"user", holder.user}}
      .dump();
}

/// One that cannot be read was cut off by a power loss: nobody's.
std::optional<LeaseHolder> from_json(std::string_view text) {
  try {
    const Json json = Json::parse_or_throw(text);
    if (!is_name(store::NameKind::run, json.get<std::string>("run"))) return std::nullopt;
    return LeaseHolder{json.get<std::string>("user"),     json.get<std::string>("host"),
                       json.get<std::string>("boot"),     json.get<std::string>("pid_space"),
                       json.get<std::int64_t>("pid"),     json.get<std::uint64_t>("pid_began"),
                       json.get<std::string>("run"),      json.get<std::int64_t>("since"),
                       json.get<std::int64_t>("renewed"), json.get<bool>("released")};
  } catch (const base::JsonMismatch&) {
    return std::nullopt;
  }
}

struct Found {
  int next = 0;  // the first number that is free
  std::optional<LeaseHolder> last;
};

Found find(store::Storage& storage, const std::string& flow, const std::string& run, const std::string& what) {
  Found found;
  while (const auto text = store::get(storage, path_of(flow, run, what, found.next))) {
    found.last = from_json(text->text());
    ++found.next;
  }
  return found;
}

bool is_alive(const LeaseHolder& holder, base::Clock& clock) {
  if (holder.released) return false;
  const LeaseHolder self = this_process();
  if (holder.host == self.host && holder.boot != self.boot) return false;  // the machine was started anew
  if (holder.boot == self.boot && holder.pid_space == self.pid_space)
    return base::start_of_process(static_cast<pid_t>(holder.pid)) == holder.pid_began;
  return holder.renewed > clock.wall_microseconds() - Lease::kExpires;
}

[[noreturn]] void refuse(const LeaseHolder& holder, const std::string& flow, const std::string& run,
                         const std::string& what, base::Clock& clock) {
  const bool resumed = what == "resume";
  throw Error(ErrorCode::invalid_command,
              fmt::format("Run {}/{} is being {} by {} since {}{}", flow, run, resumed ? "resumed" : "executed",
                          holder.name(), base::local_time(holder.since).substr(0, 19),
                          resumed ? fmt::format(", as run {}", holder.run) : std::string()),
              holder.is_of_this_machine()
                  ? "Wait until it has ended, or stop that process."
                  : fmt::format("Wait until it has ended, or stop that process. Its last sign of life was {} seconds "
                                "ago; after {} it counts as dead.",
                                (clock.wall_microseconds() - holder.renewed) / 1'000'000, Lease::kExpires / 1'000'000));
}

}  // namespace

bool LeaseHolder::is_of_this_machine() const {
  const LeaseHolder self = this_process();
  return boot == self.boot && pid_space == self.pid_space;
}

void Lease::refuse_if_held(store::Storage& storage, const std::string& flow, const std::string& run,
                           const std::string& what, base::Clock& clock) {
  if (const auto holding = holder(storage, flow, run, what, clock)) refuse(*holding, flow, run, what, clock);
}

std::string LeaseHolder::name() const { return fmt::format("{}@{} (pid {})", user, host, pid); }

std::optional<LeaseHolder> Lease::last_holder(store::Storage& storage, const std::string& flow, const std::string& run,
                                              const std::string& what) {
  return find(storage, flow, run, what).last;
}

std::optional<LeaseHolder> Lease::holder(store::Storage& storage, const std::string& flow, const std::string& run,
                                         const std::string& what, base::Clock& clock) {
  auto last = find(storage, flow, run, what).last;
  if (last && !is_alive(*last, clock)) last.reset();
  return last;
}

Lease::Lease(store::Storage& storage, const std::string& flow, const std::string& run, const std::string& what,
             const std::string& user, const std::string& for_run, base::Clock& clock)
    : storage_(storage), clock_(clock), self_(this_process()) {
  self_.user = user;
  self_.run = for_run;
  self_.since = self_.renewed = clock.wall_microseconds();
  do {
    const Found found = find(storage, flow, run, what);
    if (found.last && is_alive(*found.last, clock)) refuse(*found.last, flow, run, what, clock);
    path_ = path_of(flow, run, what, found.next);
  } while (!store::create(storage, path_, to_json(self_)));
}

Lease::~Lease() {
  self_.released = true;
  try {
    store::put(storage_, object());
  } catch (const Error&) {
    // It is released when this process is gone.
  }
}

void Lease::renew(store::BackgroundStorage& background) {
  self_.renewed = clock_.wall_microseconds();
  background.put({object()}, [] {});
}

store::OwnedObject Lease::object() const { return {path_, base::SharedBytes(to_json(self_))}; }

}  // namespace metaflow::runtime
