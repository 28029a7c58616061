// The shape of a flow: which steps it has and how they follow each other.
//
//   static auto graph() {
//     return mf::graph(mf::step<&Sweep::start>(mf::foreach<&Sweep::alphas, &Sweep::work>),
//                      mf::step<&Sweep::work>(mf::resources{.cpu = 4}, mf::next<&Sweep::join>),
//                      mf::step<&Sweep::join>(mf::next<&Sweep::end>),
//                      mf::step<&Sweep::end>());
//   }
//
// The shape is in types, so that an invalid flow does not compile; decorators are values, made when the program starts.
#pragma once

#include <string>
#include <type_traits>

#include <metaflow/array.h>
#include <metaflow/artifact.h>
#include <metaflow/decorators.h>
#include <metaflow/detail/check.h>
#include <metaflow/detail/describe.h>
#include <metaflow/detail/step.h>
#include <metaflow/inputs.h>
#include <metaflow/parameter.h>

namespace metaflow {

/// The base of every flow: `struct BigSum : mf::FlowSpec<BigSum> { ... };`. Empty. The data members of the flow are its
/// artifacts.
///
/// Optional members:
///   static constexpr auto doc = "...";         // for `show` and the clients
///   static constexpr auto project = "...";     // groups flows and runs: current().project_name
///   static constexpr auto flow_name = "...";   // default: the name of the struct; a template requires it
///   static auto artifacts() { return mf::members<&F::a, &F::b>; }   // if it is not an aggregate
template <class Flow>
struct FlowSpec {};

/// The next step. Several steps are a split: all of them run, in parallel, until a join.
template <auto... Steps>
inline constexpr detail::Next<Steps...> next{};

/// The label of an item of a foreach, for the log, `status` and the UI: a member of the item, or a function or a lambda
/// that gets the item. The result is a text or a number; at most 30 characters are shown.
template <auto Callable>
inline constexpr detail::Label<Callable> label{};

/// One task of `Body` for every item of the artifact `Variable`, until a join. Optionally followed by the labels of the
/// items:
///   mf::foreach<&F::sites, &F::work, mf::label<&Site::name>>
template <auto Variable, auto Body, auto ItemLabel = detail::DefaultLabel{}>
inline constexpr detail::Foreach<Variable, Body, std::remove_const_t<decltype(ItemLabel)>> foreach{};

/// One case of choose: an enumerator, an integer, a bool or a text, and the step that follows.
template <detail::Case Value, auto Step>
using when = detail::When<Value, Step>;

/// The step that follows depends on the artifact `Variable`:
///   mf::choose<&F::kind, mf::when<Kind::fast, &F::quick>, mf::when<Kind::slow, &F::thorough>>
/// A step that chooses itself is a loop.
template <auto Variable, class... Whens>
inline constexpr detail::Choose<Variable, Whens...> choose{};

/// Description of a step, for `show` and the clients.
struct doc {
  std::string text;  ///< one line or several
};

/// One step of a graph: its member function; then, in any order, its transition (one of next, foreach, choose; none for
/// the last step), decorators and doc. A step without any of these needs no parentheses.
template <auto Method>
inline constexpr detail::StepMaker<Method> step{};

/// All steps of a flow.
template <class... Steps>
auto graph(Steps... steps) {
  constexpr bool kStepsOnly = !(std::is_void_v<typename detail::StepOf<Steps>::type> || ...);
  static_assert(kStepsOnly, "metaflow: graph takes steps: mf::graph(mf::step<&F::start>(...), ...)");
  if constexpr (kStepsOnly && !(std::is_same_v<Steps, detail::NotAStep> || ...)) {
    return detail::Graph<typename detail::StepOf<Steps>::type...>({detail::step_annotations(steps)...});
  } else {
    return detail::NotAGraph{};
  }
}

/// The main program of a flow: executes the command line and returns the exit code.
///   int main(int argc, char** argv) { return mf::run<BigSum>(argc, argv); }
/// A program may have several flows. The first word of its command line names the flow: `./models Train run`.
///   int main(int argc, char** argv) { return mf::run<Train, Score>(argc, argv); }
template <class... Flows>
int run(int argc, char** argv) {
  if constexpr (detail::check_flows<Flows...>()) {
    static constexpr detail::FlowEntry kFlows[] = {{&detail::kFlowTable<Flows>, detail::annotations_of<Flows>}...};
    return detail::run_flows(kFlows, sizeof...(Flows), argc, argv);
  } else {
    (detail::refuse_flow<detail::mistake_of_flow<Flows>(), Flows>(), ...);
    return 2;
  }
}

}  // namespace metaflow
