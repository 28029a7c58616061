// The kinds of members of a flow, for code that handles flows without their types.
#pragma once

#include <cstdint>

namespace metaflow::detail {

/// The role of a member of a flow in its tasks.
enum class ArtifactKind : std::uint8_t {
  plain,
  constant,   // the same in all tasks of a run
  parameter,  // a constant that the command line can set
  lazy,       // read on first use
  array,      // lazy, a buffer of numbers
  transient,  // private to a task: not stored
};

/// The syntax of a parameter's value on the command line.
enum class ParameterType : std::uint8_t { text, integer, real, boolean, list, json };

}  // namespace metaflow::detail
