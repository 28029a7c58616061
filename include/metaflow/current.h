// The running task, as its step sees it.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include <metaflow/codec.h>
#include <metaflow/inputs.h>

namespace metaflow {

namespace detail {

/// Whether a data member of this type is a range. If not, a static_assert fails.
template <class V, bool fine = Fannable<V>>
consteval bool names_range() {
  static_assert(fine, "metaflow: current().input names the range of a foreach: current().input(&Flow::items)");
  return fine;
}

}  // namespace detail

/// One foreach around a task.
struct ForeachFrame {
  std::string step;            ///< the step that runs for each item
  std::string variable;        ///< the artifact that holds the items
  std::size_t num_splits = 0;  ///< the number of items
  std::size_t index = 0;       ///< the position of the item, from 0
  std::string value;           ///< the item as text, at most 30 characters
};

/// The running task. Constant while a step runs; reading is safe from several threads.
struct Current {
  std::string flow_name;                     ///< "BigSum"
  std::string run_id;                        ///< "17"
  std::string step_name;                     ///< "start"
  std::string task_id;                       ///< "1"
  int retry_count = 0;                       ///< the attempt: 0 for the first
  std::string origin_run_id;                 ///< the resumed run; empty in a run that was not resumed
  std::string namespace_;                    ///< "user:me"
  std::string username;                      ///< who started the run
  std::vector<std::string> tags;             ///< tags that the user gave to the run
  std::vector<std::string> parameter_names;  ///< without constants
  std::vector<ForeachFrame> foreach_stack;   ///< outermost first

  // Set if the flow belongs to a project (FlowSpec); else empty and false.
  std::string project_name;       ///< "risk"
  std::string branch_name;        ///< "user.me", with --branch "test.B", with --production "prod", with both "prod.B"
  std::string project_flow_name;  ///< "risk.user.me.BigSum"
  bool is_user_branch = false;    ///< neither --branch nor --production was given
  bool is_production = false;     ///< --production was given

  /// The cores that parallel_map uses: the cpus that the step requests with `resources`, limited by CPU affinity and
  /// control groups.
  unsigned cpus() const;

  /// "BigSum/17/start/1"
  std::string pathspec() const;

  /// The position in the innermost foreach around the step; nothing outside a foreach.
  std::optional<std::size_t> index() const;

  /// The item of the innermost foreach around the step; `T` is its type in the range. Throws Error{not_found} outside a
  /// foreach.
  template <class T>
  T input() const {
    T item{};
    if constexpr (detail::readable<T>())
      detail::decode(read_item({}).root(), detail::Place{nullptr, "the item of foreach", 0}, item);
    return item;
  }

  /// The item of the foreach over this artifact: current().input(&Sweep::alphas).
  template <class V, class Flow>
  auto input(V Flow::*variable) const {
    if constexpr (detail::names_range<std::remove_const_t<V>>()) {
      const std::string_view name = detail::kMemberNames<Flow>.names[detail::position_of<Flow>(variable)];
      typename detail::ForeachItems<std::remove_const_t<V>>::Item item{};
      detail::decode(read_item(name).root(), detail::Place{nullptr, name, 0}, item);
      return item;
    } else {
      return detail::AnyConvertible{};
    }
  }

 private:
  /// The item of the foreach over this artifact; of the innermost foreach if empty.
  Document read_item(std::string_view variable) const;
};

/// The task that this process executes. Throws Error{invalid_command} outside a step.
const Current& current();

}  // namespace metaflow
