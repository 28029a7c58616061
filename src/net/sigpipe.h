// Prevents SIGPIPE when the peer has closed a connection.
#pragma once

#include <signal.h>

namespace metaflow::net {

/// Suppresses SIGPIPE in this thread during its lifetime. (Ignoring the signal would affect the whole process and its
/// children.)
class WithoutSigpipe {
 public:
  WithoutSigpipe() {
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    sigset_t pending;
    sigpending(&pending);
    was_pending_ = sigismember(&pending, SIGPIPE) == 1;
    sigset_t before;
    ::pthread_sigmask(SIG_BLOCK, &pipe_, &before);
    was_blocked_ = sigismember(&before, SIGPIPE) == 1;
  }
  ~WithoutSigpipe() {
    const timespec at_once{};
    if (!was_pending_) {
      while (::sigtimedwait(&pipe_, nullptr, &at_once) == SIGPIPE) {
      }
    }
    if (!was_blocked_) ::pthread_sigmask(SIG_UNBLOCK, &pipe_, nullptr);
  }
  WithoutSigpipe(const WithoutSigpipe&) = delete;
  WithoutSigpipe& operator=(const WithoutSigpipe&) = delete;

 private:
  sigset_t pipe_;
  bool was_pending_ = false;
  bool was_blocked_ = false;
};

}  // namespace metaflow::net
