#include "compute/run_plan.h"

#include <map>
#include <utility>

#include <metaflow/error.h>

#include "base/format.h"
#include "base/text.h"

namespace metaflow::compute {

RunPlan::RunPlan(const Platforms& platforms, const RunSite& site, const graph::Graph& graph)
    : site_(site), graph_(graph) {
  std::map<const Platform*, std::vector<PlannedStep>> steps;
  for (const graph::Step& step : graph.steps())
    steps[&platforms.of_step(step.name, step.decorators)].push_back({step.name, &step.decorators});
  bool needs_package = false;
  for (const Platform* platform : platforms.all()) {
    const bool is_fallback = platform == &platforms.fallback();
    const std::vector<PlannedStep>& planned = steps[platform];
    if (planned.empty() && !is_fallback) continue;
    Part& part = parts_.emplace_back(Part{platform->plan(site, planned), {}});
    for (const PlannedStep& step : planned) part.steps.push_back(step.name);
    const Needs needs = part.plan->needs();
    if (needs.shared_store) check_store(*platform, part.steps.front());
    needs_package = needs_package || needs.program != Needs::Program::here;
    if (!is_fallback) remote_steps_.insert(remote_steps_.end(), part.steps.begin(), part.steps.end());
  }
  for (const Part& part : parts_) part.plan->prepare();
  if (!remote_steps_.empty() && site.read_code) code_ = site.read_code();
  if (!needs_package) return;
  std::vector<std::string> libraries = base::split(site.settings.get("PACKAGE_LIBRARIES", ""), ' ');
  std::erase(libraries, "");
  package_plan_ = plan_own_package(libraries, code_ ? &*code_ : nullptr);
}

FlowCode code_of_graph(const graph::Graph& graph, const std::string& program) {
  std::string text;
  for (const std::string& line : graph::to_text(graph)) text += line + "\n";
  const std::string script = program + ".txt";
  return {.sources = {{.name = script, .source = program, .size = text.size(), .content = std::move(text)}},
          .script = script,
          .language = "c++"};
}

void RunPlan::check_store(const Platform& platform, const std::string& step) const {
  if (site_.datastore != "local") return;
  throw Error::of_platform(
      platform.title(),
      fmt::format("The *@{}* decorator (step *{}*) requires --datastore=s3: a {} must store its results where "
                  "other hosts can read them",
                  platform.name(), step, platform.unit()),
      "Set METAFLOW_DEFAULT_DATASTORE=s3 and METAFLOW_DATASTORE_SYSROOT_S3=s3://bucket/prefix.");
}

std::unique_ptr<Router> RunPlan::make_backends(BackendSite site) {
  if (package_plan_) {
    package_ = store_package(site.store, *package_plan_);
    site.package = &package_;
  }
  auto router = std::make_unique<Router>(parts_.front().plan->make_backend(site));
  for (std::size_t i = 1; i < parts_.size(); ++i) router->add(parts_[i].plan->make_backend(site), parts_[i].steps);
  return router;
}

std::string RunPlan::store_code(store::FlowStore& store) const {
  const std::string code = make_code_archive(code_ ? *code_ : code_of_graph(graph_, site_.file_name()), site_.user);
  const std::span<const std::byte> bytes = base::as_bytes(code);
  const std::string key = store.save_value(store::Pieces(&bytes, 1));
  store.storage().settle();  // the loop must not wait for it later
  return code_package_field(store.storage().type(), key,
                            store.storage().root() + "/" + store::blob_path(store.blob_directory(), key));
}

}  // namespace metaflow::compute
