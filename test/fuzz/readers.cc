#include "readers.h"

#include <array>
#include <cstdio>
#include <cstdlib>

namespace metaflow::fuzz {

std::span<const Reader> readers() {
  static constexpr std::array kReaders{
      Reader{"pickle", take_pickle},
      Reader{"gzip", take_gzip},
      Reader{"log", take_log},
      Reader{"data_json", take_data_json},
      Reader{"metadata", take_metadata},
      Reader{"journal", take_journal},
      Reader{"lease", take_lease},
      Reader{"settings", take_settings},
      Reader{"decorator", take_decorator},
      Reader{"parameter", take_parameter},
      Reader{"command_line", take_command_line},
      Reader{"step_arguments", take_step_arguments},
      Reader{"elf", take_elf},
      Reader{"loader_cache", take_loader_cache},
      Reader{"exit_report", take_exit_report},
      Reader{"xml", take_xml},
      Reader{"aws_config", take_aws_config},
      Reader{"header", take_header},
      Reader{"kubeconfig", take_kubeconfig},
      Reader{"kubernetes_answer", take_kubernetes_answer},
      Reader{"kubernetes_object", take_kubernetes_object},
      Reader{"batch_answer", take_batch_answer},
      Reader{"service_answer", take_service_answer},
      Reader{"description", take_description},
  };
  return kReaders;
}

void require(bool holds, std::string_view what) {
  if (holds) return;
  std::fprintf(stderr, "Not as promised: %.*s\n", static_cast<int>(what.size()), what.data());
  std::abort();
}

}  // namespace metaflow::fuzz
