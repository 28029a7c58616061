#include "cli/removal.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <iostream>
#include <map>
#include <unordered_set>

#include <metaflow/error.h>

#include "base/format.h"
#include "base/text.h"
#include "base/trusted_file.h"
#include "cli/run_list.h"
#include "cli/run_session.h"
#include "store/local/local_runs.h"

namespace metaflow::cli {

namespace {

std::string counted(std::uint64_t number, const char* thing) {
  return fmt::format("{} {}{}", base::grouped(number), thing, number == 1 ? "" : "s");
}

std::string of_user(const std::string& user) { return user.empty() ? "" : "  of " + base::visible(user); }

std::string age_text(std::int64_t microseconds) {
  constexpr std::int64_t kHour = 3'600'000'000;
  const std::int64_t hours = microseconds / kHour;
  return hours % 24 == 0 ? counted(static_cast<std::uint64_t>(hours / 24), "day")
                         : counted(static_cast<std::uint64_t>(hours), "hour");
}

}  // namespace

Removal::Removal(Context& context, const RemovalOptions& options)
    : context_(context),
      options_(options),
      remover_({context.store(), context.metadata(), lease_site(context), context.local_root(), context.user()}),
      now_(options.dry_run ? context.clock.wall_microseconds() : runtime::storage_time(context.store())) {
  // The store may have been found in a directory above, such as /tmp.
  if (const auto owner = base::foreign_owner(context.local_root()))
    Context::echo_always(fmt::format("The store {} belongs to {}.\n", context.local_root(), *owner));
}

std::string Removal::other_user(const std::string& run) {
  if (context_.uses_service()) return {};  // it has a request for each run
  try {
    const auto info = context_.metadata().run(context_.flow.name, run);
    return info && info->user != context_.user() ? info->user : "";
  } catch (const Error&) {  // a damaged record
    return {};
  }
}

std::string Removal::add(const std::string& run) {
  const runtime::IndexedRun indexed = remover_.examine(run);
  const std::string why = remover_.obstacle(run, indexed, now_, options_.force);
  if (why.empty()) runs_.push_back({run, indexed.bytes, other_user(run)});
  return why;
}

std::vector<Removal::Kept> Removal::keep_origins(const std::vector<std::string>& known) {
  std::vector<Kept> kept;
  if (runs_.empty()) return kept;
  // Runs that are older than all of these cannot resume one of them.
  std::int64_t oldest = store::time_of_run_id(runs_.front().run);
  for (const Planned& planned : runs_) oldest = std::min(oldest, store::time_of_run_id(planned.run));
  std::vector<std::string> newer;
  for (const std::string& run : known) {
    const std::int64_t time = store::time_of_run_id(run);
    if (time == 0 || time >= oldest) newer.push_back(run);
  }
  const std::map<std::string, std::string> origins = remover_.origins(newer);
  for (bool changed = true; std::exchange(changed, false);) {
    std::unordered_set<std::string> going;
    for (const Planned& planned : runs_) going.insert(planned.run);
    for (const auto& [run, origin] : origins) {
      if (going.contains(run) || !going.contains(origin)) continue;
      std::erase_if(runs_, [&name = origin](const Planned& planned) { return planned.run == name; });
      going.erase(origin);
      kept.push_back({origin, run});
      changed = true;  // the origin may have an origin itself
    }
  }
  return kept;
}

void Removal::confirm() {
  if (runs_.empty() || options_.dry_run || options_.yes || ::isatty(STDIN_FILENO) != 1 || ::isatty(STDERR_FILENO) != 1)
    return;
  constexpr std::size_t kShown = 10;
  std::string text;
  for (std::size_t i = 0; i < std::min(runs_.size(), kShown); ++i) {
    const auto info = context_.metadata().run(context_.flow.name, runs_[i].run);
    text += fmt::format("  {}  {}{}{}\n", runs_[i].run, name_of(read_state(context_, runs_[i].run)),
                        of_user(runs_[i].other_user),
                        info && !info->tags.empty() ? "  " + base::visible(base::join(info->tags, ", ")) : "");
  }
  if (runs_.size() > kShown) text += fmt::format("  and {} more\n", runs_.size() - kShown);
  Context::echo_always(fmt::format("{}Remove {} for good? [y/N] ", text, counted(runs_.size(), "run")));
  std::string answer;
  std::getline(std::cin, answer);
  answer = base::lower(base::trim(answer));
  if (answer != "y" && answer != "yes") throw Error(ErrorCode::interrupted, "Not confirmed");
}

void Removal::remove_runs() {
  std::uint64_t bytes = 0;
  for (const Planned& planned : runs_) {
    if (!options_.dry_run) remover_.remove(planned.run);
    bytes += planned.bytes;
    Context::print(fmt::format("{} {}/{}{}\n", options_.dry_run ? "Would remove" : "Removed", context_.flow.name,
                               planned.run, of_user(planned.other_user)));
  }
  if (runs_.empty()) return;
  Context::print(fmt::format("{}: {}, values not counted\n", counted(runs_.size(), "run"), base::human_bytes(bytes)));
  if (context_.uses_service())
    context_.echo("The metadata service keeps its records of removed runs: it has no call that removes them.\n");
}

void Removal::remove_blobs() {
  runtime::CollectOptions options{.grace = options_.grace, .dry_run = options_.dry_run};
  if (options_.dry_run) {
    for (const Planned& planned : runs_) options.without.insert(planned.run);
  }
  runtime::BlobCollector collector(context_.store(), lease_site(context_));
  runtime::CollectReport report;
  try {
    report = collector.collect(options);
  } catch (const Error& error) {
    throw Error(error.code(), "No value was removed. " + error.message(), error.hint());
  }
  std::string text = fmt::format("{} {} ({}) that no run refers to\n", options_.dry_run ? "Would remove" : "Removed",
                                 counted(report.removed, "value"), base::human_bytes(report.removed_bytes));
  if (report.temporary > 0)
    text += fmt::format("{} {} of processes that died\n", options_.dry_run ? "Would remove" : "Removed",
                        counted(report.temporary, "file"));
  if (report.waiting > 0) {
    text += fmt::format("{} ({}) more that no run refers to: a `gc` after {} removes what is then still unused\n",
                        counted(report.waiting, "value"), base::human_bytes(report.waiting_bytes),
                        age_text(options_.grace));
  }
  if (report.archives > 0) {
    text += fmt::format("Kept {} ({}): code of Python's runs, which deployments may use\n",
                        counted(report.archives, "archive"), base::human_bytes(report.archive_bytes));
  }
  Context::print(text);
  if (!report.held_back.empty()) Context::echo_always(fmt::format("Values were kept. {}.\n", report.held_back));
  for (const std::string& run : report.half_removed) {
    if (!options_.dry_run) {
      if (!remover_.obstacle(run, remover_.examine(run), now_, true).empty()) continue;
      remover_.remove(run);
    }
    Context::print(fmt::format("{} the rest of {}/{}, whose removal was interrupted\n",
                               options_.dry_run ? "Would remove" : "Removed", context_.flow.name, run));
  }
}

std::function<void(const std::string&)> store_age(const std::string& option, std::int64_t& target, std::int64_t least) {
  return [option, &target, least](const std::string& text) {
    constexpr std::int64_t kMinute = 60'000'000;
    constexpr std::int64_t kMost = 36'500;  // days and other units, so that nothing overflows
    const std::map<char, std::int64_t> units{
        {'m', kMinute}, {'h', 60 * kMinute}, {'d', 24 * 60 * kMinute}, {'w', 7 * 24 * 60 * kMinute}};
    std::int64_t number = -1;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    const auto unit = text.empty() ? units.end() : units.find(text.back());
    if (error != std::errc() || end != text.data() + text.size() - 1 || unit == units.end() || number < 0 ||
        number > kMost * 24 * 60) {
      throw Error(ErrorCode::usage, fmt::format("Invalid value for '{}': {} is not a time such as 30d, 12h or 2w",
                                                option, base::shown_value(text)));
    }
    if (number * unit->second < least)
      throw Error(ErrorCode::usage, fmt::format("Invalid value for '{}': {} is less than the minimum of {}", option,
                                                base::shown_value(text), age_text(least)));
    target = number * unit->second;
  };
}

void append_removal_options(std::vector<Option>& list, RemovalOptions& options) {
  const std::vector<Option> own{
      {.name = "--dry-run",
       .help = "Print what would be removed, and remove nothing.",
       .set = store_flag(options.dry_run)},
      {.name = "--yes", .short_name = "-y", .help = "Do not ask, also on a terminal.", .set = store_flag(options.yes)},
      {.name = "--grace",
       .metavar = "TIME",
       .help = "Remove a value after no run has referred to it for this long: 2d, 12h.",
       .shown_default = "1d",
       .set = store_age("--grace", options.grace, runtime::CleaningTimes::kLeastGrace)}};
  list.insert(list.end(), own.begin(), own.end());
}

}  // namespace metaflow::cli
