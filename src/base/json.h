// JSON values. The library that parses and formats them (nlohmann's) is compiled in json.cc alone: its headers cost
// each source that includes them seconds (docs/decisions/json.md).
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <initializer_list>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace metaflow::base {

/// A value is missing or of the wrong kind: "'stage' is missing", "'attempt' is not an integer". Callers turn it into
/// an Error that names the object.
class JsonMismatch : public std::exception {
 public:
  explicit JsonMismatch(std::string words) : words_(std::move(words)) {}
  const char* what() const noexcept override { return words_.c_str(); }

 private:
  std::string words_;
};

/// A JSON value. Members of objects keep their order. Numbers keep their notation: integers that fit 64 bits, else
/// doubles. Thread-safe like any value.
///
/// There are two ways to read it: files of other programs with operator[] and the functions that return nothing for
/// missing values; our own files with at() and the functions that throw JsonMismatch.
class Json {
 public:
  enum class Kind : std::uint8_t { null, boolean, integer, natural, real, text, list, object };
  struct Member;
  using List = std::vector<Json>;
  using Object = std::vector<Member>;

  Json() {}  // null
  Json(std::nullptr_t) {}
  Json(bool value) : kind_(Kind::boolean), boolean_(value) {}
  template <std::signed_integral I>
  Json(I value) : kind_(Kind::integer), integer_(value) {}
  template <std::unsigned_integral I>
    requires(!std::same_as<I, bool>)
  Json(I value) : kind_(Kind::natural), natural_(value) {}
  Json(double value) : kind_(Kind::real), real_(value) {}
  Json(std::string value);
  Json(std::string_view value) : Json(std::string(value)) {}
  Json(const char* value) : Json(std::string(value)) {}
  Json(const std::vector<std::string>& texts);
  Json(const std::map<std::string, std::string>& members);
  Json(List list);
  Json(Object object);
  /// An object if every part is a list of two whose first is a text, {{"a", 1}, {"b", 2}}; else a list.
  Json(std::initializer_list<Json> parts);
  /// Prevents the conversion of pointers to bool.
  template <class T>
  Json(T*) = delete;

  static Json list(std::initializer_list<Json> items = {});
  static Json object();

  Json(const Json& other);
  Json(Json&& other) noexcept : kind_(other.kind_), natural_(other.natural_) { other.kind_ = Kind::null; }
  Json& operator=(Json other) noexcept;
  ~Json() {
    if (kind_ >= Kind::text) destroy();
  }

  /// Parses a text; nothing if it is not JSON, or is nested deeper than 100 levels.
  static std::optional<Json> parse(std::string_view text);
  /// The same; nothing if it is not an object.
  static std::optional<Json> parse_object(std::string_view text);
  /// The same; throws a JsonMismatch with the position of the error.
  static Json parse_or_throw(std::string_view text);
  /// Parses an object and passes the items of its lists, with the list's name, to `take` one by one: only one item is
  /// in memory besides the text. If `take` returns false, the item stays in the list. Exceptions of `take` propagate.
  using Taker = std::function<bool(std::string_view list, Json& item)>;
  static std::optional<Json> parse_object(std::string_view text, const Taker& take);

  /// On one line, without blanks. Invalid UTF-8 becomes U+FFFD.
  std::string dump() const;
  /// With line breaks, and `indent` blanks per level.
  std::string dump_indented(int indent) const;
  /// The value with the members of all objects sorted by name.
  Json sorted() const;

  Kind kind() const { return kind_; }
  bool is_null() const { return kind_ == Kind::null; }
  bool is_boolean() const { return kind_ == Kind::boolean; }
  bool is_integer() const { return kind_ == Kind::integer || kind_ == Kind::natural; }
  bool is_number() const { return is_integer() || kind_ == Kind::real; }
  bool is_text() const { return kind_ == Kind::text; }
  bool is_list() const { return kind_ == Kind::list; }
  bool is_object() const { return kind_ == Kind::object; }

  // --- reading optional values

  /// A member of an object; null if there is none.
  const Json& operator[](std::string_view name) const;
  /// An item of a list; null if there is none.
  const Json& operator[](std::size_t index) const;
  /// The member at a path of names.
  const Json& operator[](std::initializer_list<std::string_view> path) const;
  const Json* find(std::string_view name) const;
  Json* find(std::string_view name);
  bool contains(std::string_view name) const { return find(name) != nullptr; }
  /// The items of a list; empty for other kinds.
  std::span<const Json> items() const;
  std::span<Json> items();
  /// The members of an object; empty for other kinds.
  std::span<const Member> members() const;
  std::span<Member> members();
  /// Empty if it is not a text.
  const std::string& text() const;
  std::string text_or(std::string_view otherwise) const;
  std::optional<bool> boolean() const;
  /// Nothing if it is not an integer, or too large.
  std::optional<std::int64_t> integer() const;
  std::optional<std::uint64_t> natural() const;
  /// Any number.
  std::optional<double> number() const;
  /// The texts of a list; other items are skipped.
  std::vector<std::string> texts() const;
  std::size_t size() const { return kind_ == Kind::object ? members().size() : items().size(); }
  bool empty() const { return size() == 0; }

  // --- reading required values

  /// A member. Throws JsonMismatch if there is none.
  const Json& at(std::string_view name) const;
  const Json& at(std::size_t index) const;
  /// The value of a member: std::string, bool, double, std::vector<std::string> or an integer within the range of T.
  /// Throws JsonMismatch if it is missing or of another kind.
  template <class T>
  T get(std::string_view name) const {
    return at(name).as<T>(name);
  }
  /// The same; `otherwise` if the member is missing.
  template <class T>
  T get(std::string_view name, T otherwise) const {
    const Json* member = find(name);
    if (member == nullptr) return otherwise;
    return member->as<T>(name);
  }
  std::string get(std::string_view name, const char* otherwise) const { return get<std::string>(name, otherwise); }
  /// The items of a member; empty if it is missing. Throws JsonMismatch if it is not a list.
  std::span<const Json> get_items(std::string_view name) const;
  /// `name`: for the message of JsonMismatch.
  template <class T>
  T as(std::string_view name) const;

  // --- building

  /// Sets or adds a member. Null becomes an object.
  Json& set(std::string_view name, Json value);
  /// Adds a member that the object must not have yet; does not check.
  Json& add(std::string name, Json value);
  /// Appends an item to a list. Null becomes a list.
  void push_back(Json item);
  void erase(std::string_view name);

  bool operator==(const Json& other) const;

 private:
  void destroy();
  std::int64_t integer_between(std::int64_t least, std::int64_t most, std::string_view name) const;
  std::uint64_t natural_up_to(std::uint64_t most, std::string_view name) const;

  Kind kind_ = Kind::null;
  union {
    bool boolean_;
    std::int64_t integer_;
    std::uint64_t natural_ = 0;
    double real_;
    std::string* text_;
    List* list_;
    Object* object_;
  };
};

struct Json::Member {
  std::string name;
  Json value;
  bool operator==(const Member&) const = default;
};

template <>
std::string Json::as<std::string>(std::string_view name) const;
template <>
std::vector<std::string> Json::as<std::vector<std::string>>(std::string_view name) const;
template <>
bool Json::as<bool>(std::string_view name) const;
template <>
double Json::as<double>(std::string_view name) const;
template <class T>
T Json::as(std::string_view name) const {
  if constexpr (std::signed_integral<T>)
    return static_cast<T>(integer_between(std::numeric_limits<T>::min(), std::numeric_limits<T>::max(), name));
  else
    return static_cast<T>(natural_up_to(std::numeric_limits<T>::max(), name));
}

/// The text at a path of names ("metadata", "name"); empty if there is none.
inline const std::string& text_at(const Json& object, std::initializer_list<std::string_view> path) {
  return object[path].text();
}

}  // namespace metaflow::base
