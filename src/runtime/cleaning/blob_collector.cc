#include "runtime/cleaning/blob_collector.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include <metaflow/error.h>

#include "base/file_tree.h"
#include "base/format.h"
#include "base/json.h"
#include "base/no_space.h"
#include "base/text.h"
#include "runtime/lease_record.h"
#include "store/foreach.h"
#include "store/local/local_storage.h"
#include "value/gzip.h"

namespace metaflow::runtime {

namespace {

using store::Listed;

constexpr std::size_t kAtOnce = 256;  // blobs that are removed between two looks at the runs

std::string record_path(const store::FlowStore& store) { return store.flow() + "/_meta/unreferenced.json"; }
std::string clock_path(const store::FlowStore& store) { return store.flow() + "/_meta/clock"; }

/// When blobs were first found without reference, by key.
using Record = std::unordered_map<std::string, std::int64_t>;

/// {"version": 1, "since": [[TIME, [KEY, ...]], ...]}. An invalid record is empty: then all blobs wait once more.
Record parse_record(std::string_view text) {
  Record record;
  const auto json = base::Json::parse_object(text);
  if (!json || (*json)["version"].integer() != 1) return record;
  for (const base::Json& group : (*json)["since"].items()) {
    const auto time = group[0].integer();
    if (!time) continue;
    for (const base::Json& key : group[1].items()) record.emplace(key.text(), *time);
  }
  return record;
}

std::string to_json(const Record& record) {
  std::map<std::int64_t, std::vector<std::string>> groups;
  for (const auto& [key, time] : record) groups[time].push_back(key);
  base::Json since = base::Json::list();
  for (auto& [time, keys] : groups) {
    std::sort(keys.begin(), keys.end());
    base::Json group = base::Json::list();
    group.push_back(time);
    group.push_back(base::Json(keys));
    since.push_back(std::move(group));
  }
  return base::Json{{"version", 1}, {"since", since}}.dump();
}

/// Whether it is a file that an IncludeFile of a flow in Python has packed, by the name in the header of gzip
/// (python/metaflow_cpp/includefile.py).
bool is_included_file(std::string_view begin) {
  constexpr std::size_t kFlags =
      3;  // RFC 1952: the fixed header has ten bytes, then comes the name, if the flags say so
  constexpr std::size_t kFixedHeader = 10;
  constexpr char kHasName = 8;
  constexpr std::string_view kName("metaflow_cpp included file\0", 27);
  return begin.size() > kFixedHeader && begin[kFlags] == kHasName && begin.substr(kFixedHeader).starts_with(kName);
}

/// Whether a blob without reference is useless: a pickle, possibly packed, separate items of a foreach, an included
/// file, or our package, of which only live runs have links, or empty. Anything else may be an archive that is referred
/// to from outside of the store.
bool is_value(std::string_view begin) {
  constexpr char kPickle = '\x80';
  constexpr std::size_t kNameLength = 100;  // of a tar header
  constexpr std::string_view kFirstOfPackage("bin/flow\0", 9);
  if (begin.empty() || begin[0] == kPickle || begin.starts_with(store::kSeparateItems)) return true;
  if (!value::is_gzip(base::as_bytes(begin))) return false;
  if (is_included_file(begin)) return true;
  const std::string unpacked = value::gunzip_begin(base::as_bytes(begin), kNameLength);
  return unpacked.starts_with(kPickle) || unpacked.starts_with(kFirstOfPackage);
}

}  // namespace

struct BlobCollector::Pass {
  const CollectOptions& options;
  StoreIndex index;
  std::unordered_set<std::string> referenced{};
  Record before{};          // of earlier passes
  Record record{};          // of this one
  std::int64_t cutoff = 0;  // younger blobs are kept
  std::vector<Listed> due{};
  CollectReport report{};
};

std::int64_t storage_time(store::FlowStore& store) {
  const std::string path = clock_path(store);
  try {
    put(store.storage(), path, "");
  } catch (const base::NoSpace&) {  // of a local store
    const std::string directory = store::path_below(store.storage().root(), store.flow());
    if (base::touch_file(directory) != base::Touched::yes) throw;
    return base::file_status(directory)->modified;
  }
  std::int64_t time = 0;
  store.storage().walk(store.flow() + "/_meta", [&](Listed&& object) {
    if (object.path == path) time = object.modified;
  });
  if (time <= 0)
    throw Error(ErrorCode::data_store, fmt::format("Cannot read the time of '{}/{}': the storage does not list it",
                                                   store.storage().root(), path));
  return time;
}

bool may_be_held(const LeaseSite& site, const std::string& flow, const std::string& run, const IndexedRun& indexed,
                 std::int64_t now, std::int64_t quiet) {
  if (indexed.last_lease < 0) return false;
  const auto text = store::get(site.storage, LeaseName{flow, run}.path(indexed.last_lease));
  if (!text) return false;
  const LeaseHolder holder = lease_from_json(text->text()).value_or(LeaseHolder());
  if (holder.released) return false;
  switch (site.processes.state_of(holder)) {
    case base::ProcessState::ended: return false;
    case base::ProcessState::unknown: return now - indexed.lease_renewed < quiet;
    default: return true;
  }
}

bool may_run_elsewhere(const IndexedRun& run, std::int64_t now) {
  return run.last_lease < 0 && !run.has_end && !run.is_removed && now - run.modified < CleaningTimes::kQuiet;
}

CollectReport BlobCollector::collect(const CollectOptions& options) {
  const std::int64_t now = options.dry_run ? site_.clock.wall_microseconds() : storage_time(store_);
  Pass pass{options, read_index(store_, now, store_.flow())};
  if (const auto text = store::get(store_.storage(), record_path(store_))) pass.before = parse_record(text->text());
  add_references(store_, pass.index, options.without, pass.referenced);
  pass.report.blobs = pass.index.blobs.size();
  restore(pass);
  keep_what_runs_may_use(pass);
  find_candidates(pass);
  remove_temporary(pass);
  for (const auto& [id, run] : pass.index.runs) {
    if (run.is_removed) pass.report.half_removed.push_back(id);
  }
  bool is_recorded = options.dry_run || write_record(pass);
  remove_due(pass);
  if (!options.dry_run && pass.report.removed > 0) is_recorded = write_record(pass);
  if (!is_recorded && pass.report.held_back.empty() && pass.report.waiting > 0)
    pass.report.held_back = "The disk is full, so it is not recorded since when they have no reference";
  return pass.report;
}

/// A live run of ours has blobs that nothing refers to yet. It wrote them, or renewed their times. A run of Python does
/// not renew the times of blobs that it reuses, so while one may be running, all blobs are kept.
void BlobCollector::keep_what_runs_may_use(Pass& pass) {
  const std::int64_t now = pass.index.now;
  std::int64_t oldest = now;
  for (const auto& [id, run] : pass.index.runs) {
    if (may_run_elsewhere(run, now)) {
      pass.report.held_back =
          fmt::format("Run {} may be running. It has no end, and it changed less than 7 days ago", id);
    }
    if (now - run.lease_renewed >= CleaningTimes::kQuiet || run.last_lease < 0) continue;
    if (may_be_held(site_, store_.flow(), id, run, now, CleaningTimes::kQuiet))
      oldest = std::min(oldest, run.began > 0 ? run.began : now);
  }
  pass.cutoff = oldest - pass.options.grace;
}

/// Files that a killed collector had set aside: those of blobs that something refers to, or that are young, are
/// restored.
void BlobCollector::restore(Pass& pass) {
  if (pass.options.dry_run) return;
  // Blobs first: a side file is needed if its blob exists.
  std::partition(pass.index.set_aside.begin(), pass.index.set_aside.end(),
                 [](const Listed& aside) { return aside.path.find(store::kSideFile) == std::string::npos; });
  for (const Listed& aside : pass.index.set_aside) {
    const std::string path = aside.path.substr(0, aside.path.size() - store::kSetAside.size());
    const bool is_side = path.ends_with(store::kSideFile);
    const std::string name = path.substr(path.rfind('/') + 1);
    const std::string key = is_side ? name.substr(0, name.size() - store::kSideFile.size()) : name;
    const auto blob = pass.index.blobs.find(key);
    const bool has_blob = blob != pass.index.blobs.end() && blob->second.modified > 0;
    const bool is_needed = is_side ? has_blob : !has_blob;
    if (is_needed && !exists(store_.storage(), path)) copy(store_.storage(), aside.path, path);
    store::remove(store_.storage(), aside.path);
    if (!is_side && !has_blob) pass.index.blobs[key] = {aside.size, pass.index.now};
  }
}

void BlobCollector::find_candidates(Pass& pass) {
  const std::int64_t now = pass.index.now;
  for (const auto& [key, blob] : pass.index.blobs) {
    if (pass.referenced.contains(key)) continue;
    const auto known = pass.before.find(key);
    const bool is_known = known != pass.before.end() && known->second <= now && blob.modified <= known->second;
    const std::int64_t since = is_known ? known->second : now;
    pass.record.emplace(key, since);
    if (since <= now - pass.options.grace && blob.modified <= pass.cutoff) {
      pass.due.push_back({store::blob_path(store_.blob_directory(), key), blob.size, blob.modified});
    } else {
      ++pass.report.waiting;
      pass.report.waiting_bytes += blob.size;
    }
  }
}

void BlobCollector::remove_temporary(Pass& pass) {
  std::vector<std::string> paths;
  for (const Listed& file : pass.index.temporary) {
    if (file.modified <= pass.cutoff) paths.push_back(file.path);
  }
  pass.report.temporary = paths.size();
  if (!pass.options.dry_run && !paths.empty()) store_.storage().remove(paths);
}

/// The blobs that are values; the others are counted as archives.
std::vector<Listed> BlobCollector::values_among(Pass& pass, std::vector<Listed> blobs) {
  constexpr std::size_t kBegin = 1024;  // enough packed bytes for the name in a tar header
  std::vector<std::string> paths;
  for (const Listed& blob : blobs) paths.push_back(blob.path);
  const auto begins = store_.storage().get_begins(paths, kBegin);
  std::vector<Listed> values;
  for (std::size_t i = 0; i < blobs.size(); ++i) {
    if (!begins[i] || is_value(begins[i]->text())) {
      values.push_back(std::move(blobs[i]));
    } else {
      ++pass.report.archives;
      pass.report.archive_bytes += blobs[i].size;
    }
  }
  return values;
}

/// A run without lease that the index does not have. It may be Python's, and be reusing a blob now.
std::string BlobCollector::new_foreign_run(const Pass& pass) {
  for (const store::Entry& entry : store_.storage().list(store_.flow())) {
    if (!entry.is_directory || !is_name(store::NameKind::run, entry.name) || pass.index.runs.contains(entry.name))
      continue;
    if (!exists(store_.storage(), LeaseName{store_.flow(), entry.name}.path(0))) return entry.name;
  }
  return {};
}

void BlobCollector::remove_due(Pass& pass) {
  CollectReport& report = pass.report;
  if (pass.due.empty()) report.held_back.clear();
  if (!report.held_back.empty()) {
    report.waiting += pass.due.size();
    for (const Listed& blob : pass.due) report.waiting_bytes += blob.size;
    return;
  }
  for (std::size_t i = 0; i < pass.due.size(); i += kAtOnce) {
    const auto end = pass.due.begin() + static_cast<std::ptrdiff_t>(std::min(i + kAtOnce, pass.due.size()));
    const std::vector<Listed> values = values_among(pass, {pass.due.begin() + static_cast<std::ptrdiff_t>(i), end});
    if (!pass.options.dry_run) {
      if (const std::string run = new_foreign_run(pass); !run.empty()) {
        report.held_back = fmt::format("Run {} has begun meanwhile", run);
        return;
      }
    }
    const std::vector<bool> gone =
        pass.options.dry_run ? std::vector<bool>(values.size(), true) : store_.storage().remove_unchanged(values);
    for (std::size_t k = 0; k < values.size(); ++k) {
      if (!gone[k]) continue;
      ++report.removed;
      report.removed_bytes += values[k].size;
      pass.record.erase(values[k].path.substr(values[k].path.rfind('/') + 1));
    }
  }
}

/// Returns false if the disk is full. Blobs that are due according to the last record can be removed nevertheless.
bool BlobCollector::write_record(const Pass& pass) {
  try {
    put(store_.storage(), record_path(store_), to_json(pass.record));
    return true;
  } catch (const base::NoSpace&) {
    return false;
  }
}

}  // namespace metaflow::runtime
