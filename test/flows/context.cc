// What a step can know of its task, stored by every step: linear, branch, nested foreach, join, recursion.
#include <metaflow/metaflow.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace mf = metaflow;

namespace {

struct Frame {
  std::string step;
  std::string variable;
  std::size_t num_splits = 0;
  std::size_t index = 0;
  std::string value;
};

/// mf::current() as an artifact.
struct Seen {
  std::string flow_name;
  std::string run_id;
  std::string step_name;
  std::string task_id;
  std::string pathspec;
  int retry_count = -1;
  std::string origin_run_id;
  std::string name_space;
  std::string username;
  std::vector<std::string> tags;
  std::vector<std::string> parameter_names;
  std::optional<std::size_t> index;
  std::vector<Frame> frames;
  unsigned cpus = 0;
};

Seen look() {
  const mf::Current& current = mf::current();
  Seen seen{current.flow_name,
            current.run_id,
            current.step_name,
            current.task_id,
            current.pathspec(),
            current.retry_count,
            current.origin_run_id,
            current.namespace_,
            current.username,
            current.tags,
            current.parameter_names,
            current.index(),
            {},
            current.cpus()};
  for (const mf::ForeachFrame& frame : current.foreach_stack)
    seen.frames.push_back({frame.step, frame.variable, frame.num_splits, frame.index, frame.value});
  return seen;
}

struct Context : mf::FlowSpec<Context> {
  mf::Parameter<int> zeta{{.value = 1}};
  mf::Parameter<std::string> alpha{{.value = "a"}};
  const int answer = 42;
  std::vector<std::string> letters{"a", "b", "c"};
  std::vector<std::pair<int, std::string>> numbers;
  Seen seen;
  std::string item_of_outer;  // in the inner foreach
  std::string item_of_letters;
  std::pair<int, std::string> item_of_numbers;
  int rounds = 0;
  bool enough = false;

  void start() { seen = look(); }
  void left() { seen = look(); }
  void right() { seen = look(); }
  void fan(const std::string& letter) {
    seen = look();
    item_of_outer = letter;
    numbers = {{1, letter + "1"}, {2, "a rather long item, with more than thirty characters"}};
  }
  void inner(const std::pair<int, std::string>& number) {
    seen = look();
    item_of_numbers = number;
  }
  void inner_next() {
    seen = look();
    item_of_letters = mf::current().input(&Context::letters);
    if (mf::current().input<std::pair<int, std::string>>() != mf::current().input(&Context::numbers))
      throw std::logic_error("the innermost foreach is the one over numbers");
  }
  void join_inner(const mf::Inputs<Context>&) {
    seen = look();
    item_of_letters = mf::current().input<std::string>();
  }
  void join_letters(const mf::Inputs<Context>&) { seen = look(); }
  void join_sides(const mf::Inputs<Context>&) { seen = look(); }
  void repeat() {
    seen = look();
    enough = ++rounds == 3;
  }
  void end() { seen = look(); }

  static auto graph() {
    using C = Context;
    return mf::graph(
        mf::step<&C::start>(mf::next<&C::left, &C::right>), mf::step<&C::left>(mf::foreach<&C::letters, &C::fan>),
        mf::step<&C::right>(mf::next<&C::join_sides>, mf::resources{.cpu = 1}),
        mf::step<&C::fan>(mf::foreach<&C::numbers, &C::inner>), mf::step<&C::inner>(mf::next<&C::inner_next>),
        mf::step<&C::inner_next>(mf::next<&C::join_inner>), mf::step<&C::join_inner>(mf::next<&C::join_letters>),
        mf::step<&C::join_letters>(mf::next<&C::join_sides>), mf::step<&C::join_sides>(mf::next<&C::repeat>),
        mf::step<&C::repeat>(mf::choose<&C::enough, mf::when<false, &C::repeat>, mf::when<true, &C::end>>),
        mf::step<&C::end>());
  }
};

}  // namespace

int main(int argc, char** argv) { return mf::run<Context>(argc, argv); }
