#include "net/http.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <metaflow/error.h>

#include "base/text.h"
#include "net/testing.h"

namespace metaflow::net {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;

Reply echo(const Received& request) {
  return {.headers = {{"X-Method", request.method}}, .body = request.target + "|" + request.body};
}

TEST(Http, AnAnswer) {
  TestServer server(echo);
  HttpClient http;
  const Response answer = http.fetch({.url = server.url("/a%20b/../c?x=1&y"), .headers = {{"X-A", "1"}, {"X-B", ""}}});
  EXPECT_TRUE(answer.ok());
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "/a%20b/../c?x=1&y|");
  EXPECT_EQ(answer.header("x-method"), "GET");
  EXPECT_EQ(answer.header("x-nothing"), std::nullopt);
  const Received request = server.received().front();
  EXPECT_EQ(request.headers.at("x-a"), "1");
  EXPECT_EQ(request.headers.at("x-b"), "");
  EXPECT_FALSE(request.headers.contains("content-length"));
}

TEST(Http, Methods) {
  TestServer server(echo);
  HttpClient http;
  for (const char* method : {"PUT", "POST", "PATCH", "DELETE"}) {
    const Response answer = http.fetch({.method = method, .url = server.url("/x"), .body = text_body("hello")});
    EXPECT_EQ(answer.body, "/x|hello") << method;
    EXPECT_EQ(answer.header("x-method"), method);
    EXPECT_FALSE(server.received().back().headers.contains("content-type")) << "some servers drop bodies of forms";
  }
  EXPECT_EQ(http.fetch({.method = "DELETE", .url = server.url("/x")}).body, "/x|");
  EXPECT_FALSE(server.received().back().headers.contains("content-length"));
  EXPECT_TRUE(http.fetch({.method = "POST", .url = server.url("/x"), .body = Body{}}).ok());
  EXPECT_EQ(server.received().back().headers.at("content-length"), "0");
  const Response head = http.fetch({.method = "HEAD", .url = server.url("/x")});
  EXPECT_EQ(head.header("content-length"), "3");
  EXPECT_EQ(head.body, "");
  EXPECT_EQ(server.connections(), 1) << "the connection is reused";
}

TEST(Http, BodiesInPiecesAndFromFiles) {
  TestServer server(echo);
  HttpClient http;
  base::SpoolFile file(testing::TempDir());
  file.write(base::as_bytes("0123456789"), 0);
  Body body{.pieces = {base::as_bytes("ab"), base::as_bytes(""), base::as_bytes("cd")},
            .fd = file.fd(),
            .fd_offset = 2,
            .fd_size = 5};
  EXPECT_EQ(body.size(), 9U);
  EXPECT_EQ(http.fetch({.method = "PUT", .url = server.url("/x"), .body = body}).body, "/x|abcd23456");

  const std::string large(5U << 20U, 'x');
  const Response answer =
      http.fetch({.method = "PUT", .url = server.url("/x"), .body = Body{.pieces = {base::as_bytes(large)}}});
  EXPECT_EQ(answer.body.size(), large.size() + 3);

  body = {.fd = file.fd(), .fd_offset = 0, .fd_size = 11};
  const Response failed = http.fetch({.method = "PUT", .url = server.url("/x"), .body = body});
  ASSERT_TRUE(failed.failure);
  EXPECT_EQ(failed.failure->cause, Cause::body);
}

TEST(Http, Sinks) {
  TestServer server([](const Received& request) {
    return Reply{.status = request.target == "/missing" ? 404 : 200, .body = "0123456789"};
  });
  HttpClient http;
  std::string memory(12, '.');
  const auto into = std::as_writable_bytes(std::span(memory));
  EXPECT_EQ(http.fetch({.url = server.url("/"), .sink = MemorySink{into}}).received, 10U);
  EXPECT_EQ(memory, "0123456789..");
  const Response small = http.fetch({.url = server.url("/"), .sink = MemorySink{into.first(9)}});
  ASSERT_TRUE(small.failure);
  EXPECT_EQ(small.failure->cause, Cause::sink);

  base::SpoolFile file(testing::TempDir());
  EXPECT_TRUE(http.fetch({.url = server.url("/"), .sink = FileSink{file.fd(), 3}}).ok());
  std::string content(20, '.');
  EXPECT_EQ(::pread(file.fd(), content.data(), 20, 0), 13);
  EXPECT_EQ(content.substr(3, 10), "0123456789");

  std::string pieces;
  const PieceSink collect = [&](std::span<const std::byte> bytes) { pieces += base::as_text(bytes); };
  EXPECT_TRUE(http.fetch({.url = server.url("/"), .sink = collect}).ok());
  EXPECT_EQ(pieces, "0123456789");
  const Response missing = http.fetch({.url = server.url("/missing"), .sink = collect});
  EXPECT_EQ(missing.body, "0123456789") << "the body of an error does not go to the sink";
  EXPECT_EQ(pieces, "0123456789");

  const Response chosen = http.fetch({.url = server.url("/"), .choose_sink = [&](const Response& response) -> Sink {
                                        EXPECT_EQ(response.header("content-length"), "10");
                                        return MemorySink{into};
                                      }});
  EXPECT_EQ(chosen.received, 10U);
  EXPECT_EQ(chosen.body, "");
  const Response thrown = http.fetch({.url = server.url("/"), .sink = PieceSink([](auto) { throw 1; })});
  EXPECT_EQ(thrown.failure->cause, Cause::sink);
  const Response limited = http.fetch({.url = server.url("/"), .max_body = 5});
  EXPECT_EQ(limited.failure->cause, Cause::sink);
}

TEST(Http, ManyRequestsOnFewConnections) {
  TestServer server([](const Received& request) { return Reply{.body = request.target, .pause = milliseconds(5)}; });
  HttpClient http({.connections_per_host = 4});
  std::vector<std::string> bodies(50);
  auto path = [](std::size_t i) { return std::string(1, '/').append(std::to_string(i)); };
  for (std::size_t i = 0; i < bodies.size(); ++i) {
    http.start({.url = server.url(path(i)), .connect_timeout = milliseconds(30)},
               [&, i](Response&& answer) { bodies[i] = answer.body; });
  }
  EXPECT_EQ(http.in_flight(), 50U);
  http.finish();
  for (std::size_t i = 0; i < bodies.size(); ++i) EXPECT_EQ(bodies[i], path(i));
  EXPECT_LE(server.connections(), 4);
}

TEST(Http, Failures) {
  int dead_port = 0;
  { dead_port = TestServer(echo).port(); }
  HttpClient http;
  Response answer = http.fetch({.url = "http://127.0.0.1:" + std::to_string(dead_port) + "/x?secret=1"});
  ASSERT_TRUE(answer.failure);
  EXPECT_EQ(answer.failure->cause, Cause::connect);
  EXPECT_FALSE(answer.failure->may_have_arrived);
  EXPECT_THAT(answer.failure->text, HasSubstr("127.0.0.1"));
  EXPECT_THAT(answer.failure->text, Not(HasSubstr("secret")));

  answer = http.fetch({.url = "http://nowhere.invalid/"});
  EXPECT_EQ(answer.failure->cause, Cause::resolve);
  EXPECT_FALSE(answer.failure->may_have_arrived);
  answer = http.fetch({.url = "file:///etc/passwd"});
  EXPECT_EQ(answer.failure->cause, Cause::other);
  answer = http.fetch({.url = "http://127.0.0.1/", .headers = {{"X", "1\r\nY: 2"}}});
  EXPECT_TRUE(answer.failure);

  TestServer server([](const Received& request) {
    if (request.target == "/reset") return Reply{.reset = true};
    if (request.target == "/cut") return Reply{.body = "0123456789", .cut_off_after = 5};
    if (request.target == "/cut_chunks") return Reply{.pieces = {"01234"}, .cut_off_after = 0};
    return Reply{.pause = milliseconds(10'000)};
  });
  answer = http.fetch({.method = "PUT", .url = server.url("/reset"), .body = text_body("x")});
  ASSERT_TRUE(answer.failure);
  EXPECT_EQ(answer.failure->cause, Cause::reset);
  EXPECT_TRUE(answer.failure->may_have_arrived);
  for (const char* path : {"/cut", "/cut_chunks"}) {
    answer = http.fetch({.url = server.url(path)});
    ASSERT_TRUE(answer.failure);
    EXPECT_EQ(answer.failure->cause, Cause::truncated);
    EXPECT_EQ(answer.status, 200);
    EXPECT_FALSE(answer.ok());
  }
  answer = http.fetch({.url = server.url("/slow"), .total_timeout = milliseconds(50)});
  ASSERT_TRUE(answer.failure);
  EXPECT_EQ(answer.failure->cause, Cause::timeout);
  EXPECT_TRUE(answer.failure->may_have_arrived);
  answer = http.fetch({.url = "https://127.0.0.1:" + std::to_string(server.port()) + "/"});
  EXPECT_EQ(answer.failure->cause, Cause::tls);
}

TEST(Http, ASlowOrEndlessAnswerIsAFailure) {
  TestServer server([](const Received& request) {
    Reply reply{.pieces = std::vector<std::string>(1'000, "x"), .pause = milliseconds(10)};
    if (request.target == "/headers") reply.headers.assign(100, {"X", std::string(4000, 'x')});
    return reply;
  });
  HttpClient http;
  Response answer = http.fetch({.url = server.url("/"), .idle_timeout = milliseconds(1000)});
  ASSERT_TRUE(answer.failure);
  EXPECT_EQ(answer.failure->cause, Cause::timeout);
  answer = http.fetch({.url = server.url("/headers")});
  ASSERT_TRUE(answer.failure);
  EXPECT_THAT(answer.failure->text, HasSubstr("headers exceed 256 KiB"));
}

TEST(Http, AnAnswerOfUnknownSizeIsLimited) {
  TestServer server([](const Received&) { return Reply{.next = [] { return std::string(1000, 'x'); }}; });
  HttpClient http;
  const Sink to_nowhere = PieceSink([](std::span<const std::byte>) {});
  for (const Sink& sink : {Sink(), to_nowhere}) {
    Response answer =
        http.fetch({.url = server.url("/"), .sink = sink, .max_body = kUnlimited, .answer_timeout = milliseconds(20)});
    ASSERT_TRUE(answer.failure);
    EXPECT_EQ(answer.failure->cause, Cause::timeout);
    EXPECT_THAT(answer.failure->text, HasSubstr("did not end within"));
    answer = http.fetch({.url = server.url("/"), .sink = sink, .max_body = 100'000});
    ASSERT_TRUE(answer.failure);
    EXPECT_EQ(answer.failure->cause, Cause::sink);
    EXPECT_THAT(answer.failure->text, HasSubstr("the body exceeds 100000 bytes"));
  }
}

TEST(Http, DrivenByALoop) {
  TestServer server(echo);
  base::SystemClock clock;
  base::EventLoop loop(clock);
  HttpClient http;
  http.attach(loop);
  int answers = 0;
  for (int i = 0; i < 3; ++i) {
    http.start({.url = server.url("/")}, [&](Response&& answer) {
      answers += answer.ok() ? 1 : 0;
      if (answers == 3) http.start({.url = server.url("/last")}, [&](Response&&) { answers = 100; });
    });
  }
  while (answers < 100) loop.run_once();
  EXPECT_TRUE(http.fetch({.url = server.url("/")}).ok()) << "fetch() works while attached";
}

TEST(Http, DestroyedWhileAttached) {
  TestServer server([](const Received&) { return Reply{.pause = milliseconds(20)}; });
  base::SystemClock clock;
  base::EventLoop loop(clock);
  {
    HttpClient http;
    http.attach(loop);
    for (int i = 0; i < 3; ++i) http.start({.url = server.url("/")}, [](Response&&) { FAIL(); });
    loop.run_once();
  }
  bool other = false;
  loop.after(30'000, [&] { other = true; });
  while (!other) loop.run_once();
}

TEST(Http, AStreamArrivesInPiecesUntilCancelled) {
  TestServer server([](const Received& request) {
    if (request.target != "/watch") return Reply{};
    return Reply{.pieces = std::vector<std::string>(1000, "event\n"), .pause = milliseconds(5)};
  });
  base::SystemClock clock;
  base::EventLoop loop(clock);
  HttpClient http;
  http.attach(loop);
  int events = 0;
  bool other = false;
  HttpClient::Id watch = 0;
  watch = http.start({.url = server.url("/watch"),
                      .sink = PieceSink([&](std::span<const std::byte>) {
                        if (++events == 1) http.start({.url = server.url("/")}, [&](Response&&) { other = true; });
                        if (events == 3) http.cancel(watch);
                      }),
                      .idle_timeout = milliseconds(0)},
                     [](Response&&) { FAIL() << "cancelled"; });
  while (events < 3 || !other) loop.run_once();
  EXPECT_EQ(http.in_flight(), 0U);
}

TEST(Http, CancelledTransfersHaveNoCallback) {
  TestServer server(echo);
  HttpClient http;
  const auto first = http.start({.url = server.url("/")}, [](Response&&) { FAIL(); });
  http.cancel(first);
  http.cancel(first);
  HttpClient::Id second = 0;
  int done = 0;
  const auto only_one = [&](Response&&) {
    ++done;
    http.cancel(second);
  };
  http.start({.url = server.url("/")}, only_one);
  second = http.start({.url = "ftp://x"}, [](Response&&) {});
  http.finish();
  EXPECT_EQ(done, 1);
}

TEST(Http, ExceptionsOfCallbacksPropagate) {
  TestServer server(echo);
  HttpClient http;
  int rest = 0;
  for (int i = 0; i < 5; ++i) {
    http.start({.url = server.url("/")}, [&, i](Response&&) {
      if (i == 0) throw Error(ErrorCode::data_store, "thrown");
      ++rest;
    });
  }
  EXPECT_THROW(http.finish(), Error);
  http.finish();
  EXPECT_EQ(rest, 4);
}

TEST(Http, UrlsInMessages) {
  EXPECT_EQ(printable_url("https://me:pw@host:1/p/q?X-Amz-Signature=1#f"), "https://host:1/p/q");
  EXPECT_EQ(printable_url("http://[::1]:80/"), "http://[::1]:80/");
  EXPECT_EQ(printable_url("secret"), "a URL without https://");
}

}  // namespace
}  // namespace metaflow::net
