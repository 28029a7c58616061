// Output of every kind, on both streams.
#include <metaflow/metaflow.h>

#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <string>

namespace mf = metaflow;

namespace {

struct Talk : mf::FlowSpec<Talk> {
  mf::Parameter<int> lines{{.value = 0, .help = "How many lines of 100 characters."}};

  void start() {
    std::printf("hello stdout\n");
    std::fflush(stdout);
    std::fprintf(stderr, "hello stderr\n");
    std::cout << "from cout: 刺身 means sashimi" << std::endl;
    std::cerr << "from cerr" << std::endl;
    std::printf("  indented, blank behind  \n\n\ttab\n");
    std::printf("carriage\rreturn\n");
    std::fwrite("not UTF-8: \xff\xfe\n", 1, 14, stdout);
    std::fwrite("zero: \0.\n", 1, 9, stdout);
    std::printf("no newline at the end");
  }
  void many() {
    const std::string text(93, 'x');
    for (int i = 0; i < *lines; ++i) std::printf("%06d %s\n", i, text.c_str());
    std::fflush(stdout);
    for (int i = 0; i < *lines; ++i) std::fprintf(stderr, "%06d %s\n", i, text.c_str());
  }
  void long_line() {
    const std::string text(200'000, 'y');
    std::printf("%s\n", text.c_str());
  }
  void structured() {
    std::puts("[MFLOG|0|2020-01-01T00:00:00.000000Z|task|x]saved by another process");
    std::puts("[!MFLOG|0|2020-01-01T00:00:01.000000Z|task|x]to be saved here");
    std::puts("[MFLOG|0|not a time|task|x]an ordinary line");
  }
  void end() {}

  static auto graph() {
    using T = Talk;
    return mf::graph(mf::step<&T::start>(mf::next<&T::many>), mf::step<&T::many>(mf::next<&T::long_line>),
                     mf::step<&T::long_line>(mf::next<&T::structured>), mf::step<&T::structured>(mf::next<&T::end>),
                     mf::step<&T::end>());
  }
};

}  // namespace

int main(int argc, char** argv) { return mf::run<Talk>(argc, argv); }
