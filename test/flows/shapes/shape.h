// What the flows of this folder have in common, each of which is a shape of graph: every step notes where it is and who
// came before it, and does what PLAN says.
#pragma once

#include <metaflow/metaflow.h>

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "plan.h"

namespace mf = metaflow;

namespace shapes {

template <class F, class Item = std::string>
struct Shape : mf::FlowSpec<F> {
  static constexpr auto project = "shapes";
  static std::vector<Item> first_items() { return {}; }

  mf::Parameter<std::vector<Item>> items{{.value = F::first_items(), .help = "What the (outer) foreach goes over."}};
  mf::Parameter<std::string> mode{{.value = "", .help = "Which way a switch goes."}};
  const std::vector<int> constant{1, 2, 3};
  std::vector<Item> x;
  std::vector<Item> y;
  std::vector<Item> z;
  std::string condition;
  std::string inner_condition;
  bool again = false;
  int rounds = 0;

  std::string lineage;               // the steps up to here: "start.a", "(start.a|start.b).join"
  std::string pathspec;              // of the task
  std::vector<std::string> parents;  // the same of those before it
  std::vector<std::string> frames;   // of the foreachs around it: "x 3 0 a"
  Item item{};
  std::vector<Item> joined;  // the items of the inputs of a join, in their order
  int attempt = -1;
  std::string origin;
  std::vector<std::string> parameter_names;
  std::vector<std::string> belongs;  // the names of project, branch, flow in the project; what kind of branch

  std::optional<mf::CaughtException> caught;
  std::string data;  // these change when the plan says so
  std::string passed;
  std::string same;
  std::string manual;
  std::string ignored;
  std::string merge_error;

  static auto artifacts() {
    return mf::members<&F::items, &F::mode, &F::constant, &F::x, &F::y, &F::z, &F::condition, &F::inner_condition,
                       &F::again, &F::rounds, &F::lineage, &F::pathspec, &F::parents, &F::frames, &F::item, &F::joined,
                       &F::attempt, &F::origin, &F::parameter_names, &F::belongs, &F::caught, &F::data, &F::passed,
                       &F::same, &F::manual, &F::ignored, &F::merge_error>;
  }

 protected:
  void act() {
    lineage += (lineage.empty() ? "" : ".") + mf::current().step_name;
    if (!pathspec.empty()) parents = {pathspec};
    note();
    if (mf::current().index()) item = mf::current().input<Item>();
    for (const Deed& deed : deeds(rounds)) {
      if (!done(deed) && !set(deed)) throw Mishap("no deed: " + deed.name);
    }
  }

  void act(const mf::Inputs<F>& inputs) {
    std::set<std::string> lineages;
    parents.clear();
    joined.clear();
    for (const std::string& one : inputs.each(&F::lineage)) lineages.insert(one);
    for (const std::string& one : inputs.each(&F::pathspec)) parents.push_back(one);
    for (const Item& one : inputs.each(&F::item)) joined.push_back(one);
    lineage.clear();
    for (const std::string& one : lineages) lineage += (lineage.empty() ? "(" : "|") + one;
    lineage += ")." + mf::current().step_name;
    note();
    for (const Deed& deed : deeds(rounds)) {
      if (!done(deed) && !set(deed) && !merged(deed, inputs)) throw Mishap("no deed: " + deed.name);
    }
  }

 private:
  void note() {
    pathspec = mf::current().pathspec();
    attempt = mf::current().retry_count;
    origin = mf::current().origin_run_id;
    parameter_names = mf::current().parameter_names;
    const mf::Current& current = mf::current();
    belongs = {current.project_name, current.branch_name, current.project_flow_name,
               current.is_production    ? "production"
               : current.is_user_branch ? "user"
                                        : "test"};
    frames.clear();
    for (const auto& frame : mf::current().foreach_stack) {
      frames.push_back(frame.variable + " " + std::to_string(frame.num_splits) + " " + std::to_string(frame.index) +
                       " " + frame.value);
    }
  }

  /// "set_data TEXT" and so on.
  bool set(const Deed& deed) {
    const std::map<std::string, std::string*> texts{{"set_data", &data},
                                                    {"set_passed", &passed},
                                                    {"set_same", &same},
                                                    {"set_manual", &manual},
                                                    {"set_ignored", &ignored}};
    const auto found = texts.find(deed.name);
    if (found == texts.end()) return false;
    *found->second = deed.argument;
    return true;
  }

  template <class T>
  static T F::*own(T F::*member) {
    return member;
  }

  bool merged(const Deed& deed, const mf::Inputs<F>& inputs) {
    F& self = static_cast<F&>(*this);
    auto notes = [](auto... more) {
      return mf::exclude(own<std::vector<std::string>>(&F::frames), own<Item>(&F::item),
                         own<std::vector<Item>>(&F::joined), own<std::string>(&F::merge_error), more...);
    };
    if (deed.name == "merge_all") {
      try {
        inputs.merge(self, notes());
      } catch (const mf::Error& error) {
        merge_error = error.message();
      }
    } else if (deed.name == "merge_without_ignored") {
      inputs.merge(self, notes(own<std::string>(&F::ignored)));
    } else if (deed.name == "merge_passed_only") {
      inputs.merge(self, mf::include(own<std::string>(&F::passed)));
    } else {
      return false;
    }
    return true;
  }
};

}  // namespace shapes
