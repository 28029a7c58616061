// A flow in Python as the native half of the front end gets it: a description that the Python half makes when it
// imports the flow's module (python/metaflow_cpp/_description.py). It is a line of JSON and the payloads of values:
//
//   {"version": 1, "name", "doc", "project", "file", "python_version": "3.11.7", "launcher": "python",
//    "command": ["/usr/bin/python3", "flow.py"],
//    "steps": [{"name", "doc", "line", "transition": "none|linear|split|foreach|choose", "targets": ["a"], "cases",
//               "variable", "join", "start": false, "end": false, "decorators": [{"name", "attributes": {}}],
//               "annotations": "[...]"}],
//    "decorators": "[{\"name\", \"attributes\"}]",
//    "parameters": [{"name", "option", "help", "type": "text|integer|real|boolean|json", "required", "default": "0.5",
//                    "class": "Parameter", "python": false,
//                    "value": {"type": "<class 'float'>", "offset": 0, "size": 21},
//                    "file": {"is_text": true, "encoding": "utf-8", "size": 1000}}],
//    "configs": [{"name", "option", "help", "value": {...}}],
//    "constants": [{"name", "class": "str", "value": {...}}],
//    "elsewhere": {"command": ["python3", "flow.py"], "directory": "/home/ada/flows", "script": "flow.py",
//                  "package": ".../metaflow_cpp", "library": ".../libmetaflow_task.so", "image": "python:3.11-slim",
//                  "configs": {...}}}
//
// The values of configs, and of parameters with "python", are final: Python has read the command line for them.
// "annotations" and the flow's "decorators" are JSON in a text: they only go to the artifact _graph_info. The configs
// of "elsewhere" are one dict of all, for the decorators of tasks on other hosts.
//
// An offset counts from the byte after the line. A payload is a pickle, as Python wrote it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <metaflow/detail/description.h>

#include "base/bytes.h"
#include "base/json.h"
#include "graph/decorators.h"

namespace metaflow::python {

/// A value that Python has pickled.
struct Pickled {
  std::string type;  // "<class 'float'>"
  std::string_view payload;
};

struct DescribedParameter {
  detail::ParameterDescription option;
  std::optional<Pickled> value;  // the default; none if the parameter is required
  bool is_final = false;         // the value is that of the run, whatever its option says
  /// Of an IncludeFile: what its artifact says about the file, {"is_text", "encoding", "size"}. The value is then the
  /// content of the file, packed by gzip.
  std::optional<base::Json> file{};
};

struct DescribedConstant {
  std::string name;
  Pickled value;
};

struct DescribedConfig {
  std::string name;    // of the artifact
  std::string option;  // --config OPTION PATH
  std::string help;
  Pickled value;
};

/// What tasks on other hosts need.
struct Elsewhere {
  std::vector<std::string> command;  // starts a process that knows `step`, in a copy of the flow's directory
  std::string directory;             // of the flow
  std::string script;                // in it
  std::string package;               // the directory of the Python package
  std::string library;               // of the task side: task_api.h
  std::string image;                 // of Docker Hub, with the same version of Python
  std::optional<Pickled> configs;    // of a flow that has some
};

/// Immutable after describe().
struct DescribedFlow {
  detail::FlowDescription flow;
  std::string launcher;              // what precedes the program in commands that users paste: "python"
  std::vector<std::string> command;  // starts a process that knows the command `step`
  std::vector<DescribedParameter> parameters;
  std::vector<DescribedConfig> configs;
  std::vector<DescribedConstant> constants;
  Elsewhere elsewhere;
  base::SharedBytes text;  // the payloads refer to it
};

/// Throws Error{invalid_flow} if the description is of another version or damaged, and the errors of a decorator that
/// is unknown or has invalid attributes.
DescribedFlow read_description(base::SharedBytes text, const graph::DecoratorTable& decorators);

/// The description in a package for other hosts. Its command is that of `elsewhere`; it has no steps.
std::string description_for_package(const DescribedFlow& flow);

}  // namespace metaflow::python
