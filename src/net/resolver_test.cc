// Host names that no DNS server answers for: libcurl resolves them on threads that cannot be cancelled.
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <netdb.h>

#include <atomic>
#include <future>
#include <string_view>

#include "base/clock.h"
#include "net/curl.h"
#include "net/http.h"

namespace {

std::atomic<int> lookups{0};

std::promise<void>& lookup_gate() {
  static auto& promise = *new std::promise<void>;
  return promise;
}
std::shared_future<void>& lookup_may_end() {
  static auto& future = *new std::shared_future<void>(lookup_gate().get_future());
  return future;
}

}  // namespace

/// The system's function, except for one name. The program exports it (test/CMakeLists.txt), so that libcurl calls it.
extern "C" int getaddrinfo(const char* node, const char* service, const addrinfo* hints, addrinfo** result) {
  static const auto system = reinterpret_cast<decltype(&::getaddrinfo)>(::dlsym(RTLD_NEXT, "getaddrinfo"));
  if (node != nullptr && std::string_view(node) == "no-answer.invalid") {
    ++lookups;
    lookup_may_end().wait();
    return EAI_AGAIN;
  }
  return system(node, service, hints, result);
}

namespace metaflow::net {
namespace {

TEST(Resolver, AnEndedTransferDoesNotWaitForTheResolver) {
  CURL* const easy = curl().easy_init();
  const bool can = curl().easy_setopt(easy, static_cast<CURLoption>(CURLOPTTYPE_LONG + 322), 1L) == CURLE_OK;
  curl().easy_cleanup(easy);
  if (!can) GTEST_SKIP() << "libcurl is older than 7.87";

  // Without an answer the resolver's thread would wait for ever.
  std::promise<void> over;
  auto rescue = std::async(std::launch::async, [in_time = over.get_future()] {
    const bool was_in_time = in_time.wait_for(std::chrono::seconds(20)) == std::future_status::ready;
    lookup_gate().set_value();
    return was_in_time;
  });
  {
    base::SystemClock clock;
    base::EventLoop loop(clock);
    HttpClient http;
    http.attach(loop);
    std::optional<Response> late;
    const Request request{.url = "http://no-answer.invalid/", .proxy = ""};
    Request hasty = request;
    hasty.connect_timeout = std::chrono::milliseconds(1);
    const HttpClient::Id cancelled = http.start(request, [](Response&&) { FAIL() << "cancelled"; });
    http.start(request, [](Response&&) { FAIL() << "ended with its client"; });
    http.start(hasty, [&](Response&& response) { late = std::move(response); });
    while (lookups < 3 || !late) loop.run_once();
    EXPECT_TRUE(late->failure);
    http.cancel(cancelled);
  }
  over.set_value();
  EXPECT_TRUE(rescue.get()) << "must not wait for the answer";
}

}  // namespace
}  // namespace metaflow::net
