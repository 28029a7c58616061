// Data members of a flow that are read only when used, or never stored.
#pragma once

#include <memory>
#include <type_traits>
#include <utility>

#include <metaflow/codec.h>
#include <metaflow/detail/stored.h>

namespace metaflow {

/// A member that is not an artifact: every task gets a fresh one. For handles, caches, file descriptors, GPU contexts.
template <class T>
class Transient {
 public:
  Transient() = default;
  /// A member with this initial value in every task.
  Transient(T value) : value_(std::move(value)) {}

  /// The value.
  T& operator*() noexcept { return value_; }
  /// The value, for reading.
  const T& operator*() const noexcept { return value_; }
  /// Access to a member of the value.
  T* operator->() noexcept { return &value_; }
  /// Access to a member of the value, for reading.
  const T* operator->() const noexcept { return &value_; }

 private:
  T value_{};
};

/// An artifact that is read from the store on first use, and passed on by reference if it is not used. Reading is safe
/// from several threads. Copies share the value.
template <class T>
class Lazy {
 public:
  // detail/check.h checks that a T can be stored, not this class: a struct declared inside the flow is complete only
  // there.
  Lazy() : state_(std::make_shared<State>()) { state_->loaded.set_done(); }
  /// A new value.
  Lazy(T value) : state_(std::make_shared<State>()) {
    state_->value = std::move(value);
    state_->loaded.set_done();
  }

  /// Replaces the value: `report = {1, 2, 3}`. The stored value is not read.
  template <class U = T>
    requires(!std::is_same_v<std::remove_cvref_t<U>, Lazy> && std::is_convertible_v<U, T>)
  Lazy& operator=(U&& value) {
    return *this = Lazy(T(std::forward<U>(value)));
  }

  /// The value; read on first use. Throws Error{data_store} if the store cannot be read.
  const T& operator*() const { return load(); }
  /// Access to a member of the value; read on first use.
  const T* operator->() const { return &load(); }

  /// The value for writing: it will be saved anew. Not thread-safe.
  T& edit() {
    load();
    if (state_.use_count() > 1) {
      auto copy = std::make_shared<State>();
      copy->value = state_->value;
      copy->loaded.set_done();
      state_ = std::move(copy);
    }
    state_->stored = nullptr;
    return state_->value;
  }

 private:
  friend struct detail::Convert<Lazy>;
  template <class>
  friend struct LazyAccess;

  struct State {
    std::shared_ptr<const detail::StoredValue> stored;
    detail::Once loaded;
    T value{};
  };

  const T& load() const {
    State& state = *state_;
    state.loaded([&] {
      const Document document = state.stored->read();
      const detail::Place place{nullptr, state.stored->name(), 0};
      detail::decode(document.root(), place, state.value);
    });
    return state.value;
  }

  std::shared_ptr<State> state_;
};

/// Library access to the storage of a Lazy.
template <class T>
struct LazyAccess {
  static void attach(Lazy<T>& lazy, const std::shared_ptr<const detail::StoredValue>& stored) {
    lazy.state_ = std::make_shared<typename Lazy<T>::State>();
    lazy.state_->stored = stored;
  }
  static const detail::StoredValue* stored(const Lazy<T>& lazy) { return lazy.state_->stored.get(); }
};

namespace detail {

template <class T>
inline constexpr bool kIsTransient = false;
template <class T>
inline constexpr bool kIsTransient<Transient<T>> = true;
template <class T>
inline constexpr bool kIsTransient<const Transient<T>> = true;

template <class T>
struct Convert<Lazy<T>> {
  static constexpr bool kStorable = Storable<T>;
  static constexpr unsigned kCategory = Convert<T>::kCategory;
  static void encode(Pickler& out, const Lazy<T>& value) { detail::encode(out, *value); }
  static void decode(const Value& value, const Place& place, Lazy<T>& into) {
    T loaded{};
    detail::decode(value, place, loaded);
    into = Lazy<T>(std::move(loaded));
  }
};

template <class T>
  requires requires { typename ForeachItems<T>::Item; }
struct ForeachItems<Lazy<T>> : ForeachItems<T> {};

}  // namespace detail
}  // namespace metaflow
