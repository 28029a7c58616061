#include "store/names.h"

#include <algorithm>

#include "base/ascii.h"
#include "base/format.h"
#include "base/text.h"
#include "base/utf8.h"

namespace metaflow::store {

namespace {

constexpr std::size_t kLongestId = 200;
constexpr std::size_t kLongestIdentifier = 255;  // the longest file name

/// The id of a run or a task, given by a scheduler, a metadata service or another orchestrator ("argo-sweep-x7k2p").
bool is_id(std::string_view text) {
  if (text.empty() || text.size() > kLongestId || text[0] == '.' || text[0] == '-') return false;
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return base::is_alphanumeric(c) || c == '_' || c == '-' || c == '.'; });
}

/// Accepts the non-ASCII letters of Python's identifiers, and some more characters. Rejects control characters, spaces,
/// and characters that change the text direction.
bool is_foreign_letter(char32_t c) {
  if (c < 0xAA) return false;
  if (c >= 0x2000 && c <= 0x206F) return c == 0x203F || c == 0x2040 || c == 0x2054;
  if (c >= 0xE000 && c <= 0xF8FF) return false;  // private use
  if (c >= 0xE0000 && c <= 0xE00FF) return false;
  return c != 0xAD && c != 0x3000 && c != 0xFEFF && !(c >= 0xFFF0 && c <= 0xFFFF) && c < 0xF0000;
}

/// The code point that begins at `at`, in well-formed UTF-8; moves `at` behind it.
char32_t next_code_point(std::string_view text, std::size_t& at) {
  auto byte = [&] { return static_cast<unsigned char>(text[at++]); };
  const char32_t first = byte();
  if (first < 0x80) return first;
  const int more = first < 0xE0 ? 1 : first < 0xF0 ? 2 : 3;
  char32_t code = first & (0x3FU >> static_cast<unsigned>(more));
  for (int i = 0; i < more; ++i) code = code << 6U | (byte() & 0x3FU);
  return code;
}

bool is_identifier(std::string_view text) {
  if (text.empty() || text.size() > kLongestIdentifier || base::is_digit(text[0])) return false;
  auto is_plain = [](char c) { return base::is_alphanumeric(c) || c == '_'; };
  const auto odd = std::find_if_not(text.begin(), text.end(), is_plain);
  if (odd == text.end()) return true;
  if (base::find_invalid_utf8(text) != std::string_view::npos) return false;
  for (auto at = static_cast<std::size_t>(odd - text.begin()); at < text.size();) {
    const char32_t c = next_code_point(text, at);
    if (c < 0x80 ? !is_plain(static_cast<char>(c)) : !is_foreign_letter(c)) return false;
  }
  return true;
}

bool is_key(std::string_view text) {
  return text.size() == 40 &&
         std::all_of(text.begin(), text.end(), [](char c) { return base::is_digit(c) || (c >= 'a' && c <= 'f'); });
}

bool is_object_path(std::string_view path) {
  std::size_t begin = 0;  // of the current part
  for (std::size_t i = 0; i <= path.size(); ++i) {
    if (i < path.size() && path[i] != '/') {
      if (static_cast<unsigned char>(path[i]) < 0x20 || path[i] == 0x7F) return false;
      continue;
    }
    const std::string_view part = path.substr(begin, i - begin);
    if (part.empty() || part == "." || part == "..") return false;
    begin = i + 1;
  }
  return true;
}

std::string_view kind_text(NameKind kind) {
  switch (kind) {
    case NameKind::flow: return "the name of a flow";
    case NameKind::run: return "the id of a run";
    case NameKind::step: return "the name of a step";
    case NameKind::task: return "the id of a task";
    case NameKind::artifact: return "the name of an artifact";
    case NameKind::key: return "a key";
  }
  return "a name";
}

}  // namespace

bool is_name(NameKind kind, std::string_view text) {
  switch (kind) {
    case NameKind::flow:
    case NameKind::artifact: return is_identifier(text);
    // Names of other files and directories at the same level are not steps, runs or tasks.
    case NameKind::step: return is_identifier(text) && text != "_meta";
    case NameKind::run: return is_id(text) && text != "data" && text != "_meta";
    case NameKind::task: return is_id(text) && text != "_meta";
    case NameKind::key: return is_key(text);
  }
  return false;
}

std::string not_a_name(NameKind kind, std::string_view text) {
  return fmt::format("'{}' is not {}", base::visible(text), kind_text(kind));
}

void check_name(NameKind kind, std::string_view text, std::string_view where) {
  if (is_name(kind, text)) return;
  throw Error(ErrorCode::data_store, fmt::format("In {}, {}", where, not_a_name(kind, text)));
}

std::optional<TaskRef> parse_task_ref(std::string_view text) {
  const std::size_t first = text.find('/');
  const std::size_t second = first == std::string_view::npos ? first : text.find('/', first + 1);
  if (second == std::string_view::npos) return std::nullopt;
  const std::string_view run = text.substr(0, first);
  const std::string_view step = text.substr(first + 1, second - first - 1);
  const std::string_view task = text.substr(second + 1);
  if (!is_name(NameKind::run, run) || !is_name(NameKind::step, step) || !is_name(NameKind::task, task))
    return std::nullopt;
  return TaskRef{std::string(run), std::string(step), std::string(task)};
}

void check_object_path(std::string_view path) {
  if (is_object_path(path)) return;
  throw Error(ErrorCode::data_store, fmt::format("'{}' is not the path of an object in a store", base::visible(path)),
              "A name from the store or a service would point outside of the store.");
}

std::string path_below(std::string_view root, std::string_view path) {
  check_object_path(path);
  std::string whole;
  whole.reserve(root.size() + 1 + path.size());
  whole += root;
  whole += '/';
  whole += path;
  return whole;
}

}  // namespace metaflow::store
