#include "runtime/supervisor/container_output.h"

#include "base/format.h"
#include "base/text.h"

namespace metaflow::runtime {

void ContainerOutput::add(std::string_view bytes) {
  if (!queue_.has_room(bytes.size(), false)) {
    dropped_ += bytes.size();
    is_cut_ = !bytes.ends_with('\n');
    return;
  }
  if (is_cut_) {  // continue with a whole line
    const std::size_t end = bytes.find('\n');
    is_cut_ = end == std::string_view::npos;
    const std::size_t rest = is_cut_ ? bytes.size() : end + 1;
    dropped_ += rest;
    bytes.remove_prefix(rest);
  }
  if (bytes.empty()) return;
  report_dropped();
  queue_.add(bytes);
  queue_.flush();
  in_line_ = !bytes.ends_with('\n');
}

void ContainerOutput::report_dropped() {
  if (dropped_ == 0) return;
  queue_.add(fmt::format("{}{} bytes were not shown here: the output was not read. The stored log has them.\n",
                         in_line_ ? "\n" : "", base::grouped(dropped_)));
  dropped_ = 0;
  in_line_ = false;
}

bool ContainerOutput::finish(std::int64_t timeout, int stop) {
  report_dropped();
  return queue_.finish(timeout, stop);
}

}  // namespace metaflow::runtime
