#include "runtime/lease_record.h"

#include <limits.h>
#include <unistd.h>

#include <array>

#include "base/files.h"
#include "base/format.h"
#include "base/json.h"
#include "base/text.h"
#include "store/names.h"

namespace metaflow::runtime {

namespace {

using base::Json;

std::string link_target(const char* path) {
  std::array<char, PATH_MAX> target;
  const ssize_t length = ::readlink(path, target.data(), target.size());
  return length > 0 ? std::string(target.data(), static_cast<std::size_t>(length)) : std::string();
}

std::string first_line(const char* path) {
  const auto text = base::try_read_file(path);
  return text ? std::string(base::trim(text->text())) : std::string();
}

class SystemProcessTable : public ProcessTable {
 public:
  LeaseHolder self() override {
    LeaseHolder self;
    std::array<char, HOST_NAME_MAX + 1> host{};
    ::gethostname(host.data(), host.size() - 1);
    self.host = host.data();
    self.boot = first_line("/proc/sys/kernel/random/boot_id");
    self.pid_space = link_target("/proc/self/ns/pid");
    self.pid = ::getpid();
    self.pid_began = base::process_start_time(::getpid());
    return self;
  }
  base::ProcessState state_of(const LeaseHolder& holder) override {
    const LeaseHolder here = self();
    const bool is_here =
        !here.boot.empty() && !here.pid_space.empty() && holder.boot == here.boot && holder.pid_space == here.pid_space;
    if (!is_here || holder.pid <= 0 || holder.pid > INT_MAX) return base::ProcessState::unknown;
    return base::state_of_process(static_cast<pid_t>(holder.pid), holder.pid_began);
  }
};

}  // namespace

ProcessTable& process_table() {
  static SystemProcessTable table;
  return table;
}

std::string lease_to_json(const LeaseHolder& holder) {
  return Json{{"boot", holder.boot},
              {"host", holder.host},
              {"pid", holder.pid},
              {"pid_began", holder.pid_began},
              {"pid_space", holder.pid_space},
              {"released", holder.released},
              {"renewed", holder.renewed},
              {"run", holder.run},
              {"since", holder.since},
              {"token", holder.token},
              {"user", holder.user}}
      .dump();
}

std::optional<LeaseHolder> lease_from_json(std::string_view text) {
  try {
    const Json json = Json::parse_or_throw(text);
    LeaseHolder holder{.user = json.get<std::string>("user"),
                       .host = json.get<std::string>("host"),
                       .boot = json.get<std::string>("boot"),
                       .pid_space = json.get<std::string>("pid_space"),
                       .pid = json.get<std::int64_t>("pid"),
                       .pid_began = json.get<std::uint64_t>("pid_began"),
                       .run = json.get<std::string>("run"),
                       .since = json.get<std::int64_t>("since"),
                       .renewed = json.get<std::int64_t>("renewed"),
                       .token = json.get<std::string>("token"),
                       .released = json.get<bool>("released")};
    if (!holder.run.empty() && !is_name(store::NameKind::run, holder.run)) return std::nullopt;
    return holder;
  } catch (const base::JsonMismatch&) {
    return std::nullopt;
  }
}

std::string LeaseHolder::name() const {
  if (user.empty() && host.empty()) return "an unknown process (its lease is damaged)";
  return fmt::format("{}@{} (pid {})", user, host, pid);
}

std::string LeaseName::path(int number) const {
  return fmt::format("{}/{}/_meta/lease_{}.{}.json", flow, run, what, number);
}

}  // namespace metaflow::runtime
