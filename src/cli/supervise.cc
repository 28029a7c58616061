#include "cli/supervise.h"

#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <utility>

#include <metaflow/error.h>

#include "base/files.h"
#include "base/format.h"
#include "base/percent.h"
#include "base/process.h"
#include "base/text.h"
#include "compute/package/package.h"
#include "compute/remote/step_array.h"
#include "runtime/supervisor/supervisor.h"
#include "store/open.h"

namespace metaflow::cli {

namespace {

constexpr std::int64_t kSecond = 1'000'000;
constexpr std::int64_t kMegabyte = 1'000'000;

std::int64_t parse_whole(std::string_view option, std::string_view text) {
  std::int64_t number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  constexpr std::int64_t kMost = 1'000'000'000;
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size() || number < 0 || number > kMost)
    throw Error(ErrorCode::usage,
                fmt::format("Invalid value for '{}': {} is not a valid integer", option, base::shown_value(text)));
  return number;
}

/// The index of this job in its array.
std::uint64_t place_in_array(const compute::Platforms& platforms) {
  for (const compute::Platform* platform : platforms.all()) {
    if (const auto place = platform->place_in_array()) return *place;
  }
  throw Error(ErrorCode::usage,
              "supervise --tasks requires a job of an array, but the platform has set no index of the job");
}

/// Uses the certificate authorities of the package if the image has none.
void use_packaged_certificates() {
  constexpr const char* kVariable = "SSL_CERT_FILE";
  if (std::getenv(kVariable) != nullptr || base::exists("/etc/ssl/certs/ca-certificates.crt")) return;
  const std::string roots = compute::packaged_certificate_authorities();
  if (!roots.empty()) ::setenv(kVariable, roots.c_str(), 1);
}

}  // namespace

int run_supervise_command(const Program& program, const compute::Platforms& platforms, int argc, char** argv) {
  const detail::FlowDescription& flow = program.flow;
  runtime::Supervision supervision;
  compute::ArrayNumbers array;
  bool percent_encoded = false;
  int at = 2;
  for (; at < argc && std::strcmp(argv[at], "--") != 0; at += 2) {
    const std::string_view option = argv[at];
    if (at + 1 == argc) throw Error(ErrorCode::usage, fmt::format("{} option requires an argument", option));
    const char* value = argv[at + 1];
    if (option == "--time-limit") {
      supervision.time_limit = parse_whole(option, value) * kSecond;
    } else if (option == "--grace") {
      supervision.grace = parse_whole(option, value) * kSecond;
    } else if (option == "--max-log-size") {
      supervision.max_log_size = static_cast<std::uint64_t>(parse_whole(option, value) * kMegabyte);
    } else if (option == "--percent-encoded") {
      percent_encoded = std::strcmp(value, "yes") == 0;
    } else if (option == "--tasks") {
      array.tasks = value;
    } else if (option == "--splits") {
      array.splits = value;
    } else if (option == "--inputs") {
      array.inputs = value;
    } else {
      throw Error(ErrorCode::usage, fmt::format("no such option: {}", option));
    }
  }
  if (at >= argc) throw Error(ErrorCode::usage, "supervise: the arguments of the step are missing after --");
  supervision.command = program.language.task_command();
  if (base::own_command().size() > 1) ::prctl(PR_SET_NAME, flow.name.c_str());  // instead of the loader's name
  supervision.step.assign(argv + at + 1, argv + argc);
  if (percent_encoded)
    std::transform(supervision.step.begin(), supervision.step.end(), supervision.step.begin(), base::percent_decode);
  std::vector<char*> words{argv[0]};
  for (std::string& word : supervision.step) words.push_back(word.data());
  supervision.arguments = compute::parse_step_arguments(static_cast<int>(words.size()), words.data());
  if (!array.tasks.empty()) {
    supervision.arguments = compute::task_of_array(std::move(supervision.arguments), array, place_in_array(platforms));
    supervision.step = compute::to_command_line(supervision.arguments);
  }
  use_packaged_certificates();
  supervision.environment = base::own_environment();
  base::set_variable(supervision.environment, "METAFLOW_RUN_ID=" + supervision.arguments.run);
  base::set_variable(supervision.environment, fmt::format("METAFLOW_SCHEDULER_PID={}", ::getpid()));
  // Temporary files of the task go there, unless the flow has set TMPDIR.
  const char* const room = std::getenv("METAFLOW_TEMPDIR");
  if (room != nullptr && *room != '\0' && std::getenv("TMPDIR") == nullptr)
    base::set_variable(supervision.environment, std::string("TMPDIR=") + room);
  supervision.memory = base::own_memory_group();
  supervision.open = [&] {
    return std::make_unique<store::FlowStore>(
        store::open_storage(supervision.arguments.datastore, supervision.arguments.datastore_root,
                            supervision.arguments.scratch),
        flow.name);
  };
  base::SystemClock clock;
  return runtime::supervise(supervision, clock);
}

}  // namespace metaflow::cli
