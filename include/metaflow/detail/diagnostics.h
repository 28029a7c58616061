// The compiler's messages about an invalid flow: one plain sentence each. The names of the step, member or type are in
// the line next to it ("wrong_graph<Problem::unreachable, "lonely">").
#pragma once

#include <metaflow/detail/step.h>

namespace metaflow::detail {

// `fine` is always false. Compilers do not repeat a condition that is only a template argument; before any other
// condition clang would print "due to requirement '...'".

template <Problem P, FixedString Step, FixedString Other, bool fine = false>
consteval bool wrong_graph() {
  if constexpr (P == Problem::duplicate_step) {
    static_assert(fine, "metaflow: this step is listed twice in graph()");
  } else if constexpr (P == Problem::reserved_name) {
    static_assert(fine, "metaflow: the name of this step is reserved by Metaflow (name, next, input, index, cmd)");
  } else if constexpr (P == Problem::start_is_entered) {
    static_assert(fine, "metaflow: this step leads to start, but nothing may lead to start");
  } else if constexpr (P == Problem::end_has_transition) {
    static_assert(fine, "metaflow: end is the last step; it has no next");
  } else if constexpr (P == Problem::end_is_join) {
    static_assert(fine, "metaflow: end cannot be a join; add a join step before it");
  } else if constexpr (P == Problem::bad_name) {
    static_assert(fine,
                  "metaflow: the name of a step has lowercase letters, digits and underscores only, and does not start "
                  "with an underscore");
  } else if constexpr (P == Problem::start_is_join) {
    static_assert(fine, "metaflow: start cannot be a join: no step leads to it");
  } else if constexpr (P == Problem::join_and_split) {
    static_assert(fine, "metaflow: a join cannot also be a split; add a step after the join");
  } else if constexpr (P == Problem::no_transition) {
    static_assert(fine, "metaflow: this step has no transition; give it next, foreach or choose");
  } else if constexpr (P == Problem::unknown_target) {
    static_assert(fine, "metaflow: this step leads to a step that is not in graph()");
  } else if constexpr (P == Problem::loop) {
    static_assert(fine, "metaflow: the graph has a loop through this step; only a step that chooses itself may repeat");
  } else if constexpr (P == Problem::unreachable) {
    static_assert(fine, "metaflow: no step leads to this step");
  } else if constexpr (P == Problem::repeated_branch) {
    static_assert(fine, "metaflow: this step leads to the same step twice");
  } else if constexpr (P == Problem::unjoined_split) {
    static_assert(
        fine,
        "metaflow: this split is not joined before end; add a join step: void join(const mf::Inputs<Flow>& inputs)");
  } else if constexpr (P == Problem::wrong_join_count) {
    static_assert(fine, "metaflow: this join misses a branch of its split; every branch must lead to the join");
  } else if constexpr (P == Problem::join_without_split) {
    static_assert(fine, "metaflow: this join has no split before it");
  } else if constexpr (P == Problem::unrelated_join) {
    static_assert(fine, "metaflow: the branches that lead to this join come from different splits");
  } else if constexpr (P == Problem::unjoined_paths) {
    static_assert(fine,
                  "metaflow: branches of a split meet in this step, which is not a join; make it take const "
                  "mf::Inputs<Flow>&");
  } else if constexpr (P == Problem::empty_foreach) {
    static_assert(fine, "metaflow: this split leads straight into a join; put a step between them");
  } else if constexpr (P == Problem::conditional_join) {
    static_assert(fine, "metaflow: this choose leads straight into a join; put a step between them");
  } else if constexpr (P == Problem::few_cases) {
    static_assert(fine, "metaflow: choose needs at least two cases");
  } else if constexpr (P == Problem::item_outside_foreach) {
    static_assert(fine, "metaflow: this step takes an item but is not inside a foreach");
  } else {
    static_assert(fine, "metaflow: the graph is invalid");
  }
  return fine;
}

/// The mistake in the class of a flow.
enum class FlowMistake : std::uint8_t {
  none,
  not_derived,
  no_aggregate,
  bad_list,
  base_with_data,
  too_many_members,
  reference,
  not_default,
  invalid_member,
  no_graph,
  invalid_graph,
  empty_graph,
  foreign_graph,
  unnamed_template,
  bad_name,
  bad_project,
  no_flow,
  repeated_name,
  no_start,
  no_end,
};

/// Mistakes that may follow from an error in the code of the flow, which the compiler has then reported. It reports
/// a call of these only if there was no other error.
template <class Flow>
[[gnu::error("metaflow: a flow needs a default constructor; give its members initial values")]] void refuse_member();
template <class Flow>
[[gnu::error(
    "metaflow: a flow needs a public static auto graph() { return mf::graph(mf::step<&F::start>(...), ...); }")]] void
refuse_graph();
template <class Flow>
[[gnu::error("metaflow: graph() must return the result of mf::graph(...)")]] void refuse_empty_graph();

template <FlowMistake M, class Flow>
void refuse_flow() {
  if constexpr (M == FlowMistake::invalid_graph) {
    refuse_graph<Flow>();
  } else if constexpr (M == FlowMistake::empty_graph) {
    refuse_empty_graph<Flow>();
  } else if constexpr (M == FlowMistake::invalid_member) {
    refuse_member<Flow>();
  }
}

constexpr bool reported_by_compiler(FlowMistake mistake) {
  return mistake == FlowMistake::invalid_member || mistake == FlowMistake::invalid_graph ||
         mistake == FlowMistake::empty_graph;
}

template <FlowMistake M, class Flow, FixedString Name, bool fine = false>
consteval bool wrong_flow() {
  if constexpr (M == FlowMistake::not_derived) {
    static_assert(fine,
                  "metaflow: a flow derives (publicly) from mf::FlowSpec of itself: struct Sweep : "
                  "mf::FlowSpec<Sweep> { ... };");
  } else if constexpr (M == FlowMistake::no_aggregate) {
    static_assert(
        fine,
        "metaflow: this flow is not an aggregate (it has a constructor, private members or virtual functions); "
        "list its artifacts: public: static auto artifacts() { return mf::members<&F::a, &F::b>; }");
  } else if constexpr (M == FlowMistake::bad_list) {
    static_assert(fine, "metaflow: artifacts() returns mf::members<...> with data members of the flow, each once");
  } else if constexpr (M == FlowMistake::base_with_data) {
    static_assert(fine,
                  "metaflow: a base class of this flow has data members; list the artifacts: static auto artifacts() { "
                  "return mf::members<&F::a, &F::b>; }");
  } else if constexpr (M == FlowMistake::too_many_members) {
    static_assert(fine,
                  "metaflow: a flow or a stored struct has at most 64 data members; put some of them into a nested "
                  "struct");
  } else if constexpr (M == FlowMistake::reference) {
    static_assert(fine,
                  "metaflow: a reference, a bit-field or an anonymous union cannot be stored; hold a value, or a "
                  "pointer in mf::Transient<>");
  } else if constexpr (M == FlowMistake::not_default) {
    static_assert(fine, "metaflow: a flow needs a default constructor; give its members initial values");
  } else if constexpr (M == FlowMistake::no_graph) {
    static_assert(fine,
                  "metaflow: a flow needs a public static auto graph() { return mf::graph(mf::step<&F::start>(...), "
                  "...); }");
  } else if constexpr (M == FlowMistake::foreign_graph) {
    static_assert(fine, "metaflow: graph() must return the result of mf::graph(...)");
  } else if constexpr (M == FlowMistake::unnamed_template) {
    static_assert(fine, "metaflow: a flow that is a template needs a name: static constexpr auto flow_name = \"...\"");
  } else if constexpr (M == FlowMistake::bad_name) {
    static_assert(fine, "metaflow: the name of a flow is an identifier of two letters or more");
  } else if constexpr (M == FlowMistake::bad_project) {
    static_assert(
        fine,
        "metaflow: the project of a flow is a name of lowercase letters, digits and underscores, at most 128: "
        "static constexpr auto project = \"risk\"");
  } else if constexpr (M == FlowMistake::no_flow) {
    static_assert(fine, "metaflow: mf::run needs a flow: mf::run<Sweep>(argc, argv)");
  } else if constexpr (M == FlowMistake::repeated_name) {
    static_assert(
        fine, "metaflow: two flows have the same name; rename one of them: static constexpr auto flow_name = \"...\"");
  } else if constexpr (M == FlowMistake::no_start) {
    static_assert(fine, "metaflow: a flow needs a step named start");
  } else {
    static_assert(fine, "metaflow: a flow needs a step named end");
  }
  return fine;
}

/// The mistake in a data member.
enum class MemberMistake : std::uint8_t {
  none,
  unstorable,
  contains_itself,
  no_aggregate,
  base_with_data,
  const_member,
  reference,
  invalid_codec,
  no_default,
  c_array,
  array_element,
  alternatives,
  too_many_members,
  reserved_name,
  reserved_option,
  underscore,
  not_ascii,
};

/// `Culprit`: the part of the type that cannot be stored.
template <MemberMistake M, FixedString Member, class Type, class Culprit, bool fine = false>
consteval bool wrong_member() {
  if constexpr (M == MemberMistake::unstorable) {
    static_assert(fine,
                  "metaflow: this data member cannot be stored as an artifact; wrap it in mf::Transient<> if it need "
                  "not be stored, or give its type an mf::Codec<>");
  } else if constexpr (M == MemberMistake::contains_itself) {
    static_assert(fine,
                  "metaflow: a type that contains itself cannot be stored; keep its nodes in one vector with their "
                  "indices, or give the type an mf::Codec<>");
  } else if constexpr (M == MemberMistake::no_aggregate) {
    static_assert(fine,
                  "metaflow: this class is not a plain struct (it has a constructor, private members or virtual "
                  "functions); make it one, or list its members (public: static auto artifacts() { return "
                  "mf::members<&T::a, &T::b>; }), or give it an mf::Codec<>, or wrap it in mf::Transient<>");
  } else if constexpr (M == MemberMistake::base_with_data) {
    static_assert(fine,
                  "metaflow: a base class of this struct has data members; list all members: static auto artifacts() { "
                  "return mf::members<&T::a, &T::b>; }");
  } else if constexpr (M == MemberMistake::const_member) {
    static_assert(fine, "metaflow: a const member of a struct cannot be read back; remove the const");
  } else if constexpr (M == MemberMistake::reference) {
    static_assert(fine,
                  "metaflow: a reference, a bit-field or an anonymous union cannot be stored; hold a value, or a "
                  "pointer in mf::Transient<>");
  } else if constexpr (M == MemberMistake::invalid_codec) {
    static_assert(
        fine,
        "metaflow: the mf::Codec of this type is incomplete: it has using Stored = ...; static Stored save(const "
        "T&); static T load(Stored)");
  } else if constexpr (M == MemberMistake::no_default) {
    static_assert(fine, "metaflow: a stored type needs a default constructor; give its members initial values");
  } else if constexpr (M == MemberMistake::c_array) {
    static_assert(fine, "metaflow: a C array cannot be stored; use std::array");
  } else if constexpr (M == MemberMistake::array_element) {
    static_assert(fine, "metaflow: the elements of an Array are bool, integers, float, double or complex");
  } else if constexpr (M == MemberMistake::alternatives) {
    static_assert(fine,
                  "metaflow: Python cannot tell two alternatives of this variant apart (for example int and enum are "
                  "both int)");
  } else if constexpr (M == MemberMistake::too_many_members) {
    static_assert(fine,
                  "metaflow: a flow or a stored struct has at most 64 data members; put some of them into a nested "
                  "struct");
  } else if constexpr (M == MemberMistake::reserved_name) {
    static_assert(fine,
                  "metaflow: the name of this data member is a Python keyword or used by Metaflow, so Python could not "
                  "read it; rename it");
  } else if constexpr (M == MemberMistake::reserved_option) {
    static_assert(fine, "metaflow: a parameter cannot have the name of an option of run; rename it");
  } else if constexpr (M == MemberMistake::underscore) {
    static_assert(
        fine,
        "metaflow: the name of an artifact cannot start with an underscore: such names are reserved for Metaflow");
  } else {
    static_assert(fine, "metaflow: the name of an artifact has ASCII letters, digits and underscores only");
  }
  return fine;
}

/// The mistake in one step.
enum class StepMistake : std::uint8_t {
  none,
  no_method,
  foreign_method,
  returns_value,
  many_arguments,
  foreign_inputs,
  bad_foreach,
  no_range,
  transient_range,
  bad_choose,
  no_choice,
  case_type,
  equal_cases,
  no_artifact,
  no_target,
  no_label,
  bad_label,
  item_type,
};

/// `Other`: the member or step concerned. `Types`: the types concerned, if any.
template <StepMistake M, FixedString Step, FixedString Other, class Types, bool fine = false>
consteval bool wrong_step() {
  if constexpr (M == StepMistake::no_method) {
    static_assert(fine, "metaflow: a step is a (non-static) member function of the flow: mf::step<&Flow::name>");
  } else if constexpr (M == StepMistake::foreign_method) {
    static_assert(fine, "metaflow: this step is a member of another flow");
  } else if constexpr (M == StepMistake::returns_value) {
    static_assert(fine, "metaflow: a step returns void: a return value would be lost");
  } else if constexpr (M == StepMistake::many_arguments) {
    static_assert(fine, "metaflow: a step takes nothing, the item of a foreach, or (a join) const mf::Inputs<Flow>&");
  } else if constexpr (M == StepMistake::foreign_inputs) {
    static_assert(fine, "metaflow: this join takes the inputs of another flow");
  } else if constexpr (M == StepMistake::bad_foreach) {
    static_assert(fine, "metaflow: foreach names a data member and the step that runs for each of its items");
  } else if constexpr (M == StepMistake::no_range) {
    static_assert(fine, "metaflow: foreach needs a range: a vector, array, list, set, map or mf::Array");
  } else if constexpr (M == StepMistake::transient_range) {
    static_assert(fine, "metaflow: foreach over a Transient: the tasks could not read it; make it an artifact");
  } else if constexpr (M == StepMistake::bad_choose) {
    static_assert(
        fine,
        "metaflow: choose names a data member and the cases: mf::choose<&Flow::kind, mf::when<1, &Flow::a>, ...>");
  } else if constexpr (M == StepMistake::no_choice) {
    static_assert(fine, "metaflow: choose takes an enum, an integer, a bool or a std::string");
  } else if constexpr (M == StepMistake::case_type) {
    static_assert(fine, "metaflow: a case of this choose does not have the type of its variable");
  } else if constexpr (M == StepMistake::equal_cases) {
    static_assert(fine, "metaflow: two cases of this choose are equal");
  } else if constexpr (M == StepMistake::no_artifact) {
    static_assert(fine, "metaflow: foreach and choose read an artifact of this flow; this member is not one");
  } else if constexpr (M == StepMistake::no_target) {
    static_assert(fine, "metaflow: next, foreach and choose lead to steps of this flow");
  } else if constexpr (M == StepMistake::no_label) {
    static_assert(fine, "metaflow: foreach takes a range, a step and optionally mf::label<...>");
  } else if constexpr (M == StepMistake::bad_label) {
    static_assert(fine,
                  "metaflow: mf::label names a member of the item, or a function or lambda of it, that gives a text or "
                  "a number");
  } else {
    static_assert(fine,
                  "metaflow: this step takes an argument that the items of the foreach around it do not convert to "
                  "(without loss)");
  }
  return fine;
}

}  // namespace metaflow::detail
