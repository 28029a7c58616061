// Splits inside splits: a switch, a recursion and a static split inside a foreach, which is inside a static split.
#include <metaflow/metaflow.h>

#include <stdexcept>
#include <string>
#include <vector>

namespace mf = metaflow;

namespace {

struct Maze : mf::FlowSpec<Maze> {
  static constexpr auto doc = "Every kind of split inside another one.";

  mf::Parameter<bool> broken{{.value = false, .help = "Fail in the last join."}};
  std::vector<int> items;
  int item = -1;
  std::string parity;
  std::string handled_by;
  int countdown = 0;
  bool done = false;
  int steps_taken = 0;
  int left_value = 0;
  int right_value = 0;
  int both = 0;
  std::vector<std::string> handlers;  // in the order of the items
  std::vector<int> sums;
  int alone = 0;
  std::string summary;

  void start() {}

  void many() { items = {1, 2}; }
  void one() { alone = 1; }

  void take(int value) {
    item = value;
    parity = value % 2 == 0 ? "even" : "odd";
    countdown = value;
  }
  void even() { handled_by = "even"; }
  void odd() { handled_by = "odd"; }
  void gather() {}
  void shrink() {
    ++steps_taken;
    done = --countdown <= 0;
  }
  void split_again() {}
  void left() { left_value = item * 10; }
  void right() { right_value = item * 100; }
  void join_again(const mf::Inputs<Maze>& inputs) {
    inputs.merge(*this);
    both = inputs.at<&Maze::left>().left_value + inputs.at<&Maze::right>().right_value;
  }
  void join_items(const mf::Inputs<Maze>& inputs) {
    for (const Maze& input : inputs) {
      handlers.push_back(input.handled_by);
      sums.push_back(input.both);
    }
  }
  void join_all(const mf::Inputs<Maze>& inputs) {
    if (*broken) throw std::runtime_error("broken");
    inputs.merge(*this, mf::include(&Maze::alone, &Maze::handlers, &Maze::sums));
    summary = inputs[0].handlers[1] + std::to_string(inputs.at<&Maze::one>().alone);
  }
  void end() {}

  static auto graph() {
    using M = Maze;
    return mf::graph(
        mf::step<&M::start>(mf::next<&M::many, &M::one>), mf::step<&M::many>(mf::foreach<&M::items, &M::take>),
        mf::step<&M::one>(mf::next<&M::join_all>),
        mf::step<&M::take>(mf::choose<&M::parity, mf::when<"even", &M::even>, mf::when<"odd", &M::odd>>),
        mf::step<&M::even>(mf::next<&M::gather>), mf::step<&M::odd>(mf::next<&M::gather>),
        mf::step<&M::gather>(mf::next<&M::shrink>),
        mf::step<&M::shrink>(mf::choose<&M::done, mf::when<false, &M::shrink>, mf::when<true, &M::split_again>>),
        mf::step<&M::split_again>(mf::next<&M::left, &M::right>), mf::step<&M::left>(mf::next<&M::join_again>),
        mf::step<&M::right>(mf::next<&M::join_again>), mf::step<&M::join_again>(mf::next<&M::join_items>),
        mf::step<&M::join_items>(mf::next<&M::join_all>), mf::step<&M::join_all>(mf::next<&M::end>),
        mf::step<&M::end>());
  }
};

}  // namespace

int main(int argc, char** argv) { return mf::run<Maze>(argc, argv); }
