#include "python/s3_api.h"

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <metaflow/error.h>

#include "base/json.h"
#include "base/settings.h"
#include "net/plain_http.h"
#include "python/c_errors.h"
#include "store/s3/s3_objects.h"

using metaflow::base::Json;
using metaflow::python::guarded;
namespace net = metaflow::net;
namespace store = metaflow::store;

struct metaflow_s3 {
  metaflow_s3() : config(net::variables_of(settings)), objects(store::s3_options(settings, config), config) {}

  metaflow::base::Settings settings;
  net::AwsConfig config;
  store::S3Objects objects;
  std::string text;  // of the last answer
};

namespace {

store::S3Operation read_operation(const Json& json, std::size_t index, const metaflow_bytes* contents,
                                  std::size_t count) {
  const std::string& kind = json[0].text();
  store::S3Operation operation{json[1].text(), json[2].text(), store::S3Head{}};
  if (kind == "get") {
    const std::uint64_t size = json[5].natural().value_or(0);
    operation.what = store::S3Get{.file = json[3].text(),
                                  .begin = json[4].natural().value_or(0),
                                  .size = size == 0 ? net::kUnlimited : size,
                                  .last = json[6].natural().value_or(0)};
  } else if (kind == "list") {
    operation.what = store::S3List{json[3].boolean().value_or(true)};
  } else if (kind == "put") {
    store::S3Put put{.file = json[3].text(),
                     .content_type = json[4].text(),
                     .encryption = json[5].text(),
                     .user_attributes = json[6].text(),
                     .overwrite = json[7].boolean().value_or(true)};
    if (put.file.empty() && index < count)
      put.content = {static_cast<const std::byte*>(contents[index].data), contents[index].size};
    operation.what = std::move(put);
  }
  return operation;
}

const char* name_of(store::S3Status status) {
  switch (status) {
    case store::S3Status::ok: return "ok";
    case store::S3Status::missing: return "missing";
    case store::S3Status::denied: return "denied";
    case store::S3Status::invalid_range: return "invalid_range";
    case store::S3Status::exists: return "exists";
    case store::S3Status::disk_full: return "disk_full";
  }
  return "";
}

Json json_of(const store::S3Result& result) {
  Json::List json{name_of(result.status)};
  if (!result.error.empty()) {
    json.emplace_back(result.error);
  } else if (result.status == store::S3Status::ok) {
    const store::S3Info& info = result.info;
    json.insert(json.end(), {info.size, info.content_type, info.encryption, info.user_attributes, info.modified,
                             result.begin, result.size});
  }
  return json;
}

Json json_of(const std::vector<store::S3Listed>& listed) {
  Json::List rows;
  rows.reserve(listed.size());
  for (const auto& each : listed)
    rows.push_back(Json::List{each.key, each.is_prefix ? Json(nullptr) : Json(each.size)});
  return Json::List{"ok", std::move(rows)};
}

}  // namespace

metaflow_s3* metaflow_s3_open(void) {
  return guarded(static_cast<metaflow_s3*>(nullptr), [] { return std::make_unique<metaflow_s3>().release(); });
}

void metaflow_s3_close(metaflow_s3* s3) { delete s3; }

const char* metaflow_s3_settings(metaflow_s3* s3) {
  return guarded(static_cast<const char*>(nullptr), [&] {
    const Json json{{"root", store::data_root(s3->settings)},
                    {"encryption", s3->settings.get("S3_SERVER_SIDE_ENCRYPTION", "")},
                    {"directory", s3->settings.get("TEMPDIR", ".")}};
    s3->text = json.dump();
    return s3->text.c_str();
  });
}

int metaflow_s3_start(metaflow_s3* s3, const char* operations, const metaflow_bytes* contents, size_t count) {
  return guarded(-1, [&] {
    std::vector<store::S3Operation> all;
    const Json json = Json::parse_or_throw(operations);
    for (const Json& each : json.items()) all.push_back(read_operation(each, all.size(), contents, count));
    s3->objects.start(std::move(all));
    return 0;
  });
}

int metaflow_s3_wait(metaflow_s3* s3, int milliseconds) {
  return guarded(-1, [&] { return s3->objects.finish_within(std::chrono::milliseconds(milliseconds)) ? 1 : 0; });
}

const char* metaflow_s3_results(metaflow_s3* s3) {
  return guarded(static_cast<const char*>(nullptr), [&] {
    Json::List results;
    for (std::size_t i = 0; i < s3->objects.results().size(); ++i) {
      const store::S3Result& result = s3->objects.results()[i];
      const bool is_list = std::holds_alternative<store::S3List>(s3->objects.operations()[i].what);
      results.push_back(is_list && result.error.empty() ? json_of(result.listed) : json_of(result));
    }
    s3->text = Json(std::move(results)).dump();
    return s3->text.c_str();
  });
}

void metaflow_s3_cancel(metaflow_s3* s3) {
  guarded(0, [&] {
    s3->objects.cancel();
    return 0;
  });
}
