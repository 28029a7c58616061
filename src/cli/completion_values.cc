// The values that completion finds: runs, steps and tasks. Only the local store is read: a shell waits for the answer.
#include <algorithm>
#include <charconv>

#include <metaflow/error.h>

#include "base/files.h"
#include "base/text.h"
#include "cli/completion.h"
#include "store/local/latest_run.h"
#include "store/names.h"

namespace metaflow::cli {

namespace {

constexpr std::size_t kMostValues = 50;

class Values {
 public:
  explicit Values(Context& context) : context_(context) {}

  std::vector<Candidate> find(ValueKind kind, const std::string& word) {
    switch (kind) {
      case ValueKind::run: return runs("");
      case ValueKind::step: return steps("", "");
      case ValueKind::step_or_task:
      case ValueKind::task: return tasks(word, kind == ValueKind::task ? "/" : "");
      case ValueKind::decorator: return decorators(word);
      case ValueKind::other:
      case ValueKind::file:
      case ValueKind::directory:
      case ValueKind::command: break;
    }
    return {};
  }

 private:
  std::string directory() { return context_.local_root() + "/" + context_.flow.name; }

  /// The newest first.
  std::vector<std::string> names_in(const std::string& directory, store::NameKind kind) {
    std::vector<std::string> names;
    for (std::string& name : base::list_directory(directory)) {
      if (is_name(kind, name) && name[0] != '_' && base::is_directory(directory + "/" + name).value_or(false))
        names.push_back(std::move(name));
    }
    std::sort(names.begin(), names.end(), [](const std::string& a, const std::string& b) {
      return a.size() != b.size() ? a.size() > b.size() : a > b;  // most are numbers
    });
    names.resize(std::min(names.size(), kMostValues));
    return names;
  }

  std::vector<Candidate> runs(const std::string& end) {
    std::vector<Candidate> found;
    if (store::latest_run(context_.local_root(), context_.flow.name))
      found.push_back({"latest" + end, "The run that was started last."});
    for (const std::string& run : names_in(directory(), store::NameKind::run)) found.push_back({run + end});
    return found;
  }

  std::vector<Candidate> steps(const std::string& prefix, const std::string& end) {
    std::vector<Candidate> found;
    for (const detail::StepDescription& step : context_.flow.steps)
      found.push_back({prefix + step.name + end, step.doc});
    return found;
  }

  std::vector<Candidate> tasks(const std::string& word, const std::string& end_of_step) {
    const std::vector<std::string> parts = base::split(word, '/');
    if (parts.size() < 2) return runs("/");
    std::string run = parts[0];
    if (run == "latest") run = store::latest_run(context_.local_root(), context_.flow.name).value_or("");
    if (!is_name(store::NameKind::run, run)) return {};
    if (parts.size() == 2) return steps(parts[0] + "/", end_of_step);
    if (parts.size() > 3 || !is_name(store::NameKind::step, parts[1])) return {};
    std::vector<Candidate> found;
    for (const std::string& task : names_in(directory() + "/" + run + "/" + parts[1], store::NameKind::task))
      found.push_back({parts[0] + "/" + parts[1] + "/" + task});
    return found;
  }

  /// "kubernetes", then "kubernetes:cpu=", then "kubernetes:cpu=2,memory=".
  std::vector<Candidate> decorators(const std::string& word) {
    std::vector<Candidate> found;
    const std::size_t colon = word.find(':');
    const std::string name = word.substr(0, colon);
    for (const graph::DecoratorKind* kind : context_.platforms.decorators().kinds()) {
      if (colon == std::string::npos) found.push_back({kind->name});
      if (colon == std::string::npos || kind->name != name) continue;
      const std::string begun = word.substr(0, word.find_last_of(":,") + 1);
      const graph::Json defaults = kind->defaults();
      for (const auto& [attribute, value] : defaults.members()) found.push_back({begun + attribute + "="});
    }
    return found;
  }

  Context& context_;
};

}  // namespace

FindValues values_of_flow(Context& context) {
  return [&context](ValueKind kind, const std::string& word) -> std::vector<Candidate> {
    try {
      return Values(context).find(kind, word);
    } catch (const Error&) {  // a store that cannot be read: no candidates
      return {};
    }
  };
}

}  // namespace metaflow::cli
