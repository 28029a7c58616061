#include "net/testing.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <stdexcept>

#include "base/format.h"
#include "base/text.h"

namespace metaflow::net {

namespace {

bool send_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t sent = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

}  // namespace

TestServer::TestServer(std::function<Reply(const Received&)> handler)
    : handler_(std::move(handler)), listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::listen(listener_.get(), 128) != 0 ||
      ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0)
    throw std::runtime_error("cannot listen on the loopback");
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] {
    while (true) {
      const int fd = ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC);
      const std::scoped_lock lock(mutex_);
      if (fd < 0 || stopping_) {
        if (fd >= 0) ::close(fd);
        return;
      }
      const int one = 1;
      ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
      open_.push_back(fd);
      const int connection = ++connections_;
      threads_.emplace_back([this, fd, connection] { serve(fd, connection); });
    }
  });
}

TestServer::~TestServer() {
  stopping_ = true;
  ::shutdown(listener_.get(), SHUT_RDWR);
  acceptor_.join();
  {
    const std::scoped_lock lock(mutex_);
    for (const int fd : open_) ::shutdown(fd, SHUT_RDWR);
  }
  for (std::thread& thread : threads_) thread.join();
}

std::string TestServer::url(const std::string& path) const { return fmt::format("http://127.0.0.1:{}{}", port_, path); }

std::vector<Received> TestServer::received() {
  const std::scoped_lock lock(mutex_);
  return received_;
}

void TestServer::serve(int fd, int connection) {
  std::string buffer;
  std::string chunk(65536, '\0');
  auto more = [&] {
    const ssize_t count = ::recv(fd, chunk.data(), chunk.size(), 0);
    if (count <= 0) return false;
    buffer.append(chunk, 0, static_cast<std::size_t>(count));
    return buffer[0] != '\x16';  // a TLS handshake
  };
  bool open = true;
  while (open) {
    std::size_t end = 0;
    while (open && (end = buffer.find("\r\n\r\n")) == std::string::npos) open = more();
    if (!open) break;
    Received request;
    request.connection = connection;
    std::vector<std::string> lines = base::split(buffer.substr(0, end), '\n');
    const std::vector<std::string> words = base::split(lines.front(), ' ');
    request.method = words.at(0);
    request.target = words.at(1);
    for (std::size_t i = 1; i < lines.size(); ++i) {
      const std::size_t colon = lines[i].find(':');
      request.headers[base::lower(lines[i].substr(0, colon))] =
          colon == std::string::npos ? "" : std::string(base::trim(lines[i].substr(colon + 1)));
    }
    buffer.erase(0, end + 4);
    if (request.headers.contains("expect")) send_all(fd, "HTTP/1.1 100 Continue\r\n\r\n");
    const auto length = request.headers.find("content-length");
    const std::size_t size = length == request.headers.end() ? 0 : std::stoull(length->second);
    while (open && buffer.size() < size) open = more();
    if (!open) break;
    request.body = buffer.substr(0, size);
    buffer.erase(0, size);
    Reply reply;
    {
      const std::scoped_lock lock(mutex_);
      received_.push_back(request);
      reply = handler_(request);
    }
    if (reply.reset) {
      const linger at_once{1, 0};
      ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
      break;
    }
    answer(fd, reply, request.method != "HEAD");
    open = !reply.close && reply.cut_off_after == std::string::npos;
  }
  const std::scoped_lock lock(mutex_);
  std::erase(open_, fd);
  ::close(fd);
}

void TestServer::answer(int fd, const Reply& reply, bool with_body) {
  auto pause = [&] {
    for (auto left = reply.pause; left.count() > 0 && !stopping_; left -= std::chrono::milliseconds(5))
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
  };
  pause();
  std::string head = fmt::format("HTTP/1.1 {} Reply\r\n", reply.status);
  for (const auto& [name, value] : reply.headers) head += fmt::format("{}: {}\r\n", name, value);
  if (reply.pieces.empty() && !reply.next) {
    head += fmt::format("Content-Length: {}\r\n\r\n", reply.body.size());
    send_all(fd, head + (with_body ? reply.body.substr(0, reply.cut_off_after) : ""));
    return;
  }
  send_all(fd, head + "Transfer-Encoding: chunked\r\n\r\n");
  for (const std::string& piece : reply.pieces) {
    if (!send_all(fd, fmt::format("{:x}\r\n{}\r\n", piece.size(), piece))) return;
    pause();
  }
  for (std::string piece; reply.next && !(piece = reply.next()).empty();) {
    if (!send_all(fd, fmt::format("{:x}\r\n{}\r\n", piece.size(), piece))) return;
  }
  if (reply.cut_off_after == std::string::npos) send_all(fd, "0\r\n\r\n");
}

}  // namespace metaflow::net
