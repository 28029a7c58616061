#include "runtime/cleaning/run_remover.h"

#include <algorithm>
#include <span>

#include <metaflow/error.h>

#include "base/file_tree.h"
#include "base/files.h"
#include "base/format.h"
#include "base/json.h"
#include "base/no_space.h"
#include "base/text.h"
#include "runtime/lease_record.h"
#include "store/journal.h"
#include "store/local/latest_run.h"
#include "store/local/local_runs.h"
#include "store/names.h"

namespace metaflow::runtime {

namespace {

std::string cloning_path(const store::FlowStore& store, const std::string& run) {
  return store.run_path(run) + "/_meta/cloning.json";
}

}  // namespace

IndexedRun RunRemover::examine(const std::string& run) const {
  if (!not_a_directory(run).empty()) return {};
  StoreIndex index = read_index(site_.store, 0, site_.store.run_path(run));
  return std::move(index.runs[run]);
}

std::string RunRemover::obstacle(const std::string& run, const IndexedRun& indexed, std::int64_t now,
                                 bool force) const {
  if (const std::string other = not_a_directory(run); !other.empty()) return other;
  if (may_be_held(site_.leases, site_.store.flow(), run, indexed, now, CleaningTimes::kGrace)) {
    const auto text = store::get(site_.leases.storage, LeaseName{site_.store.flow(), run}.path(indexed.last_lease));
    const LeaseHolder holder = text ? lease_from_json(text->text()).value_or(LeaseHolder()) : LeaseHolder();
    if (holder.run == run) return fmt::format("being executed by {}", holder.name());
    if (holder.run.empty()) return fmt::format("being resumed or removed by {}", holder.name());
    return fmt::format("being resumed by {}, as run {}", holder.name(), holder.run);
  }
  if (!force && may_run_elsewhere(indexed, now))
    return "a run of Python that may be running: it has no end, and it changed less than 7 days ago";
  return {};
}

/// A link in place of the directory of a run may lead out of the store. Nothing is written or removed through it.
std::string RunRemover::not_a_directory(const std::string& run) const {
  const store::Storage& storage = site_.store.storage();
  for (const std::string& root : {site_.local_root, storage.type() == "local" ? storage.root() : std::string()}) {
    if (root.empty()) continue;
    const std::string path = store::path_below(root, site_.store.run_path(run));
    const auto status = base::file_status(path);
    if (status && !status->is_directory) return fmt::format("not a directory, but a link or a file: {}", path);
  }
  return {};
}

/// The origin that the fields of a task record. Metaflow in Python writes "None" for other runs.
std::string RunRemover::recorded_origin(const std::string& run) const {
  const std::string& flow = site_.store.flow();
  for (const store::ObjectInfo& task : site_.metadata.tasks(flow, run, "start")) {
    for (const store::FieldInfo& field : site_.metadata.fields(flow, {run, "start", task.id})) {
      if (field.name == "origin-run-id" && field.value != "None" && is_name(store::NameKind::run, field.value))
        return field.value;
    }
  }
  return {};
}

std::map<std::string, std::string> RunRemover::origins(const std::vector<std::string>& runs) const {
  constexpr std::size_t kAtOnce = 500;
  std::map<std::string, std::string> origins;
  for (std::size_t first = 0; first < runs.size(); first += kAtOnce) {
    const auto some = std::span(runs).subspan(first, std::min(kAtOnce, runs.size() - first));
    std::vector<std::string> paths;
    for (const std::string& run : some) paths.push_back(cloning_path(site_.store, run));
    const auto texts = site_.store.storage().get(paths);
    for (std::size_t i = 0; i < some.size(); ++i) {
      std::string origin;
      if (texts[i]) {
        origin = base::Json::parse_object(texts[i]->text()).value_or(base::Json())["origin"].text();
      } else if (site_.local_root.empty() ||
                 !base::exists(store::journal_path(site_.local_root, site_.store.flow(), some[i]))) {
        origin = recorded_origin(some[i]);
      }
      if (is_name(store::NameKind::run, origin)) origins.emplace(some[i], std::move(origin));
    }
  }
  return origins;
}

void RunRemover::replace_latest(const std::string& run) const {
  const std::string& flow = site_.store.flow();
  if (store::latest_run(site_.local_root, flow) != run) return;
  for (const std::string& other : store::local_runs(site_.local_root, flow)) {
    if (other == run || !store::is_local_run(site_.local_root, flow, other)) continue;
    return store::set_latest_run(site_.local_root, flow, other);
  }
  store::remove_latest_run(site_.local_root, flow);
}

/// The removal writes some small files, which a full disk refuses. Then files of the run that no other command requires
/// are removed first.
void RunRemover::with_room(const std::string& run, const std::function<void()>& write) const {
  try {
    return write();
  } catch (const base::NoSpace& error) {
    store::Storage& storage = site_.store.storage();
    std::vector<std::string> files;
    storage.walk(site_.store.run_path(run), [&](store::Listed&& object) {
      if (object.path.ends_with(".log")) files.push_back(std::move(object.path));
    });
    storage.remove(files);
    const bool had_journal =
        !site_.local_root.empty() &&
        base::FileTree(site_.local_root).remove_file(site_.store.run_path(run) + "/_meta/journal.jsonl");
    if (files.empty() && !had_journal)
      throw Error(error.code(), error.message(), "The removal writes some small files. Free a little space for them.");
  }
  write();
}

void RunRemover::remove(const std::string& run) const {
  store::FlowStore& store = site_.store;
  store::Storage& storage = store.storage();
  // A `resume` of this run is refused from now on.
  LeaseWatch watch(site_.leases, {store.flow(), run});
  const auto how = watch.look().state == LeaseWatch::State::free ? Lease::Taking::if_free : Lease::Taking::at_once;
  std::shared_ptr<Lease> lease;
  with_room(run, [&] { lease = Lease::take(watch, site_.user, "", how); });
  const std::string mark = fmt::format("{}/{}", store.run_path(run), store::kRemovedMark);
  with_room(run, [&] { put(storage, mark, base::Json{{"version", 1}, {"user", site_.user}}.dump()); });
  if (!site_.local_root.empty()) {
    const base::FileTree local(site_.local_root);
    with_room(run, [&] { replace_latest(run); });
    local.remove_file(store.run_path(run) + "/_meta/_self.json");
    local.remove_file(store.run_path(run) + "/_meta/journal.jsonl");
    const bool is_in_store = storage.type() == "local" && storage.root() == site_.local_root;
    if (!is_in_store) local.remove_tree(store.run_path(run));
  }
  for (const store::Entry& entry : storage.list(store.run_path(run))) {
    const std::string path = fmt::format("{}/{}", store.run_path(run), entry.name);
    if (path != mark && is_ordinary_path(path)) storage.remove_tree(path);
  }
  std::vector<std::string> files;
  storage.walk(store.run_path(run), [&](store::Listed&& object) {
    if (object.path != mark && is_ordinary_path(object.path)) files.push_back(std::move(object.path));
  });
  storage.remove(files);
  storage.remove_tree(store.run_path(run));  // the mark, and objects that are not ours
}

}  // namespace metaflow::runtime
