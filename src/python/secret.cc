#include "python/secret.h"

#include <optional>
#include <utility>

#include "base/clock.h"
#include "base/event_loop.h"
#include "base/format.h"
#include "base/json.h"
#include "net/aws_service.h"

namespace metaflow::python {

namespace {

/// The process's variables, with another region.
net::Variables with_region(const std::string& region) {
  return [region, own = net::own_variables()](const std::string& name) -> std::optional<std::string> {
    if (!region.empty() && name == "AWS_REGION") return region;
    return own(name);
  };
}

}  // namespace

std::string get_aws_secret(const std::string& id, const std::string& region, const std::string& role) {
  base::SystemClock clock;
  base::EventLoop loop(clock);
  net::AwsConfig config(with_region(region));
  config.set_role(role);
  net::AwsSession session(clock, std::move(config));
  net::AwsService service(loop, clock, session, {.name = "secretsmanager", .configured_as = "secrets_manager"});
  std::optional<net::AwsAnswer> answer;
  service.start({.operation = "GetSecretValue",
                 .words = fmt::format("read the secret {}", id),
                 .headers = {{"X-Amz-Target", "secretsmanager.GetSecretValue"}},
                 .content_type = "application/x-amz-json-1.1",
                 .body = base::Json{{"SecretId", id}}.dump()},
                [&](net::AwsAnswer&& got) { answer = std::move(got); });
  while (!answer) loop.run_once();
  if (answer->failure) throw answer->failure->error("AWS Secrets Manager");
  return std::move(answer->body);
}

}  // namespace metaflow::python
