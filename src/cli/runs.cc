// runs: lists the runs of this flow.

#include <algorithm>
#include <memory>

#include "base/clock.h"
#include "base/format.h"
#include "base/json.h"
#include "base/text.h"
#include "base/utf8.h"
#include "cli/commands.h"
#include "cli/run_list.h"
#include "runtime/summary.h"

namespace metaflow::cli {

namespace {

using base::Json;

struct RunsOptions {
  bool json = false;
  std::vector<std::string> tags;
  std::size_t limit = 20;  // 0: none
};

struct Listing {
  std::vector<RunRow> runs;
  bool has_more = false;
};

Listing read_listing(Context& context, const RunsOptions& options) {
  Listing listing;
  visit_runs(context, [&](const store::RunInfo& info) {
    const bool matches =
        std::all_of(options.tags.begin(), options.tags.end(), [&](const auto& tag) { return has_tag(info, tag); });
    if (!matches) return true;
    listing.has_more = options.limit > 0 && listing.runs.size() == options.limit;
    if (!listing.has_more) listing.runs.push_back(read_row(context, info));
    return !listing.has_more;
  });
  return listing;
}

std::string or_dash(std::uint64_t number) { return number == 0 ? "-" : base::grouped(number); }

std::string as_text(const std::vector<RunRow>& runs) {
  constexpr std::size_t kSeconds = 19;  // characters of a time without its fraction
  constexpr std::size_t kFirstNumber = 3;
  std::vector<std::vector<std::string>> rows{{"run", "state", "started", "duration", "tasks", "failed", "tags"}};
  for (const RunRow& run : runs) {
    const std::string unknown = "?";
    rows.push_back({run.id, std::string(name_of(run.state)),
                    run.began > 0 ? base::local_time(run.began).substr(0, kSeconds) : unknown,
                    run.has_journal ? runtime::clock_time(run.duration) : unknown,
                    run.has_journal ? or_dash(run.tasks) : unknown, run.has_journal ? or_dash(run.failed) : unknown,
                    base::visible(base::join(run.tags, ", "))});
  }
  std::vector<std::size_t> width(rows[0].size());
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) width[i] = std::max(width[i], base::characters(row[i]));
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i + 1 < row.size(); ++i)
      line += i < kFirstNumber ? fmt::format("{:<{}}  ", row[i], width[i]) : fmt::format("{:>{}}  ", row[i], width[i]);
    line += row.back();
    text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  return text;
}

Json seconds(std::int64_t microseconds) {
  return microseconds == 0 ? Json() : Json(static_cast<double>(microseconds) * 1e-6);
}

std::string as_json(Context& context, const Listing& listing) {
  Json runs = Json::list();
  for (const RunRow& run : listing.runs) {
    auto if_known = [&](std::uint64_t number) { return run.has_journal ? Json(number) : Json(); };
    runs.push_back({{"run", run.id},
                    {"state", std::string(name_of(run.state))},
                    {"user", run.user},
                    {"began", seconds(run.began)},
                    {"ended", seconds(run.ended)},
                    {"seconds", run.has_journal ? Json(static_cast<double>(run.duration) * 1e-6) : Json()},
                    {"tasks", if_known(run.tasks)},
                    {"cloned", if_known(run.cloned)},
                    {"failed", if_known(run.failed)},
                    {"origin", run.origin.empty() ? Json() : Json(run.origin)},
                    {"damaged", run.damaged},
                    {"tags", run.tags},
                    {"system_tags", run.system_tags}});
  }
  const Json all{{"version", 1}, {"flow", context.flow.name}, {"runs", runs}, {"more", listing.has_more}};
  return all.dump() + "\n";
}

int list_runs(Context& context, const RunsOptions& options) {
  const Listing listing = read_listing(context, options);
  if (options.json) {
    Context::print(as_json(context, listing));
    return 0;
  }
  if (listing.runs.empty()) {
    const std::string hint = context.root_hint();
    Context::echo_always(fmt::format(
        "No run of {}{} found in {}.\n{}", context.flow.name, options.tags.empty() ? "" : " with these tags",
        context.uses_service() ? "the metadata service" : context.local_root(), hint.empty() ? "" : hint + "\n"));
    return 0;
  }
  Context::print(as_text(listing.runs));
  auto has = [&](RunState state) {
    return std::any_of(listing.runs.begin(), listing.runs.end(), [&](const auto& run) { return run.state == state; });
  };
  if (has(RunState::no_data)) context.echo("no data: the run was removed, or its data is in another store.\n");
  if (has(RunState::unfinished)) {
    context.echo(
        "unfinished: the run has no journal here (Python's, or executed on another host), so it may be running or have "
        "failed.\n");
  }
  for (const RunRow& run : listing.runs) {
    if (run.damaged)
      context.echo(fmt::format("The journal of run {} is damaged: its numbers and its state may be wrong.\n", run.id));
  }
  if (listing.has_more) context.echo("More runs exist: --limit 0 lists all.\n");
  return 0;
}

}  // namespace

Command runs_command(Context& context) {
  auto options = std::make_shared<RunsOptions>();
  return {.name = "runs",
          .help = "List the runs of this flow, newest first.",
          .options = {{.name = "--tag",
                       .metavar = "TEXT",
                       .help = "List only runs with this tag. You can specify this option multiple times.",
                       .multiple = true,
                       .set = append_text(options->tags)},
                      {.name = "--limit",
                       .metavar = "INTEGER",
                       .help = "List at most this many runs; 0: all.",
                       .shown_default = "20",
                       .set = store_number("--limit", options->limit, 0)},
                      {.name = "--json", .help = "Print the runs as JSON.", .set = store_flag(options->json)}},
          .run = [&context, options] { return list_runs(context, *options); }};
}

}  // namespace metaflow::cli
