// Payloads of artifacts: arbitrary pickles, from Python or an attacker.
#include <chrono>
#include <complex>
#include <deque>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <variant>
#include <vector>

#include <metaflow/array.h>
#include <metaflow/codec.h>

#include "base/text.h"
#include "readers.h"
#include "store/foreach.h"
#include "store/item_labels.h"
#include "value/encode_value.h"
#include "value/nodes.h"
#include "value/unpickler.h"

namespace metaflow::fuzz {

namespace {

struct Point {
  double x = 0;
  std::optional<int> y;
};

constexpr std::size_t kShown = 300;
constexpr int kWalked = 2000;  // values; larger ones are legitimate, but slow to fuzz

/// Whether the value has no more parts than are left, each counted as often as it occurs.
bool is_small(const Value& value, int& left) {
  if (--left < 0) return false;
  switch (value.kind()) {
    case Kind::dict:
      for (std::size_t i = 0; i < value.size(); ++i) {
        if (!is_small(value[i], left) || !is_small(value.mapped(i), left)) return false;
      }
      return true;
    case Kind::array:
      if (value.shape().empty()) return true;
      [[fallthrough]];
    case Kind::object:
      if (value.kind() == Kind::object && !is_small(value.state(), left)) return false;
      [[fallthrough]];
    case Kind::list:
    case Kind::tuple:
    case Kind::set:
      for (std::size_t i = 0; i < value.size(); ++i) {
        if (!is_small(value[i], left)) return false;
      }
      return true;
    default: return true;
  }
}

template <class... Types>
void read_as(const Value& value) {
  (succeeds({ErrorCode::invalid_value}, [&] { (void)value.as<Types>(); }), ...);
}

/// As the types that a value of this kind might fit, its parts maybe not.
void convert(const Value& value) {
  switch (value.kind()) {
    case Kind::none:
    case Kind::boolean: return read_as<bool, std::optional<int>>(value);
    case Kind::integer:
    case Kind::big_integer: return read_as<std::uint64_t, signed char, float>(value);
    case Kind::real: return read_as<double, float, int>(value);
    case Kind::complex: return read_as<std::complex<float>, double>(value);
    case Kind::text: return read_as<std::string, std::filesystem::path>(value);
    case Kind::bytes: return read_as<Bytes, std::vector<std::byte>>(value);
    case Kind::list:
      return read_as<std::vector<double>, std::vector<std::uint8_t>, std::deque<std::vector<std::string>>,
                     std::vector<bool>, std::array<std::int64_t, 3>, Array<float>,
                     std::vector<std::variant<std::monostate, bool, std::int64_t, double, std::string, Bytes>>>(value);
    case Kind::tuple:
      return read_as<std::tuple<int, double, std::string>, std::pair<std::string, std::vector<int>>, std::vector<int>>(
          value);
    case Kind::set: return read_as<std::set<int>, std::set<std::string>>(value);
    case Kind::dict: return read_as<std::map<std::string, int>, std::map<int, std::set<int>>, Point>(value);
    case Kind::array:
      return read_as<Array<double>, Array<std::uint8_t>, Array<bool>, std::vector<int>,
                     std::vector<std::vector<std::complex<float>>>>(value);
    case Kind::datetime: return read_as<std::chrono::system_clock::time_point>(value);
    case Kind::timedelta: return read_as<std::chrono::nanoseconds, std::chrono::duration<double>>(value);
    case Kind::object: return read_as<int>(value);
  }
}

std::string encoded(const Value& value) {
  detail::Pickler pickler;
  value::encode_value(pickler, value);
  pickler.finish();
  std::string payload;
  for (const auto& part : pickler.parts()) payload += base::as_text(part);
  return payload;
}

/// What is read can be written, unless it is refused, and reads the same again.
void write_and_read(const Value& value) {
  std::string first;
  if (!succeeds({ErrorCode::invalid_value}, [&] { first = encoded(value); })) return;
  const Document again = value::read_pickle(base::SharedBytes(first));
  const std::string before = repr(value, kShown);
  const std::string after = repr(again.root(), kShown);
  require(after == before, "what is written is what was read, " + after + " is not " + before);
  require(encoded(again.root()) == first, "writing it again makes the same bytes");
}

}  // namespace

void take_pickle(std::string_view input) {
  const base::SharedBytes payload{std::string(input)};
  Document document;
  if (!succeeds({ErrorCode::invalid_value}, [&] { document = value::read_pickle(payload); })) return;
  const Value& root = document.root();
  require(repr(root, kShown).size() < 2 * kShown, "repr keeps to its limit");
  (void)python_type(root);
  (void)store::item_label(root);
  succeeds({ErrorCode::data_store, ErrorCode::invalid_value}, [&] { (void)store::decode_frames(root); });
  if (!input.empty()) succeeds({ErrorCode::invalid_value}, [&] { value::read_item(payload, 0, input.size() - 1); });
  if (detail::is_excessive(root)) {
    require(to_json(root).size() < 50'000, "JSON of what is endless is short");
    require(!succeeds({ErrorCode::invalid_value}, [&] { (void)encoded(root); }), "what is endless is not written");
    return convert(root);
  }
  int left = kWalked;
  bool small = false;
  // Elements of arrays may be of a kind that cannot be read, which the first look at them says.
  succeeds({ErrorCode::invalid_value}, [&] { small = is_small(root, left); });
  if (!small) return;
  (void)repr(root);
  (void)to_json(root);
  convert(root);
  write_and_read(root);
}

}  // namespace metaflow::fuzz
