// expect: metaflow: no stored value can be read as this type
// names: int*
#include <metaflow/client.h>

namespace mf = metaflow;

int* pointer_of(const mf::client::Run& run) { return run.artifact("seed").as<int*>(); }
