// Parallel loops inside one task.
//
//   auto sums = mf::parallel_map(mf::range(rows), [&](std::size_t r) { return sum_of_row(matrix, r); });
//
// By default the items run on threads of this process: they share its memory, and results are moved. With mode =
// processes each item runs in a child process, forked from this one. The child sees a copy of the memory, its changes
// are private, and a crash ends the call with an error instead of the task. Results come back through shared memory;
// their type must be one that can be stored.
#pragma once

#include <cstddef>
#include <exception>
#include <iterator>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include <metaflow/codec.h>
#include <metaflow/detail/recursion.h>
#include <metaflow/error.h>

namespace metaflow {

/// Where the items of parallel_map run: on threads of this process, or in forked processes.
enum class parallel_mode : std::uint8_t { threads, processes };

/// Options of parallel_map.
struct parallel_options {
  /// Items at a time; 0: current().cpus() in a step, else the cores that this process may use.
  unsigned max_parallel = 0;
  parallel_mode mode = parallel_mode::threads;  ///< threads of this process, or forked processes
};

/// Thrown if an item of parallel_map failed. The message states the item and the reason.
class ItemError : public Error {
 public:
  /// An error for this item.
  ItemError(std::size_t item, const std::string& why, std::exception_ptr cause = nullptr);
  /// The index of the item that failed.
  std::size_t item() const noexcept { return item_; }
  /// The exception that the item threw; null in mode processes and for a crash.
  const std::exception_ptr& cause() const noexcept { return cause_; }

 private:
  std::size_t item_;
  std::exception_ptr cause_;
};

/// The numbers begin, begin + step, ... below end, as Python's range.
class range {
 public:
  /// 0, 1, ..., end - 1
  explicit range(std::size_t end) : range(0, end) {}
  /// begin, begin + step, ... below end. Empty if `step` is 0.
  range(std::size_t begin, std::size_t end, std::size_t step = 1)
      : begin_(begin), step_(step), count_(end > begin && step > 0 ? (end - begin + step - 1) / step : 0) {}

  class iterator {
   public:
    using iterator_category = std::random_access_iterator_tag;
    using value_type = std::size_t;
    using difference_type = std::ptrdiff_t;
    using reference = std::size_t;
    using pointer = void;

    iterator() = default;
    iterator(const range* of, std::size_t at) : of_(of), at_(at) {}
    std::size_t operator*() const { return (*this)[0]; }
    std::size_t operator[](std::ptrdiff_t i) const {
      return of_->begin_ + (at_ + static_cast<std::size_t>(i)) * of_->step_;
    }
    iterator& operator++() {
      ++at_;
      return *this;
    }
    iterator operator++(int) { return {of_, at_++}; }
    bool operator==(const iterator& other) const { return at_ == other.at_; }
    std::ptrdiff_t operator-(const iterator& other) const {
      return static_cast<std::ptrdiff_t>(at_) - static_cast<std::ptrdiff_t>(other.at_);
    }

   private:
    const range* of_ = nullptr;
    std::size_t at_ = 0;
  };

  /// Random access. Valid as long as the range.
  iterator begin() const { return {this, 0}; }
  /// The end.
  iterator end() const { return {this, count_}; }
  /// How many numbers there are.
  std::size_t size() const { return count_; }

 private:
  std::size_t begin_;
  std::size_t step_;
  std::size_t count_;
};

namespace detail {

/// One call of the function for one item. Throws what the function throws.
using CallItem = void (*)(void* context, std::size_t item);
/// Writes the result of one item as a payload (in the child), and reads it (in the parent).
using SendResult = void (*)(void* context, std::size_t item, Pickler& out);
using ReceiveResult = void (*)(void* context, std::size_t item, const Document& document);

/// The items of one call, processed by several threads or processes.
class ParallelRun {
 public:
  virtual ~ParallelRun() = default;
  /// Waits for the next finished item and returns it; nothing when all have been returned. Throws ItemError; then no
  /// thread or process of the run is left.
  virtual std::optional<std::size_t> next() = 0;
};

std::unique_ptr<ParallelRun> run_on_threads(std::size_t count, const parallel_options& options, void* context,
                                            CallItem call);
std::unique_ptr<ParallelRun> run_in_processes(std::size_t count, const parallel_options& options, void* context,
                                              SendResult send, ReceiveResult receive);
/// Runs all items on threads, without reporting them one by one.
void do_on_threads(std::size_t count, const parallel_options& options, void* context, CallItem call);

/// Access to the items by index for every range: random access directly, other ranges through iterators or copies.
template <class Range>
class IndexedItems {
 public:
  using Iterator = decltype(std::begin(std::declval<Range&>()));
  using Reference = decltype(*std::declval<Iterator&>());
  static constexpr bool kRandomAccess = requires(Iterator i) {
    i[std::ptrdiff_t{0}];
    i - i;
  };
  // Items are kept if dereferencing the iterator makes them, or if they live no longer than the iterator.
  static constexpr bool kKeep =
      !kRandomAccess &&
      !std::is_base_of_v<std::forward_iterator_tag, typename std::iterator_traits<Iterator>::iterator_category>;
  using Kept = std::conditional_t<kKeep, std::remove_cvref_t<Reference>, Iterator>;

  explicit IndexedItems(Range& range) : begin_(std::begin(range)) {
    if constexpr (kRandomAccess) {
      size_ = static_cast<std::size_t>(std::end(range) - begin_);
    } else {
      for (; begin_ != std::end(range); ++begin_) {  // a single pass: the range may be an input range
        if constexpr (kKeep) {
          kept_.push_back(*begin_);
        } else {
          kept_.push_back(begin_);
        }
      }
      size_ = kept_.size();
    }
  }

  std::size_t size() const { return size_; }
  decltype(auto) operator[](std::size_t i) {
    if constexpr (kRandomAccess) {
      return begin_[static_cast<std::ptrdiff_t>(i)];
    } else if constexpr (kKeep) {
      return static_cast<Kept&>(kept_[i]);
    } else {
      return *kept_[i];
    }
  }

 private:
  Iterator begin_;
  std::size_t size_ = 0;
  std::vector<Kept> kept_;
};

struct Nothing {};

/// The operands of a call: items, function, results.
template <class Range, class F>
struct ParallelCall {
  using Items = IndexedItems<Range>;
  using Returned = std::invoke_result_t<F&, decltype(std::declval<Items&>()[0])>;
  using Result = std::conditional_t<std::is_void_v<Returned>, Nothing, std::remove_cvref_t<Returned>>;

  Items items;
  F& function;
  std::vector<std::optional<Result>> results;

  ParallelCall(Range& range, F& f) : items(range), function(f), results(items.size()) {}

  void call(std::size_t item) {
    if constexpr (std::is_void_v<Returned>) {
      function(items[item]);
      results[item].emplace();
    } else {
      results[item].emplace(function(items[item]));
    }
  }

  static void call_item(void* context, std::size_t item) { static_cast<ParallelCall*>(context)->call(item); }

  static void send(void* context, std::size_t item, Pickler& out) {
    auto& self = *static_cast<ParallelCall*>(context);
    self.call(item);
    if constexpr (std::is_void_v<Returned>) {
      out.none();
    } else {
      encode(out, *self.results[item]);
    }
  }

  static void receive(void* context, std::size_t item, const Document& document) {
    auto& self = *static_cast<ParallelCall*>(context);
    if constexpr (std::is_void_v<Returned>) {
      self.results[item].emplace();
    } else {
      Result result{};
      decode(document.root(), Place{nullptr, "result of parallel_map", 0}, result);
      self.results[item].emplace(std::move(result));
    }
  }

  std::unique_ptr<ParallelRun> start(const parallel_options& options) {
    if (options.mode == parallel_mode::threads) return run_on_threads(items.size(), options, this, call_item);
    if constexpr (std::is_void_v<Returned> || FiniteAndStorable<Result>) {
      return run_in_processes(items.size(), options, this, send, receive);
    } else {
      throw Error(ErrorCode::invalid_value,
                  "parallel_map in mode processes: a result of this type cannot be sent from process to process",
                  "Use mode threads, return a type that can be stored, or give this one an mf::Codec.");
    }
  }
};

}  // namespace detail

/// Calls function(item) for every item, several at a time, and returns the results in the order of the items: a
/// std::vector, or nothing if the function returns nothing. Accepts any range and any callable; results may be
/// move-only. Calls may be nested.
///
/// When an item fails, no more items are started, running ones are waited for (mode processes: killed), and ItemError
/// is thrown for the failed item with the lowest index.
template <class Range, class F>
auto parallel_map(Range&& items, F&& function, const parallel_options& options = {}) {
  using Call = detail::ParallelCall<std::remove_reference_t<Range>, std::remove_reference_t<F>>;
  Call call(items, function);
  if (options.mode == parallel_mode::threads) {
    detail::do_on_threads(call.items.size(), options, &call, Call::call_item);
  } else {
    const auto run = call.start(options);
    while (run->next()) {
    }
  }
  if constexpr (!std::is_void_v<typename Call::Returned>) {
    std::vector<typename Call::Result> results;
    results.reserve(call.results.size());
    for (auto& result : call.results) results.push_back(std::move(*result));
    return results;
  }
}

/// A result of parallel_map_unordered, with the index of its item.
template <class R>
struct indexed {
  std::size_t index;  ///< of the item in its range, from 0
  R value;            ///< the result of the call
};

/// The result of parallel_map_unordered: a single-pass range that ends when all items are done. Destroying it earlier
/// cancels the remaining items.
template <class Range, class F>
class ParallelResults {
 public:
  /// For the library.
  using Call = detail::ParallelCall<std::remove_reference_t<Range>, F>;
  /// The result of the function.
  using Result = typename Call::Result;

  /// Starts the call. See parallel_map_unordered.
  ParallelResults(Range&& items, F function, const parallel_options& options)
      : items_(std::forward<Range>(items)),
        function_(std::move(function)),
        call_(items_, function_),
        run_(call_.start(options)) {}
  ParallelResults(const ParallelResults&) = delete;
  ParallelResults& operator=(const ParallelResults&) = delete;

  class Iterator {
   public:
    using iterator_category = std::input_iterator_tag;
    using value_type = indexed<Result>;
    using difference_type = std::ptrdiff_t;

    explicit Iterator(ParallelResults& results) : results_(&results) { ++*this; }
    indexed<Result>& operator*() { return *current_; }
    indexed<Result>* operator->() { return &*current_; }
    Iterator& operator++() {
      const auto item = results_->run_->next();
      current_.reset();
      if (item) {
        auto& slot = results_->call_.results[*item];
        current_.emplace(indexed<Result>{*item, std::move(*slot)});
        slot.reset();
      }
      return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t) const { return !current_.has_value(); }

   private:
    ParallelResults* results_;
    std::optional<indexed<Result>> current_;
  };

  /// Waits for the first result. Throws ItemError, as `++` does.
  Iterator begin() { return Iterator(*this); }
  /// The end: all items are done.
  std::default_sentinel_t end() { return {}; }

 private:
  Range items_;  // a reference if an lvalue was given
  F function_;
  Call call_;
  std::unique_ptr<detail::ParallelRun> run_;  // last, so that it is destroyed before the data it uses
};

/// Like parallel_map, but yields the results as they arrive:
///   for (auto& [index, score] : mf::parallel_map_unordered(models, train)) ...
template <class Range, class F>
auto parallel_map_unordered(Range&& items, F&& function, const parallel_options& options = {}) {
  return ParallelResults<Range, std::remove_cvref_t<F>>(std::forward<Range>(items), std::forward<F>(function), options);
}

}  // namespace metaflow
