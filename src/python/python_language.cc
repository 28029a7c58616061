#include "python/python_language.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include <metaflow/error.h>

#include "base/format.h"
#include "base/spawn.h"
#include "base/text.h"
#include "store/stored_artifact.h"
#include "value/json_value.h"

namespace metaflow::python {

namespace {

store::ArtifactRecord save(store::FlowStore& store, const std::string& name, const Pickled& value) {
  const std::array parts{std::as_bytes(std::span(value.payload))};
  return {name, store.save_value(parts), value.payload.size(), value.type};
}

/// The file of an IncludeFile, as Metaflow has it: a reference to the packed content, which is a value of the store. An
/// artifact of its own, which readers do not show, keeps the content: from there tasks read it, wherever the store is.
void save_file(store::FlowStore& store, const DescribedParameter& parameter,
               std::vector<store::ArtifactRecord>& saved) {
  const std::array parts{std::as_bytes(std::span(parameter.value->payload))};
  const std::string key = store.save_value(parts);
  const std::string scheme = store.storage().type() == "local" ? "local://" : "";
  base::Json descriptor = *parameter.file;
  descriptor.set("note", "Internal representation of IncludeFile");
  descriptor.set("type", "uploader-v2");
  descriptor.set("sub-type", "uploaded");
  descriptor.set("url", fmt::format("{}{}/{}", scheme, store.storage().root(), store.value_path(key)));
  descriptor.set("key", key);
  const base::Json state{{"_descriptor", descriptor}, {"_cached_size", base::Json()}};
  saved.push_back(store::save_value(store, parameter.option.name, [&](detail::Pickler& out) {
    out.begin_object("metaflow.includefile", "IncludedFile", 0, true);
    out.end();
    out.begin_state();
    value::encode_json(out, state);
    out.end();
  }));
  saved.back().type = parameter.value->type;
  saved.push_back(
      {"_included_" + parameter.option.name, key, descriptor.get<std::uint64_t>("size"), "<class 'bytes'>"});
}

/// The value of a parameter with a separator: its text in parts.
base::Json separated(base::Json value, const std::string& separator) {
  if (separator.empty() || !value.is_text()) return value;
  base::Json parts = base::Json::list();
  const std::string& text = value.text();
  std::size_t begin = 0;
  for (std::size_t end = 0; end != std::string::npos; begin = end + separator.size()) {
    end = text.find(separator, begin);
    parts.push_back(text.substr(begin, end == std::string::npos ? end : end - begin));
  }
  return parts;
}

}  // namespace

std::vector<detail::ParameterDescription> PythonLanguage::parameters() const {
  std::vector<detail::ParameterDescription> options;
  for (const DescribedParameter& parameter : flow_.parameters) options.push_back(parameter.option);
  return options;
}

std::vector<runtime::Language::OwnOption> PythonLanguage::own_options() const {
  if (flow_.configs.empty()) return {};
  std::vector<std::string> names;
  for (const DescribedConfig& config : flow_.configs)
    names.push_back(config.help.empty() ? config.option : fmt::format("{} ({})", config.option, config.help));
  return {
      {"--config", "NAME PATH", "Read a config from a file. Configs of this flow: " + base::join(names, ", ") + "."},
      {"--config-value", "NAME VALUE", "The text of a config."}};
}

std::vector<store::ArtifactRecord> PythonLanguage::save_parameters(store::FlowStore& store,
                                                                   std::span<const runtime::GivenValue> given) const {
  std::vector<store::ArtifactRecord> saved;
  for (const DescribedParameter& parameter : flow_.parameters) {
    const std::string& name = parameter.option.name;
    const auto value =
        std::find_if(given.begin(), given.end(), [&](const auto& each) { return each.artifact == name; });
    if (value != given.end() && !parameter.is_final) {
      const base::Json json = separated(value::json_of(*value->value), parameter.option.separator);
      saved.push_back(store::save_value(store, name, [&](detail::Pickler& out) { value::encode_json(out, json); }));
    } else if (parameter.value && parameter.file) {
      save_file(store, parameter, saved);
    } else if (parameter.value) {
      saved.push_back(save(store, name, *parameter.value));
    }
  }
  for (const DescribedConfig& config : flow_.configs) saved.push_back(save(store, config.name, config.value));
  for (const DescribedConstant& constant : flow_.constants) saved.push_back(save(store, constant.name, constant.value));
  return saved;
}

/// METAFLOW_FORK_SERVER=0 switches it off.
bool PythonLanguage::has_fork_server() const {
  const char* const setting = std::getenv("METAFLOW_FORK_SERVER");
  return setting == nullptr || std::string_view(setting) != "0";
}

/// The task is a process of Python from its first instruction (task_api.h); the engine only executes it.
int PythonLanguage::execute_task(const detail::FlowDescription& /*flow*/, const graph::DecoratorTable& /*decorators*/,
                                 const compute::StepArguments& arguments,
                                 const std::vector<std::string>& /*command*/) const {
  std::vector<std::string> words = flow_.command;
  for (std::string& word : compute::to_command_line(arguments)) words.push_back(std::move(word));
  ::execvp(words[0].c_str(), base::c_strings(words).data());
  throw Error(ErrorCode::invalid_command, fmt::format("Cannot start {}: {}", words[0], std::strerror(errno)));
}

}  // namespace metaflow::python
