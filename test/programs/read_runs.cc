// Everything that client.h tells of a run, as lines; test_client_library.py compares them with Metaflow's own client.
// usage: read_runs [-n NAMESPACE] flows | runs FLOW [TAG...] | run FLOW/RUN | task FLOW/RUN/STEP/TASK [ATTEMPT]
#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include <metaflow/client.h>

namespace mf = metaflow;
using mf::client::Client;

namespace {

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

std::string one_line(const std::string& text) {
  std::string line;
  for (const char c : text) c == '\n' ? line += "\\n" : line += c;
  return line;
}

template <class T>
std::string pathspecs(const std::vector<T>& objects) {
  std::vector<std::string> words;
  for (const T& object : objects) words.push_back(object.pathspec());
  std::sort(words.begin(), words.end());
  return joined(words);
}

void print(const mf::client::Task& task) {
  std::cout << "task " << task.pathspec() << '\n'
            << " finished " << task.finished() << " successful " << task.successful() << " attempt "
            << task.current_attempt() << '\n'
            << " index " << (task.index() ? std::to_string(*task.index()) : "None") << '\n'
            << " parents " << pathspecs(task.parents()) << '\n'
            << " children " << pathspecs(task.children()) << '\n'
            << " out " << one_line(task.out()) << '\n'
            << " err " << one_line(task.err()) << '\n';
  if (const auto exception = task.exception())
    std::cout << " exception " << exception->type << ": " << one_line(exception->message) << '\n';
  for (const auto& artifact : task.artifacts())
    std::cout << " artifact " << artifact.name() << ' ' << artifact.python_type() << ' ' << artifact.size() << ' '
              << artifact.key() << ' ' << one_line(artifact.text()) << '\n';
}

int tell(Client client, std::vector<std::string> words) {
  if (words.size() > 1 && words[0] == "-n") {
    client = client.in_namespace(words[1]);
    words.erase(words.begin(), words.begin() + 2);
  }
  if (words.at(0) == "flows") {
    for (const auto& flow : client.flows()) std::cout << flow.id() << '\n';
  } else if (words[0] == "runs") {
    const auto flow = client.flow(words.at(1));
    const std::vector<std::string> tags(words.begin() + 2, words.end());
    for (const auto& run : flow.runs(tags)) std::cout << run.pathspec() << '\n';
    const auto latest = flow.latest_successful_run();
    std::cout << "latest successful " << (latest ? latest->pathspec() : "None") << '\n';
  } else if (words[0] == "run") {
    const auto run = client.run(words.at(1));
    std::cout << "run " << run.pathspec() << " finished " << run.finished() << " successful " << run.successful()
              << " user " << run.user() << '\n'
              << " tags " << joined(run.tags()) << '\n';
    const auto end = run.end_task();
    std::cout << " end " << (end ? end->pathspec() : "None") << '\n';
    for (const auto& [name, value] : run.parameters())
      std::cout << " parameter " << name << ' ' << one_line(value.text()) << '\n';
    for (const auto& step : run.steps()) {
      std::cout << "step " << step.pathspec() << '\n';
      for (const auto& task : step.tasks()) print(task);
    }
  } else if (words[0] == "task") {
    const auto task = client.task(words.at(1));
    print(words.size() > 2 ? task.attempt(std::stoi(words[2])) : task);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return tell(Client(), std::vector<std::string>(argv + 1, argv + argc));
  } catch (const mf::Error& error) {
    std::cout << "error " << error.what() << '\n';
    return 1;
  }
}
