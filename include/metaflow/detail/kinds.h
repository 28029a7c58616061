// What the members of a flow can be, for all who work with flows without their types.
#pragma once

#include <cstdint>

namespace metaflow::detail {

/// What a member of a flow is to its tasks.
enum class ArtifactKind : std::uint8_t {
  plain,
  constant,   // the same in all tasks of a run
  parameter,  // a constant that the command line can set
  lazy,       // read when it is touched
  array,      // a lazy one that is a buffer of numbers
  transient,  // of one task only: not stored
};

/// How a parameter's text on the command line is read.
enum class ParameterType : std::uint8_t { text, integer, real, boolean, list, json };

}  // namespace metaflow::detail
