// JSON values: construction, comparison, access and changes. (Their text: json.cc.)
#include <algorithm>
#include <utility>

#include "base/json.h"
#include "base/text.h"

namespace metaflow::base {

namespace {

const Json kNull;
const std::string kNoText;

/// "'stage'", or a substitute for a value without a name.
std::string quoted(std::string_view name) { return name.empty() ? "a value" : "'" + std::string(name) + "'"; }

[[noreturn]] void mismatch(std::string_view name, std::string_view words) {
  throw JsonMismatch(quoted(name) + " " + std::string(words));
}

}  // namespace

// --- construction and destruction

Json::Json(std::string value) : kind_(Kind::text), text_(new std::string(std::move(value))) {}
Json::Json(List list) : kind_(Kind::list), list_(new List(std::move(list))) {}
Json::Json(Object object) : kind_(Kind::object), object_(new Object(std::move(object))) {}
Json::Json(const std::vector<std::string>& texts) : Json(List(texts.begin(), texts.end())) {}
Json::Json(const std::map<std::string, std::string>& members) : Json(Object()) {
  for (const auto& [name, value] : members) object_->push_back({name, Json(value)});
}

Json::Json(std::initializer_list<Json> parts) {
  const bool is_object = std::all_of(parts.begin(), parts.end(), [](const Json& part) {
    return part.is_list() && part.list_->size() == 2 && part.list_->front().is_text();
  });
  if (!is_object) {
    *this = Json(List(parts));
    return;
  }
  *this = object();
  object_->reserve(parts.size());
  for (const Json& part : parts) object_->push_back({part.list_->front().text(), part.list_->back()});
}

Json Json::list(std::initializer_list<Json> items) { return Json(List(items)); }
Json Json::object() { return Json(Object()); }

Json::Json(const Json& other) : kind_(other.kind_), natural_(other.natural_) {
  switch (kind_) {
    case Kind::text: text_ = new std::string(*other.text_); break;
    case Kind::list: list_ = new List(*other.list_); break;
    case Kind::object: object_ = new Object(*other.object_); break;
    default: break;
  }
}

Json& Json::operator=(Json other) noexcept {
  std::swap(kind_, other.kind_);
  std::swap(natural_, other.natural_);  // all of the union
  return *this;
}

void Json::destroy() {
  switch (kind_) {
    case Kind::text: delete text_; break;
    case Kind::list: delete list_; break;
    case Kind::object: delete object_; break;
    default: break;
  }
}

bool Json::operator==(const Json& other) const {
  if (is_number() && other.is_number() && kind_ != other.kind_) {
    if (kind_ == Kind::real || other.kind_ == Kind::real) return number() == other.number();
    return integer() && integer() == other.integer();
  }
  if (kind_ != other.kind_) return false;
  switch (kind_) {
    case Kind::null: return true;
    case Kind::boolean: return boolean_ == other.boolean_;
    case Kind::integer: return integer_ == other.integer_;
    case Kind::natural: return natural_ == other.natural_;
    case Kind::real: return real_ == other.real_;
    case Kind::text: return *text_ == *other.text_;
    case Kind::list: return *list_ == *other.list_;
    case Kind::object: return *object_ == *other.object_;
  }
  return false;
}

Json Json::sorted() const {
  if (is_list()) {
    List list;
    for (const Json& item : *list_) list.push_back(item.sorted());
    return list;
  }
  if (!is_object()) return *this;
  Object object;
  for (const Member& member : *object_) object.push_back({member.name, member.value.sorted()});
  std::stable_sort(object.begin(), object.end(), [](const Member& a, const Member& b) { return a.name < b.name; });
  return object;
}

// --- reading optional values

const Json* Json::find(std::string_view name) const {
  for (const Member& member : members()) {
    if (member.name == name) return &member.value;
  }
  return nullptr;
}

Json* Json::find(std::string_view name) { return const_cast<Json*>(std::as_const(*this).find(name)); }

const Json& Json::operator[](std::string_view name) const {
  const Json* member = find(name);
  return member == nullptr ? kNull : *member;
}

const Json& Json::operator[](std::size_t index) const { return index < items().size() ? items()[index] : kNull; }

const Json& Json::operator[](std::initializer_list<std::string_view> path) const {
  const Json* at = this;
  for (const std::string_view name : path) at = &(*at)[name];
  return *at;
}

std::span<const Json> Json::items() const {
  return is_list() ? std::span<const Json>(*list_) : std::span<const Json>();
}
std::span<Json> Json::items() { return is_list() ? std::span<Json>(*list_) : std::span<Json>(); }
std::span<const Json::Member> Json::members() const {
  return is_object() ? std::span<const Member>(*object_) : std::span<const Member>();
}
std::span<Json::Member> Json::members() { return is_object() ? std::span<Member>(*object_) : std::span<Member>(); }

const std::string& Json::text() const { return is_text() ? *text_ : kNoText; }
std::string Json::text_or(std::string_view otherwise) const { return is_text() ? *text_ : std::string(otherwise); }
std::optional<bool> Json::boolean() const { return is_boolean() ? std::optional(boolean_) : std::nullopt; }

std::optional<std::int64_t> Json::integer() const {
  if (kind_ == Kind::integer) return integer_;
  if (kind_ == Kind::natural && natural_ <= INT64_MAX) return static_cast<std::int64_t>(natural_);
  return std::nullopt;
}

std::optional<std::uint64_t> Json::natural() const {
  if (kind_ == Kind::natural) return natural_;
  if (kind_ == Kind::integer && integer_ >= 0) return static_cast<std::uint64_t>(integer_);
  return std::nullopt;
}

std::optional<double> Json::number() const {
  switch (kind_) {
    case Kind::integer: return static_cast<double>(integer_);
    case Kind::natural: return static_cast<double>(natural_);
    case Kind::real: return real_;
    default: return std::nullopt;
  }
}

std::vector<std::string> Json::texts() const {
  std::vector<std::string> texts;
  for (const Json& item : items()) {
    if (item.is_text()) texts.push_back(item.text());
  }
  return texts;
}

// --- reading required values

const Json& Json::at(std::string_view name) const {
  const Json* member = find(name);
  if (member == nullptr) mismatch(name, "is missing");
  return *member;
}

const Json& Json::at(std::size_t index) const {
  if (index >= items().size()) mismatch({}, "is missing in a list");
  return items()[index];
}

std::span<const Json> Json::get_items(std::string_view name) const {
  const Json* member = find(name);
  if (member == nullptr) return {};
  if (!member->is_list()) mismatch(name, "is not a list");
  return member->items();
}

template <>
std::string Json::as<std::string>(std::string_view name) const {
  if (!is_text()) mismatch(name, "is not a text");
  return *text_;
}

template <>
std::vector<std::string> Json::as<std::vector<std::string>>(std::string_view name) const {
  if (!is_list() || texts().size() != size()) mismatch(name, "is not a list of texts");
  return texts();
}

template <>
bool Json::as<bool>(std::string_view name) const {
  if (!is_boolean()) mismatch(name, "is neither true nor false");
  return boolean_;
}

template <>
double Json::as<double>(std::string_view name) const {
  if (!is_number()) mismatch(name, "is not a number");
  return *number();
}

std::int64_t Json::integer_between(std::int64_t least, std::int64_t most, std::string_view name) const {
  if (!is_integer()) mismatch(name, "is not an integer");
  const auto value = integer();
  if (!value || *value < least || *value > most) mismatch(name, "is out of range");
  return *value;
}

std::uint64_t Json::natural_up_to(std::uint64_t most, std::string_view name) const {
  if (!is_integer()) mismatch(name, "is not an integer");
  const auto value = natural();
  if (!value || *value > most) mismatch(name, "is out of range");
  return *value;
}

// --- building

Json& Json::set(std::string_view name, Json value) {
  if (Json* member = find(name)) return *member = std::move(value);
  return add(std::string(name), std::move(value));
}

Json& Json::add(std::string name, Json value) {
  if (is_null()) *this = object();
  return object_->emplace_back(Member{std::move(name), std::move(value)}).value;
}

void Json::push_back(Json item) {
  if (is_null()) *this = list();
  list_->push_back(std::move(item));
}

void Json::erase(std::string_view name) {
  if (is_object()) std::erase_if(*object_, [&](const Member& member) { return member.name == name; });
}

}  // namespace metaflow::base
