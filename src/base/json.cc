// Parsing and formatting of JSON with nlohmann's library. (The value: json_value.cc.)
#include "base/json.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "base/text.h"

namespace metaflow::base {

namespace {

constexpr std::size_t kMaxDepth = 100;    // of parsed values: deeper ones would overflow the stack
constexpr std::size_t kManyMembers = 16;  // larger objects get an index while they are parsed

/// Builds a value from the parser's events.
class Builder : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit Builder(const Json::Taker* take) : take_(take) {}

  Json&& result() { return std::move(result_); }
  const std::string& error() const { return error_; }

  bool null() override { return add(Json()); }
  bool boolean(bool value) override { return add(Json(value)); }
  bool number_integer(std::int64_t value) override { return add(Json(value)); }
  bool number_unsigned(std::uint64_t value) override { return add(Json(value)); }
  bool number_float(double value, const std::string&) override { return add(Json(value)); }
  bool string(std::string& value) override { return add(Json(std::move(value))); }
  bool binary(nlohmann::json::binary_t&) override { return false; }
  bool start_object(std::size_t) override { return open(Json::object()); }
  bool start_array(std::size_t) override { return open(Json::list()); }
  bool key(std::string& name) override {
    levels_.back().name = std::move(name);
    return true;
  }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception& error) override {
    const std::string_view words = error.what();  // "[json.exception.parse_error.101] parse error at line 2, ..."
    const std::size_t tag = words.find("] ");
    error_ = words.substr(tag == std::string_view::npos ? 0 : tag + 2);
    return false;
  }

 private:
  struct Level {
    Json value;
    std::string name;  // name of the next member
    std::unordered_map<std::string, std::size_t> index;
  };

  bool open(Json&& container) {
    if (levels_.size() >= kMaxDepth) {
      error_ = "it is nested too deeply";
      return false;
    }
    levels_.push_back({std::move(container), {}, {}});
    return true;
  }

  bool close() {
    Json value = std::move(levels_.back().value);
    levels_.pop_back();
    const bool is_item = take_ != nullptr && levels_.size() == 2 && levels_[1].value.is_list();
    if (is_item && (*take_)(levels_[0].name, value)) return true;
    return add(std::move(value));
  }

  bool add(Json&& value) {
    if (levels_.empty()) {
      result_ = std::move(value);
      return true;
    }
    Level& level = levels_.back();
    if (level.value.is_list()) {
      level.value.push_back(std::move(value));
    } else {
      set_member(level, std::move(value));
    }
    return true;
  }

  /// Of members with the same name the last one counts.
  static void set_member(Level& level, Json&& value) {
    if (level.value.size() < kManyMembers) {
      level.value.set(level.name, std::move(value));
      return;
    }
    if (level.index.empty()) {
      for (const Json::Member& member : level.value.members()) level.index.emplace(member.name, level.index.size());
    }
    const auto [at, is_new] = level.index.emplace(level.name, level.value.size());
    if (is_new) {
      level.value.add(std::move(level.name), std::move(value));
    } else {
      level.value.members()[at->second].value = std::move(value);
    }
  }

  const Json::Taker* take_;
  std::vector<Level> levels_;
  Json result_;
  std::string error_;
};

std::optional<Json> read(std::string_view text, const Json::Taker* take, std::string* error) {
  Builder builder(take);
  const bool is_json = nlohmann::json::sax_parse(text, &builder);
  if (is_json) return builder.result();
  if (error != nullptr) *error = builder.error();
  return std::nullopt;
}

class Writer {
 public:
  explicit Writer(int indent) : indent_(indent) {}

  void write(const Json& json) {
    switch (json.kind()) {
      case Json::Kind::null: text_ += "null"; return;
      case Json::Kind::boolean: text_ += *json.boolean() ? "true" : "false"; return;
      case Json::Kind::integer: text_ += std::to_string(*json.integer()); return;
      case Json::Kind::natural: text_ += std::to_string(*json.natural()); return;
      case Json::Kind::real: real(*json.number()); return;
      case Json::Kind::text: text_ += json_quoted(json.text()); return;
      case Json::Kind::list: return container('[', ']', json.items(), [this](const Json& item) { write(item); });
      case Json::Kind::object:
        return container('{', '}', json.members(), [this](const Json::Member& member) {
          text_ += json_quoted(member.name);
          text_ += indent_ < 0 ? ":" : ": ";
          write(member.value);
        });
    }
  }

  std::string&& text() { return std::move(text_); }

 private:
  /// The shortest text that reads back as the same number; null for infinities and NaN.
  void real(double value) {
    if (!std::isfinite(value)) {
      text_ += "null";
      return;
    }
    char digits[64];
    text_.append(digits, nlohmann::detail::to_chars(digits, digits + sizeof digits, value));
  }

  template <class Range, class Each>
  void container(char first, char last, const Range& range, Each each) {
    text_ += first;
    ++level_;
    bool any = false;
    for (const auto& item : range) {
      if (std::exchange(any, true)) text_ += ',';
      line();
      each(item);
    }
    --level_;
    if (any) line();
    text_ += last;
  }

  void line() {
    if (indent_ < 0) return;
    text_ += '\n';
    text_.append(static_cast<std::size_t>(indent_) * level_, ' ');
  }

  int indent_;
  std::size_t level_ = 0;
  std::string text_;
};

}  // namespace

std::optional<Json> Json::parse(std::string_view text) { return read(text, nullptr, nullptr); }

std::optional<Json> Json::parse_object(std::string_view text) {
  auto json = parse(text);
  if (json && !json->is_object()) json.reset();
  return json;
}

Json Json::parse_or_throw(std::string_view text) {
  std::string error;
  auto json = read(text, nullptr, &error);
  if (!json) throw JsonMismatch(error);
  return std::move(*json);
}

std::optional<Json> Json::parse_object(std::string_view text, const Taker& take) {
  auto json = read(text, &take, nullptr);
  if (json && !json->is_object()) json.reset();
  return json;
}

std::string Json::dump() const {
  Writer writer(-1);
  writer.write(*this);
  return writer.text();
}

std::string Json::dump_indented(int indent) const {
  Writer writer(indent);
  writer.write(*this);
  return writer.text();
}

}  // namespace metaflow::base
