// Threads that handle no signals.
#pragma once

#include <signal.h>

namespace metaflow::base {

/// Blocks all signals in the calling thread during its lifetime, and for ever in the threads that it starts meanwhile.
/// The main thread handles signals.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

}  // namespace metaflow::base
