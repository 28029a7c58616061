// One event of a run, for programs: docs/events.md describes all of them.
#pragma once

#include <concepts>
#include <cstdint>
#include <iterator>
#include <span>
#include <string>
#include <string_view>

#include "base/format.h"
#include "base/text.h"

namespace metaflow::runtime {

/// The version of the events' format. It changes when a field is removed or changes its meaning. New fields and events
/// do not change it.
inline constexpr int kEventsVersion = 1;

/// A name and fields, which keep their order.
class Event {
 public:
  /// `time`: microseconds since 1970.
  Event(std::string_view name, std::int64_t time) : name_(name), time_(time) {}

  Event& add(std::string_view field, std::string_view text) { return add_json(field, base::json_quoted(text)); }
  Event& add(std::string_view field, const char* text) { return add(field, std::string_view(text)); }
  Event& add(std::string_view field, bool value) { return add_json(field, value ? "true" : "false"); }
  Event& add(std::string_view field, std::integral auto number) { return add_json(field, fmt::format("{}", number)); }
  /// Seconds, with six digits.
  Event& add(std::string_view field, double seconds) { return add_json(field, fmt::format("{:.6f}", seconds)); }
  Event& add(std::string_view field, std::span<const std::size_t> numbers) {
    return add_json(field, "[" + base::join(numbers, ", ") + "]");
  }
  /// A value that is JSON already.
  Event& add_json(std::string_view field, std::string_view json) {
    fmt::format_to(std::back_inserter(fields_), ", \"{}\": {}", field, json);
    return *this;
  }

  const std::string& name() const { return name_; }
  std::int64_t time() const { return time_; }
  /// ", "name": value" for each field.
  const std::string& fields() const { return fields_; }

 private:
  std::string name_;
  std::int64_t time_;
  std::string fields_;
};

}  // namespace metaflow::runtime
