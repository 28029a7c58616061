// Reads an artifact of any run with the client library.
#include <metaflow/metaflow.h>

#include <string>

#include <metaflow/client.h>

namespace mf = metaflow;

namespace {

struct Reader : mf::FlowSpec<Reader> {
  mf::Parameter<std::string> pathspec{{.help = "FLOW/RUN/STEP"}};
  mf::Parameter<std::string> artifact;
  std::string text;

  void start() { text = mf::client::Client({.name_space = ""}).step(*pathspec).task().artifact(*artifact).text(1000); }
  void end() {}

  static auto graph() { return mf::graph(mf::step<&Reader::start>(mf::next<&Reader::end>), mf::step<&Reader::end>()); }
};

}  // namespace

int main(int argc, char** argv) { return mf::run<Reader>(argc, argv); }
