#include "value/encode_value.h"

#include <metaflow/error.h>

#include "value/nodes.h"

namespace metaflow::value {

namespace {

constexpr int kMaxDepth = 200;

/// `key`: Python requires a hashable value here.
void encode(detail::Pickler& out, const Value& value, int depth, bool key) {
  if (depth > kMaxDepth) throw Error(ErrorCode::invalid_value, "This value is nested too deeply to be written");
  if (detail::is_excessive(value)) {
    throw Error(ErrorCode::invalid_value,
                "This value cannot be written: it contains itself, or parts of it millions of times");
  }
  auto items = [&](bool keys) {
    for (std::size_t i = 0; i < value.size(); ++i) {
      out.next();
      encode(out, value[i], depth + 1, keys);
    }
    out.end();
  };
  switch (value.kind()) {
    case Kind::none: return out.none();
    case Kind::boolean: return out.boolean(value.boolean());
    case Kind::integer: return out.integer(value.integer());
    case Kind::big_integer:
      if (const auto u = value.unsigned_integer()) return out.unsigned_integer(*u);
      return out.big_integer(value.magnitude());
    case Kind::real: return out.real(value.real());
    case Kind::text: return out.text(value.text());
    case Kind::bytes: return out.bytes(value.bytes());
    case Kind::list: out.begin_list(); return items(false);
    case Kind::set: key ? out.begin_frozen_set() : out.begin_set(); return items(true);
    case Kind::tuple: out.begin_tuple(value.size()); return items(key);
    case Kind::dict:
      out.begin_dict();
      for (std::size_t i = 0; i < value.size(); ++i) {
        out.next();
        encode(out, value[i], depth + 1, true);
        encode(out, value.mapped(i), depth + 1, false);
      }
      return out.end();
    case Kind::array: return out.array(value.array());
    case Kind::complex: return out.complex(value.real(), value.imaginary());
    case Kind::datetime: return out.datetime_utc(value.microseconds());
    case Kind::timedelta: return out.timedelta(value.microseconds(), value.nanoseconds_below());
    case Kind::object: {
      if (detail::is_class(value))
        throw Error(ErrorCode::invalid_value, "This value cannot be written: it is " + repr(value));
      const std::string_view name = value.class_name();
      const std::size_t dot = name.rfind('.');
      out.begin_object(name.substr(0, dot), name.substr(dot + 1), value.size(), true);
      items(false);
      if (value.state().is_none()) return;
      out.begin_state();
      encode(out, value.state(), depth + 1, false);
      return out.end();
    }
  }
}

}  // namespace

void encode_value(detail::Pickler& out, const Value& value) { encode(out, value, 0, false); }

}  // namespace metaflow::value
