// expect: metaflow: mf::run needs a flow: mf::run<Sweep>(argc, argv)
// names: no_flow
#include <metaflow/metaflow.h>

int main(int argc, char** argv) { return metaflow::run<>(argc, argv); }
