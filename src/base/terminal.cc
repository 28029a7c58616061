#include "base/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <string_view>

namespace metaflow::base {

namespace {

std::string_view variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

TerminalStyle terminal_style(int fd) {
  TerminalStyle style;
  style.redraws = ::isatty(fd) == 1 && variable("TERM") != "dumb";
  const std::string_view forced = variable("CLICOLOR_FORCE");
  style.colours = style.redraws && variable("CLICOLOR") != "0";
  if (!forced.empty() && forced != "0") style.colours = true;
  if (!variable("NO_COLOR").empty()) style.colours = false;
  return style;
}

TerminalSize terminal_size(int fd) {
  TerminalSize size;
  winsize known{};
  if (::ioctl(fd, TIOCGWINSZ, &known) != 0) return size;
  if (known.ws_col > 0) size.columns = known.ws_col;
  if (known.ws_row > 0) size.rows = known.ws_row;
  return size;
}

bool terminal_reflows() { return variable("XTERM_VERSION").empty(); }

}  // namespace metaflow::base
