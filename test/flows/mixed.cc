// A flow with a step on AWS Batch, one on a Kubernetes cluster and the others here.
#include <metaflow/metaflow.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "gate.h"

namespace mf = metaflow;

struct Mixed : mf::FlowSpec<Mixed> {
  mf::Parameter<int> port{{.value = 0, .help = "The task on Batch connects to it, and waits until it is answered."}};

  std::string place;
  std::vector<std::string> places;

  void start() { note(); }

  void on_batch() {
    note();
    if (*port > 0) wait_at_gate(*port, 0);
  }

  void on_kubernetes() { note(); }

  void join(const mf::Inputs<Mixed>& inputs) {
    for (const auto& input : inputs) places.push_back(input.place);
    note();
  }

  void end() { note(); }

  static auto graph() {
    using S = Mixed;
    return mf::graph(
        mf::step<&S::start>(mf::next<&S::on_batch, &S::on_kubernetes>),
        mf::step<&S::on_batch>(mf::next<&S::join>, mf::batch{.cpu = 1, .memory = 100}),
        mf::step<&S::on_kubernetes>(mf::next<&S::join>, mf::kubernetes{.cpu = 0.1, .memory = 64, .disk = 100}),
        mf::step<&S::join>(mf::next<&S::end>), mf::step<&S::end>());
  }

 private:
  void note() {
    place = "here";
    if (std::getenv("METAFLOW_KUBERNETES_WORKLOAD") != nullptr) place = "pod";
    if (std::getenv("AWS_BATCH_JOB_ID") != nullptr) place = "job";
  }
};

int main(int argc, char** argv) { return mf::run<Mixed>(argc, argv); }
