// The inputs of a join.
#pragma once

#include <cstddef>
#include <iterator>
#include <memory>
#include <string_view>
#include <vector>

#include <metaflow/artifact.h>
#include <metaflow/codec.h>
#include <metaflow/detail/reflect.h>
#include <metaflow/error.h>

namespace metaflow {

namespace detail {

/// The artifacts that a merge applies to.
struct MergeChoice {
  enum class Mode : std::uint8_t { all, include, exclude } mode = Mode::all;
  std::vector<std::size_t> members;
};

/// The inputs of a join without their type; implemented by the task runtime.
class InputsCore {
 public:
  virtual ~InputsCore() = default;
  virtual std::size_t size() const = 0;
  /// The input that comes from this step. Throws Error{not_found} if no input or more than one does.
  virtual std::size_t index_of(std::string_view step) const = 0;
  virtual void load(std::size_t input, void* flow) = 0;
  virtual void load_member(std::size_t input, std::size_t member, void* into) = 0;
  virtual void merge(void* flow, const MergeChoice& choice) = 0;
};

/// The index of an address in an array. Throws Error{invalid_command} if it is not in the array.
std::size_t position_in(void* const* members, std::size_t count, const void* wanted);

/// The index of a member among those of its flow, from a pointer to it.
template <class Flow, class T>
std::size_t position_of(T Flow::*pointer) {
  // Compares addresses and reads nothing, as offsetof does.
  alignas(Flow) static std::byte memory[sizeof(Flow)];
  auto* flow = reinterpret_cast<Flow*>(memory);
  const void* wanted = &(flow->*pointer);
  void* members[kLayout<Flow>.members + 1];
  addresses_of_members<Flow>(memory, members);
  return position_in(members, kLayout<Flow>.members, wanted);
}

template <class Flow, class T>
std::string name_of_member(T Flow::*member) {
  return std::string(kMemberNames<Flow>.names[position_of(member)]);
}

[[noreturn]] void throw_no_input(std::size_t index, std::size_t size);

template <auto Method>
consteval std::string_view step_name() {
  return name_of_constant<Method>();
}

/// Whether `each` names a member of type T of a class. A static_assert fails if not, or if the member is not stored.
template <class Class, class T, bool member, bool stored = !kIsTransient<T>>
consteval bool names_member() {
  static_assert(member, "metaflow: each names a data member of the flow: inputs.each(&Flow::result)");
  static_assert(stored, "metaflow: a Transient is not stored, so the inputs of a join do not have it");
  return member;
}

}  // namespace detail

/// For Inputs::merge: only these artifacts, or all artifacts but these.
template <class Flow, class... Ts>
detail::MergeChoice include(Ts Flow::*... members) {
  return {detail::MergeChoice::Mode::include, {detail::position_of(members)...}};
}
/// For Inputs::merge: all artifacts but these.
template <class Flow, class... Ts>
detail::MergeChoice exclude(Ts Flow::*... members) {
  return {detail::MergeChoice::Mode::exclude, {detail::position_of(members)...}};
}

/// The inputs of a join: the tasks that lead to it, as flow objects with their artifacts. The inputs of a foreach are
/// in the order of its items, those of a split in the order of its branches.
///
/// Lazy: an input is read on first use. Iteration (for, each) reuses one object, so that a join over 100,000 tasks
/// stays small; inputs[i] stays valid as long as the inputs. Not thread-safe.
template <class Flow>
class Inputs {
 public:
  /// For the library.
  explicit Inputs(detail::InputsCore& core) : core_(&core) {}

  /// How many inputs there are.
  std::size_t size() const { return core_->size(); }
  /// Whether there is none. A join has at least one.
  bool empty() const { return size() == 0; }

  /// Input i. Throws Error{not_found} if i is out of range.
  const Flow& operator[](std::size_t i) const {
    if (i >= size()) detail::throw_no_input(i, size());
    if (kept_.size() < size()) kept_.resize(size());
    if (!kept_[i]) kept_[i] = load(i);
    return *kept_[i];
  }

  /// The input that comes from one step: inputs.at<&Flow::left>().
  template <auto Step>
  const Flow& at() const {
    constexpr bool kStep = std::is_member_function_pointer_v<decltype(Step)>;
    static_assert(kStep, "metaflow: at names the step that leads to the join: inputs.at<&Flow::left>()");
    return (*this)[core_->index_of(detail::step_name<Step>())];
  }

  /// One artifact of every input: for (double r : inputs.each(&Flow::result)). Other artifacts are not read.
  template <class T, class Base>
  auto each(T Base::*member) const {
    constexpr bool kMember = std::is_base_of_v<Base, Flow> && !std::is_function_v<T>;
    if constexpr (detail::names_member<Base, T, kMember>()) {
      return Each<std::remove_const_t<T>>{core_, detail::position_of<Flow>(static_cast<T Flow::*>(member))};
    } else {
      return Each<detail::AnyConvertible>{core_, 0};
    }
  }

  /// Turns every conflict between the branches into an error. Before a join starts, an artifact is carried over if its
  /// inputs agree on it, or if it received only one value since the split; the others have their initial values.
  /// merge() checks that the join has set each of those others, and throws Error{merge_conflict} if not. With
  /// include(...) only the named artifacts are carried over and checked, with exclude(...) all but those. An artifact
  /// that is left out has its initial value.
  void merge(Flow& flow, const detail::MergeChoice& choice = {}) const { core_->merge(&flow, choice); }

  class Iterator {
   public:
    using iterator_category = std::input_iterator_tag;
    using value_type = Flow;
    using difference_type = std::ptrdiff_t;

    Iterator() = default;
    Iterator(const Inputs* inputs, std::size_t at) : inputs_(inputs), at_(at) { read(); }
    const Flow& operator*() const { return *flow_; }
    const Flow* operator->() const { return flow_.get(); }
    Iterator& operator++() {
      ++at_;
      read();
      return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t) const { return at_ == inputs_->size(); }

   private:
    void read() {
      if (at_ == inputs_->size()) return;
      if (flow_ && flow_.use_count() == 1) {
        inputs_->core_->load(at_, flow_.get());
      } else {
        flow_ = inputs_->load(at_);
      }
    }
    const Inputs* inputs_ = nullptr;
    std::size_t at_ = 0;
    std::shared_ptr<Flow> flow_;
  };

  /// Iterates over whole inputs, which are read into the same object one after the other.
  Iterator begin() const { return Iterator(this, 0); }
  /// The end.
  std::default_sentinel_t end() const { return {}; }

 private:
  template <class T>
  class Each {
   public:
    Each(detail::InputsCore* core, std::size_t member) : core_(core), member_(member) {}

    class Iterator {
     public:
      using iterator_category = std::input_iterator_tag;
      using value_type = T;
      using difference_type = std::ptrdiff_t;

      Iterator() = default;
      Iterator(detail::InputsCore* core, std::size_t member) : core_(core), member_(member) { read(); }
      const T& operator*() const { return value_; }
      const T* operator->() const { return &value_; }
      Iterator& operator++() {
        ++at_;
        read();
        return *this;
      }
      void operator++(int) { ++*this; }
      bool operator==(std::default_sentinel_t) const { return at_ == core_->size(); }

     private:
      void read() {
        if (at_ < core_->size()) core_->load_member(at_, member_, &value_);
      }
      detail::InputsCore* core_ = nullptr;
      std::size_t member_ = 0;
      std::size_t at_ = 0;
      T value_{};
    };

    Iterator begin() const { return Iterator(core_, member_); }
    std::default_sentinel_t end() const { return {}; }
    std::size_t size() const { return core_->size(); }

   private:
    detail::InputsCore* core_;
    std::size_t member_;
  };

  std::shared_ptr<Flow> load(std::size_t i) const {
    auto flow = std::make_shared<Flow>();
    core_->load(i, flow.get());
    return flow;
  }

  detail::InputsCore* core_;
  mutable std::vector<std::shared_ptr<Flow>> kept_;
};

}  // namespace metaflow
