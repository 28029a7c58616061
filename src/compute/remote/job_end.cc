#include "compute/remote/job_end.h"

#include <signal.h>

#include "base/format.h"
#include "base/process.h"
#include "compute/package/bootstrap.h"

namespace metaflow::compute {

namespace {

constexpr int kNotExecutable = 126;  // of a shell
constexpr int kNotFound = 127;
constexpr int kBySignal = 128;
constexpr int kLastSignal = 64;

std::string with_words(const std::string& sentence, std::string_view last_output) {
  return last_output.empty() ? sentence + "." : fmt::format("{}: {}", sentence, last_output);
}

}  // namespace

JobEnd end_by_exit_status(int status, std::string_view last_output, std::string_view access) {
  JobEnd ending{.exit_code = status};
  if (status == kImageUnfit || status == kPackageMissing || status == kNotExecutable || status == kNotFound) {
    ending.by = EndedBy::bootstrap;
    ending.cause =
        with_words(fmt::format("The flow could not be started in its container (exit code {})", status), last_output);
  } else if (status == kStoreFailed) {
    ending.by = EndedBy::bootstrap;
    ending.cause = with_words("The task could not use the datastore", last_output);
    ending.cause += fmt::format("{} {}", last_output.empty() || last_output.ends_with('.') ? "" : ".", access);
  } else if (status > kBySignal && status <= kBySignal + kLastSignal) {
    const int signal = status - kBySignal;
    ending.cause = signal == SIGILL ? "Task was killed by SIGILL: was it built for another processor (-march=native)?"
                                    : fmt::format("Task was killed by {}.", base::signal_name(signal));
  } else {
    ending.cause = fmt::format("Task exited with code {}.", status);
  }
  return ending;
}

}  // namespace metaflow::compute
