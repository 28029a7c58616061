// Every kind of class that a flow can be. Compiled, not run.
#include <metaflow/metaflow.h>

#include <string>
#include <vector>

namespace mf = metaflow;

// One step, of any name.
struct Single : mf::FlowSpec<Single> {
  void only() {}
  static auto graph() { return mf::graph(mf::step<&Single::only>); }
};

// In an anonymous namespace, without artifacts.
namespace {
struct Hidden : mf::FlowSpec<Hidden> {
  void start() {}
  void end() {}
  static auto graph() { return mf::graph(mf::step<&Hidden::start>(mf::next<&Hidden::end>), mf::step<&Hidden::end>); }
};
}  // namespace

// No aggregate: it lists its artifacts.
class Listed : public mf::FlowSpec<Listed> {
 public:
  Listed() : total_(1) {}
  static auto artifacts() { return mf::members<&Listed::items_, &Listed::total_>; }
  void start() { items_ = {1, 2}; }
  void work(const int& item) { total_ += item; }
  void join(const mf::Inputs<Listed>& inputs) {
    for (int total : inputs.each(&Listed::total_)) total_ += total;
  }
  void end() { ++runs_; }
  static auto graph() {
    using L = Listed;
    return mf::graph(mf::step<&L::start>(mf::foreach<&L::items_, &L::work>), mf::step<&L::work>(mf::next<&L::join>),
                     mf::step<&L::join>(mf::next<&L::end>), mf::step<&L::end>());
  }

 private:
  std::vector<int> items_;
  int total_;
  int runs_ = 0;
};

// A template: it needs a name.
template <class Number>
struct Sum : mf::FlowSpec<Sum<Number>> {
  static constexpr auto flow_name = "SumOfNumbers";
  std::vector<Number> items;
  Number total{};
  void start() { items = {1, 2, 3}; }
  void work(Number item) { total = item; }
  void join(const mf::Inputs<Sum>& inputs) {
    for (const Sum& input : inputs) total += input.total;
  }
  void end() {}
  static auto graph() {
    return mf::graph(mf::step<&Sum::start>(mf::foreach<&Sum::items, &Sum::work>),
                     mf::step<&Sum::work>(mf::next<&Sum::join>), mf::step<&Sum::join>(mf::next<&Sum::end>),
                     mf::step<&Sum::end>);
  }
};

// Steps that are inherited, overloaded or private.
struct Common {
  void start() {}
};
struct Mixed : mf::FlowSpec<Mixed>, Common {
  std::string text;
  void end() {}
  void end(int) {}

 private:
  void middle() {}

 public:
  static auto graph() {
    using M = Mixed;
    constexpr auto kEnd = static_cast<void (M::*)()>(&M::end);
    return mf::graph(mf::step<&M::start>(mf::next<&M::middle>), mf::step<&M::middle>(mf::next<kEnd>), mf::step<kEnd>);
  }
};

// In a function.
int local(int argc, char** argv) {
  struct Local : mf::FlowSpec<Local> {
    int n = 0;
    void start() {}
    void end() {}
    static auto graph() { return mf::graph(mf::step<&Local::start>(mf::next<&Local::end>), mf::step<&Local::end>); }
  };
  return mf::run<Local>(argc, argv);
}

int main(int argc, char** argv) {
  return mf::run<Single>(argc, argv) + mf::run<Hidden>(argc, argv) + mf::run<Listed>(argc, argv) +
         mf::run<Sum<long>>(argc, argv) + mf::run<Sum<double>>(argc, argv) + mf::run<Mixed>(argc, argv) +
         local(argc, argv);
}
