#include "plan.h"

#include <fnmatch.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include <metaflow/current.h>

namespace mf = metaflow;

namespace shapes {

namespace {

std::string trim(const std::string& text) {
  const auto begin = text.find_first_not_of(" \n");
  return begin == std::string::npos ? "" : text.substr(begin, text.find_last_not_of(" \n") - begin + 1);
}

std::string here(int rounds) {
  std::string text = mf::current().step_name;
  char separator = ':';
  for (const auto& frame : mf::current().foreach_stack) {
    text += separator + std::to_string(frame.index);
    separator = ',';
  }
  if (separator == ':') text += ":";
  return text + ":" + std::to_string(mf::current().retry_count) + ":" + std::to_string(rounds);
}

bool fits(std::string pattern, std::string place) {
  std::replace(pattern.begin(), pattern.end(), ':', '/');
  std::replace(place.begin(), place.end(), ':', '/');
  return ::fnmatch(pattern.c_str(), place.c_str(), FNM_PATHNAME | FNM_LEADING_DIR) == 0;
}

[[noreturn]] void die(int number) {
  const rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);
  ::raise(number);
  std::abort();
}

[[noreturn]] void wait_for_ever() {
  while (true) ::pause();
}

void crash() {
  const rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);
  volatile int* nowhere = nullptr;
  *nowhere = 1;
}

void fill_memory(std::size_t megabytes) {
  std::vector<char*> blocks;  // touched, or the kernel would not count them
  for (std::size_t i = 0; i < megabytes; ++i) {
    blocks.push_back(new char[1'000'000]);
    std::memset(blocks.back(), 1, 1'000'000);
  }
  for (char* block : blocks) delete[] block;
}

void print_lines(int count) {
  for (int i = 0; i < count; ++i) {
    std::printf("%s stdout %d\n", mf::current().task_id.c_str(), i);
    std::fprintf(stderr, "%s stderr %d\n", mf::current().task_id.c_str(), i);
  }
}

void check_run_id_file(const std::string& path) {
  std::ifstream file(path);
  std::string id;
  std::getline(file, id);
  if (id != mf::current().run_id) throw Mishap("the file with the run id has '" + id + "'");
}

/// Returns when as many tasks of the step have called it.
void meet(int count) {
  const std::string directory = mf::current().run_id + "-" + mf::current().step_name;
  std::filesystem::create_directory(directory);
  std::ofstream(directory + "/" + mf::current().task_id).put('x');
  while (std::distance(std::filesystem::directory_iterator(directory), {}) < count) ::usleep(1000);
}

}  // namespace

std::vector<Deed> deeds(int rounds) {
  std::vector<Deed> found;
  const char* plan = std::getenv("PLAN");
  std::istringstream rules(plan != nullptr ? plan : "");
  for (std::string rule; std::getline(rules, rule, ';');) {
    std::istringstream words(rule);
    std::string pattern;
    Deed deed;
    words >> pattern >> deed.name;
    std::getline(words, deed.argument);
    deed.argument = filled_in(trim(deed.argument));
    if (!pattern.empty() && fits(pattern, here(rounds))) found.push_back(deed);
  }
  return found;
}

std::string filled_in(std::string text) {
  const std::map<std::string, std::string> values{{"@task", mf::current().task_id},
                                                  {"@attempt", std::to_string(mf::current().retry_count)}};
  for (const auto& [name, value] : values) {
    if (const auto at = text.find(name); at != std::string::npos) text.replace(at, name.size(), value);
  }
  return text;
}

bool done(const Deed& deed) {
  const std::string& argument = deed.argument;
  if (deed.name == "throw") throw Mishap(argument);
  if (deed.name == "out") return std::printf("%s\n", argument.c_str()) > 0;
  if (deed.name == "err") return std::fprintf(stderr, "%s\n", argument.c_str()) > 0;
  if (deed.name == "environment") {
    const char* value = std::getenv(argument.c_str());
    return std::printf("%s=%s\n", argument.c_str(), value != nullptr ? value : "(not set)") > 0;
  }
  if (deed.name == "kill") die(SIGKILL);
  if (deed.name == "crash") {
    crash();
  } else if (deed.name == "exit") {
    std::exit(std::stoi(argument));
  } else if (deed.name == "block") {
    wait_for_ever();
  } else if (deed.name == "block_signals") {
    sigset_t all;
    ::sigfillset(&all);
    ::sigprocmask(SIG_SETMASK, &all, nullptr);
  } else if (deed.name == "meet") {
    meet(std::stoi(argument));
  } else if (deed.name == "lines") {
    print_lines(std::stoi(argument));
  } else if (deed.name == "memory") {
    fill_memory(std::stoul(argument));
  } else if (deed.name == "check_run_id") {
    check_run_id_file(argument);
  } else {
    return false;
  }
  return true;
}

}  // namespace shapes
