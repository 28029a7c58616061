// A flow of which one step is executed on a cluster, and does what the parameters say.
#include <arpa/inet.h>
#include <metaflow/metaflow.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <thread>
#include <vector>

namespace mf = metaflow;

struct Placed : mf::FlowSpec<Placed> {
  mf::Parameter<int> n{{.value = 2, .help = "How many tasks."}};
  mf::Parameter<std::string> fail{{.value = "", .help = "What goes wrong: throw, crash, exit, sleep."}};
  mf::Parameter<int> until{{.value = 1, .help = "From this attempt on nothing does."}};
  mf::Parameter<int> port{{.value = 0, .help = "Tasks connect to it, and wait until they are answered."}};

  std::vector<int> items;
  std::string place;  // where the last step was executed
  int square = 0;
  int attempt = -1;
  unsigned cpus = 0;
  std::vector<int> squares;
  std::vector<std::string> places;

  void start() {
    for (int i = 0; i < *n; ++i) items.push_back(i);
    note();
  }

  void work(int item) {
    note();
    std::printf("working on %d\n", item);
    std::fprintf(stderr, "attempt %d\n", attempt);
    std::fflush(stdout);
    if (*port > 0) wait_for_answer(item);
    if (attempt < *until) go_wrong();
    square = item * item;
  }

  void join(const mf::Inputs<Placed>& inputs) {
    for (const auto& input : inputs) {
      squares.push_back(input.square);
      places.push_back(input.place);
    }
    note();
  }

  void end() { std::printf("%zu squares\n", squares.size()); }

  static auto graph() {
    using S = Placed;
    return mf::graph(mf::step<&S::start>(mf::foreach<&S::items, &S::work>),
                     mf::step<&S::work>(mf::next<&S::join>, mf::resources{.cpu = 0.25, .memory = 100},
                                        mf::kubernetes{.cpu = 0.1, .memory = 64, .disk = 100}),
                     mf::step<&S::join>(mf::next<&S::end>), mf::step<&S::end>());
  }

 private:
  void note() {
    place = std::getenv("METAFLOW_KUBERNETES_WORKLOAD") != nullptr ? "pod" : "here";
    attempt = mf::current().retry_count;
    cpus = mf::current().cpus();
  }

  void go_wrong() {
    if (*fail == "throw") throw std::runtime_error("on purpose");
    if (*fail == "crash") std::abort();
    if (*fail == "exit") std::_Exit(7);
    if (*fail == "sleep") std::this_thread::sleep_for(std::chrono::hours(1));
  }

  /// Pods of the test's cluster have the network of the machine.
  void wait_for_answer(int item) {
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(*port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
      throw std::runtime_error("nobody listens");
    const std::string hello = std::to_string(item) + "\n";
    char answer = 0;
    if (::write(fd, hello.data(), hello.size()) < 0 || ::read(fd, &answer, 1) != 1)
      throw std::runtime_error("nobody answers");
    ::close(fd);
  }
};

int main(int argc, char** argv) { return mf::run<Placed>(argc, argv); }
