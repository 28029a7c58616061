#include "store/exit_report.h"

#include <algorithm>
#include <iterator>

#include <metaflow/error.h>

#include "base/format.h"
#include "base/json.h"
#include "base/text.h"

namespace metaflow::store {

using Json = nlohmann::json;

namespace {

constexpr const char* kStages[] = {"bootstrap", "step", "commit"};

}  // namespace

std::string to_json(const ExitReport& report) {
  return Json{{"version", 1},
              {"stage", kStages[static_cast<std::size_t>(report.stage)]},
              {"committed", report.committed},
              {"exited", report.exited},
              {"exit_code", report.exit_code},
              {"signal", report.signal},
              {"timed_out", report.timed_out},
              {"stopped_by", report.stopped_by},
              {"oom_kills", report.oom_kills},
              {"cause", report.cause},
              {"mem", report.usage.peak_memory},
              {"cpu", report.usage.cpu_seconds},
              {"rd", report.usage.read},
              {"wr", report.usage.written},
              {"began", report.began},
              {"ended", report.ended}}
      .dump(-1, ' ', false, Json::error_handler_t::replace);
}

ExitReport exit_report_from_json(std::string_view text, std::string_view path) {
  const auto damaged = [&](std::string_view why) {
    return Error(ErrorCode::data_store, fmt::format("'{}' is damaged: {}", path, why));
  };
  if (base::is_deep_json(text)) throw damaged("it is nested too deeply");
  ExitReport report;
  try {
    const Json json = Json::parse(text);
    const std::string stage = json.at("stage").get<std::string>();
    const auto* const known = std::find(std::begin(kStages), std::end(kStages), stage);
    if (known == std::end(kStages)) throw damaged("there is no stage '" + stage + "'");
    report.stage = static_cast<Stage>(known - std::begin(kStages));
    report.committed = json.at("committed").get<bool>();
    report.exited = json.at("exited").get<bool>();
    report.exit_code = base::whole_number<int>(json.at("exit_code"));
    report.signal = base::whole_number<int>(json.at("signal"));
    report.timed_out = json.value("timed_out", false);
    report.stopped_by = base::whole_number(json, "stopped_by", 0);
    report.oom_kills = base::whole_number(json, "oom_kills", std::uint64_t{0});
    report.cause = json.value("cause", "");
    report.usage = {base::whole_number(json, "mem", std::uint64_t{0}), json.value("cpu", 0.0),
                    base::whole_number(json, "rd", std::uint64_t{0}), base::whole_number(json, "wr", std::uint64_t{0})};
    report.began = base::whole_number(json, "began", std::int64_t{0});
    report.ended = base::whole_number(json, "ended", std::int64_t{0});
  } catch (const nlohmann::json::exception& error) {
    throw damaged(error.what());
  }
  return report;
}

}  // namespace metaflow::store
