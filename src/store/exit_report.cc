#include "store/exit_report.h"

#include <algorithm>
#include <iterator>

#include <metaflow/error.h>

#include "base/format.h"
#include "base/json.h"
#include "base/text.h"

namespace metaflow::store {

using base::Json;

namespace {

constexpr const char* kStages[] = {"bootstrap", "step", "commit"};

}  // namespace

std::string to_json(const ExitReport& report) {
  return Json{{"began", report.began},
              {"cause", report.cause},
              {"committed", report.committed},
              {"cpu", report.usage.cpu_seconds},
              {"ended", report.ended},
              {"exit_code", report.exit_code},
              {"exited", report.exited},
              {"mem", report.usage.peak_memory},
              {"oom_kills", report.oom_kills},
              {"rd", report.usage.read},
              {"signal", report.signal},
              {"stage", kStages[static_cast<std::size_t>(report.stage)]},
              {"stopped_by", report.stopped_by},
              {"timed_out", report.timed_out},
              {"version", 1},
              {"wr", report.usage.written}}
      .dump();
}

ExitReport exit_report_from_json(std::string_view text, std::string_view path) {
  const auto damaged = [&](std::string_view why) {
    return Error(ErrorCode::data_store, fmt::format("'{}' is damaged: {}", path, why));
  };
  ExitReport report;
  try {
    const Json json = Json::parse_or_throw(text);
    const auto stage = json.get<std::string>("stage");
    const auto* const known = std::find(std::begin(kStages), std::end(kStages), stage);
    if (known == std::end(kStages)) throw damaged("unknown stage '" + stage + "'");
    report.stage = static_cast<Stage>(known - std::begin(kStages));
    report.committed = json.get<bool>("committed");
    report.exited = json.get<bool>("exited");
    report.exit_code = json.get<int>("exit_code");
    report.signal = json.get<int>("signal");
    report.timed_out = json.get("timed_out", false);
    report.stopped_by = json.get("stopped_by", 0);
    report.oom_kills = json.get("oom_kills", std::uint64_t{0});
    report.cause = json.get("cause", "");
    report.usage = {json.get("mem", std::uint64_t{0}), json.get("cpu", 0.0), json.get("rd", std::uint64_t{0}),
                    json.get("wr", std::uint64_t{0})};
    report.began = json.get("began", std::int64_t{0});
    report.ended = json.get("ended", std::int64_t{0});
  } catch (const base::JsonMismatch& error) {
    throw damaged(error.what());
  }
  return report;
}

}  // namespace metaflow::store
