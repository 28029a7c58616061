// Fails in the step and in the way that its parameters name. An artifact records how far it came.
#include <metaflow/metaflow.h>

#include <signal.h>

#include <cstdio>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace mf = metaflow;

namespace {

struct Overheated : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Failing : mf::FlowSpec<Failing> {
  mf::Parameter<std::string> where{{.value = "nowhere", .help = "The step that fails."}};
  mf::Parameter<std::string> what{{.value = "runtime_error", .help = "What it throws."}};
  std::vector<std::string> items{"zero", "one", "two"};
  std::string reached;
  int count = 0;
  mf::Array<double> series;

  void start() { pass("start"); }
  void work(const std::string& item) {
    if (item == "one") {
      pass("work");
    } else {
      pass("");
    }
  }
  void join(const mf::Inputs<Failing>& inputs) {
    count = static_cast<int>(inputs.size());
    pass("join");
  }
  void end() { pass("end"); }

  void pass(const std::string& step) {
    reached = mf::current().step_name;
    series = {1, 2, 3};
    std::printf("in %s\n", reached.c_str());
    if (step == *where) fail();
    reached += ", whole";
  }

  [[noreturn, gnu::noinline]] void fail() const {
    if (*what == "custom") throw Overheated("98 degrees\nat the second line");
    if (*what == "metaflow") throw mf::Error(mf::ErrorCode::invalid_value, "the value is odd", "Try an even one.");
    if (*what == "int") throw 42;
    if (*what == "kill") ::raise(SIGKILL);
    if (*what == "text") throw "a text";
    if (*what == "standard") std::map<int, int>().at(1);
    if (*what == "markup") throw std::runtime_error("</script><img src=x onerror=alert(1)>");
    if (*what == "not UTF-8") throw std::runtime_error("byte \xff");
    throw std::runtime_error("no reason");
  }

  static auto graph() {
    using F = Failing;
    return mf::graph(mf::step<&F::start>(mf::foreach<&F::items, &F::work>), mf::step<&F::work>(mf::next<&F::join>),
                     mf::step<&F::join>(mf::next<&F::end>), mf::step<&F::end>());
  }
};

}  // namespace

int main(int argc, char** argv) { return mf::run<Failing>(argc, argv); }
