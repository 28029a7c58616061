#include "value/json_value.h"

#include <array>
#include <cmath>

#include <metaflow/error.h>

#include "base/format.h"
#include "base/json.h"
#include "base/text.h"
#include "base/utf8.h"
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
      Json list = Json::list();
      for (std::size_t i = 0; i < value.size(); ++i) list.push_back(convert(value[i], depth + 1));
      return list;
    }
    case Kind::dict: {
      // Append to the members directly: operator[] would search each key among all others.
      Json::Object object;
      for (std::size_t i = 0; i < value.size(); ++i)
        object.push_back({text_of(value[i]), convert(value.mapped(i), depth + 1)});
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
  switch (json.kind()) {
    case Json::Kind::null: return {};
    case Json::Kind::boolean: return ValueBuilder::boolean(*json.boolean());
    case Json::Kind::integer: return ValueBuilder::integer(*json.integer());
    case Json::Kind::natural: return ValueBuilder::unsigned_integer(*json.natural());
    case Json::Kind::real: return ValueBuilder::real(*json.number());
    case Json::Kind::text: return ValueBuilder::text(arena.keep(json.text()));
    case Json::Kind::list: {
      ListNode& node = arena.list();
      for (const Json& item : json.items()) {
        const Value value = build(arena, item, depth + 1);
        arena.append(node, {&value, 1});
      }
      return ValueBuilder::list(Kind::list, &node);
    }
    case Json::Kind::object: {
      DictNode& node = arena.dict();
      for (const auto& [key, item] : json.members()) {
        const std::array both{ValueBuilder::text(arena.keep(key)), build(arena, item, depth + 1)};
        arena.append(node, both);
      }
      return ValueBuilder::dict(&node);
    }
  }
  return {};
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
  switch (json.kind()) {
    case Json::Kind::null: return out.none();
    case Json::Kind::boolean: return out.boolean(*json.boolean());
    case Json::Kind::integer: return out.integer(*json.integer());
    case Json::Kind::natural: return out.unsigned_integer(*json.natural());
    case Json::Kind::real: return out.real(*json.number());
    case Json::Kind::text: return out.text(json.text());
    case Json::Kind::list:
      out.begin_list();
      for (const Json& item : json.items()) {
        out.next();
        encode(out, item, depth + 1);
      }
      return out.end();
    case Json::Kind::object:
      out.begin_dict();
      for (const auto& [key, item] : json.members()) {
        out.next();
        out.text(key);
        encode(out, item, depth + 1);
      }
      return out.end();
  }
}

}  // namespace

void encode_json(detail::Pickler& out, const Json& json) { encode(out, json, 0); }

}  // namespace value

std::string to_json(const Value& value) { return value::json_of(value).dump(); }

}  // namespace metaflow
