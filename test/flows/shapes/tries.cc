// Branches, foreachs and joins, which are tried again, and caught where that can be.
#include "shape.h"

namespace {

constexpr mf::retry kThrice{.times = 3, .minutes_between_retries = 0};
constexpr mf::retry kTwice{.times = 2, .minutes_between_retries = 0};

struct Tries : shapes::Shape<Tries> {
  static std::vector<std::string> first_items() { return {"a", "b"}; }

  void start() { act(); }
  void left() { act(); }
  void right() {
    x = *items;
    act();
  }
  void inner_split() {
    y = {"c", "d"};
    act();
  }
  void inner() { act(); }
  void inner_join(const mf::Inputs<Tries>& inputs) { act(inputs); }
  void after() { act(); }
  void outer_join(const mf::Inputs<Tries>& inputs) { act(inputs); }
  void join(const mf::Inputs<Tries>& inputs) { act(inputs); }
  void end() { act(); }

  static auto graph() {
    using F = Tries;
    const mf::catch_ caught{.var = static_cast<std::optional<mf::CaughtException> F::*>(&F::caught),
                            .print_exception = false};
    return mf::graph(mf::step<&F::start>(kThrice, mf::next<&F::left, &F::right>),
                     mf::step<&F::left>(kTwice, caught, mf::next<&F::join>),
                     mf::step<&F::right>(kTwice, mf::foreach<&F::x, &F::inner_split>),
                     mf::step<&F::inner_split>(kTwice, mf::foreach<&F::y, &F::inner>),
                     mf::step<&F::inner>(kTwice, caught, mf::next<&F::inner_join>),
                     mf::step<&F::inner_join>(kTwice, mf::next<&F::after>),
                     mf::step<&F::after>(kTwice, caught, mf::next<&F::outer_join>),
                     mf::step<&F::outer_join>(kTwice, mf::next<&F::join>),
                     mf::step<&F::join>(kTwice, mf::next<&F::end>),
                     mf::step<&F::end>(mf::catch_{.var = mf::for_python{"for_python"}, .print_exception = false}));
  }
};

}  // namespace

int main(int argc, char** argv) { return mf::run<Tries>(argc, argv); }
