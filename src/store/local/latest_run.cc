#include "store/local/latest_run.h"

#include "base/file_tree.h"
#include "base/files.h"
#include "base/format.h"
#include "base/plain_file.h"
#include "base/text.h"
#include "store/names.h"

namespace metaflow::store {

namespace {

std::string path_of(const std::string& local_root, const std::string& flow) {
  return path_below(local_root, flow + "/latest_run");
}

}  // namespace

std::optional<std::string> latest_run(const std::string& local_root, const std::string& flow) {
  const std::string path = path_of(local_root, flow);
  const auto text = base::read_plain_file(path, base::kMaxRecordSize);
  if (!text || base::trim(text->text()).empty()) return std::nullopt;
  std::string run(base::trim(text->text()));
  check_name(NameKind::run, run, fmt::format("'{}'", path));
  return run;
}

void set_latest_run(const std::string& local_root, const std::string& flow, const std::string& run) {
  base::replace_file(path_of(local_root, flow), run);
}

void remove_latest_run(const std::string& local_root, const std::string& flow) {
  base::FileTree(local_root).remove_file(flow + "/latest_run");
}

}  // namespace metaflow::store
