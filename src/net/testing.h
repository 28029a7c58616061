// An HTTP server for tests, on its own port, that can misbehave.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/files.h"
#include "net/http.h"

namespace metaflow::net {

struct Received {
  std::string method;
  std::string target;                          // "/path?query"
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
  int connection = 0;  // number of the connection
};

struct Reply {
  int status = 200;
  Headers headers{};  // Content-Length is added, unless there are `pieces`
  std::string body{};
  std::vector<std::string> pieces{};  // sent as chunks
  /// Returns further pieces; an empty one is the last. May block; the test must unblock it before the server is
  /// destroyed.
  std::function<std::string()> next{};
  std::chrono::milliseconds pause{0};             // before the answer, and between pieces
  std::size_t cut_off_after = std::string::npos;  // bytes of the body; then the connection is closed
  bool reset = false;                             // resets the connection instead of an answer
  bool close = false;                             // closes the connection after the answer
};

/// Serves during its lifetime. The handler is called by one thread at a time.
class TestServer {
 public:
  explicit TestServer(std::function<Reply(const Received&)> handler);
  ~TestServer();

  std::string url(const std::string& path = "") const;
  int port() const { return port_; }
  int connections() const { return connections_; }
  std::vector<Received> received();

 private:
  void serve(int fd, int connection);
  void answer(int fd, const Reply& reply, bool with_body);

  std::function<Reply(const Received&)> handler_;
  base::Fd listener_;
  int port_ = 0;
  std::atomic<int> connections_{0};
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;
  std::vector<Received> received_;
  std::vector<int> open_;
  std::vector<std::thread> threads_;
  std::thread acceptor_;
};

}  // namespace metaflow::net
