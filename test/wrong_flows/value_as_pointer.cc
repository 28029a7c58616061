// expect: metaflow: no stored value can be read as this type
// names: int*
#include <metaflow/metaflow.h>

namespace mf = metaflow;

int* pointer_of(const mf::Document& document) { return document.as<int*>(); }
