// Terminals: what may be written to one, and its size.
#pragma once

#include <cstddef>

namespace metaflow::base {

/// How a stream shows text.
struct TerminalStyle {
  bool redraws = false;  // it is a terminal that can move its cursor: TERM is not "dumb"
  bool colours = false;
};

/// Decides by the stream, TERM, and the conventions NO_COLOR (not empty: no colours), CLICOLOR=0 (no colours) and
/// CLICOLOR_FORCE (neither empty nor 0: colours in any case). NO_COLOR has precedence over the others.
TerminalStyle terminal_style(int fd);

struct TerminalSize {
  std::size_t columns = 80;
  std::size_t rows = 24;
};

/// The current size; that of a small terminal if it is not known.
TerminalSize terminal_size(int fd);

/// Whether the terminal wraps lines anew when its window becomes narrower. All common ones do, apart from xterm.
bool terminal_reflows();

}  // namespace metaflow::base
