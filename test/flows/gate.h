// Where tasks of tests report, and wait: a server of the test on this machine, whose network the containers of its
// platforms share. (A real cluster's do not: it listens at an address that they reach.)
#pragma once

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <stdexcept>
#include <string>

/// Reports to the server; the connection lasts as long as the process.
inline int connect_to_gate(int port, int number, const std::string& host = "127.0.0.1") {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  if (::inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1) throw std::runtime_error("no address: " + host);
  if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    throw std::runtime_error("the gate does not listen");
  const std::string hello = std::to_string(number) + "\n";
  if (::write(fd, hello.data(), hello.size()) < 0) throw std::runtime_error("cannot write to the gate");
  return fd;
}

/// The same, and waits until it is answered.
inline void wait_at_gate(int port, int number, const std::string& host = "127.0.0.1") {
  const int fd = connect_to_gate(port, number, host);
  char answer = 0;
  if (::read(fd, &answer, 1) != 1) throw std::runtime_error("the gate does not answer");
  ::close(fd);
}
