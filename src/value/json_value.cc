#include "value/json_value.h"

#include <nlohmann/json.hpp>

#include <array>
#include <cmath>

#include <metaflow/error.h>

#include "base/format.h"
#include "base/text.h"
#include "value/nodes.h"

namespace metaflow {

namespace value {

using detail::Arena;
using detail::DictNode;
using detail::ListNode;
using detail::ValueBuilder;

namespace {

constexpr int kMaxDepth = 100;
constexpr std::size_t kMaxSharedText = 4096;

[[noreturn]] void too_deep() {
  throw Error(ErrorCode::invalid_value, fmt::format("This JSON is nested more than {} levels deep", kMaxDepth));
}

Json convert(const Value& given, int depth) {
  if (depth > kMaxDepth) return "...";
  if (detail::is_excessive(given)) return text_of(given, kMaxSharedText);
  const Value value = detail::scalar_of(given);
  switch (value.kind()) {
    case Kind::none: return nullptr;
    case Kind::boolean: return value.boolean();
    case Kind::integer: return value.integer();
    case Kind::real:
      if (!std::isfinite(value.real())) return base::python_float(value.real());  // JSON has no such numbers
      return value.real();
    case Kind::text: return base::replace_invalid_utf8(value.text());
    case Kind::bytes: return base::base64(value.bytes());
    case Kind::array:
    case Kind::list:
    case Kind::tuple:
    case Kind::set: {
      Json list = Json::array();
      for (std::size_t i = 0; i < value.size(); ++i) list.push_back(convert(value[i], depth + 1));
      return list;
    }
    case Kind::dict: {
      // Straight into the vector of pairs that an object is: operator[] would look for each key among all others.
      Json::object_t object;
      for (std::size_t i = 0; i < value.size(); ++i)
        object.emplace_back(text_of(value[i]), convert(value.mapped(i), depth + 1));
      return object;
    }
    case Kind::big_integer:
      if (const auto u = value.unsigned_integer()) return *u;
      return text_of(value);
    case Kind::complex:
    case Kind::datetime:
    case Kind::timedelta:
    case Kind::object: return text_of(value);
  }
  return nullptr;
}

Value build(Arena& arena, const Json& json, int depth) {
  if (depth > kMaxDepth) too_deep();
  switch (json.type()) {
    case Json::value_t::boolean: return ValueBuilder::boolean(json.get<bool>());
    case Json::value_t::number_integer: return ValueBuilder::integer(json.get<std::int64_t>());
    case Json::value_t::number_unsigned: return ValueBuilder::unsigned_integer(json.get<std::uint64_t>());
    case Json::value_t::number_float: return ValueBuilder::real(json.get<double>());
    case Json::value_t::string: return ValueBuilder::text(arena.keep(*json.get_ptr<const std::string*>()));
    case Json::value_t::array: {
      ListNode& node = arena.list();
      for (const Json& item : json) {
        const Value value = build(arena, item, depth + 1);
        arena.append(node, {&value, 1});
      }
      return ValueBuilder::list(Kind::list, &node);
    }
    case Json::value_t::object: {
      DictNode& node = arena.dict();
      for (const auto& [key, item] : json.items()) {
        const std::array both{ValueBuilder::text(arena.keep(key)), build(arena, item, depth + 1)};
        arena.append(node, both);
      }
      return ValueBuilder::dict(&node);
    }
    default: return {};
  }
}

}  // namespace

Json json_of(const Value& value) { return convert(value, 0); }

Document document_of(const Json& json) {
  auto arena = std::make_shared<Arena>();
  const Value root = build(*arena, json, 0);
  return Document(root, std::static_pointer_cast<const void>(arena));
}

namespace {

void encode(detail::Pickler& out, const Json& json, int depth) {
  if (depth > kMaxDepth) too_deep();
  switch (json.type()) {
    case Json::value_t::boolean: return out.boolean(json.get<bool>());
    case Json::value_t::number_integer: return out.integer(json.get<std::int64_t>());
    case Json::value_t::number_unsigned: return out.unsigned_integer(json.get<std::uint64_t>());
    case Json::value_t::number_float: return out.real(json.get<double>());
    case Json::value_t::string: return out.text(*json.get_ptr<const std::string*>());
    case Json::value_t::array:
      out.begin_list();
      for (const Json& item : json) {
        out.next();
        encode(out, item, depth + 1);
      }
      return out.end();
    case Json::value_t::object:
      out.begin_dict();
      for (const auto& [key, item] : json.items()) {
        out.next();
        out.text(key);
        encode(out, item, depth + 1);
      }
      return out.end();
    default: return out.none();
  }
}

}  // namespace

void encode_json(detail::Pickler& out, const Json& json) { encode(out, json, 0); }

}  // namespace value

std::string to_json(const Value& value) {
  return value::json_of(value).dump(-1, ' ', false, nlohmann::detail::error_handler_t::replace);
}

}  // namespace metaflow
