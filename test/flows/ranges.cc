// A foreach over every kind of range; each join stores what its tasks were given, in the order of its inputs.
#include <metaflow/metaflow.h>

#include <array>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace mf = metaflow;

namespace {

std::string length(const std::vector<int>& list) { return std::to_string(list.size()) + " numbers"; }

struct Ranges : mf::FlowSpec<Ranges> {
  struct Point {
    int x = 0;
    std::string label;
  };

  std::vector<Point> in_vector{{1, "a"}, {2, "b"}};
  std::array<double, 3> in_array{0.5, 1.5, 2.5};
  std::deque<bool> in_deque{true, false};
  std::set<std::string> in_set{"y", "x"};
  std::map<std::string, int> in_map{{"one", 1}, {"two", 2}};
  mf::Array<float> in_numpy{0.5F, 0.25F};
  mf::Lazy<std::vector<std::string>> in_lazy{{"l", "m"}};
  mf::Parameter<std::vector<int>> in_parameter{{.value = {{7, 8, 9}}}};
  const std::vector<std::vector<int>> in_constant{{1, 2}, {3}};

  Point from_vector;
  double from_array = 0;
  bool from_deque = false;
  std::string from_set;
  std::pair<std::string, int> from_map;
  float from_numpy = 0;
  std::string from_lazy;
  int from_parameter = 0;
  std::vector<int> from_constant;

  std::vector<Point> of_vector;
  std::vector<double> of_array;
  std::vector<bool> of_deque;
  std::vector<std::string> of_set;
  std::vector<std::pair<std::string, int>> of_map;
  std::vector<float> of_numpy;
  std::vector<std::string> of_lazy;
  std::vector<int> of_parameter;
  std::vector<std::vector<int>> of_constant;

  void start() {}
  void a_vector() {}
  void an_array() {}
  void a_deque() {}
  void a_set() {}
  void a_map() {}
  void a_numpy() {}
  void a_lazy() {}
  void a_parameter() {}
  void a_constant() {}

  void do_vector(const Point& item) { from_vector = item; }
  void do_array(double item) { from_array = item; }
  void do_deque(bool item) { from_deque = item; }
  void do_set(const std::string& item) { from_set = item; }
  void do_map(const std::pair<std::string, int>& item) { from_map = item; }
  void do_numpy(float item) { from_numpy = item; }
  void do_lazy(std::string item) { from_lazy = std::move(item); }
  void do_parameter(int item) { from_parameter = item; }
  void do_constant(const std::vector<int>& item) { from_constant = item; }

  void join_vector(const mf::Inputs<Ranges>& inputs) { collect(inputs, &Ranges::from_vector, of_vector); }
  void join_array(const mf::Inputs<Ranges>& inputs) { collect(inputs, &Ranges::from_array, of_array); }
  void join_deque(const mf::Inputs<Ranges>& inputs) { collect(inputs, &Ranges::from_deque, of_deque); }
  void join_set(const mf::Inputs<Ranges>& inputs) { collect(inputs, &Ranges::from_set, of_set); }
  void join_map(const mf::Inputs<Ranges>& inputs) { collect(inputs, &Ranges::from_map, of_map); }
  void join_numpy(const mf::Inputs<Ranges>& inputs) { collect(inputs, &Ranges::from_numpy, of_numpy); }
  void join_lazy(const mf::Inputs<Ranges>& inputs) { collect(inputs, &Ranges::from_lazy, of_lazy); }
  void join_parameter(const mf::Inputs<Ranges>& inputs) { collect(inputs, &Ranges::from_parameter, of_parameter); }
  void join_constant(const mf::Inputs<Ranges>& inputs) { collect(inputs, &Ranges::from_constant, of_constant); }

  void join_all(const mf::Inputs<Ranges>& inputs) { inputs.merge(*this); }
  void end() {}

  template <class T>
  static void collect(const mf::Inputs<Ranges>& inputs, T Ranges::*from, std::vector<T>& into) {
    for (const T& value : inputs.each(from)) into.push_back(value);
  }

  static auto graph() {
    using R = Ranges;
    return mf::graph(
        mf::step<&R::start>(mf::next<&R::a_vector, &R::an_array, &R::a_deque, &R::a_set, &R::a_map, &R::a_numpy,
                                     &R::a_lazy, &R::a_parameter, &R::a_constant>),
        mf::step<&R::a_vector>(mf::foreach<&R::in_vector, &R::do_vector>),
        mf::step<&R::an_array>(mf::foreach<&R::in_array, &R::do_array>),
        mf::step<&R::a_deque>(mf::foreach<&R::in_deque, &R::do_deque>),
        mf::step<&R::a_set>(mf::foreach<&R::in_set, &R::do_set>),
        mf::step<&R::a_map>(mf::foreach<&R::in_map, &R::do_map>),
        mf::step<&R::a_numpy>(mf::foreach<&R::in_numpy, &R::do_numpy>),
        mf::step<&R::a_lazy>(mf::foreach<&R::in_lazy, &R::do_lazy>),
        mf::step<&R::a_parameter>(mf::foreach<&R::in_parameter, &R::do_parameter>),
        mf::step<&R::a_constant>(mf::foreach<&R::in_constant, &R::do_constant, mf::label<&length>>),
        mf::step<&R::do_vector>(mf::next<&R::join_vector>), mf::step<&R::do_array>(mf::next<&R::join_array>),
        mf::step<&R::do_deque>(mf::next<&R::join_deque>), mf::step<&R::do_set>(mf::next<&R::join_set>),
        mf::step<&R::do_map>(mf::next<&R::join_map>), mf::step<&R::do_numpy>(mf::next<&R::join_numpy>),
        mf::step<&R::do_lazy>(mf::next<&R::join_lazy>), mf::step<&R::do_parameter>(mf::next<&R::join_parameter>),
        mf::step<&R::do_constant>(mf::next<&R::join_constant>), mf::step<&R::join_vector>(mf::next<&R::join_all>),
        mf::step<&R::join_array>(mf::next<&R::join_all>), mf::step<&R::join_deque>(mf::next<&R::join_all>),
        mf::step<&R::join_set>(mf::next<&R::join_all>), mf::step<&R::join_map>(mf::next<&R::join_all>),
        mf::step<&R::join_numpy>(mf::next<&R::join_all>), mf::step<&R::join_lazy>(mf::next<&R::join_all>),
        mf::step<&R::join_parameter>(mf::next<&R::join_all>), mf::step<&R::join_constant>(mf::next<&R::join_all>),
        mf::step<&R::join_all>(mf::next<&R::end>), mf::step<&R::end>());
  }
};

}  // namespace

int main(int argc, char** argv) { return mf::run<Ranges>(argc, argv); }
