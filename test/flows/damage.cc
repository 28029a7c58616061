// The second of two tasks runs a shell command, which may damage what the first has stored; then they are joined.
#include <metaflow/metaflow.h>

#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

namespace mf = metaflow;

namespace {

struct Damage : mf::FlowSpec<Damage> {
  mf::Parameter<std::string> command{{.value = "true"}};
  std::vector<int> numbers;
  int result = 0;
  int sum = 0;

  void start() { numbers = {100'000, 200'000}; }

  void work(int number) {
    result = number;
    if (number == 200'000 && std::system(command->c_str()) != 0) throw std::runtime_error("the command failed");
  }

  void join(const mf::Inputs<Damage>& inputs) {
    for (int number : inputs.each(&Damage::result)) sum += number;
  }

  void end() {}

  static auto graph() {
    using D = Damage;
    return mf::graph(mf::step<&D::start>(mf::foreach<&D::numbers, &D::work>), mf::step<&D::work>(mf::next<&D::join>),
                     mf::step<&D::join>(mf::next<&D::end>), mf::step<&D::end>());
  }
};

}  // namespace

int main(int argc, char** argv) { return mf::run<Damage>(argc, argv); }
