#include "value/json_value.h"

#include <cmath>
#include <nlohmann/json.hpp>

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

Json convert(const Value& value, int depth) {
  if (depth > kMaxDepth) return "...";
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
      if (value.array().shape.empty()) return text_of(value);
      [[fallthrough]];
    case Kind::list:
    case Kind::tuple:
    case Kind::set: {
      Json list = Json::array();
      for (std::size_t i = 0; i < value.size(); ++i) list.push_back(convert(value[i], depth + 1));
      return list;
    }
    case Kind::dict: {
      Json object = Json::object();
      for (std::size_t i = 0; i < value.size(); ++i) object[text_of(value[i])] = convert(value.mapped(i), depth + 1);
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

Value build(Arena& arena, const Json& json) {
  switch (json.type()) {
    case Json::value_t::boolean: return ValueBuilder::boolean(json.get<bool>());
    case Json::value_t::number_integer: return ValueBuilder::integer(json.get<std::int64_t>());
    case Json::value_t::number_unsigned: return ValueBuilder::unsigned_integer(json.get<std::uint64_t>());
    case Json::value_t::number_float: return ValueBuilder::real(json.get<double>());
    case Json::value_t::string: return ValueBuilder::text(arena.keep(json.get<std::string>()));
    case Json::value_t::array: {
      ListNode& node = arena.lists.emplace_back();
      for (const Json& item : json) {
        const Value value = build(arena, item);
        node.append(&value, &value + 1);
      }
      return ValueBuilder::list(Kind::list, &node);
    }
    case Json::value_t::object: {
      DictNode& node = arena.dicts.emplace_back();
      for (const auto& [key, item] : json.items()) {
        node.keys.push_back(ValueBuilder::text(arena.keep(key)));
        node.values.push_back(build(arena, item));
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
  const Value root = build(*arena, json);
  return Document(root, std::static_pointer_cast<const void>(arena));
}

void encode_json(detail::Pickler& out, const Json& json) {
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
        encode_json(out, item);
      }
      return out.end();
    case Json::value_t::object:
      out.begin_dict();
      for (const auto& [key, item] : json.items()) {
        out.next();
        out.text(key);
        encode_json(out, item);
      }
      return out.end();
    default: return out.none();
  }
}

}  // namespace value

std::string to_json(const Value& value) {
  return value::json_of(value).dump(-1, ' ', false, nlohmann::detail::error_handler_t::replace);
}

}  // namespace metaflow
