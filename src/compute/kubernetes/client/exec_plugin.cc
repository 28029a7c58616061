#include "compute/kubernetes/client/exec_plugin.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/capture.h"
#include "base/files.h"
#include "base/format.h"
#include "base/iso_time.h"
#include "base/json.h"
#include "base/text.h"
#include "base/utf8.h"
#include "net/aws_credentials.h"

namespace metaflow::kube {

namespace {

// A plugin may have to ask a slow service over the network.
constexpr std::int64_t kLimit = 60'000'000;
constexpr std::size_t kMaxOutput = 1U << 20U;
constexpr std::size_t kMaxPluginMessage = 300;

/// Returns the last line with text, where programs say why they failed.
std::string last_line(const std::string& text) {
  std::string line(base::trim(text));
  if (const std::size_t end = line.rfind('\n'); end != std::string::npos) line.erase(0, end + 1);
  return base::replace_invalid_utf8(line.substr(0, kMaxPluginMessage));
}

}  // namespace

PluginCredentials parse_exec_credential(std::string_view text, const ExecPlugin& plugin) {
  auto wrong = [&](const std::string& what) {
    return Error(ErrorCode::invalid_command,
                 fmt::format("The credentials of {} cannot be used: {}", plugin.command, what), plugin.install_hint);
  };
  const base::Json answer = base::Json::parse(text).value_or(base::Json());
  if (answer["kind"].text() != "ExecCredential") throw wrong("it does not print an ExecCredential");
  if (answer["apiVersion"].text() != plugin.api_version)
    throw wrong(fmt::format("its answer has another apiVersion than {}", plugin.api_version));
  const base::Json& status = answer["status"];
  if (!status.is_object()) throw wrong("its answer has no status");
  PluginCredentials credentials{.token = std::string(base::trim(status["token"].text())),
                                .certificate = status["clientCertificateData"].text(),
                                .key = status["clientKeyData"].text()};
  if (credentials.certificate.empty() != credentials.key.empty())
    throw wrong("its answer has only one of certificate and key");
  if (credentials.token.empty() && credentials.certificate.empty())
    throw wrong("its answer has neither a token nor a certificate");
  if (const std::string end = status["expirationTimestamp"].text(); !end.empty()) {
    const auto expires = base::parse_iso_time(end);
    if (!expires) throw wrong("its expirationTimestamp is not a time in UTC");
    credentials.expires = *expires;
  }
  return credentials;
}

std::string exec_info(const Access& access) {
  base::Json spec{{"interactive", false}};
  if (access.user.exec->provide_cluster_info) {
    const ClusterEntry& cluster = access.cluster;
    base::Json& info = spec.set("cluster", {{"server", cluster.server}});
    std::string authority = cluster.authority.data;
    if (authority.empty() && !cluster.authority.file.empty()) {
      if (const auto file = base::try_read_file(cluster.authority.file)) authority = file->text();
    }
    if (!authority.empty()) info.set("certificate-authority-data", base::base64(base::as_bytes(authority)));
    if (!cluster.server_name.empty()) info.set("tls-server-name", cluster.server_name);
    if (!cluster.proxy.empty()) info.set("proxy-url", cluster.proxy);
    if (!cluster.verify) info.set("insecure-skip-tls-verify", true);
  }
  return base::Json{
      {"apiVersion", access.user.exec->api_version}, {"kind", "ExecCredential"}, {"spec", std::move(spec)}}
      .dump();
}

ExecPluginRun::ExecPluginRun(base::EventLoop& loop, const Access& access, Done done)
    : loop_(loop), access_(access), done_(std::move(done)) {
  try {
    start();
  } catch (const Error& error) {
    // Reported like all results: from the loop, not from in here.
    timer_ = loop_.after(0, [this, failed = failure(error.message())] {
      timer_.reset();
      finish({.error = failed});
    });
  }
}

ExecPluginRun::~ExecPluginRun() { release(); }

void ExecPluginRun::start() {
  const ExecPlugin& plugin = *access_.user.exec;
  std::vector<std::string> environment = base::own_environment();
  for (const auto& [name, value] : plugin.environment) base::set_variable(environment, name + "=" + value);
  base::set_variable(environment, "KUBERNETES_EXEC_INFO=" + exec_info(access_));
  child_ = base::start_process({base::find_program(plugin.command)}, plugin.arguments, environment);
  loop_.watch(child_.out.get(), [this] { read(child_.out, out_); });
  loop_.watch(child_.err.get(), [this] { read(child_.err, err_); });
  loop_.watch(child_.pidfd.get(), [this] { ended(); });
  timer_ = loop_.after(kLimit, [this] {
    timer_.reset();
    give_up(fmt::format("it timed out after {}", base::human_seconds(static_cast<double>(kLimit) / 1e6)));
  });
}

void ExecPluginRun::stop_reading(base::Fd& fd) {
  if (!fd) return;
  loop_.unwatch(fd.get());
  fd.reset();
}

void ExecPluginRun::read(base::Fd& fd, std::string& text) {
  std::array<char, 65536> buffer;
  while (fd) {
    const ssize_t count = ::read(fd.get(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) return;
    if (count <= 0) {
      stop_reading(fd);
      return;
    }
    text.append(buffer.data(), static_cast<std::size_t>(count));
    if (text.size() > kMaxOutput) {
      give_up("it prints too much");
      return;
    }
  }
}

void ExecPluginRun::ended() {
  // Its children may hold the pipes open for longer.
  read(child_.out, out_);
  if (child_.pid != 0) read(child_.err, err_);
  if (child_.pid == 0) return;  // given up meanwhile
  const auto ending = base::reap(child_.pid);
  if (!ending) return;
  child_.pid = 0;
  Result result;
  result.is_transient = ending->signal != 0 || ending->exit_code != 0;
  try {
    if (ending->signal != 0) throw failure("it was killed by " + base::signal_name(ending->signal));
    if (ending->exit_code != 0) {
      const std::string words = last_line(err_);
      throw failure(
          fmt::format("it failed with exit code {}{}{}", ending->exit_code, words.empty() ? "" : ": ", words));
    }
    result.credentials = parse_exec_credential(out_, *access_.user.exec);
  } catch (const Error& error) {
    result.error = error;
  }
  finish(std::move(result));
}

void ExecPluginRun::give_up(const std::string& why) { finish({.error = failure(why)}); }

Error ExecPluginRun::failure(const std::string& why) const {
  const ExecPlugin& plugin = *access_.user.exec;
  return Error(ErrorCode::invalid_command,
               fmt::format("Cannot get credentials for {} from {}: {}", access_.cluster.server, plugin.command, why),
               plugin.install_hint.empty()
                   ? fmt::format("Check that `kubectl get pods` works: it runs the same program ({}).", access_.source)
                   : plugin.install_hint);
}

void ExecPluginRun::finish(Result&& result) {
  release();
  const Done done = std::move(done_);
  done(std::move(result));  // this may be gone now
}

void ExecPluginRun::release() {
  if (timer_) loop_.cancel(*timer_);
  timer_.reset();
  for (base::Fd* fd : {&child_.out, &child_.err, &child_.pidfd}) stop_reading(*fd);
  if (child_.pid == 0) return;
  ::kill(-child_.pid, SIGKILL);
  while (::waitpid(child_.pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  child_.pid = 0;
}

}  // namespace metaflow::kube
