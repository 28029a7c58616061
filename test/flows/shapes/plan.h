// What the environment variable PLAN tells the steps of test flows to do:
//
//   PLAN='start::0 throw; work:1 kill; * out hello'
//
// A rule is a pattern, as of file names, and a deed. The pattern is compared with "step:indices:attempt:rounds" of the
// task: the indices of the foreachs around it with commas between, and how often a step that repeats itself has run; a
// pattern may end early. All rules that fit are followed, in their order.
#pragma once

#include <stdexcept>
#include <string>
#include <vector>

namespace shapes {

/// What a deed throws.
struct Mishap : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Deed {
  std::string name;
  std::string argument;
};

/// What the running task has to do.
std::vector<Deed> deeds(int rounds);

/// Does it, if it has nothing to do with the artifacts of a flow; else gives back false.
bool done(const Deed& deed);

/// "text, with @task and @attempt": the same, with what they stand for.
std::string filled_in(std::string text);

}  // namespace shapes
