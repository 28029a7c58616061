// The readers of bytes that another program, or a person, wrote, each as a function of such bytes. What a reader may do
// is to read them or to throw an Error of the kind that it promises; everything else ends the process.
#pragma once

#include <initializer_list>
#include <span>
#include <string_view>

#include <metaflow/error.h>

namespace metaflow::fuzz {

struct Reader {
  std::string_view name;  // also of its directory in corpus/
  void (*take)(std::string_view input);
};

std::span<const Reader> readers();

void take_pickle(std::string_view input);
void take_gzip(std::string_view input);
void take_log(std::string_view input);
void take_data_json(std::string_view input);
void take_metadata(std::string_view input);
void take_journal(std::string_view input);
void take_lease(std::string_view input);
void take_settings(std::string_view input);
void take_decorator(std::string_view input);
void take_parameter(std::string_view input);
void take_command_line(std::string_view input);
void take_step_arguments(std::string_view input);
void take_elf(std::string_view input);
void take_loader_cache(std::string_view input);
void take_exit_report(std::string_view input);
void take_xml(std::string_view input);
void take_aws_config(std::string_view input);
void take_header(std::string_view input);
void take_kubeconfig(std::string_view input);
void take_kubernetes_answer(std::string_view input);
void take_kubernetes_object(std::string_view input);
void take_batch_answer(std::string_view input);
void take_service_answer(std::string_view input);
void take_description(std::string_view input);

/// Aborts, saying what, unless it holds.
void require(bool holds, std::string_view what);

/// Whether `read` comes to its end; false if it throws an Error with one of these codes.
template <class F>
bool succeeds(std::initializer_list<ErrorCode> codes, F read) {
  try {
    read();
    return true;
  } catch (const Error& error) {
    bool expected = false;
    for (ErrorCode code : codes) expected = expected || error.code() == code;
    require(expected, error.what());
    require(!error.message().empty(), "an error says what");
    return false;
  }
}

}  // namespace metaflow::fuzz
