// The project of a flow: groups flows and runs, separately for each user, each branch and production.
#pragma once

#include <string>

namespace metaflow::graph {

/// The branch of a run, by Metaflow's rules: "user.me", "test.B", "prod", "prod.B". `given`: the option --branch;
/// empty: none. Throws Error{invalid_command}.
std::string project_branch(const std::string& given, bool production, const std::string& user);

/// The kind of a branch, by its name.
bool is_user_branch(const std::string& branch);
bool is_production_branch(const std::string& branch);

}  // namespace metaflow::graph
