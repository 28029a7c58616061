#include "base/capture.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>

#include <metaflow/error.h>

#include "base/format.h"
#include "base/process.h"
#include "base/text.h"

namespace metaflow::base {

namespace {

constexpr std::size_t kMaxOutput = 16U << 20U;

/// Reads the available data; closes the descriptor at its end.
void read_more(Fd& fd, std::string& text) {
  std::array<char, 65536> buffer;
  const ssize_t count = ::read(fd.get(), buffer.data(), buffer.size());
  if (count > 0) text.append(buffer.data(), static_cast<std::size_t>(count));
  if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)) fd.reset();
}

}  // namespace

std::optional<std::string> search_path(const std::string& name) {
  const char* path = std::getenv("PATH");
  for (const std::string& directory : split(path != nullptr ? path : "/usr/local/bin:/usr/bin:/bin", ':')) {
    std::string file = (directory.empty() ? "." : directory) + "/" + name;
    if (::access(file.c_str(), X_OK) == 0) return file;
  }
  return std::nullopt;
}

std::string find_program(const std::string& name) {
  if (name.find('/') != std::string::npos) return name;
  if (auto file = search_path(name)) return std::move(*file);
  throw Error(ErrorCode::data_store, fmt::format("Cannot start {}: it is not in PATH", name));
}

Captured run_captured(const std::vector<std::string>& command, const std::vector<std::string>& environment,
                      std::chrono::milliseconds limit) {
  using std::chrono::steady_clock;
  Child child = start_process({find_program(command.at(0))},
                              std::vector<std::string>(command.begin() + 1, command.end()), environment);
  Captured captured;
  auto give_up = [&](const std::string& why) {
    ::kill(-child.pid, SIGKILL);
    while (::waitpid(child.pid, nullptr, 0) < 0 && errno == EINTR) {
    }
    throw Error(ErrorCode::data_store, fmt::format("{} {}", command[0], why));
  };
  auto wait = [&](std::span<pollfd> fds, steady_clock::time_point until) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - steady_clock::now()).count();
    if (left <= 0 || (::poll(fds.data(), fds.size(), static_cast<int>(left)) == 0))
      give_up(fmt::format("did not end within {}", human_seconds(static_cast<double>(limit.count()) / 1e3)));
  };
  const auto deadline = steady_clock::now() + limit;
  while (child.out || child.err) {
    std::array<pollfd, 2> fds{pollfd{child.out.get(), POLLIN, 0}, pollfd{child.err.get(), POLLIN, 0}};
    wait(fds, deadline);
    if (fds[0].revents != 0) read_more(child.out, captured.out);
    if (fds[1].revents != 0) read_more(child.err, captured.err);
    if (captured.out.size() + captured.err.size() > kMaxOutput) give_up("printed more than 16 MiB");
  }
  std::optional<ProcessEnd> ending;
  pollfd ended{child.pidfd.get(), POLLIN, 0};
  wait(std::span(&ended, 1), deadline);
  ending = reap(child.pid);
  if (!ending) throw Error(ErrorCode::data_store, fmt::format("{} was killed", command[0]));  // reaped elsewhere
  captured.exit_code = ending->signal != 0 ? 128 + ending->signal : ending->exit_code;
  return captured;
}

}  // namespace metaflow::base
