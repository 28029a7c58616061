#include "store/local/local_runs.h"

#include <algorithm>
#include <charconv>
#include <tuple>

#include "base/ascii.h"
#include "base/file_tree.h"
#include "base/files.h"
#include "base/format.h"
#include "store/journal.h"
#include "store/names.h"

namespace metaflow::store {

std::int64_t time_of_run_id(const std::string& run) {
  constexpr std::size_t kDigits = 16;  // from 2001 to 2286
  std::int64_t time = 0;
  if (run.size() != kDigits || !base::is_all_digits(run)) return 0;
  std::from_chars(run.data(), run.data() + run.size(), time);
  return time;
}

std::vector<std::string> local_runs(const std::string& local_root, const std::string& flow) {
  struct Found {
    std::int64_t time;
    std::string run;
  };
  std::vector<Found> found;
  for (std::string& name : base::list_directory(path_below(local_root, flow))) {
    if (!is_name(NameKind::run, name)) continue;
    std::int64_t time = time_of_run_id(name);
    if (time == 0) {
      const auto self = base::file_status(fmt::format("{}/{}/{}/_meta/_self.json", local_root, flow, name));
      if (self) time = self->modified;
    }
    found.push_back({time, std::move(name)});
  }
  std::sort(found.begin(), found.end(), [](const Found& a, const Found& b) {
    return std::tuple(a.time, a.run.size(), a.run) > std::tuple(b.time, b.run.size(), b.run);
  });
  std::vector<std::string> runs;
  for (Found& one : found) {
    // `latest_run` and other files of the flow are not runs; a run is a directory.
    if (one.time != 0 || base::is_directory(fmt::format("{}/{}/{}", local_root, flow, one.run)).value_or(false))
      runs.push_back(std::move(one.run));
  }
  return runs;
}

bool is_local_run(const std::string& local_root, const std::string& flow, const std::string& run) {
  return base::exists(path_below(local_root, fmt::format("{}/{}/_meta/_self.json", flow, run))) ||
         base::exists(journal_path(local_root, flow, run));
}

}  // namespace metaflow::store
