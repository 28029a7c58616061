// Every part of what a flow can be made of. Compiled, not run.
#include <metaflow/metaflow.h>

#include <array>
#include <chrono>
#include <complex>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <functional>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

namespace mf = metaflow;

enum class Kind : std::uint8_t { fast, slow };
enum Old { kNegative = -1 };

struct Point {
  float x = 0;
  float y = 0;
};

/// No aggregate, and so lists its members.
class Range {
 public:
  Range() = default;
  Range(int low, int high) : low_(low), high_(high) {}
  static auto artifacts() { return mf::members<&Range::low_, &Range::high_>; }

 private:
  int low_ = 0;
  int high_ = 0;
};

class Money {
 public:
  Money() = default;
  explicit Money(std::int64_t cents) : cents_(cents) {}
  std::int64_t cents() const { return cents_; }

 private:
  std::int64_t cents_ = 0;
};
template <>
struct metaflow::Codec<Money> {
  using Stored = std::int64_t;
  static Stored save(const Money& money) { return money.cents(); }
  static Money load(Stored cents) { return Money{cents}; }
};

/// A decorator of one's own: a struct and a function beside it, found by its argument.
namespace own {
struct priority {
  int level = 0;
};
mf::detail::Decorator make_decorator(const priority& decorator) {
  return {"priority", std::to_string(decorator.level)};
}
}  // namespace own

struct Everything : mf::FlowSpec<Everything> {
  static constexpr auto doc = "Uses every part of the interface.";
  static constexpr auto flow_name = "AllOfIt";

  // Parameters of every type.
  mf::Parameter<int> count{{.value = 100, .help = "how many"}};
  mf::Parameter<std::uint64_t> seed{{.value = 1U, .help = "of the random numbers", .name = "random-seed"}};
  mf::Parameter<double> rate;
  mf::Parameter<float> small{{.value = 0.5F}};
  mf::Parameter<bool> verbose{{.value = false}};
  mf::Parameter<std::string> source{{.help = "the file to read"}};
  mf::Parameter<std::filesystem::path> directory{{.value = "/tmp"}};
  mf::Parameter<std::optional<double>> alpha;
  mf::Parameter<std::vector<int>> sizes{{.value = {{1, 2, 3}}, .separator = ";"}};
  mf::Parameter<std::map<std::string, int>> limits;
  mf::Parameter<Kind> kind{{.value = Kind::fast}};
  mf::Parameter<Point> origin{{.value = Point{.x = 1, .y = 2}}};

  // Artifacts of every type.
  const int version = 3;
  bool flag = false;
  char letter = 'a';
  short narrow = 0;
  long wide = 0;
  unsigned positive = 0;
  float single = 0;
  double real = 0;
  Old old = kNegative;
  std::complex<double> wave;
  std::string text;
  mf::Bytes bytes;
  std::vector<std::byte> raw;
  std::vector<bool> flags;
  std::vector<double> alphas;
  std::array<Point, 2> corners{};
  std::deque<int> queue;
  std::list<std::string> lines;
  std::map<std::string, std::vector<Point>> paths;
  std::unordered_map<int, double> table;
  std::set<std::string> names;
  std::unordered_set<int> seen;
  std::pair<int, std::string> best;
  std::tuple<int, double, std::string> mixed;
  std::optional<Point> maybe;
  std::variant<std::monostate, int, std::string> either;
  std::chrono::system_clock::time_point when;
  std::chrono::milliseconds took{};
  std::chrono::duration<double> elapsed{};
  std::filesystem::path file;
  Point point;
  Range range;
  Money money;
  mf::Lazy<std::string> report;
  mf::Lazy<std::vector<int>> later;
  mf::Array<double> trace;
  mf::Array<std::complex<float>> spectrum;
  mf::Transient<std::function<void()>> hook;
  int rounds = 0;

  void start() {
    alphas.assign(static_cast<std::size_t>(*count), *rate + *small);
    later.edit().push_back(sizes->size() > 1 ? (*sizes)[0] : 1);
    text = *source + directory->string();
    if (*verbose && alpha->has_value()) real = **alpha;
    const double converted = rate;
    real += converted;
    *hook = [] {};
    (*hook)();
  }
  void left() { wide = version; }
  void right() noexcept { positive = 1; }
  void meet(const mf::Inputs<Everything>& inputs) {
    wide = inputs.at<&Everything::left>().wide + static_cast<long>(inputs.size());
    inputs.merge(*this, mf::exclude(&Everything::positive, &Everything::wide));
  }
  void fan() const {}
  void work(double item) {
    const mf::Current& now = mf::current();
    text = now.pathspec() + now.flow_name + now.run_id + now.step_name + now.task_id + now.origin_run_id +
           now.namespace_ + now.username;
    positive = now.cpus() + static_cast<unsigned>(now.retry_count) + static_cast<unsigned>(now.tags.size());
    real = item + now.input<double>() + now.input(&Everything::alphas);
    narrow = static_cast<short>(now.index().value_or(0));
    for (const auto& frame : now.foreach_stack) text += frame.step + frame.variable + frame.value;
  }
  void inner(int item) { rounds = item + mf::current().input(&Everything::later); }
  void join_inner(mf::Inputs<Everything> inputs) {
    for (const Everything& input : inputs) rounds += input.rounds;
  }
  void join(const mf::Inputs<Everything>& inputs) {
    for (double r : inputs.each(&Everything::real)) real += r;
    for (const auto& lazy : inputs.each(&Everything::report)) text += *lazy;
    if (!inputs.empty()) text += inputs[0].text;
    inputs.merge(*this, mf::include(&Everything::trace));
  }
  void choose_kind() {}
  void quick() { many_cores(); }
  void thorough() { arrays(); }
  void repeat() { ++rounds; }
  void again() { flag = !flag; }
  void named() {}
  void other() {}
  void merge_kinds() {}
  void end() { take_arrays(); }

  void many_cores() {
    std::vector<double> squares = mf::parallel_map(alphas, [](double a) { return a * a; });
    const auto rows = mf::parallel_map(mf::range(0, 100, 10), [](std::size_t r) { return r; }, {.max_parallel = 2});
    const auto forked = mf::parallel_map(std::list<int>{1, 2}, [](int i) { return Point{.x = static_cast<float>(i)}; },
                                         {.mode = mf::parallel_mode::processes});
    mf::parallel_map(mf::range(3), [](std::size_t) {});
    for (auto& [index, value] : mf::parallel_map_unordered(squares, [](double a) { return std::to_string(a); }))
      text += value + std::to_string(index);
    try {
      for (const auto& [index, value] : mf::parallel_map_unordered(mf::range(2), [](std::size_t i) { return i; },
                                                                   {.mode = mf::parallel_mode::processes}))
        wide += static_cast<long>(index + value);
    } catch (const mf::ItemError& error) {
      text = error.message() + error.hint() + std::to_string(error.item());
      if (error.cause() == nullptr) throw mf::Error(mf::ErrorCode::invalid_value, "no", "try again");
    }
    point = forked.at(0);
    positive = static_cast<unsigned>(rows.size());
  }

  void arrays() {
    trace = mf::Array<double>::zeros({2, 3});
    trace.edit()[1] = 2;
    trace = mf::Array<double>({1, 2, 3, 4}).reshaped({2, 2});
    trace = mf::Array<double>(std::vector<double>{1, 2}, {2, 1});
    trace = mf::Array<double>::copy_of(alphas);
    trace = mf::Array<double>::on_disk({1000, 1000});
    auto shared = std::make_shared<std::vector<double>>(6U);
    trace = mf::Array<double>::sharing(*shared, {6}, shared);
    spectrum = {{1, 2}, {3, 4}};
  }
  void take_arrays() {
    real = trace.empty() ? 0 : trace(0, 0) + trace[0] + trace.row(0)[0] + *trace.data() + trace.span().front();
    for (double x : trace) real += x;
    positive = static_cast<unsigned>(trace.size() + trace.dimensions() + trace.shape().size());
    alphas = std::move(trace).to_vector();
  }

  static auto graph() {
    using S = Everything;
    const char* home = std::getenv("HOME");
    return mf::graph(
        mf::step<&S::start>(mf::doc{"Where it begins."}, mf::next<&S::left, &S::right>),
        mf::step<&S::left>(mf::resources{.cpu = 2, .gpu = 1, .memory = 8000}, mf::next<&S::meet>),
        mf::step<&S::right>(mf::next<&S::meet>,
                            mf::environment{.vars = {{"HOME", home == nullptr ? "" : home}, {"A", "b"}}}),
        mf::step<&S::meet>(mf::next<&S::fan>),
        mf::step<&S::fan>(mf::foreach<&S::alphas, &S::work, mf::label<[](double item) { return item * 2; }>>),
        mf::step<&S::work>(own::priority{.level = 3}, mf::foreach<&S::later, &S::inner>),
        mf::step<&S::inner>(mf::next<&S::join_inner>), mf::step<&S::join_inner>(mf::next<&S::join>),
        mf::step<&S::join>(mf::resources{}, mf::next<&S::choose_kind>),
        mf::step<&S::choose_kind>(
            mf::choose<&S::kind, mf::when<Kind::fast, &S::quick>, mf::when<Kind::slow, &S::thorough>>),
        mf::step<&S::quick>(mf::next<&S::repeat>), mf::step<&S::thorough>(mf::next<&S::repeat>),
        mf::step<&S::repeat>(mf::choose<&S::rounds, mf::when<0, &S::repeat>, mf::when<-1, &S::again>>),
        mf::step<&S::again>(mf::choose<&S::flag, mf::when<true, &S::named>, mf::when<false, &S::other>>),
        mf::step<&S::named>(mf::choose<&S::text, mf::when<"x", &S::merge_kinds>, mf::when<"long", &S::other>>),
        mf::step<&S::other>(mf::next<&S::merge_kinds>), mf::step<&S::merge_kinds>(mf::next<&S::end>),
        mf::step<&S::end>);
  }
};

int main(int argc, char** argv) { return mf::run<Everything>(argc, argv); }
