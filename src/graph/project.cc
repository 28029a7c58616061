#include "graph/project.h"

#include <metaflow/detail/check_members.h>
#include <metaflow/error.h>

#include "base/format.h"

namespace metaflow::graph {

std::string project_branch(const std::string& given, bool production, const std::string& user) {
  if (given.empty()) return production ? "prod" : "user." + user;
  if (given.size() > detail::kLongestProject) {
    throw Error(ErrorCode::invalid_command,
                fmt::format("Branch name is too long. The maximum is {} characters.", detail::kLongestProject));
  }
  if (!detail::valid_project_name(given)) {
    throw Error(ErrorCode::invalid_command,
                fmt::format("The branch name must contain only lowercase alphanumeric characters and underscores: '{}'",
                            given));
  }
  return (production ? "prod." : "test.") + given;
}

bool is_user_branch(const std::string& branch) { return branch.starts_with("user."); }
bool is_production_branch(const std::string& branch) { return branch == "prod" || branch.starts_with("prod."); }

}  // namespace metaflow::graph
