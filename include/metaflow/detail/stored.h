// Values in a store that have not been read yet.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include <metaflow/value.h>

namespace metaflow::detail {

/// A reference to a stored value. Immutable, shared, thread-safe.
class StoredValue {
 public:
  virtual ~StoredValue() = default;

  /// Reads and parses it. Throws Error{data_store, data_missing, invalid_value}.
  virtual Document read() const = 0;

  /// The artifact's name, for messages.
  virtual const std::string& name() const = 0;
  /// The content address of the bytes: 40 hex digits.
  virtual const std::string& key() const = 0;
};

/// Calls a function once: the first caller runs it, the others wait. If it throws, the next caller runs it again.
class Once {
 public:
  template <class F>
  void operator()(F&& f) {
    if (state_.load(std::memory_order_acquire) == kDone) return;
    run([](void* context) { (*static_cast<std::remove_reference_t<F>*>(context))(); }, &f);
  }
  void set_done() { state_.store(kDone, std::memory_order_release); }
  bool done() const { return state_.load(std::memory_order_acquire) == kDone; }

 private:
  static constexpr int kDone = 2;
  void run(void (*f)(void*), void* context);
  std::atomic<int> state_{0};
};

}  // namespace metaflow::detail
