// The other files of a store, which Python, another version or a disk failure may have written.
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/settings.h"
#include "base/text.h"
#include "readers.h"
#include "runtime/lease.h"
#include "runtime/summary.h"
#include "store/journal.h"
#include "store/local/local_metadata.h"
#include "store/local/local_storage.h"
#include "store/mflog.h"
#include "store/task_data.h"
#include "value/gzip.h"

namespace metaflow::fuzz {

namespace {

/// A directory of this process, for readers that want files.
class Directory {
 public:
  Directory() {
    std::string pattern = std::filesystem::temp_directory_path() / "metaflow-fuzz-XXXXXX";
    require(::mkdtemp(pattern.data()) != nullptr, "a directory can be made");
    path_ = pattern;
  }
  ~Directory() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }
  void write(const std::string& name, std::string_view content) const {
    std::ofstream(path_ + "/" + name, std::ios::binary) << content;
  }

 private:
  std::string path_;
};

}  // namespace

void take_gzip(std::string_view input) {
  const base::SharedBytes packed{std::string(input)};
  if (!value::is_gzip(packed.bytes())) return;
  succeeds({ErrorCode::data_store}, [&] {
    constexpr std::uint64_t kMost = 1 << 20;
    require(value::gunzip(packed, kMost).size() <= kMost, "no more is unpacked than is allowed");
  });
}

void take_log(std::string_view input) {
  const std::size_t half = input.size() / 2;
  const auto lines = store::merge_logs({input.substr(0, half), input.substr(half)});
  std::size_t size = 0;
  for (const store::LogLine& line : lines) {
    size += line.text.size();
    (void)store::microseconds_of_log_time(line.time);
  }
  require(size <= input.size(), "no text appears twice");
  const std::string line = store::format_log_line(1'700'000'000'123'456, "task", input.substr(0, input.find('\n')));
  const store::LogLine again = store::parse_log_line(std::string_view(line).substr(0, line.size() - 1));
  require(again.text == input.substr(0, input.find('\n')) && again.source == "task", "a line is read as written");
  require(store::microseconds_of_log_time(again.time) == 1'700'000'000'123'456, "its time, too");
}

void take_data_json(std::string_view input) {
  store::TaskData data;
  if (!succeeds({ErrorCode::data_store}, [&] { data = store::task_data_from_json(input, "1/start/1/0.data.json"); }))
    return;
  for (const auto& artifact : data.artifacts) {
    require(store::is_name(store::NameKind::artifact, artifact.name), "the name of an artifact is one");
    require(store::is_name(store::NameKind::key, artifact.key), "a key is one");
    require(data.find(artifact.name) != nullptr, "artifacts are found");
  }
}

void take_metadata(std::string_view input) {
  static const Directory directory;
  static const store::TaskRef task{"1", "start", "2"};
  static const std::vector<std::string> files = [] {
    const std::string meta = "Flow/1/start/2/_meta";
    base::make_directories(directory.path() + "/" + meta);
    base::make_directories(directory.path() + "/Flow/1/_meta");
    return std::vector<std::string>{"Flow/1/_meta/_self.json", meta + "/_self.json",
                                    meta + "/sysmeta_attempt-done_1.json", meta + "/0_artifact_x.json"};
  }();
  for (const std::string& file : files) directory.write(file, input);
  store::LocalMetadataReader reader(directory.path());
  auto look = [](auto what) { succeeds({ErrorCode::data_store}, what); };
  look([&] { (void)reader.run("Flow", "1"); });
  look([&] { (void)reader.tasks("Flow", "1", "start"); });
  look([&] { (void)reader.fields("Flow", task); });
  look([&] { (void)reader.artifacts("Flow", task, -1); });
  look([&] { (void)reader.artifacts("Flow", task, 0); });
  succeeds({ErrorCode::data_store, ErrorCode::tagging}, [&] { (void)reader.edit_tags("Flow", "1", {"new"}, {"old"}); });
}

void take_journal(std::string_view input) {
  static const Directory directory;
  directory.write("journal.jsonl", input);
  const auto history = store::read_journal(directory.path() + "/journal.jsonl", "1");
  require(history.has_value(), "there is a journal");
  for (const auto& attempt : history->attempts) require(attempt.task.run == "1", "its attempts are of the run");
  (void)store::parse_private_with(input);
  (void)runtime::summarise(*history, {"start", "work"});
  // What is written behind it is read, if it ends with a whole line.
  if (!input.empty() && !input.ends_with('\n')) return;
  base::SystemClock clock;
  store::Journal more(directory.path() + "/journal.jsonl", clock);
  more.cloned(1, {"1", "work", "2"}, {"0", "work", "3"});
  more.flush();
  const auto again = store::read_journal(directory.path() + "/journal.jsonl", "1");
  require(again->clones.size() == history->clones.size() + 1, "an event is read as written");
}

void take_lease(std::string_view input) {
  static const Directory directory;
  base::SystemClock clock;
  base::make_directories(directory.path() + "/Flow/1/_meta");
  directory.write("Flow/1/_meta/lease_execute.0.json", input);
  store::LocalStorage storage(directory.path());
  const runtime::LeaseSite site{storage, clock};
  const runtime::LeaseName name{"Flow", "1"};
  const auto holder = runtime::lease_holder(site, name);
  runtime::LeaseWatch watch(site, name);
  const auto view = watch.look();
  require(holder.has_value() == (view.state != runtime::LeaseWatch::State::free), "who holds it is seen to hold it");
  if (holder) {
    (void)holder->name();
    succeeds({ErrorCode::invalid_command}, [&] { runtime::refuse_lease(watch, view); });
  }
}

void take_settings(std::string_view input) {
  static const Directory directory;
  static const bool set = ::setenv("METAFLOW_HOME", directory.path().c_str(), 1) == 0;
  require(set, "the environment can be set");
  directory.write("config.json", input);
  succeeds({ErrorCode::invalid_command}, [&] {
    const base::Settings settings;
    (void)settings.get("DEFAULT_DATASTORE", "local");
    bool is_new = false;
    (void)base::local_root(settings, is_new);
  });
  directory.write("config.json", "{}");  // other readers have settings, too
}

}  // namespace metaflow::fuzz
