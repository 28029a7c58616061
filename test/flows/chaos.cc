// Every shape of a graph in one flow, for the tests that kill it: linear, branches, branches in branches, a foreach in
// a foreach, a switch, a recursion, a recursion in a foreach. Every task notes that it was executed, outside of the
// store: a line "RUN STEP PLACE PASS" in the file METAFLOW_CHAOS_LOG.
#include <metaflow/metaflow.h>

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace mf = metaflow;

namespace {

/// A process that outlives its task, and calls setsid: nothing that a scheduler left may go on.
void leave_a_daemon() {
  if (std::getenv("METAFLOW_CHAOS_LOG") == nullptr) return;
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child != 0) return;
  ::setsid();
  ::execlp("sleep", "sleep", "1000", nullptr);
  ::_exit(127);
}

struct Chaos : mf::FlowSpec<Chaos> {
  static constexpr auto doc = "Every shape of a graph, for tests that kill it.";

  std::vector<std::string> rows;
  std::vector<int> columns;
  std::string row;
  std::string cell_text;
  std::vector<std::string> row_texts;
  std::map<std::string, std::vector<std::string>> table;
  int left_value = 0;
  double deep_value = 0;
  std::vector<double> depths;
  double branch_value = 0;
  std::string parity;
  std::string chosen;
  int passes = 0;  // of the recursion
  bool counted = false;
  std::vector<int> heights;
  int height = 0;
  int falls = 0;  // of the recursion in the foreach
  bool landed_yet = false;
  std::vector<std::string> trails;
  std::string trail;
  mf::Array<double> series;
  std::string summary;

  void start() {
    note(0);
    std::printf("begins\n");
    std::vector<double> values(1000);
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = 0.5 * static_cast<double>(i);
    series = std::move(values);
  }

  void outer() {
    note(0);
    rows = {"a", "b"};
  }
  void inner(const std::string& name) {
    note(0);
    row = name;
    columns = {1, 2, 3};
  }
  void cell(int column) {
    note(0);
    cell_text = row + std::to_string(column);
    std::printf("cell %s\n", cell_text.c_str());
  }
  void join_cells(const mf::Inputs<Chaos>& inputs) {
    note(0);
    for (const Chaos& input : inputs) row_texts.push_back(input.cell_text);
    row = inputs[0].row;
  }
  void join_rows(const mf::Inputs<Chaos>& inputs) {
    note(0);
    for (const Chaos& input : inputs) table[input.row] = input.row_texts;
  }

  void one() {
    note(0);
    leave_a_daemon();
  }
  void left() {
    note(0);
    left_value = 7;
  }
  void right() { note(0); }
  void deep_a() {
    note(0);
    deep_value = 0.25;
  }
  void deep_b() {
    note(0);
    deep_value = 0.5;
  }
  void join_deep(const mf::Inputs<Chaos>& inputs) {
    note(0);
    for (const Chaos& input : inputs) depths.push_back(input.deep_value);
  }
  void join_branch(const mf::Inputs<Chaos>& inputs) {
    note(0);
    branch_value = inputs.at<&Chaos::left>().left_value;
    for (double depth : inputs.at<&Chaos::join_deep>().depths) branch_value += depth;
  }

  void pick() {
    note(0);
    parity = "odd";
  }
  void even() {
    note(0);
    chosen = "even";
  }
  void odd() {
    note(0);
    chosen = "odd";
  }
  void count() {
    note(passes);
    counted = ++passes == 3;
  }
  void fan() {
    note(0);
    heights = {1, 2, 3};
  }
  void climb(int up) {
    note(0);
    height = up;
  }
  void descend() {
    note(falls);
    ++falls;
    trail += std::to_string(height--);
    landed_yet = height == 0;
  }
  void land() { note(0); }
  void join_trails(const mf::Inputs<Chaos>& inputs) {
    note(0);
    for (const Chaos& input : inputs) trails.push_back(input.trail);
    chosen = inputs[0].chosen;
  }

  void join_all(const mf::Inputs<Chaos>& inputs) {
    note(0);
    table = inputs.at<&Chaos::join_rows>().table;
    branch_value = inputs.at<&Chaos::join_branch>().branch_value;
    trails = inputs.at<&Chaos::join_trails>().trails;
    chosen = inputs.at<&Chaos::join_trails>().chosen;
  }
  void end() {
    note(0);
    summary = chosen + std::to_string(branch_value) + table["b"][2] + trails[2];
    std::printf("ends\n");
  }

  static auto graph() {
    using C = Chaos;
    return mf::graph(
        mf::step<&C::start>(mf::next<&C::outer, &C::one, &C::pick>),
        mf::step<&C::outer>(mf::foreach<&C::rows, &C::inner>), mf::step<&C::inner>(mf::foreach<&C::columns, &C::cell>),
        mf::step<&C::cell>(mf::next<&C::join_cells>), mf::step<&C::join_cells>(mf::next<&C::join_rows>),
        mf::step<&C::join_rows>(mf::next<&C::join_all>),

        mf::step<&C::one>(mf::next<&C::left, &C::right>), mf::step<&C::left>(mf::next<&C::join_branch>),
        mf::step<&C::right>(mf::next<&C::deep_a, &C::deep_b>), mf::step<&C::deep_a>(mf::next<&C::join_deep>),
        mf::step<&C::deep_b>(mf::next<&C::join_deep>), mf::step<&C::join_deep>(mf::next<&C::join_branch>),
        mf::step<&C::join_branch>(mf::next<&C::join_all>),

        mf::step<&C::pick>(mf::choose<&C::parity, mf::when<"even", &C::even>, mf::when<"odd", &C::odd>>),
        mf::step<&C::even>(mf::next<&C::count>), mf::step<&C::odd>(mf::next<&C::count>),
        mf::step<&C::count>(mf::choose<&C::counted, mf::when<false, &C::count>, mf::when<true, &C::fan>>),
        mf::step<&C::fan>(mf::foreach<&C::heights, &C::climb>), mf::step<&C::climb>(mf::next<&C::descend>),
        mf::step<&C::descend>(mf::choose<&C::landed_yet, mf::when<false, &C::descend>, mf::when<true, &C::land>>),
        mf::step<&C::land>(mf::next<&C::join_trails>), mf::step<&C::join_trails>(mf::next<&C::join_all>),

        mf::step<&C::join_all>(mf::next<&C::end>), mf::step<&C::end>());
  }

 private:
  static void note(int pass) {
    const char* path = std::getenv("METAFLOW_CHAOS_LOG");
    if (path == nullptr) return;
    const mf::Current& task = mf::current();
    std::string line = task.run_id + " " + task.step_name + " ";
    for (const auto& frame : task.foreach_stack) line += std::to_string(frame.index) + ",";
    line += " " + std::to_string(pass) + "\n";
    const int fd = ::open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (fd < 0 || ::write(fd, line.data(), line.size()) < 0) std::abort();
    ::close(fd);
  }
};

}  // namespace

int main(int argc, char** argv) { return mf::run<Chaos>(argc, argv); }
